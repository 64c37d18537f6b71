//! A checkpoint folder: several files that become visible together, and are trusted only when every hash agrees.
//!
//! ```text
//! checkpoint/step-000200.tmp/   written here, each file synced, then manifest.json, then the folder
//! checkpoint/step-000200/       the rename is the commit
//! checkpoint/last, best         text files that hold a folder's name
//! ```

use crate::error::CheckpointError;
use crate::hash::hex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.json";

/// What a manifest says of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    format: String,
    step: u64,
    files: BTreeMap<String, FileEntry>,
}

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
}

impl Checkpoints {
    /// The checkpoints in `root` (`runs/<name>/checkpoint`).
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where they are.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Writes a checkpoint: `fill` puts files into an empty folder; then all of it becomes visible at once.
    ///
    /// A checkpoint of the same step is replaced.
    ///
    /// # Errors
    /// If `fill` fails or the file system refuses; then nothing is visible and older checkpoints are untouched.
    pub fn commit(
        &self,
        step: u64,
        fill: impl FnOnce(&Path) -> Result<(), CheckpointError>,
    ) -> Result<CheckpointFolder, CheckpointError> {
        let path = self.root.join(folder_name(step));
        let draft = self.root.join(format!("{}.tmp", folder_name(step)));
        fs::create_dir_all(&self.root).map_err(CheckpointError::io("create", &self.root))?;
        remove_dir_if_any(&draft)?;
        fs::create_dir(&draft).map_err(CheckpointError::io("create", &draft))?;
        let written = fill(&draft)
            .and_then(|()| write_manifest(&draft, step))
            .and_then(|()| sync_dir(&draft));
        if let Err(error) = written {
            let _ = fs::remove_dir_all(&draft); // the error that matters is the first one
            return Err(error);
        }
        remove_dir_if_any(&path)?;
        fs::rename(&draft, &path).map_err(CheckpointError::io("rename", &draft))?;
        sync_dir(&self.root)?;
        Ok(CheckpointFolder { path, step })
    }

    /// Lets a pointer name a checkpoint.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn point(&self, pointer: Pointer, step: u64) -> Result<(), CheckpointError> {
        let path = self.root.join(pointer.file_name());
        let draft = self.root.join(format!("{}.tmp", pointer.file_name()));
        write_synced(&draft, format!("{}\n", folder_name(step)).as_bytes())?;
        fs::rename(&draft, &path).map_err(CheckpointError::io("rename", &draft))?;
        sync_dir(&self.root)
    }

    /// The checkpoint that a pointer names, if there is one.
    pub fn pointed(&self, pointer: Pointer) -> Option<CheckpointFolder> {
        let name = fs::read_to_string(self.root.join(pointer.file_name())).ok()?;
        self.step(step_of(name.trim())?)
    }

    /// The checkpoint of a step, if there is one.
    pub fn step(&self, step: u64) -> Option<CheckpointFolder> {
        let path = self.root.join(folder_name(step));
        path.is_dir().then_some(CheckpointFolder { path, step })
    }

    /// All checkpoints, by step.
    pub fn all(&self) -> Vec<CheckpointFolder> {
        let entries = fs::read_dir(&self.root).into_iter().flatten().flatten();
        let mut steps: Vec<u64> = entries
            .filter_map(|entry| step_of(entry.file_name().to_str()?))
            .collect();
        steps.sort_unstable();
        steps.into_iter().filter_map(|step| self.step(step)).collect()
    }

    /// The newest checkpoint that verifies, and what was wrong with newer ones.
    pub fn newest_verified(&self) -> (Option<CheckpointFolder>, Vec<CheckpointError>) {
        let mut refused = Vec::new();
        for folder in self.all().into_iter().rev() {
            match folder.verify() {
                Ok(()) => return (Some(folder), refused),
                Err(error) => refused.push(error),
            }
        }
        (None, refused)
    }

    /// Removes all but the newest `keep` checkpoints and the pointed ones.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn retain(&self, keep: usize) -> Result<(), CheckpointError> {
        let all = self.all();
        let pointed: Vec<u64> = [Pointer::Last, Pointer::Best]
            .into_iter()
            .filter_map(|pointer| self.pointed(pointer))
            .map(|folder| folder.step)
            .collect();
        let old = &all[..all.len().saturating_sub(keep.max(1))];
        for folder in old.iter().filter(|folder| !pointed.contains(&folder.step)) {
            fs::remove_dir_all(&folder.path).map_err(CheckpointError::io("remove", &folder.path))?;
        }
        Ok(())
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
        let step = step_of(name).ok_or_else(|| CheckpointError::NoModel {
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

    /// Checks every file against the manifest: size, then hash.
    ///
    /// # Errors
    /// Naming the first file that is missing, damaged, or not listed.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        let manifest_path = self.path.join(MANIFEST);
        let text = fs::read_to_string(&manifest_path).map_err(CheckpointError::io("read", &manifest_path))?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| CheckpointError::corrupt(&manifest_path, error))?;
        if manifest.step != self.step {
            let reason = format!(
                "it is of step {}, the folder of step {}",
                manifest.step, self.step
            );
            return Err(CheckpointError::corrupt(&manifest_path, reason));
        }
        for (name, expected) in &manifest.files {
            let plain = Path::new(name)
                .file_name()
                .is_some_and(|plain| plain == name.as_str());
            if !plain {
                let reason = format!("`{name}` is not a plain file name");
                return Err(CheckpointError::corrupt(&manifest_path, reason));
            }
            check_file(&self.path.join(name), expected)?;
        }
        Ok(())
    }
}

fn check_file(path: &Path, expected: &FileEntry) -> Result<(), CheckpointError> {
    let size = fs::metadata(path)
        .map_err(CheckpointError::io("read", path))?
        .len();
    if size != expected.size {
        let reason = format!("it has {size} bytes, its manifest says {}", expected.size);
        return Err(CheckpointError::corrupt(path, reason));
    }
    let sha256 = hash_file(path)?;
    if sha256 != expected.sha256 {
        let reason = format!("its sha256 is {sha256}, its manifest says {}", expected.sha256);
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(())
}

fn folder_name(step: u64) -> String {
    format!("step-{step:06}")
}

/// The step of a committed folder's name; a draft or a stranger has none.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    let step = digits.parse().ok()?;
    (folder_name(step) == name).then_some(step)
}

fn write_manifest(draft: &Path, step: u64) -> Result<(), CheckpointError> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(draft).map_err(CheckpointError::io("list", draft))? {
        let path = entry.map_err(CheckpointError::io("list", draft))?.path();
        let file = fs::File::open(&path).map_err(CheckpointError::io("open", &path))?;
        file.sync_all().map_err(CheckpointError::io("sync", &path))?;
        let size = file.metadata().map_err(CheckpointError::io("read", &path))?.len();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        files.insert(
            name,
            FileEntry {
                size,
                sha256: hash_file(&path)?,
            },
        );
    }
    let manifest = Manifest {
        format: "burn_dragon.checkpoint/1".into(),
        step,
        files,
    };
    let path = draft.join(MANIFEST);
    let text =
        serde_json::to_string_pretty(&manifest).map_err(|error| CheckpointError::corrupt(&path, error))?;
    write_synced(&path, text.as_bytes())
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), CheckpointError> {
    let mut file = fs::File::create(path).map_err(CheckpointError::io("create", path))?;
    file.write_all(bytes)
        .map_err(CheckpointError::io("write", path))?;
    file.sync_all().map_err(CheckpointError::io("sync", path))
}

fn hash_file(path: &Path) -> Result<String, CheckpointError> {
    let mut file = fs::File::open(path).map_err(CheckpointError::io("open", path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file
            .read(&mut buffer)
            .map_err(CheckpointError::io("read", path))?;
        if read == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..read]);
    }
}

fn remove_dir_if_any(path: &Path) -> Result<(), CheckpointError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(CheckpointError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}

/// Makes a rename last: on unix a folder is synced like a file; elsewhere it cannot be opened, and need not be.
fn sync_dir(path: &Path) -> Result<(), CheckpointError> {
    if cfg!(unix) {
        let folder = fs::File::open(path).map_err(CheckpointError::io("open", path))?;
        folder.sync_all().map_err(CheckpointError::io("sync", path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, name: &str, text: &str) -> Result<(), CheckpointError> {
        write_synced(&folder.join(name), text.as_bytes())
    }

    fn committed(root: &Path, steps: &[u64]) -> Checkpoints {
        let checkpoints = Checkpoints::new(root);
        for &step in steps {
            checkpoints
                .commit(step, |folder| {
                    write(folder, "model.bpk", &format!("model {step}"))
                })
                .unwrap();
        }
        checkpoints
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
    fn a_failed_commit_leaves_nothing_and_harms_nothing() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1]);
        let failed = checkpoints.commit(2, |folder| {
            write(folder, "model.bpk", "half")?;
            Err(CheckpointError::corrupt(folder, "no space"))
        });
        assert!(failed.is_err());
        assert_eq!(checkpoints.all().len(), 1);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_newest_checkpoint_that_verifies_is_found_behind_a_broken_one() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2]);
        fs::write(checkpoints.step(2).unwrap().path().join("model.bpk"), "?").unwrap();
        let (found, refused) = checkpoints.newest_verified();
        assert_eq!((found.unwrap().step(), refused.len()), (1, 1));
    }

    #[test]
    fn retention_keeps_the_newest_and_the_pointed() {
        let root = tempfile::tempdir().unwrap();
        let checkpoints = committed(root.path(), &[1, 2, 3, 4]);
        checkpoints.point(Pointer::Best, 1).unwrap();
        checkpoints.point(Pointer::Last, 4).unwrap();
        checkpoints.retain(1).unwrap();
        let steps: Vec<u64> = checkpoints.all().iter().map(CheckpointFolder::step).collect();
        assert_eq!(steps, [1, 4]);
        assert_eq!(checkpoints.pointed(Pointer::Best).unwrap().step(), 1);
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
