//! A checkpoint folder: several files that become visible together, and are trusted only when every hash agrees.
//!
//! ```text
//! checkpoint/step-000200.tmp/    written here, each file synced, then manifest.json, then the folder
//! checkpoint/step-000200/        the rename is the commit; checkpoint/ is synced
//! checkpoint/step-000200.aside/  the one that is being replaced, until the new one is in place
//! checkpoint/last, best          text files that hold a folder's name, replaced by a rename as well
//! ```
//!
//! What is removed is first given the name of a draft, so that what is called `step-N` was whole when it got its name.

mod manifest;
mod snapshot;

pub use manifest::{FileEntry, Manifest};
pub use snapshot::{Content, Snapshot};

use crate::disk::{Disk, Os, create_dirs, sweep, write_atomic};
use crate::error::CheckpointError;
use crate::plain;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A name that points at a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The newest.
    Last,
    /// The one with the lowest validation loss.
    Best,
}

impl Pointer {
    fn file_name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Best => "best",
        }
    }
}

/// The checkpoints of a run: the folder `checkpoint/`.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// Steps that this process wrote or verified: they need not be read to be kept.
    trusted: Arc<Mutex<BTreeSet<u64>>>,
}

impl Checkpoints {
    /// The checkpoints in `root` (`runs/<name>/checkpoint`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self::on(Arc::new(Os), root)
    }

    /// The checkpoints in `root`, changed through `disk`.
    pub fn on(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            disk,
            trusted: Arc::default(),
        }
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a checkpoint; all of it becomes visible at once, and lasts when this returns.
    ///
    /// A checkpoint of the same step is replaced, and there is one of that step at every moment.
    ///
    /// # Errors
    /// If the disk refuses. Older checkpoints are then untouched, and the new one is not visible; only where what
    /// failed came after the rename (the sync of `checkpoint/`, the removal of the one replaced) it is, whole.
    pub fn commit(&self, snapshot: &Snapshot) -> Result<CheckpointFolder, CheckpointError> {
        let step = snapshot.step;
        let draft = self.draft(step);
        self.make_root()?;
        self.remove_if_any(&draft)?;
        let written = self
            .disk
            .create_dir(&draft)
            .map_err(CheckpointError::io("create", &draft))
            .and_then(|()| snapshot.write(&*self.disk, &draft))
            .and_then(|()| self.put_in_place(&draft, step));
        if written.is_err() && draft.exists() {
            let _ = self.disk.remove_dir_all(&draft); // the error that matters is the first one
        }
        written?;
        self.trust(step);
        let path = self.place(step);
        Ok(CheckpointFolder { path, step })
    }

    fn put_in_place(&self, draft: &Path, step: u64) -> Result<(), CheckpointError> {
        let (path, aside) = (self.place(step), self.aside(step));
        if path.exists() {
            self.remove_if_any(&aside)?;
            self.rename(&path, &aside)?;
            self.rename(draft, &path).inspect_err(|_| {
                let _ = self.rename(&aside, &path); // else it is found aside
            })?;
        } else {
            self.rename(draft, &path)?;
        }
        self.sync_root()?;
        self.remove_if_any(&aside)
    }

    /// Lets a pointer name a checkpoint.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn point(&self, pointer: Pointer, step: u64) -> Result<(), CheckpointError> {
        let path = self.root.join(pointer.file_name());
        write_atomic(&*self.disk, &path, |sink| writeln!(sink, "{}", folder_name(step)))
    }

    /// The checkpoint that a pointer names, if there is a pointer.
    ///
    /// # Errors
    /// If it cannot be read, or names no checkpoint that is here.
    pub fn pointed(&self, pointer: Pointer) -> Result<Option<CheckpointFolder>, CheckpointError> {
        let path = self.root.join(pointer.file_name());
        let name = match plain::read_text_inside(&path, MAX_POINTER) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            name => name.map_err(CheckpointError::unread(&path))?,
        };
        match step_of(name.trim()).and_then(|step| self.step(step)) {
            Some(folder) => Ok(Some(folder)),
            None => Err(CheckpointError::corrupt(
                &path,
                "it names no checkpoint that is here",
            )),
        }
    }

    /// The checkpoint of a step, if there is one. Between two renames it is aside.
    pub fn step(&self, step: u64) -> Option<CheckpointFolder> {
        let path = [self.place(step), self.aside(step)]
            .into_iter()
            .find(|path| fs::symlink_metadata(path).is_ok())?;
        Some(CheckpointFolder { path, step })
    }

    /// All checkpoints, by step.
    ///
    /// # Errors
    /// If the folder is there and cannot be listed: what cannot be seen is not taken for nothing.
    pub fn all(&self) -> Result<Vec<CheckpointFolder>, CheckpointError> {
        let steps: BTreeSet<u64> = self
            .names()?
            .iter()
            .filter_map(|name| step_of(name.strip_suffix(ASIDE).unwrap_or(name)))
            .collect();
        Ok(steps.into_iter().filter_map(|step| self.step(step)).collect())
    }

    /// The newest checkpoint that verifies, and what was wrong with newer ones.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub fn newest_verified(
        &self,
    ) -> Result<(Option<CheckpointFolder>, Vec<CheckpointError>), CheckpointError> {
        let mut refused = Vec::new();
        for folder in self.all()?.into_iter().rev() {
            match folder.verify() {
                Ok(()) => {
                    self.trust(folder.step);
                    return Ok((Some(folder), refused));
                }
                Err(error) => refused.push(error),
            }
        }
        for pointer in [Pointer::Last, Pointer::Best] {
            // Where a checkpoint is named that is not here, there were some.
            refused.extend(self.pointed(pointer).err());
        }
        Ok((None, refused))
    }

    /// Removes all but the newest `keep` checkpoints, the pointed ones, and the newest that verifies.
    ///
    /// # Errors
    /// If the disk refuses, or does not say what is pointed at: then nothing is removed.
    pub fn retain(&self, keep: usize) -> Result<(), CheckpointError> {
        let all = self.all()?;
        let mut kept: BTreeSet<u64> = all
            .iter()
            .rev()
            .take(keep.max(1))
            .map(|folder| folder.step)
            .collect();
        for pointer in [Pointer::Last, Pointer::Best] {
            match self.pointed(pointer) {
                Ok(folder) => kept.extend(folder.map(|folder| folder.step)),
                Err(error) if error.is_bad_input() => {} // it points at nothing
                Err(error) => return Err(error),
            }
        }
        let sound = |folder: &&CheckpointFolder| self.is_trusted(folder.step) || folder.verify().is_ok();
        kept.extend(all.iter().rev().find(sound).map(|folder| folder.step));
        for folder in all.iter().filter(|folder| !kept.contains(&folder.step)) {
            let draft = self.draft(folder.step);
            self.remove_if_any(&draft)?;
            self.rename(&folder.path, &draft)?;
            self.remove_if_any(&draft)?;
        }
        Ok(())
    }

    /// Takes away what a killed process left: drafts, and temporaries of pointers. A checkpoint that was set aside
    /// to be replaced, and was not, comes back.
    ///
    /// Only for whoever writes into this folder, and alone does.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn sweep(&self) -> Result<(), CheckpointError> {
        for name in self.names()? {
            if name.strip_suffix(DRAFT).and_then(step_of).is_some() {
                self.remove_if_any(&self.root.join(&name))?;
            }
            let Some(step) = name.strip_suffix(ASIDE).and_then(step_of) else {
                continue;
            };
            let (path, aside) = (self.place(step), self.aside(step));
            if !path.exists() {
                self.rename(&aside, &path)?;
            } else if (CheckpointFolder { path, step }).verify().is_ok() {
                self.remove_if_any(&aside)?;
            }
        }
        sweep(&*self.disk, &self.root)
    }

    fn place(&self, step: u64) -> PathBuf {
        self.root.join(folder_name(step))
    }

    fn draft(&self, step: u64) -> PathBuf {
        self.root.join(format!("{}{DRAFT}", folder_name(step)))
    }

    fn aside(&self, step: u64) -> PathBuf {
        self.root.join(format!("{}{ASIDE}", folder_name(step)))
    }

    /// Names in the folder; none where there is no folder yet.
    fn names(&self) -> Result<Vec<String>, CheckpointError> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(CheckpointError::io("list", &self.root))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry
                .map_err(CheckpointError::io("list", &self.root))?
                .file_name();
            names.extend(name.into_string().ok()); // ours are all text
        }
        Ok(names)
    }

    fn trust(&self, step: u64) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.insert(step);
    }

    fn is_trusted(&self, step: u64) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted.contains(&step)
    }

    fn make_root(&self) -> Result<(), CheckpointError> {
        create_dirs(&*self.disk, &self.root)
    }

    fn sync_root(&self) -> Result<(), CheckpointError> {
        let synced = self.disk.sync_dir(&self.root);
        synced.map_err(CheckpointError::io("sync", &self.root))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), CheckpointError> {
        let renamed = self.disk.rename(from, to);
        renamed.map_err(CheckpointError::io("rename", from))
    }

    fn remove_if_any(&self, path: &Path) -> Result<(), CheckpointError> {
        if !path.exists() {
            return Ok(());
        }
        match self.disk.remove_dir_all(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(CheckpointError::io("remove", path)(error))
            }
            _ => Ok(()),
        }
    }
}

/// One committed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    path: PathBuf,
    step: u64,
}

impl CheckpointFolder {
    /// The folder at `path`, whose name must be `step-N`.
    ///
    /// # Errors
    /// If its name is another.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let reason = || "a checkpoint folder is called step-N".to_string();
        let step =
            step_of(name.strip_suffix(ASIDE).unwrap_or(name)).ok_or_else(|| CheckpointError::NoModel {
                path: path.to_path_buf(),
                reason: reason(),
            })?;
        Ok(Self {
            path: path.to_path_buf(),
            step,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Optimiser steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// What it says of itself; its files are not looked at.
    ///
    /// # Errors
    /// If the manifest is missing, or is none, or is another step's.
    pub fn manifest(&self) -> Result<Manifest, CheckpointError> {
        let here = fs::symlink_metadata(&self.path).map_err(CheckpointError::io("read", &self.path))?;
        if !here.is_dir() {
            let reason = "it is a link or no folder; a checkpoint is a folder of its own, in its run";
            return Err(CheckpointError::corrupt(&self.path, reason));
        }
        let manifest = Manifest::read(&self.path)?;
        if manifest.step == self.step {
            return Ok(manifest);
        }
        let (given, expected) = (manifest.step, self.step);
        let reason = format!("it is of step {given}, the folder of step {expected}");
        Err(CheckpointError::corrupt(
            &self.path.join(manifest::MANIFEST),
            reason,
        ))
    }

    /// Checks every file against the manifest: size, then hash.
    ///
    /// # Errors
    /// Naming the first file that is missing, damaged, or not listed.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        self.manifest()?.check(&self.path)
    }
}

/// Bytes beyond which a pointer is not read: it holds a folder's name.
pub const MAX_POINTER: u64 = 256;

/// The end of a draft's name.
const DRAFT: &str = ".tmp";
/// The end of the name of a checkpoint that is being replaced.
const ASIDE: &str = ".aside";

fn folder_name(step: u64) -> String {
    format!("step-{step:06}")
}

/// The step of a committed folder's name; a draft or a stranger has none.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    let step = digits.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

#[cfg(test)]
mod tests;
