//! Lock of a run: only one process trains in it at a time.

use super::RunFolder;
use crate::error::TrainError;
use std::fs::{File, TryLockError};
use std::thread::sleep;
use std::time::Duration;

/// Lock of a run. It is held until this value is dropped, or the process ends for any reason.
#[derive(Debug)]
pub struct RunLock {
    _folder: Option<File>,
}

/// Waits between attempts to take the lock. A process that lists runs holds it for an instant.
const LOOKS: [Duration; 3] = [Duration::from_millis(20); 3];

impl RunFolder {
    /// Locks the run against training by other processes. Two of them would remove each other's drafts.
    ///
    /// The folder itself is locked, so a killed process leaves no lock file. Where the system cannot lock folders
    /// (systems other than Unix, some network disks), the lock has no effect.
    ///
    /// # Errors
    /// [`TrainError::RunBusy`] if another process holds the lock.
    pub fn lock(&self) -> Result<RunLock, TrainError> {
        let folder = self.handle();
        for wait in LOOKS {
            match folder.as_ref().map(File::try_lock) {
                Some(Err(TryLockError::WouldBlock)) => sleep(wait),
                _ => return Ok(RunLock { _folder: folder }),
            }
        }
        Err(TrainError::RunBusy {
            path: self.path().into(),
        })
    }

    /// Whether a process trains in the run; `None` where folders cannot be locked.
    pub(crate) fn is_busy(&self) -> Option<bool> {
        let folder = self.handle()?;
        match folder.try_lock_shared() {
            Ok(()) => Some(false), // dropped at once
            Err(TryLockError::WouldBlock) => Some(true),
            Err(TryLockError::Error(_)) => None,
        }
    }

    fn handle(&self) -> Option<File> {
        cfg!(unix).then(|| File::open(self.path()).ok()).flatten()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_one_trainers_until_it_lets_go() {
        let runs = tempfile::tempdir().unwrap();
        let run = RunFolder::create(Some(&runs.path().join("run")), runs.path(), "language").unwrap();
        assert_eq!(run.is_busy(), Some(false));
        let lock = run.lock().unwrap();
        assert_eq!(run.is_busy(), Some(true));
        let error = run.lock().unwrap_err();
        assert!(matches!(error, TrainError::RunBusy { .. }), "{error}");
        drop(lock);
        assert_eq!(run.is_busy(), Some(false));
        run.lock().unwrap();
    }
}
