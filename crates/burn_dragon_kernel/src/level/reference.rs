//! The definition of a level: the composition of its operations.

use super::LevelInput;
use crate::causal_read::{causal_read, causal_read_with_memory};
use crate::{gated_projection::gated_projection, norm::norm, projection::projection};
use burn::tensor::Tensor;

/// A level's contribution and its activities.
#[derive(Clone, Debug)]
pub struct Level {
    /// The contribution, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// Neuron activity driven by the stream, `[B, H, T, N]`.
    pub x: Tensor<4>,
    /// Neuron activity driven by memory and gated by x, before dropout, `[B, H, T, N]`.
    pub y: Tensor<4>,
}

/// A level of a window that starts from an empty memory.
pub fn level(input: LevelInput) -> Level {
    let x = projection(input.v.clone(), input.weights.decoder_x().clone()); // [B, H, T, N]
    let q = input.rotation.rotate(x.clone());
    let read = causal_read(q, input.v.clone(), &input.retention, input.credit); // [B, H, T, D]
    after_read(&input, x, read)
}

/// A level of a window that reads and extends a memory, `[B, H, N, D]`: its contribution, and the memory after it.
pub fn level_with_memory(input: &LevelInput, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let x = projection(input.v.clone(), input.weights.decoder_x().clone()); // [B, H, T, N]
    let q = input.rotation.rotate(x.clone());
    let v = input.v.clone();
    let (read, rho) = causal_read_with_memory(q, v, rho, &input.retention, input.credit);
    (after_read(input, x, read).u, rho)
}

/// The second half of a level, from what was read: `[B, H, T, D]`.
pub fn after_read(input: &LevelInput, x: Tensor<4>, read: Tensor<4>) -> Level {
    let a = norm(read, input.eps);
    let y = gated_projection(a, input.weights.decoder_y().clone(), x.clone()); // [B, H, T, N]
    let kept = match &input.dropout {
        None => y.clone(),
        Some(mask) => mask.apply(y.clone()),
    };
    Level {
        u: to_width(kept, input.weights.encoder().clone()),
        x,
        y,
    }
}

/// `y encoder`, summed over heads: `[B, H, T, N]` to `[B, 1, T, D]`.
///
/// Head by head and then summed, so that nothing neuron-wide is laid out anew.
fn to_width(y: Tensor<4>, encoder: Tensor<2>) -> Tensor<4> {
    let [_, heads, _, neurons] = y.dims();
    let [_, width] = encoder.dims();
    let encoder: Tensor<4> = encoder.reshape([1, heads, neurons, width]);
    y.matmul(encoder).sum_dim(1)
}
