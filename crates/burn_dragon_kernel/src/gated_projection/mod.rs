//! Projection of the read to neurons, gated by x: `y = relu(a W) * x` (`W` is `decoder_y`).
//!
//! The gate is the unrotated x, so a neuron that is 0 in x is 0 in y: `supp(y)` lies within `supp(x)`.

pub mod reference;

use burn::tensor::Tensor;

/// Gated projection `relu(a W) * x` for every head.
///
/// # Shapes
/// - `a`: `[B, H, T, D]`
/// - `weight`: `[H, D, N]`
/// - `x`, output: `[B, H, T, N]`, non-negative
///
/// # Panics
/// If the shapes do not fit together.
pub fn gated_projection(a: Tensor<4>, weight: Tensor<3>, x: Tensor<4>) -> Tensor<4> {
    let [lanes, _, tokens, _] = a.dims();
    let [heads, d_model, neurons] = weight.dims();
    crate::assert_shape("gated_projection", "a", a.dims(), [lanes, heads, tokens, d_model]);
    crate::assert_shape("gated_projection", "x", x.dims(), [lanes, heads, tokens, neurons]);
    reference::gated_projection(a, weight, x)
}
