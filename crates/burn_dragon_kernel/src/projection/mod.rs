//! Projection from model width to neurons: `x = relu(v W)` (`W` is `decoder_x`).

pub mod reference;

use burn::tensor::Tensor;

/// Projection `relu(v W)` for every head.
///
/// # Shapes
/// - `v`: `[B, 1, T, D]` (shared by the heads) or `[B, H, T, D]`
/// - `weight`: `[H, D, N]`
/// - output: `[B, H, T, N]`, non-negative
///
/// # Panics
/// If the widths differ, or `v` has neither 1 nor H heads.
pub fn projection(v: Tensor<4>, weight: Tensor<3>) -> Tensor<4> {
    let [lanes, heads, tokens, _] = v.dims();
    let [n_heads, d_model, _] = weight.dims();
    let heads = if heads == 1 { 1 } else { n_heads };
    crate::assert_shape("projection", "v", v.dims(), [lanes, heads, tokens, d_model]);
    reference::projection(v, weight)
}
