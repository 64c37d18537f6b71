//! The loss of a next-token model.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// Mean cross entropy in nats.
///
/// # Shapes
/// - `logits`: `[B, T, V]`
/// - `targets`: `[B, T]`, each below V
/// - output: `[1]`
pub fn cross_entropy(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<1> {
    token_losses(logits, targets).mean()
}

/// Cross entropy of every token in nats.
///
/// # Shapes
/// - `logits`: `[B, T, V]`
/// - `targets`, output: `[B, T]`
pub fn token_losses(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let chosen = log_softmax(logits, 2).gather(2, targets.unsqueeze_dim::<3>(2)); // [B, T, 1]
    chosen.squeeze_dim::<2>(2).neg()
}
