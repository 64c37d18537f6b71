//! Matrix of a head that many of its products share, packed for them once.

use super::elementwise::scaled;
use crate::buffer::Buffer;
use crate::matrix::{Factor, Matrix, Packing, Precision};

/// Reused buffers for a `[T, D]` matrix that products share.
#[derive(Debug, Default)]
pub(super) struct Room {
    numbers: Buffer,
    left: Packing,
    right: Packing,
}

/// A `[T, D]` matrix, ready to be either factor of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shared<'a> {
    pub(super) numbers: &'a [f32],
    /// `[T, D]`, first factor.
    pub(super) left: Factor<'a>,
    /// `[T, D]`, second factor.
    pub(super) right: Factor<'a>,
}

impl Room {
    /// Copies a matrix with rows of `width` numbers and packs it.
    pub(super) fn share(&mut self, precision: Precision, numbers: &[f32], width: usize) -> Shared<'_> {
        self.numbers.copied(numbers);
        self.lay_out(precision, numbers.len(), width)
    }

    /// [`share`](Self::share), row `t` multiplied by `factor(t)`.
    pub(super) fn share_scaled(
        &mut self,
        precision: Precision,
        numbers: &[f32],
        width: usize,
        factor: impl Fn(usize) -> f32,
    ) -> Shared<'_> {
        let to = self.numbers.sized(numbers.len());
        let rows = to.chunks_exact_mut(width).zip(numbers.chunks_exact(width));
        rows.enumerate()
            .for_each(|(t, (to, from))| scaled(to, from, factor(t)));
        self.lay_out(precision, numbers.len(), width)
    }

    fn lay_out(&mut self, precision: Precision, length: usize, width: usize) -> Shared<'_> {
        let numbers = &self.numbers[..length];
        let matrix = Matrix::new(numbers, length / width, width, width);
        Shared {
            numbers,
            left: self.left.left(precision, matrix),
            right: self.right.right(precision, matrix),
        }
    }
}
