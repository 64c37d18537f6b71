//! Second half of a level, from the read to its contribution; x is computed again from the stream.
//!
//! ```text
//! a = norm(read);  x = relu(v decoder_x)            or a = read, if the caller has normed it
//! y = relu(a decoder_y) * x
//! u = sum over heads of dropout(y) encoder           y rounded before, where levels are given
//! ```
//!
//! On the processor in f32 it runs as tiles, as [`level`](crate::level) does. Its gradient is written by hand, and it
//! keeps no neuron-wide tensor (`halves.rs`). Elsewhere it is tensor operations (`reference.rs`). Any read can come
//! before it: a [causal](crate::causal_read) one, a [full](crate::full_read) one, or the caller's own.

use super::graph::{half, register};
use super::{LevelOutput, LevelWeights, Levels, SharedScale, reference};
use crate::backend::level::{LevelRun, SpeakOn};
use crate::backend::{DragonBackend, Operation, on_backends, record};
use crate::dropout::DropoutMask;
use crate::gated_projection::gated_projection;
use crate::matrix::Precision;
use crate::norm::norm;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

/// Input of the second half of a level.
#[derive(Clone, Debug)]
pub struct SpeakInput {
    /// Result of the read, `[B, H, T, D]`.
    pub read: Tensor<4>,
    /// Stream, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Weights, shared by all levels.
    pub weights: LevelWeights,
    /// Epsilon that the norm of the read adds to the variance; `None` if the read is normed already.
    pub norm: Option<f64>,
    /// Levels that y is rounded to before dropout; `None` for no rounding. Counts are of y before it.
    pub levels: Option<Levels>,
    /// Dropout mask of y; `None` for no dropout.
    pub dropout: Option<DropoutMask>,
    /// Precision of the factors in matrix products, as in [`LevelInput`](crate::level::LevelInput).
    pub precision: Precision,
    /// Whether to count active neurons.
    pub count: bool,
}

/// Contribution of a level to the stream, from the result of its read; the output has no memory.
///
/// # Shapes
/// - `u`: `[B, 1, T, D]`
///
/// # Panics
/// If the shapes do not fit together, or there is no token.
pub fn speak(input: SpeakInput) -> LevelOutput {
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, width, _] = input.weights.decoder_x().dims();
    assert!(tokens > 0, "speak: 0 tokens, expected at least 1");
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
        norm: eps,
        ..
    } = input;
    let x = reference::perceive(v, &weights);
    let a = match eps {
        Some(eps) => norm(read, eps),
        None => read,
    };
    let y = gated_projection(a, weights.decoder_y().clone(), x.clone());
    let spoken = match input.levels {
        Some(levels) => levels.round(y.clone()),
        None => y.clone(),
    };
    let u = reference::contribution(spoken, &weights, input.dropout.as_ref());
    LevelOutput {
        u,
        memory: None,
        activity: input.count.then(|| reference::activity(&x, &y)),
    }
}

fn on_backend<B: DragonBackend>(input: &SpeakInput) -> Option<LevelOutput> {
    let operation = match input.levels.map(|levels| levels.shared) {
        None => Operation::Speak,
        Some(SharedScale::Token | SharedScale::Head) => Operation::SpeakInLevels,
        Some(SharedScale::Group) => return None,
    };
    let is_taken = B::computes(operation, input.read.dtype());
    if !is_taken || input.read.is_autodiff() != input.v.is_autodiff() {
        return None;
    }
    let (v, weights) = (&input.v, &input.weights);
    let (half, nodes) = half::<B>(Operation::Speak, v, weights, input.precision, None)?;
    let (read, sizes) = (B::take(input.read.clone()).ok()?, half.sizes);
    let speak = SpeakOn {
        half,
        read: read.numbers,
        norm: input.norm,
        levels: input.levels,
        dropout: input.dropout,
        count: input.count,
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
