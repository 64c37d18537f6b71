//! Result of a run.

use crate::task::Evaluation;

/// Reason for the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// All steps were taken.
    Complete,
    /// The time limit `max_minutes` was reached.
    TimeIsUp,
    /// Ctrl-C or SIGTERM; the state is saved.
    Interrupted,
}

/// Result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Reason for the end.
    pub ending: Ending,
    /// Number of optimiser steps taken in all.
    pub steps: u64,
    /// Number of units (tokens) trained on in all.
    pub units: u64,
    /// Number of units trained on in this session; less than `units` in a resumed run.
    pub session_units: u64,
    /// Number of steps that the guard skipped in all; `None` without a guard.
    pub skipped: Option<u64>,
    /// Loss of the last step that was not skipped.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Held-out figures after the last step, on all held-out data; `None` after an interruption.
    pub after: Option<Evaluation>,
    /// Score of `after`; lower is better. The best checkpoint is chosen by this kind of score.
    pub score: Option<f64>,
    /// Duration of this session in seconds.
    pub seconds: f64,
    /// Duration of the run in seconds, of all its sessions together.
    pub total_seconds: f64,
    /// Units per second in the steps of this session, without evaluations.
    pub units_per_second: f64,
    /// Cost of the checkpoints in this session.
    pub saving: Saving,
}

/// Cost of checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Saving {
    /// Number of checkpoints written.
    pub checkpoints: u64,
    /// Seconds for which training was blocked: by copies, and by waiting for a place in the queue.
    pub blocked_seconds: f64,
    /// Seconds of writing on the writer thread.
    pub writing_seconds: f64,
}
