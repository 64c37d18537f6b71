//! Contribution of a level to the stream, before its norm: all neuron-wide work in one operation.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)                             perceive
//! a = norm(sum over s < t of left(t, s) (q_t . q_s) v_s)            read; left = 1 by default (retention)
//! y = relu(a decoder_y) * x                                         speak
//! u = sum over heads of dropout(y) encoder
//! ```
//!
//! With [`Reach::Full`] the sum is over all s, and memory is written before it is read. [`perceive`] and [`speak`] are
//! the two halves as separate operations (`perceive.rs`, `speak.rs`), for other reads.
//!
//! On the processor in f32 it runs as tiles that stay in cache. It keeps no neuron-wide tensor for the backward pass,
//! and its gradient is written by hand (`cpu.rs`, `backward.rs`, `halves.rs`). On a GPU it is products with one launch for
//! each work between them (`cube/`). Elsewhere it is a composition of the other operations (`reference.rs`). `graph.rs`
//! passes it to the backend that computes it.

pub(crate) mod backward;
mod between;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
mod elementwise;
#[cfg_attr(not(target_arch = "x86_64"), path = "fused/other.rs")]
mod fused;
mod gradients;
mod graph;
pub(crate) mod halves;
mod head;
mod levels;
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

pub use levels::{Levels, SharedScale, straight_through};
pub use perceive::perceive;
pub use speak::{SpeakInput, speak};
pub use weights::LevelWeights;
pub use window::{chunk_length, gpu_chunk_length};

use crate::activity::Activity;
use crate::backend::on_backends;
use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::matrix::Precision;
use crate::reach::Reach;
use crate::retention::Retention;
use crate::rotation::Rotation;
use burn::tensor::Tensor;

/// Input of a level.
#[derive(Clone, Debug)]
pub struct LevelInput {
    /// Stream, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Weights, shared by all levels.
    pub weights: LevelWeights,
    /// Angles of the window's positions, for heads of N neurons.
    pub rotation: Rotation,
    /// Epsilon that the norm adds to the variance.
    pub eps: f64,
    /// Dropout mask of y; `None` for no dropout.
    pub dropout: Option<DropoutMask>,
    /// Precision of the factors in matrix products, if the level runs as tiles on the processor; elsewhere it is that
    /// of the tensors.
    pub precision: Precision,
    /// Decay and resets of memory.
    pub retention: Retention,
    /// Paths of the gradients through the read.
    pub credit: Credit,
    /// Tokens that a token reads.
    pub reach: Reach,
    /// Memory before the window, `[B, H, N, D]`, which is read and extended. `None`: the memory is empty before the
    /// window, and is not returned.
    pub memory: Option<Tensor<4>>,
    /// Largest number of tokens in a window of the chunked form, on the processor in f32; it has no effect elsewhere.
    /// `None`: the number with the least work.
    pub chunk: Option<usize>,
    /// Whether to count active neurons.
    pub count: bool,
}

/// Output of a level.
#[derive(Clone, Debug)]
pub struct LevelOutput {
    /// Contribution to the stream, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// Memory after the window, `[B, H, N, D]`, if one was given.
    pub memory: Option<Tensor<4>>,
    /// Counts of active neurons, if requested.
    pub activity: Option<Activity>,
}

/// Contribution of a level to the stream.
///
/// With causal reads, a stream may be split into calls with the memory carried between them: outputs and gradients
/// equal those of one call for the whole stream. Gradients flow to `memory` and through the returned memory. To end
/// them, give a memory without autodiff: it is then a constant, and the returned memory is without autodiff too. On the
/// processor in f32 without autodiff, the memory is extended in place, unless another tensor shares it.
///
/// # Shapes
/// - `u`: `[B, 1, T, D]`
/// - `memory`: `[B, H, N, D]`
///
/// # Panics
/// If the shapes do not fit together, `chunk` is 0, or a read of the whole window is given decay or resets.
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
    assert!(tokens > 0, "level: 0 tokens, expected at least 1");
    assert!(input.chunk != Some(0), "level: chunk is 0, expected at least 1");
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
        "level: {tables} rotations for {lanes} lanes, expected 1 or one for each lane"
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
