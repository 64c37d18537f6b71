//! Newton-Schulz iterations, which make a matrix nearly semi-orthogonal, as Muon does with its updates (Jordan, 2024).
//!
//! ```text
//! X = G / (|G| + 1e-7)                      |G| the Frobenius norm; G transposed if it has more rows than columns
//! A = X X^T;  X = a X + (b A + c A^2) X     `iterations` times, with a, b, c = 3.4445, -4.7750, 2.0315
//! ```
//!
//! Singular vectors do not change. After five iterations singular values are in about `[0.7, 1.2]`; they do not
//! converge to 1.
//!
//! On the processor in f32, matrices and blocks of their rows run in parallel (`cpu.rs`); elsewhere it is a composition
//! of tensor operations (`reference.rs`). The two sum in different orders, so their results differ by rounding.

pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

use crate::backend::{DragonBackend, Operation, on_backends};
use burn::tensor::Tensor;

/// Coefficients of the polynomial `a X + b X X^T X + c (X X^T)^2 X`.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Epsilon that is added to a matrix's norm before the division by it.
const EPSILON: f64 = 1e-7;

/// Each matrix after `iterations` Newton-Schulz iterations.
///
/// # Shapes
/// - `matrices`, output: `[M, R, C]`, M matrices, without autodiff
pub fn newton_schulz(matrices: Tensor<3>, iterations: usize) -> Tensor<3> {
    on_backends!(B, matrices = matrices => on_backend::<B>(matrices, iterations))
        .unwrap_or_else(|matrices| reference::newton_schulz(matrices, iterations))
}

/// The iterations on a tensor without autodiff on a backend; the tensor again where it is none.
fn on_backend<B: DragonBackend>(matrices: Tensor<3>, iterations: usize) -> Result<Tensor<3>, Tensor<3>> {
    if matrices.is_autodiff() || !B::computes(Operation::NewtonSchulz, matrices.dtype()) {
        return Err(matrices);
    }
    let matrices = B::take(matrices)?.numbers;
    Ok(B::give(B::newton_schulz(matrices, iterations)))
}

#[cfg(test)]
mod tests;
