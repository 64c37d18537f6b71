//! Resume point of a run, read before the run continues.

use crate::checkpointing::{self, TrainerState};
use crate::error::TrainError;
use crate::identity::Identity;
use crate::run::RunFolder;
use crate::settings::Done;
use burn_dragon_checkpoint::api::{CheckpointFolder, Checkpoints};
use std::path::{Path, PathBuf};

/// Resume point: the state of a run in one of its checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct ResumePoint {
    /// Folder of the checkpoint.
    pub folder: PathBuf,
    /// Steps and units so far.
    pub done: Done,
    /// Number of units that the run planned to draw when it began.
    pub planned_units: u64,
    /// Number of steps that the run planned to take, by its settings at that time.
    pub total_steps: u64,
    /// Settings and data that the run must keep.
    pub identity: Identity,
}

impl ResumePoint {
    /// Resume point of a run: its newest checkpoint that verifies. `None` if it ended before its first checkpoint.
    ///
    /// # Errors
    /// If it has checkpoints and none of them verifies.
    pub fn newest(run: &RunFolder) -> Result<Option<Self>, TrainError> {
        let (found, _) = checkpointing::newest(&Checkpoints::new(run.checkpoints()))?;
        found.as_ref().map(Self::at).transpose()
    }

    /// Resume point in a checkpoint folder.
    ///
    /// # Errors
    /// If it is of another format, or damaged.
    pub fn at(folder: &CheckpointFolder) -> Result<Self, TrainError> {
        Ok(Self::of(TrainerState::read(folder)?, folder.path()))
    }

    /// Resume point in the checkpoint that contains a model file; `None` if the file is not in a checkpoint.
    ///
    /// # Errors
    /// As for [`at`](Self::at).
    pub fn beside(model: &Path) -> Result<Option<Self>, TrainError> {
        let Some(folder) = model.parent().filter(|folder| TrainerState::is_in(folder)) else {
            return Ok(None);
        };
        Ok(Some(Self::of(TrainerState::read_from(folder)?, folder)))
    }

    fn of(state: TrainerState, folder: &Path) -> Self {
        Self {
            folder: folder.into(),
            done: state.done(),
            planned_units: state.planned_units,
            total_steps: state.schedule_steps,
            identity: state.identity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_checkpoint::api::{Content, Snapshot};
    use serde_json::Value;

    /// A checkpoint with this `trainer.json`.
    fn saved(root: &Path, state: &Value) -> CheckpointFolder {
        let files = [("trainer.json".to_string(), Content::Text(state.to_string()))];
        let snapshot = Snapshot {
            step: 7,
            files: files.into(),
            ..Snapshot::default()
        };
        Checkpoints::new(root).commit(&snapshot).unwrap()
    }

    fn state() -> Value {
        let state = TrainerState {
            step: 7,
            units: 70,
            planned_units: 100,
            schedule_steps: 10,
            ..TrainerState::default()
        };
        serde_json::to_value(state).unwrap()
    }

    #[test]
    fn a_checkpoint_says_where_its_run_stands() {
        let folder = tempfile::tempdir().unwrap();
        let resume_point = ResumePoint::at(&saved(folder.path(), &state())).unwrap();
        assert_eq!(resume_point.done, Done { steps: 7, units: 70 });
        assert_eq!((resume_point.planned_units, resume_point.total_steps), (100, 10));
        let model = resume_point.folder.join("model.bpk");
        assert_eq!(ResumePoint::beside(&model).unwrap(), Some(resume_point));
        assert_eq!(
            ResumePoint::beside(&folder.path().join("model.bpk")).unwrap(),
            None
        );
    }

    #[test]
    fn a_checkpoint_of_before_the_data_was_in_it_is_refused_as_such() {
        for field in ["identity", "planned_units", "sample"] {
            let folder = tempfile::tempdir().unwrap();
            let mut old = state();
            old.as_object_mut().unwrap().remove(field);
            let error = ResumePoint::at(&saved(folder.path(), &old))
                .unwrap_err()
                .to_string();
            for says in [
                &format!("missing field `{field}`"),
                "earlier version",
                "start a new run",
            ] {
                assert!(error.contains(says), "{error}");
            }
        }
    }
}
