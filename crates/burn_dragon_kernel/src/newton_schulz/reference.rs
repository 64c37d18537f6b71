//! The definition of the Newton-Schulz iterations.

use super::{COEFFICIENTS, EPSILON};
use burn::tensor::Tensor;

/// The iterations in plain tensor operations and in the tensor's own precision; see
/// [`newton_schulz`](super::newton_schulz).
pub fn newton_schulz(matrices: Tensor<3>, iterations: usize) -> Tensor<3> {
    let [_, rows, columns] = matrices.dims();
    let tall = rows > columns;
    let turned = |x: Tensor<3>| if tall { x.swap_dims(1, 2) } else { x };
    let norm = matrices.clone().square().sum_dims(&[1, 2]).sqrt() + EPSILON; // [M, 1, 1]
    let mut x = turned(matrices / norm); // [M, min(R, C), max(R, C)]
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..iterations {
        let square = x.clone().matmul(x.clone().swap_dims(1, 2));
        let factor = square.clone() * b + square.clone().matmul(square) * c;
        x = x.clone() * a + factor.matmul(x);
    }
    turned(x)
}
