//! A level's contribution to the stream, before its norm: everything that is neuron-wide, in one operation.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)                             perceive
//! a = norm(sum over s < t of left(t, s) (q_t . q_s) v_s)            read; all is left by default (retention)
//! y = relu(a decoder_y) * x                                         speak
//! u = sum over heads of dropout(y) encoder
//! ```
//!
//! With [`Reach::Full`] the sum is over all s, and memory is written before it is read. [`perceive`] and [`speak`] are the two halves as operations of their own
//! (`perceive.rs`, `speak.rs`), for other reads.
//!
//! On the processor in f32 it runs as tiles that stay in cache, keeps nothing neuron-wide for the backward pass, and
//! has its gradient written by hand (`cpu.rs`, `backward.rs`, `halves.rs`); elsewhere it is the composition of the operations it is
//! made of (`reference.rs`). `graph.rs` takes it to the backend that computes it.

pub(crate) mod backward;
mod between;
pub(crate) mod cpu;
mod elementwise;
mod graph;
pub(crate) mod halves;
mod head;
mod pattern;
mod perceive;
mod powers;
mod read;
pub mod reference;
mod retention;
mod rho;
mod scratch;
mod shared;
mod sizes;
mod sparse;
mod speak;
mod weights;
mod window;

pub use perceive::perceive;
pub use speak::{SpeakInput, speak};
pub use weights::LevelWeights;
pub use window::chunk_length;

use crate::activity::Activity;
use crate::backend::on_backends;
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::matrix::Precision;
use crate::reach::Reach;
use crate::retention::Retention;
use crate::rotation::Rotation;
use burn::tensor::Tensor;

/// What a level is computed from.
#[derive(Clone, Debug)]
pub struct LevelInput {
    /// The stream, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// The weights, shared by all levels.
    pub weights: LevelWeights,
    /// Angles of the window's positions, for heads of N neurons.
    pub rotation: Rotation,
    /// What the norm adds to the variance.
    pub eps: f64,
    /// Which entries of y are dropped.
    pub dropout: Option<DropoutMask>,
    /// How factors enter the products, where the level runs as tiles on the processor; elsewhere they are the tensors'.
    pub precision: Precision,
    /// How long what tokens write is kept.
    pub retention: Retention,
    /// What gradients flow back through.
    pub credit: Credit,
    /// Which tokens a token reads.
    pub reach: Reach,
    /// The memory before the window, `[B, H, N, D]`, to be read and extended; none: an empty one, that is not kept.
    pub memory: Option<Tensor<4>>,
    /// Tokens of a window at most, where the form matters at all: on the processor in f32. None: as many as take least
    /// work.
    pub chunk: Option<usize>,
    /// Whether to count active neurons.
    pub count: bool,
}

/// What a level contributes, and what it leaves.
#[derive(Clone, Debug)]
pub struct LevelOutput {
    /// The contribution, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// The memory after the window, `[B, H, N, D]`, where one was given.
    pub memory: Option<Tensor<4>>,
    /// How many neurons fired, where that was to be counted.
    pub activity: Option<Activity>,
}

/// The contribution of a level to the stream.
///
/// With causal reads any split of a stream into calls with the memory carried between them gives what one call gives for the whole, and
/// so do the gradients, which reach `memory` and pass through the one returned. Where they should end, give a memory
/// without autodiff: it is a constant then, and the one returned is without autodiff too. On the processor in f32
/// without autodiff the memory is extended in place, unless another tensor shares it.
///
/// # Shapes
/// - `u`: `[B, 1, T, D]`
/// - `memory`: `[B, H, N, D]`
///
/// # Panics
/// If the shapes do not fit together, `chunk` is 0, or reads of the whole window are given decay or resets.
pub fn level(mut input: LevelInput) -> LevelOutput {
    check(&input);
    let computed = on_backends!(B, input = &mut input => graph::level::<B>(input).ok_or(input));
    computed.unwrap_or_else(|input| in_reference(input.clone()))
}

fn in_reference(input: LevelInput) -> LevelOutput {
    let count = input.count;
    let reference::Activations { u, x, y, memory } = reference::level(input);
    LevelOutput {
        u,
        memory,
        activity: count.then(|| reference::activity(&x, &y)),
    }
}

fn check(input: &LevelInput) {
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, width, neurons] = input.weights.decoder_x().dims();
    assert!(tokens > 0, "level: no token");
    assert!(input.chunk != Some(0), "level: windows of no tokens");
    input.retention.check("level", lanes, heads, tokens);
    crate::assert_shape("level", "v", input.v.dims(), [lanes, 1, tokens, width]);
    let tables = input.rotation.cos.dims()[0];
    crate::assert_shape(
        "level",
        "the rotation",
        input.rotation.cos.dims(),
        [tables, 1, tokens, neurons / 2],
    );
    assert!(
        tables == 1 || tables == lanes,
        "level: {tables} rotations for {lanes} lanes"
    );
    if let Some(memory) = &input.memory {
        crate::assert_shape(
            "level",
            "the memory",
            memory.dims(),
            [lanes, heads, neurons, width],
        );
    }
    if input.reach == Reach::Full {
        assert!(
            input.retention.keeps_all(),
            "level: reads of the whole window have no order for decay or resets; read causally with them"
        );
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod bf16_tests;

#[cfg(test)]
mod chunked_tests;

#[cfg(test)]
mod full_tests;

#[cfg(test)]
mod halves_tests;

#[cfg(test)]
mod measurements;

#[cfg(test)]
mod reference_tests;

#[cfg(test)]
mod retention_tests;
