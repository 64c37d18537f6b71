//! Where a run stands, read before it goes on.

use crate::error::TrainError;
use crate::identity::Identity;
use crate::run::RunFolder;
use crate::settings::Done;
use crate::vault::{self, TrainerState};
use burn_dragon_checkpoint::folder::{CheckpointFolder, Checkpoints};
use std::path::PathBuf;

/// Where a run stands: what one of its checkpoints says.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// The checkpoint's folder.
    pub folder: PathBuf,
    /// Steps and units behind it.
    pub done: Done,
    /// Units that the run was to draw when it began.
    pub planned_units: u64,
    /// Steps that the run was to take, by the settings it had then.
    pub total_steps: u64,
    /// Settings and data that it keeps.
    pub identity: Identity,
}

impl Standing {
    /// Where a run would go on: its newest checkpoint that verifies. Absent where it died before its first.
    ///
    /// # Errors
    /// If it has checkpoints and none of them verifies.
    pub fn newest(run: &RunFolder) -> Result<Option<Self>, TrainError> {
        let (found, _) = vault::newest(&Checkpoints::new(run.checkpoints()))?;
        found.as_ref().map(Self::at).transpose()
    }

    /// What the checkpoint in a folder says.
    ///
    /// # Errors
    /// If it is of another format, or damaged.
    pub fn at(folder: &CheckpointFolder) -> Result<Self, TrainError> {
        let state = TrainerState::read(folder)?;
        Ok(Self {
            folder: folder.path().into(),
            done: state.done(),
            planned_units: state.planned_units,
            total_steps: state.schedule_steps,
            identity: state.identity,
        })
    }
}
