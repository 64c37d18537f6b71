//! Layer norm without parameters: the only nonlinearity per token beside relu.
//!
//! `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.

pub mod reference;

use burn::tensor::Tensor;

/// Layer norm over the last axis.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    reference::norm(v, eps)
}
