//! State of a session of training.

use crate::batches::Batches;
use crate::checkpointing::TrainerState;
use crate::reporter::Reporter;
use crate::task::Task;
use crate::update::Update;
use std::time::{Duration, Instant};

/// State that changes from step to step.
pub(super) struct Session<'t, T: Task, U: Update<T>> {
    /// Number of steps of the whole run.
    pub(super) total_steps: u64,
    pub(super) model: T::Model,
    pub(super) batches: Batches<'t, T>,
    pub(super) cursor: T::Cursor,
    pub(super) carry: T::Carry,
    pub(super) update: U,
    pub(super) state: TrainerState,
    pub(super) reporter: Reporter,
    pub(super) started: Instant,
    /// Time of pauses, which does not count.
    pub(super) paused: Duration,
    pub(super) stepping_seconds: f64,
    pub(super) session_units: u64,
    /// Step and best step of the last checkpoint.
    pub(super) saved: Option<(u64, Option<u64>)>,
    /// Seconds for which steps waited for saves.
    pub(super) blocked_seconds: f64,
}

impl<T: Task, U: Update<T>> Session<'_, T, U> {
    /// Seconds of this session, without pauses.
    pub(super) fn elapsed(&self) -> f64 {
        self.started.elapsed().saturating_sub(self.paused).as_secs_f64()
    }
}
