//! A level's contribution to the stream, before its norm: everything that is neuron-wide, in one operation.
//!
//! ```text
//! x = relu(v decoder_x);  q = rotate(x)
//! a = norm(sum over s < t of left(t, s) (q_t . q_s) v_s)            all is left by default (retention)
//! y = relu(a decoder_y) * x
//! u = sum over heads of dropout(y) encoder
//! ```
//!
//! On the processor in f32 it runs as tiles that stay in cache, keeps nothing neuron-wide for the backward pass, and
//! has its gradient written by hand (`cpu.rs`, `backward.rs`, `tracked.rs`); elsewhere it is the composition of the
//! operations it is made of (`reference.rs`).

mod backward;
mod chunked;
mod cpu;
mod elementwise;
mod memory;
pub mod reference;
mod retention;
mod shared;
mod sparse;
mod tile;
mod tracked;
mod weights;

pub use chunked::chunk_length;
pub use memory::{level_with_memory, level_with_memory_in_chunks};
pub use weights::LevelWeights;

use crate::causal_read::Credit;
use crate::dropout::DropoutMask;
use crate::matrix::Precision;
use crate::retention::Retention;
use crate::rotation::Rotation;
use burn::tensor::{DType, Tensor};

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
}

/// What a level contributes, and how busy it was.
#[derive(Clone, Debug)]
pub struct LevelOutput {
    /// The contribution, `[B, 1, T, D]`.
    pub u: Tensor<4>,
    /// Share of x above zero, in `[0, 1]`.
    pub x_density: f64,
    /// Share of y above zero, before dropout.
    pub y_density: f64,
}

/// The contribution of a level to the stream.
///
/// # Shapes
/// - output: `[B, 1, T, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn level(input: LevelInput) -> Tensor<4> {
    in_windows(input, None)
}

/// [`level`] in windows of `chunk` tokens, where the form matters at all: on the processor in f32.
///
/// # Panics
/// If the shapes do not fit together, or `chunk` is 0.
pub fn level_in_chunks(input: LevelInput, chunk: usize) -> Tensor<4> {
    assert!(chunk > 0, "level: windows of no tokens");
    in_windows(input, Some(chunk))
}

fn in_windows(input: LevelInput, chunk: Option<usize>) -> Tensor<4> {
    check(&input);
    if input.v.dtype() != DType::F32 {
        return reference::level(input).u;
    }
    match tracked::level(&input, chunk) {
        Some(u) => u,
        None => cpu::untracked(&input, chunk).map_or_else(|| reference::level(input).u, |output| output.u),
    }
}

/// [`level`], with the shares of active neurons; for tensors without autodiff.
///
/// # Panics
/// If the shapes do not fit together.
pub fn level_with_activity(input: LevelInput) -> LevelOutput {
    check(&input);
    let fast = (input.v.dtype() == DType::F32)
        .then(|| cpu::untracked(&input, None))
        .flatten();
    fast.unwrap_or_else(|| {
        let reference::Level { u, x, y } = reference::level(input);
        let share = |activity: Tensor<4>| {
            activity
                .inner()
                .greater_scalar(0.0)
                .float()
                .mean()
                .into_scalar::<f64>()
        };
        LevelOutput {
            u,
            x_density: share(x),
            y_density: share(y),
        }
    })
}

fn check(input: &LevelInput) {
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, width, neurons] = input.weights.decoder_x().dims();
    assert!(tokens > 0, "level: no token");
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
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod bf16_tests;

#[cfg(test)]
mod chunked_tests;

#[cfg(test)]
mod measurements;

#[cfg(test)]
mod reference_tests;

#[cfg(test)]
mod retention_tests;
