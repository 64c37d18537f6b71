//! Definition of the solution, by the inverse.

use burn::tensor::{Tensor, TensorData};

/// Solution X of `(I + M) X = R`; shapes as in [`triangular_solve`](super::triangular_solve()).
///
/// The inverse of a block of size 2m follows from those of its halves: `[[A, 0], [-B L A, B]]`, where L is the lower left
/// quarter. So it is put together from blocks of size 1, 2, 4, ... Powers of M would cancel where its entries are large.
pub fn triangular_solve(matrix: Tensor<3>, right: Tensor<3>) -> Tensor<3> {
    let size = matrix.dims()[1];
    let mut inverse = table(size, &matrix, |i, j| i == j).expand(matrix.dims());
    let mut half = 1;
    while half < size {
        let quarter = table(size, &matrix, |i, j| {
            i / (2 * half) == j / (2 * half) && i / half > j / half
        });
        let between = inverse.clone().matmul(matrix.clone() * quarter);
        inverse = inverse.clone() - between.matmul(inverse);
        half *= 2;
    }
    inverse.matmul(right)
}

/// 1 at the entries `(i, j)` that are chosen, 0 at others, `[1, n, n]`.
fn table(size: usize, like: &Tensor<3>, chosen: impl Fn(usize, usize) -> bool) -> Tensor<3> {
    let entries = (0..size * size).map(|index| f64::from(u8::from(chosen(index / size, index % size))));
    let data = TensorData::new(entries.collect::<Vec<_>>(), [1, size, size]).convert_dtype(like.dtype());
    Tensor::from_data(data, (&like.device(), like.dtype()))
}
