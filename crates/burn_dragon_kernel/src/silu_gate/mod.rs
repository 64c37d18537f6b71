//! Gate of SiLU: `y z sigmoid(z)`.
//!
//! On the processor in f32, value and gradient are one pass each (`cpu.rs`). Elsewhere it is a composition of tensor operations
//! (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use burn::tensor::Tensor;

/// `y` through the gate of `z`.
///
/// # Shapes
/// - `y`, `z`, output: `[M, E]`
///
/// # Panics
/// If the shapes differ.
pub fn silu_gate(y: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
    crate::assert_shape("silu_gate", "z", z.dims(), y.dims());
    on_backends!(B, input = (y, z) => backward::on_backend::<B>(input))
        .unwrap_or_else(|(y, z)| reference::silu_gate(y, z))
}

#[cfg(test)]
mod tests;
