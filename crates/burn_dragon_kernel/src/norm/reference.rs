//! Definition of the norm.

use burn::tensor::Tensor;

/// Layer norm `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.
///
/// It multiplies by one reciprocal for each row, as every implementation of layer norm does. A division would round
/// differently, and near the threshold of a relu that can make a neuron active or inactive.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    let centred = v.clone() - v.mean_dim(R - 1);
    let variance = centred.clone().square().mean_dim(R - 1);
    centred * (variance + eps).sqrt().recip()
}
