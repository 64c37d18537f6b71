//! Cross entropy of a softmax with a class, in nats: `-log softmax(logits)[target]`.
//!
//! On the processor in f32 it is one pass over the rows (`cpu.rs`). Its gradient is written by hand, and overwrites the
//! logits if no other tensor shares them. Elsewhere it is tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::{Int, Tensor};

/// Cross entropy of every token, in nats.
///
/// # Shapes
/// - `logits`: `[B, T, V]`
/// - `targets`, output: `[B, T]`
///
/// # Panics
/// If the shapes do not fit together, or a target is not below V.
pub fn cross_entropy(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let [lanes, tokens, _] = logits.dims();
    crate::assert_shape("cross entropy", "targets", targets.dims(), [lanes, tokens]);
    on_backends!(B, input = (logits, targets) => on_backend::<B>(input))
        .unwrap_or_else(|(logits, targets)| reference::cross_entropy(logits, targets))
}

#[cfg(test)]
mod tests;
