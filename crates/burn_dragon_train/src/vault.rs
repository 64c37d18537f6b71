//! A run's checkpoints: model, optimiser, what is carried, and the trainer's own state, written together.

use crate::error::TrainError;
use crate::optimizer::AdamW;
use crate::run::RunFolder;
use crate::task::{Evaluation, Task};
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::folder::{CheckpointFolder, Checkpoints, Content, Pointer, Snapshot};
use serde::{Deserialize, Serialize};

/// What the trainer remembers beside model and optimiser: `trainer.json`.
///
/// There is no generator state: it is a function of the step. Places in streams of data are the task's to carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    /// Optimiser steps taken.
    pub step: u64,
    /// Units (tokens) trained on.
    pub units: u64,
    /// Loss of the last step.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Lowest held-out loss so far, and its step.
    pub best_loss: Option<f64>,
    /// The step of the lowest held-out loss.
    pub best_step: Option<u64>,
}

/// What a checkpoint is made of.
pub(crate) struct Contents<'a, T: Task> {
    pub(crate) model: &'a T::Model,
    pub(crate) carry: &'a T::Carry,
    pub(crate) optimizer: &'a AdamW,
    pub(crate) state: &'a TrainerState,
}

/// Where a run keeps its checkpoints, and how many.
#[derive(Debug)]
pub(crate) struct Vault {
    checkpoints: Checkpoints,
    keep: usize,
}

impl Vault {
    pub(crate) fn new(run: &RunFolder, keep: usize) -> Self {
        Self {
            checkpoints: Checkpoints::new(run.checkpoints()),
            keep,
        }
    }

    /// The newest checkpoint that verifies, and why newer ones were passed over.
    pub(crate) fn newest(&self) -> (Option<CheckpointFolder>, Vec<CheckpointError>) {
        self.checkpoints.newest_verified()
    }

    /// What to say of a run that has checkpoints of which none verifies.
    pub(crate) fn none_verifies(&self, refused: &[CheckpointError]) -> CheckpointError {
        let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
        let reason = format!(
            "none of the run's checkpoints verifies; start a new run in another folder ({})",
            reasons.join("; ")
        );
        CheckpointError::corrupt(self.checkpoints.root(), reason)
    }

    /// Lets the pointers agree with the checkpoint that a run goes on from: the process may have died between writing
    /// it and pointing at it, or a newer one may have been passed over.
    pub(crate) fn point_again(&self, folder: &CheckpointFolder, best: Option<u64>) -> Result<(), TrainError> {
        self.checkpoints.point(Pointer::Last, folder.step())?;
        if let Some(best) = best.and_then(|step| self.checkpoints.step(step)) {
            self.checkpoints.point(Pointer::Best, best.step())?;
        }
        Ok(())
    }

    pub(crate) fn read_state(&self, folder: &CheckpointFolder) -> Result<TrainerState, TrainError> {
        let path = folder.path().join("trainer.json");
        let text = std::fs::read_to_string(&path).map_err(TrainError::file("read", &path))?;
        Ok(serde_json::from_str(&text).map_err(|error| CheckpointError::corrupt(&path, error))?)
    }

    pub(crate) fn save<T: Task>(&self, task: &T, contents: &Contents<'_, T>) -> Result<(), TrainError> {
        let step = contents.state.step;
        self.checkpoints.commit(&snapshot(task, contents)?)?;
        self.checkpoints.point(Pointer::Last, step)?;
        Ok(self.checkpoints.retain(self.keep)?)
    }

    pub(crate) fn mark_best(&self, step: u64) -> Result<(), TrainError> {
        self.checkpoints.point(Pointer::Best, step)?;
        Ok(self.checkpoints.retain(self.keep)?)
    }
}

fn snapshot<T: Task>(task: &T, contents: &Contents<'_, T>) -> Result<Snapshot, TrainError> {
    let Contents {
        model,
        carry,
        optimizer,
        state,
    } = contents;
    let mut files = task.snapshot(model, carry, state.step, state.units)?;
    files.insert("optimizer.bpk".into(), Content::Tensors(optimizer.snapshot()));
    let text = serde_json::to_string_pretty(state).map_err(TrainError::Json)?;
    files.insert("trainer.json".into(), Content::Text(text));
    Ok(Snapshot {
        step: state.step,
        files,
        config_sha256: None,
        version: Some(env!("CARGO_PKG_VERSION").into()),
    })
}
