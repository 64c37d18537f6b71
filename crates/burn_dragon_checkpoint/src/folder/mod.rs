//! Checkpoint folder: several files that become visible together and are used only if every hash matches.
//!
//! ```text
//! checkpoint/step-000200.tmp/    written here, each file synced, then manifest.json, then the folder
//! checkpoint/step-000200/        the rename is the commit; checkpoint/ is synced
//! checkpoint/step-000200.aside/  the one that is being replaced, until the new one is in place
//! checkpoint/last, best          text files that hold a folder's name, replaced by a rename as well
//! ```
//!
//! Before a removal a checkpoint is renamed to a draft, so a folder with the name `step-N` is always complete.

mod manifest;
mod snapshot;

pub use manifest::{FileEntry, Manifest};
pub use snapshot::{Content, Snapshot};

use crate::disk::{Disk, Os, create_dirs, sweep, write_atomic};
use crate::error::CheckpointError;
use crate::model::ModelFile;
use crate::plain;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Pointer: a name for one of the checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pointer {
    /// The newest checkpoint.
    Last,
    /// The checkpoint with the lowest validation loss.
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

/// Checkpoints of a run, in its folder `checkpoint/`.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    /// Steps that this process wrote or verified. They are not read again before others are removed.
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

    /// Path of the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a checkpoint. It becomes visible as a whole, and is durable when this function returns.
    ///
    /// A checkpoint of the same step is replaced; at every moment one of the two is there.
    ///
    /// # Errors
    /// If the disk refuses. Older checkpoints are then unchanged, and the new one is not visible. One exception: if the
    /// failure came after the rename (sync of `checkpoint/`, removal of the replaced one), the new checkpoint is
    /// visible and complete.
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

    /// Sets a pointer to the checkpoint of a step.
    ///
    /// # Errors
    /// If the disk refuses.
    pub fn point(&self, pointer: Pointer, step: u64) -> Result<(), CheckpointError> {
        let path = self.root.join(pointer.file_name());
        write_atomic(&*self.disk, &path, |sink| writeln!(sink, "{}", folder_name(step)))
    }

    /// Checkpoint of a pointer; `None` without a pointer.
    ///
    /// # Errors
    /// If the pointer cannot be read, or names a checkpoint that does not exist.
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
                "it names no checkpoint in this folder",
            )),
        }
    }

    /// Checkpoint of a step; `None` if there is none. During a replacement it is found under its `.aside` name.
    pub fn step(&self, step: u64) -> Option<CheckpointFolder> {
        let path = [self.place(step), self.aside(step)]
            .into_iter()
            .find(|path| fs::symlink_metadata(path).is_ok())?;
        Some(CheckpointFolder { path, step })
    }

    /// All checkpoints, in the order of their steps.
    ///
    /// # Errors
    /// If the folder exists and cannot be listed. An unreadable folder does not count as empty.
    pub fn all(&self) -> Result<Vec<CheckpointFolder>, CheckpointError> {
        let steps: BTreeSet<u64> = self
            .names()?
            .iter()
            .filter_map(|name| step_of(name.strip_suffix(ASIDE).unwrap_or(name)))
            .collect();
        Ok(steps.into_iter().filter_map(|step| self.step(step)).collect())
    }

    /// Newest checkpoint that verifies, and the errors of the newer ones.
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
            // A pointer to a missing checkpoint shows that there were checkpoints.
            refused.extend(self.pointed(pointer).err());
        }
        Ok((None, refused))
    }

    /// Removes checkpoints. Kept are the newest `keep`, those with a pointer, and the newest that verifies.
    ///
    /// # Errors
    /// If the disk refuses, or a pointer cannot be read. With an unreadable pointer nothing is removed.
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

    /// Removes what a killed process left: drafts, and temporary files of pointers. A checkpoint that was set aside but
    /// not replaced gets its name back.
    ///
    /// Only for the one process that writes into this folder.
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

    /// Names in the folder; empty if there is no folder.
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

/// A complete checkpoint folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFolder {
    path: PathBuf,
    step: u64,
}

impl CheckpointFolder {
    /// Checkpoint folder at `path`, whose name must be `step-N`.
    ///
    /// # Errors
    /// If the folder has another name.
    pub fn open(path: &Path) -> Result<Self, CheckpointError> {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        let reason = || "the name of a checkpoint folder must be step-N, such as step-000200".to_string();
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

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of optimiser steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Manifest of the checkpoint. The files are not checked.
    ///
    /// # Errors
    /// If the manifest is missing, not valid, or of another step.
    pub fn manifest(&self) -> Result<Manifest, CheckpointError> {
        let here = fs::symlink_metadata(&self.path).map_err(CheckpointError::io("read", &self.path))?;
        if !here.is_dir() {
            let reason = "it is a link or no folder; a checkpoint must be a real folder inside its run";
            return Err(CheckpointError::corrupt(&self.path, reason));
        }
        let manifest = Manifest::of(&self.path)?;
        if manifest.step == self.step {
            return Ok(manifest);
        }
        let (given, expected) = (manifest.step, self.step);
        let reason = format!("it is of step {given}, but its folder is named for step {expected}");
        Err(CheckpointError::corrupt(
            &self.path.join(manifest::MANIFEST),
            reason,
        ))
    }

    /// Checks every file against the manifest: first its size, then its hash.
    ///
    /// # Errors
    /// The first file that is missing, damaged, or not listed.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        self.manifest()?.check(&self.path, None)
    }

    /// Checks every file like [`verify`](Self::verify), and reads the model. `model.bpk` is read once for both.
    ///
    /// # Errors
    /// As [`verify`](Self::verify), or if `model.bpk` is not a model.
    pub fn read_model(&self) -> Result<ModelFile, CheckpointError> {
        let (manifest, path) = (self.manifest()?, self.path.join(MODEL));
        let Some((file, checked)) = manifest.read(&path, MODEL)? else {
            manifest.check(&self.path, None)?;
            return ModelFile::read(&path);
        };
        manifest.check(&self.path, Some(MODEL))?;
        ModelFile::of_checked(file, &checked, &path)
    }
}

/// File name of the model in a checkpoint.
const MODEL: &str = "model.bpk";

/// Limit on the size of a pointer in bytes. It holds the name of a folder.
pub const MAX_POINTER: u64 = 256;

/// Suffix of the name of a draft.
const DRAFT: &str = ".tmp";
/// Suffix of the name of a checkpoint that is being replaced.
const ASIDE: &str = ".aside";

fn folder_name(step: u64) -> String {
    format!("step-{step:06}")
}

/// Step in the name of a checkpoint folder; `None` for a draft or another name.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    let step = digits.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

#[cfg(test)]
mod tests;
