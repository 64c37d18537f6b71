//! The model by its equations (docs/architecture.md, section 3), one row of a batch at a time, on a tape.

use crate::randomness::Masks;
use crate::settings::{Credit, Shape};
use crate::tape::{Gradients, Matrix, Rounding, Tape, Var, exact};
use std::collections::BTreeMap;

/// A parameter: its shape, and its numbers, the last axis running fastest.
#[derive(Clone, Debug)]
pub(crate) struct Parameter {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<f64>,
}

/// Parameters by name.
pub(crate) type Weights = BTreeMap<String, Parameter>;

/// What a row remembers: level by level and head by head, `[N, D]`.
pub(crate) type Memory<M> = Vec<Vec<M>>;

/// How a window is read, beside its tokens.
pub(crate) struct Pass<'a> {
    /// Which row of the batch it is: masks differ.
    pub(crate) row: usize,
    /// The position of its first token.
    pub(crate) start: usize,
    /// Tokens before which memory is emptied.
    pub(crate) resets: &'a [usize],
    pub(crate) masks: Option<Masks>,
    pub(crate) credit: Credit,
    /// Of the factors of a level's products.
    pub(crate) rounding: Rounding,
    /// Of x as a factor of y, and of its gradient through y.
    pub(crate) rounding_of_x: Rounding,
}

impl Pass<'_> {
    /// As a model is evaluated: from position 0, with nothing dropped, rounded or emptied.
    pub(crate) fn plain() -> Self {
        Self {
            row: 0,
            start: 0,
            resets: &[],
            masks: None,
            credit: Credit::Full,
            rounding: exact,
            rounding_of_x: exact,
        }
    }
}

/// What came of a window.
pub(crate) struct Read {
    /// `[T, V]`.
    pub(crate) logits: Var,
    /// Memory after it.
    pub(crate) memory: Memory<Var>,
    /// Shares of x and of y above zero, level by level.
    pub(crate) active: Vec<[f64; 2]>,
}

/// A model on a tape. What has a head's part has a matrix for each head.
pub(crate) struct Model<'a> {
    tape: &'a Tape,
    shape: &'a Shape,
    parameters: BTreeMap<String, Vec<Var>>,
}

impl<'a> Model<'a> {
    pub(crate) fn new(tape: &'a Tape, shape: &'a Shape, weights: &Weights) -> Self {
        let (heads, d, n) = (shape.n_heads, shape.d_model, shape.neurons());
        let on_tape = |(name, weight): (&String, &Parameter)| {
            let [parts, rows, columns] = match name.as_str() {
                "embed" | "lm_head" => [1, weight.shape[0], weight.shape[1]],
                "decoder_x" | "decoder_y" => [heads, d, n],
                "encoder" => [heads, n, d],
                "decay" => [heads, 1, 1],
                other => panic!("a parameter called {other}"),
            };
            assert_eq!(weight.values.len(), parts * rows * columns, "{name}");
            let part = |values: &[f64]| tape.leaf(Matrix::new(rows, columns, values.to_vec()));
            let parts = weight.values.chunks(rows * columns).map(part);
            (name.clone(), parts.collect())
        };
        Self {
            tape,
            shape,
            parameters: weights.iter().map(on_tape).collect(),
        }
    }

    fn part(&self, name: &str, head: usize) -> Var {
        self.parameters[name][head]
    }

    /// The gradient of every parameter, laid out as the parameter is.
    pub(crate) fn gradients(&self, found: &Gradients) -> BTreeMap<String, Vec<f64>> {
        let whole = |parts: &Vec<Var>| -> Vec<f64> {
            let parts = parts.iter().map(|&part| &found.of(part).values);
            parts.flatten().copied().collect()
        };
        let gradients = self.parameters.iter();
        gradients
            .map(|(name, parts)| (name.clone(), whole(parts)))
            .collect()
    }

    /// Nothing remembered.
    pub(crate) fn no_memory(shape: &Shape) -> Memory<Matrix> {
        let nothing = Matrix::of(shape.neurons(), shape.d_model, |_, _| 0.0);
        vec![vec![nothing; shape.n_heads]; shape.n_levels]
    }

    /// A window from an empty memory.
    pub(crate) fn read(&self, tokens: &[usize], pass: &Pass<'_>) -> Read {
        let nothing = on_tape(self.tape, &Self::no_memory(self.shape));
        self.read_on(tokens, pass, &nothing)
    }

    /// A window of one row, with what is remembered: logits, and the memory after it.
    pub(crate) fn read_on(&self, tokens: &[usize], pass: &Pass<'_>, memory: &Memory<Var>) -> Read {
        let (tape, eps) = (self.tape, self.shape.norm_eps);
        let mut v = tape.norm(tape.rows(self.part("embed", 0), tokens), eps); // [T, D]
        let (mut after, mut active) = (Vec::new(), Vec::new());
        for (level, rhos) in memory.iter().enumerate() {
            let (mut sum, mut written, mut shares) = (None, Vec::new(), [0.0; 2]);
            for (head, &rho) in rhos.iter().enumerate() {
                let [x, y, rho] = self.head(head, v, rho, pass);
                let dropped = tape.weighed(y, self.mask(level, head, tokens.len(), pass));
                let u = tape.product(dropped, self.part("encoder", head), pass.rounding);
                sum = Some(sum.map_or(u, |sum| tape.plus(sum, u)));
                written.push(rho);
                for (share, activity) in shares.iter_mut().zip([x, y]) {
                    *share += share_above_zero(&tape.value(activity)) / rhos.len() as f64;
                }
            }
            let u = sum.unwrap_or_else(|| panic!("a model without heads"));
            v = tape.norm(tape.plus(v, tape.norm(u, eps)), eps);
            after.push(written);
            active.push(shares);
        }
        Read {
            logits: tape.product(v, self.part("lm_head", 0), exact),
            memory: after,
            active,
        }
    }

    /// A head's x and y, before dropout, and its memory after the window.
    fn head(&self, head: usize, v: Var, rho: Var, pass: &Pass<'_>) -> [Var; 3] {
        let (tape, round) = (self.tape, pass.rounding);
        let tokens = tape.value(v).rows;
        let x = tape.relu(tape.product(v, self.part("decoder_x", head), round)); // [T, N]
        let q = tape.turned(x, self.angles(pass.start, tokens));
        // Keys are the queries, values the stream; where queries alone are credited, what is stored is a constant.
        let stored = |var| match pass.credit {
            Credit::Full => var,
            Credit::Queries => tape.constant(var),
        };
        let (keys, values, rho) = (stored(q), stored(v), stored(rho));
        let left = |readers: usize, writers: usize, distance: &dyn Fn(usize, usize) -> Option<usize>| {
            self.left(head, readers, writers, distance)
        };
        let reset_within = |range: std::ops::Range<usize>| pass.resets.iter().any(|at| range.contains(at));

        // read_t = left(t, 0) q_t rho + sum over s < t of left(t, s) (q_t . q_s) v_s
        let between = left(tokens, tokens, &|t, s| {
            (s < t && !reset_within(s + 1..t + 1)).then(|| t - s)
        });
        let scores = tape.times(tape.product(q, tape.transposed(keys), round), between);
        let recalled = left(tokens, 1, &|t, _| (!reset_within(0..t + 1)).then_some(t));
        let recalled = tape.times(
            tape.product(q, rho, round),
            self.across(recalled, self.shape.d_model),
        );
        let read = tape.plus(recalled, tape.product(scores, values, round));
        let a = tape.norm(read, self.shape.norm_eps);
        let gate = tape.relu(tape.product(a, self.part("decoder_y", head), round));
        let y = tape.times(gate, tape.rounded(x, pass.rounding_of_x));

        // rho_T = left(T, 0) rho + sum over s of left(T, s) q_s (outer) v_s
        let written = left(tokens, 1, &|s, _| {
            (!reset_within(s + 1..tokens)).then(|| tokens - s)
        });
        let written = tape.times(values, self.across(written, self.shape.d_model));
        let kept = left(1, 1, &|_, _| (!reset_within(0..tokens)).then_some(tokens));
        let kept = tape.times(rho, self.everywhere(kept, &tape.value(rho)));
        let rho = tape.plus(kept, tape.product(tape.transposed(keys), written, round));
        [x, y, stored(rho)]
    }

    /// What is left for readers of what writers wrote: `exp(-slope distance)`, and nothing where there is no distance.
    fn left(
        &self,
        head: usize,
        readers: usize,
        writers: usize,
        distance: &dyn Fn(usize, usize) -> Option<usize>,
    ) -> Var {
        let open = Matrix::of(readers, writers, |t, s| {
            f64::from(u8::from(distance(t, s).is_some()))
        });
        let Some(slope) = self.slope(head) else {
            return self.tape.leaf(open);
        };
        let away = Matrix::of(readers, writers, |t, s| {
            -(distance(t, s).unwrap_or_default() as f64)
        });
        self.tape
            .weighed(self.tape.exp(self.tape.spread(slope, away)), open)
    }

    /// The slope at which a head's memory fades, if it does: given, or the exponential of what is learnt.
    fn slope(&self, head: usize) -> Option<Var> {
        let decay = self.shape.decay.as_ref()?;
        Some(match self.parameters.get("decay") {
            Some(logarithms) => self.tape.exp(logarithms[head]),
            None => self.tape.leaf(Matrix::new(1, 1, vec![decay.slopes[head]])),
        })
    }

    /// A column, as often as a matrix has columns.
    fn across(&self, column: Var, columns: usize) -> Var {
        let ones = self.tape.leaf(Matrix::of(1, columns, |_, _| 1.0));
        self.tape.product(column, ones, exact)
    }

    /// A single number, as often as a matrix has entries.
    fn everywhere(&self, number: Var, like: &Matrix) -> Var {
        self.tape
            .spread(number, Matrix::of(like.rows, like.columns, |_, _| 1.0))
    }

    /// Radians by which the pairs `(2i, 2i+1)` of a head turn: the position times `theta^(-2i/N)`.
    fn angles(&self, start: usize, tokens: usize) -> Matrix {
        let n = self.shape.neurons();
        Matrix::of(tokens, n / 2, |t, i| {
            (start + t) as f64 * self.shape.rope_theta.powf(-2.0 * i as f64 / n as f64)
        })
    }

    /// The factors of dropout on a head's y, of the row's part in `[B, H, T, N]`.
    fn mask(&self, level: usize, head: usize, tokens: usize, pass: &Pass<'_>) -> Matrix {
        let n = self.shape.neurons();
        let first = (pass.row * self.shape.n_heads + head) * tokens;
        Matrix::of(tokens, n, |t, i| {
            pass.masks
                .map_or(1.0, |masks| masks.factor(level, (first + t) * n + i))
        })
    }
}

/// A memory as constants.
pub(crate) fn on_tape(tape: &Tape, memory: &Memory<Matrix>) -> Memory<Var> {
    let level = |level: &Vec<Matrix>| level.iter().map(|rho| tape.leaf(rho.clone())).collect();
    memory.iter().map(level).collect()
}

/// A memory's numbers.
pub(crate) fn off_tape(tape: &Tape, memory: &Memory<Var>) -> Memory<Matrix> {
    let level = |level: &Vec<Var>| level.iter().map(|&rho| (*tape.value(rho)).clone()).collect();
    memory.iter().map(level).collect()
}

fn share_above_zero(activity: &Matrix) -> f64 {
    let above = activity.values.iter().filter(|&&value| value > 0.0).count();
    above as f64 / activity.values.len() as f64
}
