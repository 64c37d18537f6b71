//! Losses of a next-token model.

use burn::tensor::{Int, Tensor};

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
    burn_dragon_kernel::api::cross_entropy(logits, targets)
}
