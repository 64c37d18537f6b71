//! Checkpoints of a run: model, optimiser, carry, and the trainer's own state, written together while training
//! continues.

mod state;
mod writer;

pub(crate) use state::TrainerState;

use crate::error::TrainError;
use crate::run::RunFolder;
use crate::task::{Task, TaskState};
use burn_dragon_checkpoint::api::expert::{Disk, disk};
use burn_dragon_checkpoint::api::{
    CheckpointError, CheckpointFolder, Checkpoints, Content, Pointer, Snapshot,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use writer::{Job, Writer};

/// Content of a checkpoint.
pub(crate) struct Contents<'a, T: Task> {
    /// Model with the weights that are evaluated.
    pub(crate) model: &'a T::Model,
    pub(crate) cursor: &'a T::Cursor,
    pub(crate) carry: &'a T::Carry,
    /// Files of the update.
    pub(crate) update: BTreeMap<String, Content>,
    pub(crate) state: &'a TrainerState,
}

/// Properties of a checkpoint, for the pointers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// Whether it has the lowest score so far.
    pub(crate) best: bool,
    /// Whether it was due, or the run ended by itself: then `runs/latest` may name the run.
    pub(crate) useful: bool,
}

/// Checkpoints of a run, and their writer.
#[derive(Debug)]
pub(crate) struct Checkpointing {
    checkpoints: Checkpoints,
    disk: Arc<dyn Disk>,
    writer: Writer,
}

impl Checkpointing {
    pub(crate) fn new(run: &RunFolder, keep: usize, disk: Arc<dyn Disk>) -> Result<Self, TrainError> {
        let checkpoints = Checkpoints::on(Arc::clone(&disk), run.checkpoints());
        Ok(Self {
            writer: Writer::new(checkpoints.clone(), keep, run.clone())?,
            checkpoints,
            disk,
        })
    }

    /// Removes incomplete files that a killed process left in this run.
    pub(crate) fn sweep(&self, run: &RunFolder) -> Result<(), TrainError> {
        self.checkpoints.sweep()?;
        Ok(disk::sweep(&*self.disk, run.path())?)
    }

    /// Newest checkpoint that verifies, if there is one, and the errors of the newer ones.
    ///
    /// # Errors
    /// If there are checkpoints and none of them verifies. Steps would be lost, and a silent restart would overwrite
    /// the files that remain.
    pub(crate) fn newest(&self) -> Result<(Option<CheckpointFolder>, Vec<CheckpointError>), CheckpointError> {
        newest(&self.checkpoints)
    }

    /// Sets the pointers to match the checkpoint from which a run resumes. A process may have ended between writing a
    /// checkpoint and setting a pointer, or a newer checkpoint may be damaged.
    pub(crate) fn point_again(&self, folder: &CheckpointFolder, best: Option<u64>) -> Result<(), TrainError> {
        self.checkpoints.point(Pointer::Last, folder.step())?;
        if let Some(best) = best.and_then(|step| self.checkpoints.step(step)) {
            self.checkpoints.point(Pointer::Best, best.step())?;
        }
        Ok(())
    }

    pub(crate) fn read_state(&self, folder: &CheckpointFolder) -> Result<TrainerState, TrainError> {
        TrainerState::read(folder)
    }

    /// Copies the state to be saved and queues it. It is written while training continues.
    ///
    /// # Errors
    /// If the state cannot be represented as a file. Errors of writing are returned by [`check`](Self::check) and
    /// [`wait`](Self::wait).
    pub(crate) fn save<T: Task>(
        &self,
        task: &T,
        contents: Contents<'_, T>,
        mark: Mark,
    ) -> Result<(), TrainError> {
        let snapshot = snapshot(task, contents)?;
        self.writer.submit(Job {
            snapshot,
            best: mark.best,
            useful: mark.useful,
        });
        Ok(())
    }

    /// Returns the error of a save since the last call, if there is one.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.writer.check()
    }

    /// Waits until all saves are on the disk. Returns the error of a save.
    pub(crate) fn wait(&self) -> Result<(), TrainError> {
        self.writer.wait()
    }

    /// Number of checkpoints written so far, and the seconds spent on the writer thread.
    pub(crate) fn written(&self) -> (u64, f64) {
        self.writer.written()
    }
}

/// See [`Checkpointing::newest`].
pub(crate) fn newest(
    checkpoints: &Checkpoints,
) -> Result<(Option<CheckpointFolder>, Vec<CheckpointError>), CheckpointError> {
    let (found, refused) = checkpoints.newest_verified()?;
    if found.is_some() || refused.is_empty() {
        return Ok((found, refused));
    }
    let reasons: Vec<String> = refused.iter().map(ToString::to_string).collect();
    let reason = format!(
        "none of the run's checkpoints can be verified; start a new run in another folder ({})",
        reasons.join("; ")
    );
    Err(CheckpointError::corrupt(checkpoints.root(), reason))
}

fn snapshot<T: Task>(task: &T, contents: Contents<'_, T>) -> Result<Snapshot, TrainError> {
    let Contents {
        model,
        cursor,
        carry,
        update,
        state,
    } = contents;
    let mut files = task.snapshot(TaskState {
        model,
        cursor,
        carry,
        step: state.step,
        units: state.units,
    })?;
    files.extend(update);
    let text = serde_json::to_string_pretty(state).map_err(TrainError::Json)?;
    files.insert(state::FILE.into(), Content::Text(text));
    Ok(Snapshot {
        step: state.step,
        files,
        config_sha256: state.config_sha256.clone(),
        version: Some(state.version.clone()),
    })
}
