//! Where a run stands, read before it goes on.

use crate::checkpointing::{self, TrainerState};
use crate::error::TrainError;
use crate::identity::Identity;
use crate::run::RunFolder;
use crate::settings::Done;
use burn_dragon_checkpoint::api::{CheckpointFolder, Checkpoints};
use std::path::{Path, PathBuf};

/// Where a run stands: what one of its checkpoints says.
#[derive(Clone, Debug, PartialEq)]
pub struct ResumePoint {
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

impl ResumePoint {
    /// Where a run would go on: its newest checkpoint that verifies. Absent where it died before its first.
    ///
    /// # Errors
    /// If it has checkpoints and none of them verifies.
    pub fn newest(run: &RunFolder) -> Result<Option<Self>, TrainError> {
        let (found, _) = checkpointing::newest(&Checkpoints::new(run.checkpoints()))?;
        found.as_ref().map(Self::at).transpose()
    }

    /// What the checkpoint in a folder says.
    ///
    /// # Errors
    /// If it is of another format, or damaged.
    pub fn at(folder: &CheckpointFolder) -> Result<Self, TrainError> {
        Ok(Self::of(TrainerState::read(folder)?, folder.path()))
    }

    /// What the checkpoint says that a model's file is part of; absent where the file lies elsewhere.
    ///
    /// # Errors
    /// As [`at`](Self::at).
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
