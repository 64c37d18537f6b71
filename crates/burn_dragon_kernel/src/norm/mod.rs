//! Layer norm without parameters, the only nonlinearity per token besides relu.
//!
//! `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.
//!
//! On the processor in f32 it is one pass over the rows, in place unless another tensor shares them (`cpu.rs`), and its
//! gradient is written by hand; elsewhere it is tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::Tensor;

/// Layer norm over the last axis, with `eps` added to the variance.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    on_backends!(B, input = (v, eps) => on_backend::<B, R>(input))
        .unwrap_or_else(|(v, eps)| reference::norm(v, eps))
}

#[cfg(test)]
mod tests;
