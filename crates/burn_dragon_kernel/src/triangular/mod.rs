//! Solution of systems of equations with unit lower triangular matrices.
//!
//! ```text
//! (I + M) X = R        M: the entries below the diagonal; others are not read
//! ```
//!
//! On the processor in f32 it is forward substitution, and the gradient, written by hand, is backward substitution (`cpu.rs`).
//! Elsewhere the inverse is put together from blocks of twice the size, in tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::Tensor;

/// Solution X of `(I + M) X = R`, where M is what `matrix` has below its diagonal.
///
/// # Shapes
/// - `matrix`: `[M, n, n]`
/// - `right`, output: `[M, n, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn triangular_solve(matrix: Tensor<3>, right: Tensor<3>) -> Tensor<3> {
    let [count, size, _] = right.dims();
    crate::assert_shape(
        "triangular_solve",
        "the matrix",
        matrix.dims(),
        [count, size, size],
    );
    on_backends!(B, input = [matrix, right] => on_backend::<B>(input))
        .unwrap_or_else(|[matrix, right]| reference::triangular_solve(matrix, right))
}

#[cfg(test)]
mod tests;
