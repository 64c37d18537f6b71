//! Factors of Cholesky of symmetric positive definite matrices, and systems solved with them.

/// Lower triangle L of `L L^T = matrix`, `[width, width]`.
#[derive(Clone, Debug)]
pub(super) struct Cholesky {
    lower: Vec<f64>,
    width: usize,
}

impl Cholesky {
    /// Factor of a matrix with a multiple of the identity added. The sum has to be positive definite.
    pub(super) fn new(mut matrix: Vec<f64>, diagonal: f64, width: usize) -> Self {
        for i in 0..width {
            matrix[i * width + i] += diagonal;
            let (above, row) = matrix.split_at_mut(i * width);
            for j in 0..i {
                let products = row[..j].iter().zip(&above[j * width..]).map(|(a, b)| a * b);
                row[j] = (row[j] - products.sum::<f64>()) / above[j * width + j];
            }
            let squares: f64 = row[..i].iter().map(|value| value * value).sum();
            row[i] = (row[i] - squares).sqrt();
        }
        Self { lower: matrix, width }
    }

    /// `L^-1 right`, for `[width, columns]` right sides.
    pub(super) fn solve_lower(&self, right: &mut [f64]) {
        let columns = right.len() / self.width;
        for i in 0..self.width {
            let (solved, rest) = right.split_at_mut(i * columns);
            let row = &mut rest[..columns];
            for (k, solved) in solved.chunks(columns).enumerate() {
                subtract(row, self.lower[i * self.width + k], solved);
            }
            row.iter_mut()
                .for_each(|value| *value /= self.lower[i * self.width + i]);
        }
    }

    /// `L^-T right`, for `[width, columns]` right sides.
    pub(super) fn solve_upper(&self, right: &mut [f64]) {
        let columns = right.len() / self.width;
        for i in (0..self.width).rev() {
            let (rest, solved) = right.split_at_mut(i * columns);
            let row = &mut solved[..columns];
            row.iter_mut()
                .for_each(|value| *value /= self.lower[i * self.width + i]);
            for (k, rest) in rest.chunks_mut(columns).enumerate() {
                subtract(rest, self.lower[i * self.width + k], row);
            }
        }
    }

    /// `L^T right`, for `[width, columns]` right sides.
    pub(super) fn multiply_upper(&self, right: &mut [f64]) {
        let columns = right.len() / self.width;
        for i in 0..self.width {
            let (row, below) = right[i * columns..].split_at_mut(columns);
            row.iter_mut()
                .for_each(|value| *value *= self.lower[i * self.width + i]);
            for (k, below) in below.chunks(columns).enumerate() {
                subtract(row, -self.lower[(i + 1 + k) * self.width + i], below);
            }
        }
    }
}

fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    row.iter_mut()
        .zip(other)
        .for_each(|(value, other)| *value -= factor * other);
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_core::api::expert::Rng;

    #[test]
    fn solutions_solve_the_system() {
        let (width, columns) = (7, 3);
        let mut rng = Rng::new(1);
        let root: Vec<f64> = (0..width * width).map(|_| rng.normal()).collect();
        let right: Vec<f64> = (0..width * columns).map(|_| rng.normal()).collect();
        let entry = |i: usize, j: usize| {
            (0..width)
                .map(|k| root[i * width + k] * root[j * width + k])
                .sum::<f64>()
        };
        let matrix = (0..width * width)
            .map(|index| entry(index / width, index % width))
            .collect();
        let factor = Cholesky::new(matrix, 0.5, width);
        let mut there_and_back = right.clone();
        factor.multiply_upper(&mut there_and_back);
        factor.solve_upper(&mut there_and_back);
        assert!(
            there_and_back
                .iter()
                .zip(&right)
                .all(|(a, b)| (a - b).abs() < 1e-9)
        );
        let mut solved = right.clone();
        factor.solve_lower(&mut solved);
        factor.solve_upper(&mut solved);
        for i in 0..width {
            for c in 0..columns {
                let sum: f64 = (0..width)
                    .map(|j| (entry(i, j) + if i == j { 0.5 } else { 0.0 }) * solved[j * columns + c])
                    .sum();
                assert!((sum - right[i * columns + c]).abs() < 1e-9, "{i} {c}");
            }
        }
    }
}
