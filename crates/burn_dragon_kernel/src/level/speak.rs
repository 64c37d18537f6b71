//! The second half of a level, from what was read to its contribution: x is computed again from the stream.
//!
//! ```text
//! a = norm(read);  x = relu(v decoder_x)
//! y = relu(a decoder_y) * x
//! u = sum over heads of dropout(y) encoder
//! ```
//!
//! On the processor in f32 it runs as tiles, as [`level`](crate::level) does, with its gradient by hand, and keeps
//! nothing neuron-wide in between (`halves.rs`); elsewhere tensor operations (`reference.rs`). Any read can stand
//! before it: one that is [causal](crate::causal_read), [full](crate::full_read), or the caller's own.

use super::graph::{half, register};
use super::{LevelOutput, LevelWeights, reference};
use crate::backend::level::{LevelRun, SpeakOn};
use crate::backend::{DragonBackend, Operation, on_backends, record};
use crate::dropout::DropoutMask;
use crate::matrix::Precision;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

/// What a level's contribution is computed from, once its tokens have read.
#[derive(Clone, Debug)]
pub struct SpeakInput {
    /// What was read, `[B, H, T, D]`, before its norm.
    pub read: Tensor<4>,
    /// The stream, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// The weights, shared by all levels.
    pub weights: LevelWeights,
    /// What the norm adds to the variance.
    pub eps: f64,
    /// Which entries of y are dropped.
    pub dropout: Option<DropoutMask>,
    /// How factors enter the products, as in a level.
    pub precision: Precision,
    /// Whether to count active neurons.
    pub count: bool,
}

/// The contribution of a level to the stream, from what its tokens read; there is no memory in the output.
///
/// # Shapes
/// - `u`: `[B, 1, T, D]`
///
/// # Panics
/// If the shapes do not fit together, or there is no token.
pub fn speak(input: SpeakInput) -> LevelOutput {
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, width, _] = input.weights.decoder_x().dims();
    assert!(tokens > 0, "speak: no token");
    crate::assert_shape("speak", "v", input.v.dims(), [lanes, 1, tokens, width]);
    crate::assert_shape(
        "speak",
        "the read",
        input.read.dims(),
        [lanes, heads, tokens, width],
    );
    on_backends!(B, input = input => on_backend::<B>(&input).ok_or(input)).unwrap_or_else(in_reference)
}

fn in_reference(input: SpeakInput) -> LevelOutput {
    let SpeakInput {
        read,
        v,
        weights,
        eps,
        ..
    } = input;
    let x = reference::perceive(v, &weights);
    let (u, y) = reference::speak(read, x.clone(), &weights, eps, input.dropout.as_ref());
    LevelOutput {
        u,
        memory: None,
        activity: input.count.then(|| reference::activity(&x, &y)),
    }
}

fn on_backend<B: DragonBackend>(input: &SpeakInput) -> Option<LevelOutput> {
    let is_taken = B::computes(Operation::Speak, input.read.dtype());
    if !is_taken || input.read.is_autodiff() != input.v.is_autodiff() {
        return None;
    }
    let (half, nodes) = half::<B>(Operation::Speak, &input.v, &input.weights, input.precision)?;
    let (read, sizes) = (B::take(input.read.clone()).ok()?, half.sizes);
    let speak = SpeakOn {
        half,
        read: read.numbers,
        eps: input.eps,
        dropout: input.dropout,
    };
    let LevelRun { u, active, kept, .. } = B::speak(speak, nodes.is_some());
    let u = match (nodes, read.node, kept) {
        (Some([v, decoder_x, decoder_y, encoder]), Some(read), Some(kept)) => {
            let nodes = [read, v, decoder_x, decoder_y, encoder];
            B::give_tracked(record::<B, _, 5>(SpeakBackward, nodes, kept, u))
        }
        _ => B::give(u),
    };
    Some(LevelOutput {
        u,
        memory: None,
        activity: input.count.then(|| sizes.activity(active)),
    })
}

#[derive(Debug)]
struct SpeakBackward;

impl<B: DragonBackend> Backward<B, 5> for SpeakBackward {
    type State = B::Speak;

    fn backward(self, ops: Ops<B::Speak, 5>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        register::<B, 5>(
            ops.parents.map(|parent| parent.map(|node| node.id)),
            B::speak_back(ops.state, d),
            gradients,
        );
    }
}
