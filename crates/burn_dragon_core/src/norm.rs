//! Layer norm without parameters: the only nonlinearity per token beside relu.

use burn::tensor::Tensor;

/// `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    let centred = v.clone() - v.mean_dim(R - 1);
    let variance = centred.clone().square().mean_dim(R - 1);
    centred / (variance + eps).sqrt()
}
