//! Lock of a run: only one process trains in it at a time.

use super::RunFolder;
use crate::error::TrainError;
use std::fs::{File, TryLockError};

/// Lock of a run. It is held until this value is dropped, or the process ends for any reason.
#[derive(Debug)]
pub struct RunLock {
    _folder: Option<File>,
}

impl RunFolder {
    /// Locks the run against training by other processes. Two of them would remove each other's drafts.
    ///
    /// The folder itself is locked, so a killed process leaves no lock file. Where the system cannot lock folders
    /// (systems other than Unix, some network disks), the lock has no effect.
    ///
    /// # Errors
    /// [`TrainError::RunBusy`] if another process holds the lock.
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
