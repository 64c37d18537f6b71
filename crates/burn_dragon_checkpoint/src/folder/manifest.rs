//! Manifest of a checkpoint, `manifest.json`: its files, with sizes and hashes.

use crate::error::CheckpointError;
use crate::hash::{Algorithm, of_source, sha256};
use crate::names::is_plain_name;
use crate::plain;
use crate::tensors::{Checked, TensorFile};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// File name of the manifest.
pub(super) const MANIFEST: &str = "manifest.json";
/// Value of the field `format`.
pub(super) const FORMAT: &str = "burn_dragon.checkpoint/2";
/// Value of it before 27 November 2026, where files have a SHA-256.
const FORMAT_1: &str = "burn_dragon.checkpoint/1";
/// Limit on the size of a manifest in bytes. Five files take about one thousand.
const LARGEST: u64 = 1 << 20;

/// Manifest entry of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Size of the file in bytes.
    pub size: u64,
    /// BLAKE3 of the file, lower-case hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
    /// SHA-256 of the file, in manifests of format 1 only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

impl FileEntry {
    /// The one hash of the file, and its algorithm; `None` without one, or with two.
    fn hash(&self) -> Option<(Algorithm, &str)> {
        match (&self.blake3, &self.sha256) {
            (Some(hash), None) => Some((Algorithm::Blake3, hash)),
            (None, Some(hash)) => Some((Algorithm::Sha256, hash)),
            _ => None,
        }
    }
}

/// Manifest of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the format: `burn_dragon.checkpoint/2`.
    pub format: String,
    /// Number of optimiser steps taken.
    pub step: u64,
    /// SHA-256 of the run's `config.toml` at the time of writing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// Version of the software that wrote the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Files beside the manifest, by name.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of the text of this manifest, computed with these 64 characters as zeros.
    pub sha256: String,
}

impl Manifest {
    /// Reads the manifest of a checkpoint folder. The files of the folder are not checked.
    ///
    /// # Errors
    /// If it is missing, too large, not JSON of this format, or names a file outside the folder.
    pub(super) fn of(folder: &Path) -> Result<Self, CheckpointError> {
        let path = folder.join(MANIFEST);
        let text = plain::read_text_inside(&path, LARGEST).map_err(missing(&path))?;
        Self::parse(&text, &path)
    }

    /// Checks a manifest that was read from `path`. Only one text of a manifest is valid: the same content in another
    /// layout is refused too.
    ///
    /// # Errors
    /// If it is not JSON of this format, names a file outside the folder, or is not in the written layout.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| Err(CheckpointError::corrupt(path, reason));
        let manifest: Self =
            serde_json::from_str(text).map_err(|error| CheckpointError::corrupt(path, error))?;
        let algorithm = match manifest.format.as_str() {
            FORMAT => Algorithm::Blake3,
            FORMAT_1 => Algorithm::Sha256,
            given => {
                return refuse(format!(
                    "its format is `{given}`, this version reads `{FORMAT}` and `{FORMAT_1}`"
                ));
            }
        };
        let is_of_format = |entry: &FileEntry| entry.hash().is_some_and(|(given, _)| given == algorithm);
        if let Some((name, _)) = manifest.files.iter().find(|(_, entry)| !is_of_format(entry)) {
            let (hash, format) = (algorithm.name(), &manifest.format);
            return refuse(format!(
                "file {name:?} needs one hash, its `{hash}`, in `{format}`"
            ));
        }
        if let Some(name) = manifest.files.keys().find(|name| !is_plain_name(name)) {
            return refuse(format!("{name:?} is not a plain file name"));
        }
        let sealed = manifest.clone().sealed();
        if manifest.sha256 != sealed.sha256 {
            let (given, expected) = (manifest.sha256, sealed.sha256);
            return refuse(format!(
                "the sha256 of its text is {expected}, it says {given}: it was changed or damaged"
            ));
        }
        if text != sealed.text() {
            return refuse("its layout is not that of a written manifest: another program changed it".into());
        }
        Ok(manifest)
    }

    /// The manifest with the hash of its own text.
    pub(super) fn sealed(mut self) -> Self {
        self.sha256 = "0".repeat(64);
        self.sha256 = sha256(self.text().as_bytes());
        self
    }

    /// Text of the manifest.
    pub(super) fn text(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text,
            Err(error) => unreachable!("a manifest is plain text and numbers: {error}"),
        }
    }

    /// Checks that a folder holds these files and no others: first the sizes, then the hashes. `read` is the name of a
    /// file that the caller reads itself.
    pub(super) fn check(&self, folder: &Path, read: Option<&str>) -> Result<(), CheckpointError> {
        if self.files.is_empty() {
            return Err(CheckpointError::corrupt(
                &folder.join(MANIFEST),
                "it lists no file",
            ));
        }
        for (name, expected) in self.files.iter().filter(|(name, _)| Some(name.as_str()) != read) {
            let path = folder.join(name);
            let (file, _) = expected.open(&path)?;
            if let Some((algorithm, hash)) = expected.hash() {
                let given = of_source(algorithm, file).map_err(CheckpointError::io("read", &path))?;
                refuse_other(&path, algorithm, &given, hash)?;
            }
        }
        let entries = fs::read_dir(folder).map_err(CheckpointError::io("list", folder))?;
        for entry in entries {
            let name = entry.map_err(CheckpointError::io("list", folder))?.file_name();
            let name = name.to_string_lossy();
            // Hidden files of a desktop, such as `.DS_Store`, are ignored.
            let known = name == MANIFEST || name.starts_with('.') || self.files.contains_key(name.as_ref());
            if !known {
                let reason = "its manifest does not list it, so its content cannot be verified; \
                              move it out of the checkpoint";
                return Err(CheckpointError::corrupt(&folder.join(name.as_ref()), reason));
            }
        }
        Ok(())
    }

    /// Reads a file of tensors and checks it, in one pass, if its hash in the manifest is BLAKE3; else `None`.
    pub(super) fn read(
        &self,
        path: &Path,
        name: &str,
    ) -> Result<Option<(TensorFile, Checked)>, CheckpointError> {
        let Some((entry, expected)) = self
            .files
            .get(name)
            .and_then(|entry| Some((entry, entry.blake3.as_ref()?)))
        else {
            return Ok(None);
        };
        let (file, checked) = TensorFile::read_open(entry.open(path)?, path)?;
        match &checked.blake3 {
            Some(given) => {
                refuse_other(path, Algorithm::Blake3, given, expected)?;
                Ok(Some((file, checked)))
            }
            None => Ok(None), // a file with another hash of its own
        }
    }
}

impl FileEntry {
    /// Opens the file, which must have the size in the manifest.
    fn open(&self, path: &Path) -> Result<(File, u64), CheckpointError> {
        let (file, size) = plain::open_inside(path).map_err(missing(path))?;
        if size != self.size {
            let reason = format!("it has {size} bytes, its manifest says {}", self.size);
            return Err(CheckpointError::corrupt(path, reason));
        }
        Ok((file, size))
    }
}

fn refuse_other(
    path: &Path,
    algorithm: Algorithm,
    given: &str,
    expected: &str,
) -> Result<(), CheckpointError> {
    if given == expected {
        return Ok(());
    }
    let name = algorithm.name();
    let reason = format!("its {name} is {given}, its manifest says {expected}");
    Err(CheckpointError::corrupt(path, reason))
}

/// For `map_err`: a missing file that a checkpoint must have is an error of the checkpoint, not of the system.
fn missing(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_path_buf();
    move |error| match error.kind() {
        ErrorKind::NotFound => {
            CheckpointError::corrupt(&path, "a checkpoint must have this file, but it is not there")
        }
        _ => CheckpointError::unread(&path)(error),
    }
}
