//! Decoding: one token of each lane through the whole model, with carried memory.
//!
//! ```text
//! v = norm(embed[token])
//! L times:  x = relu(v decoder_x);  q = rotate(x, position)
//!           a = norm(q rho);  rho = exp(-slope) (rho + q (outer) v)      read before it is written, per head
//!           y = relu(a decoder_y) * x;  v = norm(v + norm(y encoder))
//! logits = v lm_head
//! ```
//!
//! Polar keys are vectors of two numbers for each neuron, `q = x (cos, sin)(a)` and `k = x (cos, sin)(a + phase)`, so that a neuron
//! has two rows of the memory.
//!
//! It is exact in f32. With weights in bf16 it has the bits of f32 weights of the rounded values. Its speed is bounded by memory bandwidth, so it touches few bytes. [`Weights`] holds a copy of
//! the matrices in which a neuron is one contiguous row. Rows of `decoder_y` are read only where x > 0, and rows of
//! `encoder` only where y > 0. Rows of the memory are read and written, in one pass, only where a pair of neurons has
//! an active member. If few neurons are active, products with an int8 copy of the rows rule most of the inactive ones
//! out, without a change in any bit of the result (`prefilter.rs`).
//!
//! Weights and memory may be in bf16, with arithmetic in f32 (`stored.rs`). Memory in bf16, or in int8 (`blocks.rs`), is
//! written once in 16 tokens (`deferred.rs`).
//!
//! Matrices may be in whole numbers, and so may what they are multiplied by (`low_bit/`): another function, with another
//! definition.
//!
//! Decay does not touch all rows either. A memory is its rows times a scale, which decreases with every token. A write
//! is divided by the scale. Once the scale is small, all rows are multiplied by it.
//!
//! `reference.rs` is the definition. `cpu.rs` is the work on a chunk of neurons, with the vectors of `simd/`.
//! `token_step.rs` combines the chunks, phase by phase, in an order that does not depend on the number of threads
//! (`workers.rs`, `work_queue.rs`). A step allocates nothing.
//!
//! `device.rs` is the same in the memory of a GPU, by the kernels of `cube/`.

mod angles;
mod blocks;
mod carried;
mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
mod deferred;
pub(crate) mod device;
mod list;
mod low_bit;
mod memory;
#[cfg(test)]
mod precision_tests;
mod prefilter;
pub mod reference;
mod row;
pub(crate) mod simd;
mod stored;
#[cfg(test)]
mod tests;
mod token_step;
mod weights;
mod work_queue;
mod workers;

pub use device::{Ahead, DeviceDecode, DeviceParameters, Drawn};
pub use low_bit::{InputGroups, LowBit, NeuronInput, RowInput};
pub use memory::MemoryPrecision;
pub use weights::{DecodeKeys, Parameters, Sizes, Weights};

use crate::activity::Activity;
use simd::Isa;
use std::sync::Arc;
use token_step::TokenStep;
use workers::Work;

/// Decoder state of some streams through one model: their memories and positions.
#[derive(Debug)]
pub struct Decode {
    token_step: Arc<TokenStep>,
    memory: MemoryPrecision,
    positions: Vec<u64>,
    logits: Vec<f32>, // [B, V]
}

impl Decode {
    /// `lanes` streams at position 0 with an empty memory of a precision, on as many threads as speed it up.
    ///
    /// A [`Precision`](crate::matrix::Precision) is one of a memory, too.
    ///
    /// # Panics
    /// If `lanes` is 0.
    pub fn new(weights: Arc<Weights>, lanes: usize, memory: impl Into<MemoryPrecision>) -> Self {
        Self::with(weights, lanes, memory, Isa::best())
    }

    fn with(weights: Arc<Weights>, lanes: usize, memory: impl Into<MemoryPrecision>, isa: Isa) -> Self {
        let memory = memory.into();
        assert!(lanes > 0, "decode: 0 lanes, expected at least 1");
        let logits = vec![0.0; lanes * weights.sizes().vocab];
        Self {
            token_step: Arc::new(TokenStep::new(weights, lanes, memory, isa)),
            memory,
            positions: vec![0; lanes],
            logits,
        }
    }

    /// The same number of streams of the same model at position 0 with an empty memory; the weights are shared.
    pub fn fresh(&self) -> Self {
        Self::new(self.token_step.weights().clone(), self.lanes(), self.memory)
    }

    /// Limits the number of threads, including the caller's. The bits of the logits do not depend on it.
    pub fn limit_threads(&mut self, threads: usize) {
        self.token_step.help().limit(threads.saturating_sub(1));
    }

    /// Reads one token of each lane and returns the logits of the next token, `[B, V]`.
    ///
    /// # Panics
    /// If there is not one token for each lane, or a token is outside the vocabulary.
    pub fn step(&mut self, tokens: &[u32]) -> &[f32] {
        crate::assert_shape("decode", "tokens", [tokens.len()], [self.lanes()]);
        let vocab = self.sizes().vocab;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= vocab) {
            panic!("decode: token {token} is outside the vocabulary of {vocab}");
        }
        self.token_step.begin(tokens, &self.positions);
        workers::conduct(&self.token_step);
        self.token_step.logits(&mut self.logits);
        self.positions.iter_mut().for_each(|position| *position += 1);
        &self.logits
    }

    /// Logits of the last step, `[B, V]`; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// Sizes of the model.
    pub fn sizes(&self) -> Sizes {
        self.token_step.weights().sizes()
    }

    /// Number of streams.
    pub fn lanes(&self) -> usize {
        self.positions.len()
    }

    /// Position of each lane: the number of tokens it has read.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Counts of active neurons in the last step, one entry for each level.
    pub fn activity(&self) -> Vec<Activity> {
        self.token_step.activity()
    }

    /// Copy of the memory of a level, `[B, H, K, D]`; K is N, or 2 N for polar keys.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn memory(&self, level: usize) -> Vec<f32> {
        self.token_step.memory(level)
    }

    /// Replaces the memory of a level by `rho`, `[B, H, K, D]`.
    ///
    /// # Panics
    /// If there is no such level, or the size is not that of this model and number of lanes.
    pub fn restore(&mut self, level: usize, rho: &[f32]) {
        self.token_step.restore(level, rho);
    }

    /// Sets the position of each lane.
    ///
    /// # Panics
    /// If there is not one position for each lane.
    pub fn set_positions(&mut self, positions: &[u64]) {
        crate::assert_shape("decode", "positions", [positions.len()], [self.lanes()]);
        self.positions.copy_from_slice(positions);
    }
}

/// A fork of the streams: weights are shared, memory is copied.
impl Clone for Decode {
    fn clone(&self) -> Self {
        Self {
            token_step: Arc::new(self.token_step.fork()),
            memory: self.memory,
            positions: self.positions.clone(),
            logits: self.logits.clone(),
        }
    }
}
