//! Definition of a level: perceive, read, speak.

use super::{LevelInput, LevelWeights};
use crate::activity::Activity;
use crate::causal_read::{causal_read, causal_read_with_memory};
use crate::dropout::DropoutMask;
use crate::full_read::{full_read, full_read_with_memory};
use crate::gated_projection::gated_projection;
use crate::norm::norm;
use crate::projection::projection;
use crate::reach::Reach;
use burn::tensor::{Int, Tensor};

/// Contribution of a level, its activities, and the memory after it.
#[derive(Clone, Debug)]
pub struct Activations {
    /// Contribution to the stream, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// Neuron activity driven by the stream, `[B, H, T, N]`.
    pub x: Tensor<4>,
    /// Neuron activity driven by memory and gated by x, before dropout, `[B, H, T, N]`.
    pub y: Tensor<4>,
    /// Memory after the window, `[B, H, N, D]`, if one was given.
    pub memory: Option<Tensor<4>>,
}

/// Level with its activities; the input is that of [`level`](super::level()).
pub fn level(input: LevelInput) -> Activations {
    let LevelInput { v, weights, .. } = input;
    let x = perceive(v.clone(), &weights); // [B, H, T, N]
    let q = input.rotation.rotate(x.clone());
    let (read, memory) = match (input.reach, input.memory) {
        (Reach::Full, None) => (full_read(q, v, input.credit), None),
        (Reach::Full, Some(rho)) => {
            let (read, rho) = full_read_with_memory(q, v, rho, input.credit);
            (read, Some(rho))
        }
        (Reach::Causal, None) => (causal_read(q, v, &input.retention, input.credit), None),
        (Reach::Causal, Some(rho)) => {
            let (read, rho) = causal_read_with_memory(q, v, rho, &input.retention, input.credit);
            (read, Some(rho))
        }
    };
    let (u, y) = speak(read, x.clone(), &weights, input.eps, input.dropout.as_ref());
    Activations { u, x, y, memory }
}

/// First half of a level, from the stream, `[B, 1, T, D]`, to x, `[B, H, T, N]`.
pub fn perceive(v: Tensor<4>, weights: &LevelWeights) -> Tensor<4> {
    projection(v, weights.decoder_x().clone())
}

/// Second half of a level, from the read, `[B, H, T, D]`, and x, `[B, H, T, N]`, to the contribution, `[B, 1, T, D]`,
/// and y before dropout, `[B, H, T, N]`.
pub fn speak(
    read: Tensor<4>,
    x: Tensor<4>,
    weights: &LevelWeights,
    eps: f64,
    dropout: Option<&DropoutMask>,
) -> (Tensor<4>, Tensor<4>) {
    speak_normed(norm(read, eps), x, weights, dropout)
}

/// [`speak`] from a read that is normed already.
pub fn speak_normed(
    a: Tensor<4>,
    x: Tensor<4>,
    weights: &LevelWeights,
    dropout: Option<&DropoutMask>,
) -> (Tensor<4>, Tensor<4>) {
    let y = gated_projection(a, weights.decoder_y().clone(), x); // [B, H, T, N]
    (contribution(y.clone(), weights, dropout), y)
}

/// `dropout(y) encoder`, `[B, 1, T, D]`, from y, `[B, H, T, N]`.
pub fn contribution(y: Tensor<4>, weights: &LevelWeights, dropout: Option<&DropoutMask>) -> Tensor<4> {
    let kept = match dropout {
        None => y,
        Some(mask) => mask.apply(y),
    };
    to_width(kept, weights.encoder().clone())
}

/// `y encoder`, summed over heads: `[B, H, T, N]` to `[B, 1, T, D]`.
///
/// Head by head and then summed, so that no neuron-wide tensor is copied.
fn to_width(y: Tensor<4>, encoder: Tensor<2>) -> Tensor<4> {
    let [_, heads, _, neurons] = y.dims();
    let [_, width] = encoder.dims();
    let encoder: Tensor<4> = encoder.reshape([1, heads, neurons, width]);
    y.matmul(encoder).sum_dim(1)
}

/// Counts of active neurons.
pub(crate) fn activity(x: &Tensor<4>, y: &Tensor<4>) -> Activity {
    let active = |activity: &Tensor<4>| {
        let active: Tensor<4, Int> = activity.clone().inner().greater_scalar(0.0).int();
        active.sum().into_scalar::<i64>() as usize
    };
    Activity {
        x: active(x),
        y: active(y),
        entries: x.dims().iter().product(),
    }
}
