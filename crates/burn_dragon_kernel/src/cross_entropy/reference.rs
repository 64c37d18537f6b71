//! The definition of the cross entropy of tokens.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// `-log softmax(logits)[target]` in plain tensor operations; see [`cross_entropy`](super::cross_entropy).
pub fn cross_entropy(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let chosen = log_softmax(logits, 2).gather(2, targets.unsqueeze_dim::<3>(2)); // [B, T, 1]
    chosen.squeeze_dim::<2>(2).neg()
}
