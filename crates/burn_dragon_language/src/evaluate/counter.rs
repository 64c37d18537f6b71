//! Count of what an evaluation reads.

use std::sync::atomic::{AtomicU64, Ordering};

/// Count of the tokens that evaluations read, for a display of the progress on another thread.
#[derive(Debug, Default)]
pub struct EvaluationCounter {
    read: AtomicU64,
    of: AtomicU64,
}

impl EvaluationCounter {
    /// Number of tokens read so far.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Number of tokens of all evaluations that have begun.
    pub fn of(&self) -> u64 {
        self.of.load(Ordering::Relaxed)
    }

    /// Adds tokens that will be read.
    pub(super) fn expect(&self, tokens: u64) {
        self.of.fetch_add(tokens, Ordering::Relaxed);
    }

    /// Adds tokens that were read.
    pub(super) fn add(&self, tokens: u64) {
        self.read.fetch_add(tokens, Ordering::Relaxed);
    }
}
