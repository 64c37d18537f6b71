//! State of a run as it is shown: with killed runs told from running ones.

use crate::run::{RunOutcome, RunState};
use serde::Serialize;
use std::fmt::{self, Display, Formatter};

/// State of a run, or its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// A process trains in it.
    Running,
    /// All steps were taken.
    Complete,
    /// Ctrl-C or SIGTERM; the state is saved.
    Stopped,
    /// The time limit was reached.
    TimeLimit,
    /// An error ended it.
    Failed,
    /// Its process ended without a word.
    Killed,
    /// It does not say: a run of an earlier version, or one that began where folders cannot be locked.
    Unknown,
}

impl RunStatus {
    /// Status of a run with this outcome, in whose folder a process trains, or not, or that is not known.
    pub(crate) fn of(outcome: Option<&RunOutcome>, busy: Option<bool>) -> Self {
        match (outcome.map(|outcome| outcome.state), busy) {
            (_, Some(true)) => Self::Running,
            (Some(RunState::Complete), _) => Self::Complete,
            (Some(RunState::Stopped), _) => Self::Stopped,
            (Some(RunState::TimeLimit), _) => Self::TimeLimit,
            (Some(RunState::Failed), _) => Self::Failed,
            (Some(RunState::Running), Some(false)) => Self::Killed,
            (Some(RunState::Running), None) | (None, _) => Self::Unknown,
        }
    }

    /// Whether the run ended by itself, and has nothing left to do.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Complete | Self::TimeLimit)
    }
}

impl Display for RunStatus {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Running => "running",
            Self::Complete => "complete",
            Self::Stopped => "stopped",
            Self::TimeLimit => "time limit",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Unknown => "not known",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_has_begun_is_running_while_its_folder_is_locked_and_was_killed_otherwise() {
        let begun = RunOutcome::running(10, 0, 0.0);
        let statuses = [Some(true), Some(false), None].map(|busy| RunStatus::of(Some(&begun), busy));
        assert_eq!(
            statuses,
            [RunStatus::Running, RunStatus::Killed, RunStatus::Unknown]
        );
        assert_eq!(RunStatus::of(None, Some(false)), RunStatus::Unknown);
    }
}
