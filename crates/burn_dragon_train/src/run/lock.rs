//! One process trains in a run at a time.

use super::RunFolder;
use crate::error::TrainError;
use std::fs::{File, TryLockError};

/// A run that is this process's to train in, until this is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct RunLock {
    _folder: Option<File>,
}

impl RunFolder {
    /// Keeps other processes from training in this run: two would take each other's drafts away.
    ///
    /// The folder itself is locked, so there is no file that a killed process could leave. Where the system cannot lock
    /// folders (other than unix, some network disks), nothing is kept out.
    ///
    /// # Errors
    /// [`TrainError::RunBusy`] if another process has it.
    pub fn lock(&self) -> Result<RunLock, TrainError> {
        let folder = cfg!(unix).then(|| File::open(self.path()).ok()).flatten();
        match folder.as_ref().map(File::try_lock) {
            Some(Err(TryLockError::WouldBlock)) => Err(TrainError::RunBusy {
                path: self.path().into(),
            }),
            _ => Ok(RunLock { _folder: folder }),
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_one_trainers_until_it_lets_go() {
        let runs = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(&runs.path().join("run")), runs.path(), "language").unwrap();
        let lock = run.lock().unwrap();
        let error = run.lock().unwrap_err();
        assert!(matches!(error, TrainError::RunBusy { .. }), "{error}");
        drop(lock);
        run.lock().unwrap();
    }
}
