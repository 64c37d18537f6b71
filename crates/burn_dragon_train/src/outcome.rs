//! What a run came to.

use crate::task::Evaluation;

/// Why a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Complete,
    /// `max_minutes` were over.
    TimeIsUp,
    /// Ctrl-C or SIGTERM; everything is saved.
    Interrupted,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Why it ended.
    pub ending: Ending,
    /// Optimiser steps taken in all.
    pub steps: u64,
    /// Units (tokens) trained on in all.
    pub units: u64,
    /// Units trained on in this session; fewer where a run was resumed.
    pub session_units: u64,
    /// Updates that the guard did not let be made, in all; absent without a guard.
    pub skipped: Option<u64>,
    /// Loss of the last step that was not skipped.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Held-out figures after the last step, on all held-out data; absent after an interruption.
    pub after: Option<Evaluation>,
    /// The score of these figures, lower is better: by it the best checkpoint was chosen.
    pub score: Option<f64>,
    /// Seconds of this session.
    pub seconds: f64,
    /// Units per second of this session's steps, evaluations apart.
    pub units_per_second: f64,
    /// What this session's checkpoints cost.
    pub saving: Saving,
}

/// What checkpoints cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Saving {
    /// Checkpoints written.
    pub checkpoints: u64,
    /// Seconds that training stood still for them: for the copies, and where too many were waiting to be written.
    pub blocked_seconds: f64,
    /// Seconds that writing them took on a thread of its own.
    pub writing_seconds: f64,
}
