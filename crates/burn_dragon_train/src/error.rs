//! What can go wrong in this crate.

use std::io;
use std::path::{Path, PathBuf};

use crate::config::ConfigError;
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
    /// The handler for Ctrl-C could not be installed.
    #[error("cannot listen for Ctrl-C (does another part of the program handle it?): {0}")]
    Interrupt(ctrlc::Error),
}

impl TrainError {
    /// For `map_err`: an I/O error with what was being done, and to which file.
    pub fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }
}
