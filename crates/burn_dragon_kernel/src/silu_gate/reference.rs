//! Definition of the gate.

use burn::tensor::{Tensor, activation};

/// `y` through the gate of `z`.
///
/// # Shapes
/// - `y`, `z`, output: `[M, E]`
pub fn silu_gate(y: Tensor<2>, z: Tensor<2>) -> Tensor<2> {
    y * activation::silu(z)
}
