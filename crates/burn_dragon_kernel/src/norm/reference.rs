//! The definition of the norm.

use burn::tensor::Tensor;

/// `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.
///
/// One reciprocal a row and a product, as every implementation of layer norm does: a division rounds otherwise, and
/// near a relu that is the difference between a neuron that fires and one that does not.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    let centred = v.clone() - v.mean_dim(R - 1);
    let variance = centred.clone().square().mean_dim(R - 1);
    centred * (variance + eps).sqrt().recip()
}
