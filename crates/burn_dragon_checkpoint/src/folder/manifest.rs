//! `manifest.json`: what a checkpoint's files must be.

use crate::error::CheckpointError;
use crate::hash::{Hashed, sha256};
use crate::names::is_plain_name;
use crate::plain;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The manifest's name.
pub(super) const MANIFEST: &str = "manifest.json";
/// The value of `format`.
pub(super) const FORMAT: &str = "burn_dragon.checkpoint/1";
/// Bytes beyond which a manifest is not read: five files take about one thousand.
const LARGEST: u64 = 1 << 20;

/// What a manifest says of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// `burn_dragon.checkpoint/1`.
    pub format: String,
    /// Optimiser steps taken.
    pub step: u64,
    /// SHA-256 of the run's `config.toml` when it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_sha256: Option<String>,
    /// Version of the software that wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Every file beside the manifest, by name.
    pub files: BTreeMap<String, FileEntry>,
    /// SHA-256 of this manifest as it is written, read with these 64 characters as zeros.
    pub sha256: String,
}

impl Manifest {
    /// The manifest of a checkpoint folder; its files are not looked at.
    ///
    /// # Errors
    /// If it is missing, too large, not JSON of this format, or names a file outside the folder.
    pub(super) fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let path = folder.join(MANIFEST);
        let text = plain::read_text_inside(&path, LARGEST).map_err(missing(&path))?;
        Self::parse(&text, &path)
    }

    /// Checks a manifest that was read from `path`. It has one writing: another, if it says the same, is refused too.
    ///
    /// # Errors
    /// If it is not JSON of this format, names a file outside the folder, or is not as it was written.
    pub fn parse(text: &str, path: &Path) -> Result<Self, CheckpointError> {
        let refuse = |reason: String| Err(CheckpointError::corrupt(path, reason));
        let manifest: Self =
            serde_json::from_str(text).map_err(|error| CheckpointError::corrupt(path, error))?;
        if manifest.format != FORMAT {
            let given = manifest.format;
            return refuse(format!("its format is `{given}`, this version reads `{FORMAT}`"));
        }
        if let Some(name) = manifest.files.keys().find(|name| !is_plain_name(name)) {
            return refuse(format!("{name:?} is not a plain file name"));
        }
        let sealed = manifest.clone().sealed();
        if manifest.sha256 != sealed.sha256 {
            let (given, expected) = (manifest.sha256, sealed.sha256);
            return refuse(format!("the sha256 of its text is {expected}, it says {given}"));
        }
        if text != sealed.text() {
            return refuse("it is not written as manifests are: another hand changed it".into());
        }
        Ok(manifest)
    }

    /// With the hash of its own text.
    pub(super) fn sealed(mut self) -> Self {
        self.sha256 = "0".repeat(64);
        self.sha256 = sha256(self.text().as_bytes());
        self
    }

    /// As it is written.
    pub(super) fn text(&self) -> String {
        match serde_json::to_string_pretty(self) {
            Ok(text) => text,
            Err(error) => unreachable!("a manifest is plain text and numbers: {error}"),
        }
    }

    /// Checks that a folder holds these files and no others: size, then hash.
    pub(super) fn check(&self, folder: &Path) -> Result<(), CheckpointError> {
        if self.files.is_empty() {
            return Err(CheckpointError::corrupt(
                &folder.join(MANIFEST),
                "it lists no file",
            ));
        }
        for (name, expected) in &self.files {
            check_file(&folder.join(name), expected)?;
        }
        let entries = fs::read_dir(folder).map_err(CheckpointError::io("list", folder))?;
        for entry in entries {
            let name = entry.map_err(CheckpointError::io("list", folder))?.file_name();
            let name = name.to_string_lossy();
            // What a desktop leaves behind, `.DS_Store`, is read by nobody.
            let known = name == MANIFEST || name.starts_with('.') || self.files.contains_key(name.as_ref());
            if !known {
                let reason = "its manifest does not list it: nothing vouches for it";
                return Err(CheckpointError::corrupt(&folder.join(name.as_ref()), reason));
            }
        }
        Ok(())
    }
}

fn check_file(path: &Path, expected: &FileEntry) -> Result<(), CheckpointError> {
    let (file, size) = plain::open_inside(path).map_err(missing(path))?;
    if size != expected.size {
        let reason = format!("it has {size} bytes, its manifest says {}", expected.size);
        return Err(CheckpointError::corrupt(path, reason));
    }
    let mut file = Hashed::new(file);
    io::copy(&mut file, &mut io::sink()).map_err(CheckpointError::io("read", path))?;
    let (_, sha256) = file.finish();
    if sha256 != expected.sha256 {
        let reason = format!("its sha256 is {sha256}, its manifest says {}", expected.sha256);
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(())
}

/// For `map_err`: a file that a checkpoint must have, and has not, is the checkpoint's fault, not the system's.
fn missing(path: &Path) -> impl FnOnce(io::Error) -> CheckpointError {
    let path = path.to_path_buf();
    move |error| match error.kind() {
        ErrorKind::NotFound => CheckpointError::corrupt(&path, "a checkpoint has it, and it is not there"),
        _ => CheckpointError::unread(&path)(error),
    }
}
