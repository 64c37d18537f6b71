//! What can go wrong in this crate.

use std::io;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_core::api::{BackendError, MemoryError};

use crate::config::ConfigError;
use crate::guard::Irregularity;
use crate::identity::{ChangedData, ChangedSetting};
use crate::schedule::ScheduleError;

/// An error of the training crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// A configuration that cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A learning-rate schedule that cannot be used.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A file or folder could not be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was tried, as a verb: "read", "create".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A new run would overwrite another one.
    #[error(
        "{path} already holds a run; continue it with `--resume {path}`, or choose another folder with `--out`",
        path = path.display()
    )]
    RunExists {
        /// The folder.
        path: PathBuf,
    },
    /// Another process trains in this run.
    #[error("another process is training in {path}; wait for it, or stop it", path = path.display())]
    RunBusy {
        /// The run's folder.
        path: PathBuf,
    },
    /// A folder that holds no run was given as one.
    #[error("{path} is not a run folder: {problem}", path = path.display())]
    NotARun {
        /// The folder as it was named.
        path: PathBuf,
        /// What it lacks.
        problem: String,
    },
    /// A line of a run's JSON files is not what it should be.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// A record of ours has no JSON form, such as a map with keys that are not text.
    #[error("cannot write the record as JSON: {0}")]
    Json(serde_json::Error),
    /// A checkpoint could not be read, written or trusted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A setting is out of its range.
    #[error("{key} = {given}; expected {expected}")]
    Setting {
        /// The key.
        key: String,
        /// The value given.
        given: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A run that goes on was asked for settings that it cannot change.
    #[error(
        "a run that goes on keeps its model, its seed and how it reads its data, but the settings ask for {}; \
         leave them as they are, or start a new run (docs/configuration.md lists what can change)",
        listed(changed)
    )]
    ChangedSettings {
        /// Each of them, with both values.
        changed: Vec<ChangedSetting>,
    },
    /// The data of a run that goes on is not what it was.
    #[error(
        "the data of the run has changed: {changed}; restore it, start a new run, or go on with \
         --accept-changed-data: {}",
        changed.consequences()
    )]
    ChangedData {
        /// Both parts, then and now.
        changed: Box<ChangedData>,
    },
    /// What was asked of a run cannot be meant, such as settings that contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A file of a run, or one that a family reads, is not what it should be.
    #[error("{0}")]
    BadInput(String),
    /// A sample has a file whose name is no plain file name.
    #[error("a sample cannot be saved as {name:?}: the name of its file has to be a plain file name")]
    SampleName {
        /// The name.
        name: String,
    },
    /// A key of `[optimizer]` names a parameter that the model does not have.
    #[error("optimizer.{key} names the parameter `{name}`, which the model does not have; it has {known}")]
    UnknownParameter {
        /// The key: `groups`, or one of the method's.
        key: &'static str,
        /// The name given.
        name: String,
        /// The model's parameters.
        known: String,
    },
    /// The device that was asked for cannot be had.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A loss or a gradient is not a number any more.
    #[error(
        "the {quantity} of step {step} is {value}; nothing was saved after it; {last_good}, with a lower \
         optimizer.learning_rate or a training.clip_norm"
    )]
    NotFinite {
        /// `loss` or `gradient norm`.
        quantity: &'static str,
        /// Its value.
        value: f64,
        /// The step, from 1.
        step: u64,
        /// Where to go on from.
        last_good: String,
    },
    /// A loss or a gradient is an outlier, and `training.guard.policy` is to stop.
    #[error(
        "step {step} is an outlier: {found}; nothing was saved after it; {last_good}, with a lower \
         optimizer.learning_rate, a training.clip_norm, or training.guard.policy = \"skip\""
    )]
    Outlier {
        /// The step, from 1.
        step: u64,
        /// What is wrong with it: quantity, value, limit, mean and deviation.
        found: Irregularity,
        /// Where to go on from.
        last_good: String,
    },
    /// More steps in a row were skipped than `training.guard.patience`.
    #[error(
        "{count} steps in a row were skipped, more than training.guard.patience; in step {step} {found}; \
         {last_good}, with a lower optimizer.learning_rate, or more patience if this is what the data is like"
    )]
    Skipped {
        /// Steps skipped in a row.
        count: u64,
        /// The last of them, from 1.
        step: u64,
        /// What is wrong with it.
        found: Irregularity,
        /// Where to go on from.
        last_good: String,
    },
    /// A run ended with an error, and a checkpoint that was being written then could not be.
    #[error("{error}; moreover the last checkpoint was not written: {unsaved}")]
    Unsaved {
        /// Why the run ended.
        #[source]
        error: Box<Self>,
        /// Why there is no checkpoint.
        unsaved: Box<Self>,
    },
    /// The machine has too little memory for a step.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A family's own error: its data, its model.
    #[error("{0}")]
    Task(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The handler for Ctrl-C could not be installed.
    #[error("cannot listen for Ctrl-C (does another part of the program handle it?): {0}")]
    Interrupt(ctrlc::Error),
}

fn listed(changed: &[ChangedSetting]) -> String {
    let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
    changed.join(", ")
}

impl TrainError {
    /// For `map_err`: a family's own error.
    pub fn task(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Task(Box::new(error))
    }

    /// For `map_err`: what a disk refused to a file that is no checkpoint.
    pub fn on_file(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Io { action, path, source } => Self::File { action, path, source },
            other => Self::Checkpoint(other),
        }
    }

    /// For `map_err`: an I/O error with what was being done, and to which file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
