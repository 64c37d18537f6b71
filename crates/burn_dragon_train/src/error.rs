//! Errors of the training crate.

use std::io;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_core::api::{BackendError, MemoryError};

use crate::amounts::bytes;
use crate::config::ConfigError;
use crate::guard::Irregularity;
use crate::identity::{ChangedData, ChangedSetting};
use crate::policy::PolicyError;
use crate::schedule::ScheduleError;

/// Error of the training crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The learning-rate schedule cannot be used.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// A file or folder cannot be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// Operation that failed, as a verb: "read", "create".
        action: &'static str,
        /// Path of the file or folder.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A new run would overwrite another one.
    #[error(
        "{path} already holds a run; continue it with `--resume {path}`, or choose another folder with `--out`",
        path = path.display()
    )]
    RunExists {
        /// Path of the folder.
        path: PathBuf,
    },
    /// Another process trains in this run.
    #[error("another process is training in {path}; wait for it, or stop it", path = path.display())]
    RunBusy {
        /// Path of the run's folder.
        path: PathBuf,
    },
    /// The given folder is not a run.
    #[error("{path} is not a run folder: {problem}", path = path.display())]
    NotARun {
        /// Path of the folder, as given.
        path: PathBuf,
        /// Description of the fault.
        problem: String,
    },
    /// A line in a JSON file of a run is not valid.
    #[error("{path}:{line}: {problem}", path = path.display())]
    Record {
        /// Path of the file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
        /// Description of the fault.
        problem: String,
    },
    /// A record cannot be written as JSON, for example because a map has keys that are not text.
    #[error("cannot write the record as JSON: {0}")]
    Json(serde_json::Error),
    /// A checkpoint cannot be read, written or verified.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A setting is out of range.
    #[error("{key} = {given}; expected {expected}")]
    Setting {
        /// Name of the key.
        key: String,
        /// Value that was given.
        given: String,
        /// Allowed values.
        expected: &'static str,
    },
    /// A setting disagrees with the model that a run starts from.
    #[error(
        "{key} is {given} ({origin}), but the model {model} has {expected}; a run that starts from a model keeps its \
         configuration and its tokenizer: leave the key out"
    )]
    OtherModel {
        /// Full key.
        key: String,
        /// Value that was given.
        given: String,
        /// Place where it was given.
        origin: String,
        /// The model, as it was given.
        model: String,
        /// Value of the model.
        expected: String,
    },
    /// A resumed run was given settings that it cannot change.
    #[error(
        "a resumed run keeps its model, its seed and how it reads its data, but the settings ask for {}; \
         leave them as they are, or start a new run (docs/configuration.md lists what can change)",
        listed(changed)
    )]
    ChangedSettings {
        /// Changed settings, each with both values.
        changed: Vec<ChangedSetting>,
    },
    /// The data of a resumed run has changed.
    #[error(
        "the data of the run has changed: {changed}; restore it, start a new run, or continue with \
         --accept-changed-data: {}",
        changed.consequences()
    )]
    ChangedData {
        /// Both parts of the data, before and now.
        changed: Box<ChangedData>,
    },
    /// The request makes no sense, for example because its settings contradict each other.
    #[error("{0}")]
    Usage(String),
    /// A file of a run, or one that a family reads, is not valid.
    #[error("{0}")]
    BadInput(String),
    /// A sample has a file whose name is not a plain file name.
    #[error("a sample cannot be saved as {name:?}; expected a plain file name")]
    SampleName {
        /// Name of the file.
        name: String,
    },
    /// A list of parameters has a name or a pattern that no parameter of the model has.
    #[error(
        "{key} names the parameter `{name}`, which the model does not have; {}it has {known}",
        nearest.as_ref().map_or_else(String::new, |name| format!("did you mean `{name}`? "))
    )]
    UnknownParameter {
        /// Full key: `optimizer.groups`, `training.freeze`.
        key: &'static str,
        /// Name or pattern that was given.
        name: String,
        /// Name that was probably meant.
        nearest: Option<String>,
        /// Parameters of the model.
        known: String,
    },
    /// The requested device is not available.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// A loss or a gradient is not finite.
    #[error(
        "the {quantity} of step {step} is {value}; nothing was saved after it; {last_good}, with a lower \
         optimizer.learning_rate or a training.clip_norm"
    )]
    NotFinite {
        /// `loss` or `gradient norm`.
        quantity: &'static str,
        /// Value of the quantity.
        value: f64,
        /// Step, from 1.
        step: u64,
        /// Point from which to resume.
        last_good: String,
    },
    /// A loss or a gradient is an outlier, and `training.guard.policy` is `stop`.
    #[error(
        "step {step} is an outlier: {found}; nothing was saved after it; {last_good}, with a lower \
         optimizer.learning_rate, a training.clip_norm, or training.guard.policy = \"skip\""
    )]
    Outlier {
        /// Step, from 1.
        step: u64,
        /// Description of the outlier: quantity, value, limit, mean and deviation.
        found: Irregularity,
        /// Point from which to resume.
        last_good: String,
    },
    /// More consecutive steps were skipped than `training.guard.patience` allows.
    #[error(
        "{count} steps in a row were skipped, more than training.guard.patience; in step {step} {found}; \
         {last_good}, with a lower optimizer.learning_rate, or more patience if this is what the data is like"
    )]
    Skipped {
        /// Number of consecutive skipped steps.
        count: u64,
        /// Last skipped step, from 1.
        step: u64,
        /// Description of the outlier.
        found: Irregularity,
        /// Point from which to resume.
        last_good: String,
    },
    /// A run ended with an error, and a checkpoint that was being written at that time failed too.
    #[error("{error}; also, the last checkpoint was not written: {unsaved}")]
    Unsaved {
        /// Error that ended the run.
        #[source]
        error: Box<Self>,
        /// Error of the checkpoint.
        unsaved: Box<Self>,
    },
    /// Rewards from which no advantages follow.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// The machine has too little memory for a step.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The disk has too little space for the checkpoints of a run.
    #[error(
        "the run needs {} in {folder} for its checkpoints ({checkpoints} checkpoints of {} at once), but {} are free; \
         keep fewer (checkpoint.keep), use another disk (--out), or a smaller model",
        bytes(*needed), bytes(*checkpoint), bytes(*free), folder = folder.display()
    )]
    Disk {
        /// Folder of the run, or the one of all runs.
        folder: PathBuf,
        /// Bytes of all checkpoints at once.
        needed: u64,
        /// Bytes of one checkpoint.
        checkpoint: u64,
        /// Most checkpoints on the disk at once.
        checkpoints: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Error of a family: its data or its model.
    #[error("{0}")]
    Task(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The handler for Ctrl-C cannot be installed.
    #[error("cannot listen for Ctrl-C (does another part of the program handle it?): {0}")]
    Interrupt(ctrlc::Error),
}

fn listed(changed: &[ChangedSetting]) -> String {
    let changed: Vec<String> = changed.iter().map(ToString::to_string).collect();
    changed.join(", ")
}

impl TrainError {
    /// For `map_err`: an error of a family.
    pub fn task(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Task(Box::new(error))
    }

    /// For `map_err`: an error of the disk for a file that is not a checkpoint.
    pub fn on_file(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Io { action, path, source } => Self::File { action, path, source },
            other => Self::Checkpoint(other),
        }
    }

    /// For `map_err`: an I/O error with the operation and the file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
