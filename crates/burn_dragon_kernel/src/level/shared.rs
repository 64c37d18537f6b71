//! Matrix of a head that many of its products share, packed for them once.

use super::elementwise::scaled;
use crate::buffer::Buffer;
use crate::matrix::{Factor, Matrix, Packing, Precision};

/// Reused buffers for a `[T, D]` matrix that products share.
#[derive(Debug, Default)]
pub(super) struct Room {
    numbers: Buffer,
    pub(super) left: Packing,
    pub(super) right: Packing,
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
    /// Packs a matrix with rows of `width` numbers.
    pub(super) fn share<'a>(
        &'a mut self,
        precision: Precision,
        numbers: &'a [f32],
        width: usize,
    ) -> Shared<'a> {
        Shared::new(numbers, width, precision, [&mut self.left, &mut self.right])
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
        Shared::new(to, width, precision, [&mut self.left, &mut self.right])
    }
}

impl<'a> Shared<'a> {
    fn new(
        numbers: &'a [f32],
        width: usize,
        precision: Precision,
        [left, right]: [&'a mut Packing; 2],
    ) -> Self {
        let matrix = Matrix::new(numbers, numbers.len() / width, width, width);
        Self {
            numbers,
            left: left.left(precision, matrix),
            right: right.right(precision, matrix),
        }
    }
}
