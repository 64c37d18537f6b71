//! First half of a level, from the stream to its neurons: `x = relu(v decoder_x)`.
//!
//! On the processor in f32 its gradient is written by hand and computes x again, so that the operation itself keeps no
//! neuron-wide tensor (`halves.rs`); elsewhere it is tensor operations (`reference.rs`).

use super::graph::{half, register};
use super::{LevelWeights, reference};
use crate::backend::{DragonBackend, Operation, on_backends, record};
use crate::matrix::Precision;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

/// Neuron activity x, driven by the stream.
///
/// # Shapes
/// - `v`: `[B, 1, T, D]`
/// - output: `[B, H, T, N]`, non-negative
///
/// # Panics
/// If the shapes do not fit together, or there is no token.
pub fn perceive(v: Tensor<4>, weights: &LevelWeights, precision: Precision) -> Tensor<4> {
    let [lanes, _, tokens, _] = v.dims();
    let [_, width, _] = weights.decoder_x().dims();
    assert!(tokens > 0, "perceive: 0 tokens, expected at least 1");
    crate::assert_shape("perceive", "v", v.dims(), [lanes, 1, tokens, width]);
    let computed = on_backends!(B, v = v => on_backend::<B>(&v, weights, precision).ok_or(v));
    computed.unwrap_or_else(|v| reference::perceive(v, weights))
}

fn on_backend<B: DragonBackend>(
    v: &Tensor<4>,
    weights: &LevelWeights,
    precision: Precision,
) -> Option<Tensor<4>> {
    let (half, nodes) = half::<B>(Operation::Perceive, v, weights, precision, None)?;
    let (x, kept) = B::perceive(half);
    Some(match nodes {
        None => B::give(x),
        Some([v, decoder_x, ..]) => {
            B::give_tracked(record::<B, _, 2>(PerceiveBackward, [v, decoder_x], kept, x))
        }
    })
}

#[derive(Debug)]
struct PerceiveBackward;

impl<B: DragonBackend> Backward<B, 2> for PerceiveBackward {
    type State = B::Perceive;

    fn backward(self, ops: Ops<B::Perceive, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        register::<B, 2>(
            ops.parents.map(|parent| parent.map(|node| node.id)),
            B::perceive_back(ops.state, d),
            gradients,
        );
    }
}
