//! A run's checkpoints: model, optimiser, what is carried, and the trainer's own state, written together while training
//! goes on.

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

/// What a checkpoint is made of.
pub(crate) struct Contents<'a, T: Task> {
    /// With the weights that are evaluated.
    pub(crate) model: &'a T::Model,
    pub(crate) cursor: &'a T::Cursor,
    pub(crate) carry: &'a T::Carry,
    /// The files of the update.
    pub(crate) update: BTreeMap<String, Content>,
    pub(crate) state: &'a TrainerState,
}

/// Where a run keeps its checkpoints, and who writes them.
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
            writer: Writer::new(checkpoints.clone(), keep)?,
            checkpoints,
            disk,
        })
    }

    /// Takes away what a process that was killed in this run left half-written.
    pub(crate) fn sweep(&self, run: &RunFolder) -> Result<(), TrainError> {
        self.checkpoints.sweep()?;
        Ok(disk::sweep(&*self.disk, run.path())?)
    }

    /// The newest checkpoint that verifies, if there is any, and why newer ones were passed over.
    ///
    /// # Errors
    /// If there are checkpoints of which none verifies: steps were taken and are lost, and to start again without a word
    /// would overwrite what is left of them.
    pub(crate) fn newest(&self) -> Result<(Option<CheckpointFolder>, Vec<CheckpointError>), CheckpointError> {
        newest(&self.checkpoints)
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
        TrainerState::read(folder)
    }

    /// Copies what is to be saved, and lets it be written while training goes on.
    ///
    /// # Errors
    /// If the copy has no form as a file. Whether it was written is for [`check`](Self::check) and
    /// [`wait`](Self::wait) to say.
    pub(crate) fn save<T: Task>(
        &self,
        task: &T,
        contents: Contents<'_, T>,
        best: bool,
    ) -> Result<(), TrainError> {
        let snapshot = snapshot(task, contents)?;
        self.writer.submit(Job { snapshot, best });
        Ok(())
    }

    /// What went wrong with a save since this was last asked.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        self.writer.check()
    }

    /// Waits until all that was saved is on the disk, or why it is not.
    pub(crate) fn wait(&self) -> Result<(), TrainError> {
        self.writer.wait()
    }

    /// Checkpoints written so far, and the seconds that took on the other thread.
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
        "none of the run's checkpoints verifies; start a new run in another folder ({})",
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
