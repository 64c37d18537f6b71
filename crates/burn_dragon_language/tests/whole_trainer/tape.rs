//! Matrices in f64 and their derivatives: a tape holds every value with its way back, and is walked from the loss to the
//! weights. Loops, and nothing else.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Rows of numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Row after row.
    pub(crate) values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn new(rows: usize, columns: usize, values: Vec<f64>) -> Self {
        assert_eq!(values.len(), rows * columns, "a matrix of {rows} x {columns}");
        Self {
            rows,
            columns,
            values,
        }
    }

    /// Each entry from its row and column.
    pub(crate) fn of(rows: usize, columns: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let values = (0..rows * columns).map(|i| entry(i / columns, i % columns));
        Self::new(rows, columns, values.collect())
    }

    pub(crate) fn at(&self, row: usize, column: usize) -> f64 {
        self.values[row * self.columns + column]
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..(row + 1) * self.columns]
    }

    fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(
            self.rows,
            self.columns,
            self.values.iter().map(|&value| f(value)).collect(),
        )
    }

    fn with(&self, other: &Self, f: impl Fn(f64, f64) -> f64) -> Self {
        assert_eq!((self.rows, self.columns), (other.rows, other.columns));
        let pairs = self.values.iter().zip(&other.values);
        Self::new(self.rows, self.columns, pairs.map(|(&a, &b)| f(a, b)).collect())
    }

    fn transposed(&self) -> Self {
        Self::of(self.columns, self.rows, |i, j| self.at(j, i))
    }

    fn product(&self, other: &Self) -> Self {
        assert_eq!(self.columns, other.rows, "a product of matrices that do not fit");
        let mut out = Self::of(self.rows, other.columns, |_, _| 0.0);
        for i in 0..self.rows {
            for k in 0..self.columns {
                let factor = self.at(i, k);
                for j in 0..other.columns {
                    out.values[i * other.columns + j] += factor * other.at(k, j);
                }
            }
        }
        out
    }
}

/// A value on a tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Var(usize);

/// How the factors of a product are rounded before they are multiplied.
pub(crate) type Rounding = fn(f64) -> f64;

/// As they are.
pub(crate) fn exact(value: f64) -> f64 {
    value
}

/// To the nearest number of 8 significant bits, ties to even.
pub(crate) fn bf16(value: f64) -> f64 {
    let bits = (value as f32).to_bits();
    let to_even = 0x7FFF + (bits >> 16 & 1);
    f64::from(f32::from_bits((bits + to_even) & 0xFFFF_0000))
}

/// From the gradient of a value to those of what it was made from.
type Back = Box<dyn Fn(&Matrix) -> Vec<(Var, Matrix)>>;

struct Node {
    value: Rc<Matrix>,
    back: Option<Back>,
}

/// Values in the order in which they were made.
#[derive(Default)]
pub(crate) struct Tape {
    nodes: RefCell<Vec<Node>>,
}

/// The gradient of one loss in each value.
pub(crate) struct Gradients(BTreeMap<usize, Matrix>);

impl Gradients {
    /// Of a value that the loss depends on.
    pub(crate) fn of(&self, var: Var) -> &Matrix {
        &self.0[&var.0]
    }
}

impl Tape {
    /// A value that comes from nowhere: a weight, or a constant.
    pub(crate) fn leaf(&self, value: Matrix) -> Var {
        self.push(value, None)
    }

    pub(crate) fn value(&self, var: Var) -> Rc<Matrix> {
        Rc::clone(&self.nodes.borrow()[var.0].value)
    }

    fn push(&self, value: Matrix, back: Option<Back>) -> Var {
        let mut nodes = self.nodes.borrow_mut();
        let value = Rc::new(value);
        nodes.push(Node { value, back });
        Var(nodes.len() - 1)
    }

    fn derived(&self, value: Matrix, back: impl Fn(&Matrix) -> Vec<(Var, Matrix)> + 'static) -> Var {
        self.push(value, Some(Box::new(back)))
    }

    /// The gradients of a single number.
    pub(crate) fn gradients(&self, loss: Var) -> Gradients {
        let nodes = self.nodes.borrow();
        let mut found = BTreeMap::from([(loss.0, Matrix::new(1, 1, vec![1.0]))]);
        for index in (0..=loss.0).rev() {
            let (Some(gradient), Some(back)) = (found.get(&index), &nodes[index].back) else {
                continue;
            };
            for (var, part) in back(gradient) {
                let sum = match found.get(&var.0) {
                    Some(sum) => sum.with(&part, |a, b| a + b),
                    None => part,
                };
                found.insert(var.0, sum);
            }
        }
        Gradients(found)
    }

    /// The value as a constant: no gradient goes on.
    pub(crate) fn constant(&self, a: Var) -> Var {
        self.leaf((*self.value(a)).clone())
    }

    pub(crate) fn plus(&self, a: Var, b: Var) -> Var {
        let sum = self.value(a).with(&self.value(b), |a, b| a + b);
        self.derived(sum, move |d| vec![(a, d.clone()), (b, d.clone())])
    }

    /// Entry by entry.
    pub(crate) fn times(&self, a: Var, b: Var) -> Var {
        let (left, right) = (self.value(a), self.value(b));
        self.derived(left.with(&right, |a, b| a * b), move |d| {
            vec![
                (a, d.with(&right, |d, b| d * b)),
                (b, d.with(&left, |d, a| d * a)),
            ]
        })
    }

    /// Entry by entry, with constants.
    pub(crate) fn weighed(&self, a: Var, weights: Matrix) -> Var {
        let value = self.value(a).with(&weights, |a, weight| a * weight);
        self.derived(value, move |d| {
            vec![(a, d.with(&weights, |d, weight| d * weight))]
        })
    }

    /// A constant matrix times a single number.
    pub(crate) fn spread(&self, number: Var, over: Matrix) -> Var {
        let factor = self.value(number).at(0, 0);
        self.derived(over.map(|entry| factor * entry), move |d| {
            let sum = d.with(&over, |d, entry| d * entry).values.iter().sum();
            vec![(number, Matrix::new(1, 1, vec![sum]))]
        })
    }

    /// The matrix product of what `round` makes of the factors, in both directions.
    pub(crate) fn product(&self, a: Var, b: Var, round: Rounding) -> Var {
        let (left, right) = (self.value(a).map(round), self.value(b).map(round));
        self.derived(left.product(&right), move |d| {
            let d = d.map(round);
            vec![
                (a, d.product(&right.transposed())),
                (b, left.transposed().product(&d)),
            ]
        })
    }

    pub(crate) fn transposed(&self, a: Var) -> Var {
        self.derived(self.value(a).transposed(), move |d| vec![(a, d.transposed())])
    }

    pub(crate) fn relu(&self, a: Var) -> Var {
        let before = self.value(a);
        self.derived(before.map(|a| a.max(0.0)), move |d| {
            vec![(a, d.with(&before, |d, a| if a > 0.0 { d } else { 0.0 }))]
        })
    }

    /// Rounded, in both directions.
    pub(crate) fn rounded(&self, a: Var, rounding: Rounding) -> Var {
        let value = self.value(a).map(rounding);
        self.derived(value, move |d| vec![(a, d.map(rounding))])
    }

    pub(crate) fn exp(&self, a: Var) -> Var {
        let value = self.value(a).map(f64::exp);
        self.derived(value.clone(), move |d| vec![(a, d.with(&value, |d, e| d * e))])
    }

    /// The rows of a table that are named, in that order.
    pub(crate) fn rows(&self, table: Var, named: &[usize]) -> Var {
        let (whole, named) = (self.value(table), named.to_vec());
        let value = Matrix::of(named.len(), whole.columns, |i, j| whole.at(named[i], j));
        self.derived(value, move |d| {
            let mut back = whole.map(|_| 0.0);
            for (i, &row) in named.iter().enumerate() {
                for j in 0..d.columns {
                    back.values[row * d.columns + j] += d.at(i, j);
                }
            }
            vec![(table, back)]
        })
    }

    /// Each row less its mean, over the root of its (biased) variance plus `eps`.
    pub(crate) fn norm(&self, a: Var, eps: f64) -> Var {
        let before = self.value(a);
        let width = before.columns as f64;
        let mean = move |row: &[f64]| row.iter().sum::<f64>() / width;
        let deviation = move |row: &[f64]| {
            let middle = mean(row);
            let variance = row.iter().map(|value| (value - middle).powi(2)).sum::<f64>() / width;
            (variance + eps).sqrt()
        };
        let value = Matrix::of(before.rows, before.columns, |i, j| {
            (before.at(i, j) - mean(before.row(i))) / deviation(before.row(i))
        });
        self.derived(value.clone(), move |d| {
            // With n the normed row: da = (d - mean(d) - n mean(d n)) / deviation.
            let back = Matrix::of(d.rows, d.columns, |i, j| {
                let (d, n) = (d.row(i), value.row(i));
                let along = d.iter().zip(n).map(|(d, n)| d * n).sum::<f64>() / width;
                (d[j] - mean(d) - n[j] * along) / deviation(before.row(i))
            });
            vec![(a, back)]
        })
    }

    /// Pairs of neighbouring columns, turned: row by row and pair by pair by so many radians.
    pub(crate) fn turned(&self, a: Var, angles: Matrix) -> Var {
        let value = turned(&self.value(a), &angles);
        self.derived(value, move |d| vec![(a, turned(d, &angles.map(|angle| -angle)))])
    }

    /// The mean over rows of what a softmax finds unlikely: `-ln` of the share of the target.
    pub(crate) fn cross_entropy(&self, logits: Var, targets: &[usize]) -> Var {
        let (scores, targets) = (self.value(logits), targets.to_vec());
        let shares = softmax(&scores);
        let rows = targets.len() as f64;
        let nats = targets
            .iter()
            .enumerate()
            .map(|(row, &id)| -shares.at(row, id).ln());
        self.derived(Matrix::new(1, 1, vec![nats.sum::<f64>() / rows]), move |d| {
            let back = Matrix::of(shares.rows, shares.columns, |i, j| {
                let hit = f64::from(u8::from(targets[i] == j));
                d.at(0, 0) * (shares.at(i, j) - hit) / rows
            });
            vec![(logits, back)]
        })
    }

    /// The mean of single numbers.
    pub(crate) fn mean(&self, numbers: &[Var]) -> Var {
        let count = numbers.len() as f64;
        let sum: f64 = numbers.iter().map(|&number| self.value(number).at(0, 0)).sum();
        let numbers = numbers.to_vec();
        self.derived(Matrix::new(1, 1, vec![sum / count]), move |d| {
            let part = d.map(|d| d / count);
            numbers.iter().map(|&number| (number, part.clone())).collect()
        })
    }
}

fn turned(values: &Matrix, angles: &Matrix) -> Matrix {
    Matrix::of(values.rows, values.columns, |i, j| {
        let (sin, cos) = angles.at(i, j / 2).sin_cos();
        match j % 2 {
            0 => values.at(i, j) * cos - values.at(i, j + 1) * sin,
            _ => values.at(i, j) * cos + values.at(i, j - 1) * sin,
        }
    })
}

fn softmax(scores: &Matrix) -> Matrix {
    let largest = |row: usize| scores.row(row).iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total = |row: usize| -> f64 {
        let largest = largest(row);
        scores.row(row).iter().map(|score| (score - largest).exp()).sum()
    };
    let (largest, total): (Vec<f64>, Vec<f64>) =
        (0..scores.rows).map(|row| (largest(row), total(row))).unzip();
    Matrix::of(scores.rows, scores.columns, |i, j| {
        (scores.at(i, j) - largest[i]).exp() / total[i]
    })
}
