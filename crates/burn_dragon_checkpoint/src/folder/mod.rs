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
            .find(|path| is_folder(path))?;
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
const MAX_POINTER: u64 = 256;

/// Whether a folder is there, and no link to one: a link leads out of the run.
fn is_folder(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

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
mod tests {
    use super::manifest::MANIFEST;
    use super::*;

    fn snapshot(step: u64, text: &str) -> Snapshot {
        let files = [("model.bpk".to_string(), Content::Text(text.to_string()))];
        Snapshot {
            step,
            files: files.into(),
            ..Snapshot::default()
        }
    }

    fn committed(root: &Path, steps: &[u64]) -> Checkpoints {
        let checkpoints = Checkpoints::new(root);
        for &step in steps {
            let snapshot = snapshot(step, &format!("model {step}"));
            checkpoints.commit(&snapshot).unwrap();
        }
        checkpoints
    }

    fn steps(checkpoints: &Checkpoints) -> Vec<u64> {
        checkpoints
            .all()
            .unwrap()
            .iter()
            .map(CheckpointFolder::step)
            .collect()
    }

    #[test]
    fn a_commit_verifies_and_a_flipped_byte_does_not() {
        let root = tempfile::tempdir().unwrap();
        let folder = committed(root.path(), &[3]).step(3).unwrap();
        folder.verify().unwrap();
        fs::write(folder.path().join("model.bpk"), "model 4").unwrap();
        assert!(folder.verify().unwrap_err().to_string().contains("sha256"));
        fs::write(folder.path().join("model.bpk"), "mod").unwrap();
        assert!(folder.verify().unwrap_err().to_string().contains("3 bytes"));
    }

    #[test]
    fn what_cannot_be_listed_is_an_error_and_not_empty() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("checkpoint");
        assert!(Checkpoints::new(&root).all().unwrap().is_empty());
        fs::write(&root, "no folder").unwrap();
        let checkpoints = Checkpoints::new(&root);
        let results = [
            checkpoints.all().map(|_| ()),
            checkpoints.newest_verified().map(|_| ()),
            checkpoints.retain(1),
            checkpoints.sweep(),
        ];
        for error in results.map(Result::unwrap_err) {
            assert!(error.to_string().contains("list"), "{error}");
        }
    }

    #[test]
    fn a_pointer_that_names_nothing_is_told_and_keeps_nothing_from_going() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2, 3]);
        assert!(checkpoints.pointed(Pointer::Best).unwrap().is_none());
        for text in ["", "step-000009", "../step-000001", "step-1"] {
            fs::write(root.path().join("best"), text).unwrap();
            let error = checkpoints.pointed(Pointer::Best).unwrap_err();
            assert!(
                error.is_bad_input() && error.to_string().contains("names no checkpoint"),
                "{error}"
            );
        }
        checkpoints.retain(2).unwrap();
        assert_eq!(steps(&checkpoints), [2, 3]);
    }

    #[test]
    fn a_file_that_no_manifest_lists_is_not_trusted() {
        let root = tempfile::tempdir().unwrap();
        let folder = committed(root.path(), &[3]).step(3).unwrap();
        fs::write(folder.path().join(".DS_Store"), "").unwrap();
        folder.verify().unwrap();
        fs::write(folder.path().join("streams.bpk"), "").unwrap();
        let error = folder.verify().unwrap_err().to_string();
        assert!(error.contains("streams.bpk") && error.contains("list"), "{error}");
    }

    #[test]
    fn a_checkpoint_cannot_hold_a_file_outside_its_folder() {
        let root = tempfile::tempdir().unwrap();
        for name in ["../model.bpk", "/model.bpk", "a/b", "c:x", "..", "", MANIFEST] {
            let mut snapshot = snapshot(3, "model");
            snapshot.files.insert(name.into(), Content::Text(String::new()));
            assert!(Checkpoints::new(root.path()).commit(&snapshot).is_err(), "{name}");
            assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{name}");
        }
    }

    #[test]
    fn a_checkpoint_of_the_same_step_is_replaced_whole() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[3]);
        let folder = checkpoints.commit(&snapshot(3, "another")).unwrap();
        folder.verify().unwrap();
        assert_eq!(fs::read(folder.path().join("model.bpk")).unwrap(), b"another");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_checkpoint_that_was_set_aside_is_found_there_and_comes_back() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[2, 3]);
        fs::rename(checkpoints.place(3), checkpoints.aside(3)).unwrap();
        fs::create_dir(checkpoints.draft(3)).unwrap();
        fs::write(checkpoints.draft(3).join("model.bpk"), "mo").unwrap();
        let found = checkpoints.newest_verified().unwrap().0.unwrap();
        assert_eq!((found.step(), found.path()), (3, &*checkpoints.aside(3)));
        checkpoints.sweep().unwrap();
        let found = checkpoints.newest_verified().unwrap().0.unwrap();
        assert_eq!((found.step(), found.path()), (3, &*checkpoints.place(3)));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_sweep_takes_drafts_and_what_was_replaced_and_leaves_the_rest() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[2, 3]);
        checkpoints.point(Pointer::Best, 2).unwrap();
        fs::create_dir(checkpoints.draft(4)).unwrap();
        fs::create_dir(checkpoints.aside(3)).unwrap();
        fs::write(root.path().join(".last.123-0.tmp"), "step").unwrap();
        fs::write(root.path().join("notes.tmp"), "mine").unwrap();
        checkpoints.sweep().unwrap();
        let mut names = checkpoints.names().unwrap();
        names.sort();
        assert_eq!(names, ["best", "notes.tmp", "step-000002", "step-000003"]);
    }

    #[test]
    fn the_newest_checkpoint_that_verifies_is_found_behind_a_broken_one() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2]);
        fs::write(checkpoints.step(2).unwrap().path().join("model.bpk"), "?").unwrap();
        let (found, refused) = checkpoints.newest_verified().unwrap();
        assert_eq!((found.unwrap().step(), refused.len()), (1, 1));
    }

    #[test]
    fn retention_keeps_the_newest_and_the_pointed() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2, 3, 4]);
        checkpoints.point(Pointer::Best, 1).unwrap();
        checkpoints.point(Pointer::Last, 4).unwrap();
        checkpoints.retain(1).unwrap();
        assert_eq!(steps(&checkpoints), [1, 4]);
        assert_eq!(checkpoints.pointed(Pointer::Best).unwrap().unwrap().step(), 1);
    }

    #[test]
    fn retention_keeps_the_newest_that_verifies_however_old() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2, 3, 4]);
        for step in [3, 4] {
            fs::write(checkpoints.step(step).unwrap().path().join("model.bpk"), "?").unwrap();
        }
        // Of another process: this one would trust what it wrote.
        let checkpoints = Checkpoints::new(root.path());
        checkpoints.retain(1).unwrap();
        assert_eq!(steps(&checkpoints), [2, 4]);
    }

    #[test]
    fn a_manifest_cannot_point_out_of_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = committed(root.path(), &[1]).step(1).unwrap();
        let text = fs::read_to_string(folder.path().join(MANIFEST)).unwrap();
        fs::write(
            folder.path().join(MANIFEST),
            text.replace("model.bpk", "../model.bpk"),
        )
        .unwrap();
        assert!(
            folder
                .verify()
                .unwrap_err()
                .to_string()
                .contains("plain file name")
        );
    }
}
