//! One token of each lane through the whole model, with carried memory: generation.
//!
//! ```text
//! v = norm(embed[token])
//! L times:  x = relu(v decoder_x);  q = rotate(x, position)
//!           a = norm(q rho);  rho = exp(-slope) (rho + q (outer) v)      read before it is written, per head
//!           y = relu(a decoder_y) * x;  v = norm(v + norm(y encoder))
//! logits = v lm_head
//! ```
//!
//! Exact in f32, and bound by the bytes that it touches, so it touches few. [`Weights`] holds a copy of the matrices in
//! which a neuron is one contiguous row. Rows of `decoder_y` are read where x > 0, of `encoder` where y > 0, and
//! those of the memory, read and written in one pass, where a pair of neurons has an active member. Where few neurons
//! fire, most are ruled out by a copy of their row in single bytes, without changing a bit of the result
//! (`prefilter.rs`).
//!
//! Decay touches no row either: a memory is its rows times a scale that falls with every token, of which the rows
//! written are told, and which all rows take over once it is small.
//!
//! `reference.rs` is the definition. `cpu.rs` is the work on a chunk of neurons, in the vectors of `simd.rs`; `token_step.rs`
//! puts chunks together, phase by phase, in an order that does not depend on how many threads help (`workers.rs`,
//! `work_queue.rs`). A step allocates nothing.

mod angles;
mod cpu;
mod memory;
mod prefilter;
pub mod reference;
mod row;
mod simd;
#[cfg(test)]
mod tests;
mod token_step;
mod weights;
mod work_queue;
mod workers;

pub use weights::{Parameters, Sizes, Weights};

use crate::activity::Activity;
use simd::Isa;
use std::sync::Arc;
use token_step::TokenStep;
use workers::Work;

/// Streams of tokens through one model: its memory, and the positions reached.
#[derive(Debug)]
pub struct Decode {
    token_step: Arc<TokenStep>,
    positions: Vec<u64>,
    logits: Vec<f32>, // [B, V]
}

impl Decode {
    /// `lanes` streams at position 0 with an empty memory, on as many threads as are worth it.
    ///
    /// # Panics
    /// If there is no lane.
    pub fn new(weights: Arc<Weights>, lanes: usize) -> Self {
        Self::with(weights, lanes, Isa::best())
    }

    fn with(weights: Arc<Weights>, lanes: usize, isa: Isa) -> Self {
        assert!(lanes > 0, "decode: no lane");
        let logits = vec![0.0; lanes * weights.sizes().vocab];
        Self {
            token_step: Arc::new(TokenStep::new(weights, lanes, isa)),
            positions: vec![0; lanes],
            logits,
        }
    }

    /// As many streams of the same model at position 0 with an empty memory; the weights are shared.
    pub fn fresh(&self) -> Self {
        Self::with(self.token_step.weights().clone(), self.lanes(), Isa::best())
    }

    /// At most this many threads, the caller's included. The bits of the logits do not depend on it.
    pub fn limit_threads(&mut self, threads: usize) {
        self.token_step.help().limit(threads.saturating_sub(1));
    }

    /// Reads one token of each lane: the logits of what follows, `[B, V]`.
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

    /// What the last step gave, `[B, V]`; zeros before the first.
    pub fn logits(&self) -> &[f32] {
        &self.logits
    }

    /// The model's sizes.
    pub fn sizes(&self) -> Sizes {
        self.token_step.weights().sizes()
    }

    /// Number of streams.
    pub fn lanes(&self) -> usize {
        self.positions.len()
    }

    /// Tokens each lane has read.
    pub fn positions(&self) -> &[u64] {
        &self.positions
    }

    /// Activity of the last step, one entry per level.
    pub fn activity(&self) -> Vec<Activity> {
        self.token_step.activity()
    }

    /// The memory of a level, `[B, H, N, D]`.
    ///
    /// # Panics
    /// If there is no such level.
    pub fn memory(&self, level: usize) -> Vec<f32> {
        self.token_step.memory(level)
    }

    /// Takes over the memory of a level, `[B, H, N, D]`.
    ///
    /// # Panics
    /// If there is no such level, or the size is not that of this model and number of lanes.
    pub fn restore(&mut self, level: usize, rho: &[f32]) {
        self.token_step.restore(level, rho);
    }

    /// Sets how many tokens each lane has read.
    ///
    /// # Panics
    /// If there is not one position for each lane.
    pub fn set_positions(&mut self, positions: &[u64]) {
        crate::assert_shape("decode", "positions", [positions.len()], [self.lanes()]);
        self.positions.copy_from_slice(positions);
    }
}

/// A fork: the copy goes its own way. Weights are shared, memory is not.
impl Clone for Decode {
    fn clone(&self) -> Self {
        Self {
            token_step: Arc::new(self.token_step.fork()),
            positions: self.positions.clone(),
            logits: self.logits.clone(),
        }
    }
}
