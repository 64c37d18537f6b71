//! Level of neurons with thresholds, in plain tensor operations.
//!
//! ```text
//! x = relu(v decoder_x - theta_x)
//! y = relu(a decoder_y - theta_y) * x
//! ```
//!
//! With thresholds of 0 it is the level's definition. No kernel knows thresholds.

use crate::initial::Thresholds;
use burn::tensor::{Tensor, activation::relu};
use burn_dragon_kernel::api::LevelWeights;

impl Thresholds {
    /// x, `[B, H, T, N]`, from the stream, `[B, 1, T, D]`.
    pub(crate) fn perceive(self, v: Tensor<4>, weights: &LevelWeights) -> Tensor<4> {
        relu(v.matmul(weights.decoder_x().clone().unsqueeze()) - self.x)
    }

    /// y before dropout, `[B, H, T, N]`, from a normed read, `[B, H, T, D]`, and x.
    pub(crate) fn gated(self, a: Tensor<4>, x: Tensor<4>, weights: &LevelWeights) -> Tensor<4> {
        relu(a.matmul(weights.decoder_y().clone().unsqueeze()) - self.y) * x
    }
}
