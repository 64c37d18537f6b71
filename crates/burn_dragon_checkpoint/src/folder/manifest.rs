//! `manifest.json`: what a checkpoint's files must be.

use crate::error::CheckpointError;
use crate::hash::Hashed;
use crate::names::is_plain_name;
use crate::plain;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// The manifest's name.
pub(super) const MANIFEST: &str = "manifest.json";
/// The value of `format`.
pub(super) const FORMAT: &str = "burn_dragon.checkpoint/1";
/// Bytes beyond which a manifest is not read: five files take about one thousand.
const LARGEST: u64 = 1 << 20;

/// What a manifest says of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Bytes.
    pub size: u64,
    /// SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// What a checkpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
}

impl Manifest {
    /// The manifest of a checkpoint folder; its files are not looked at.
    ///
    /// # Errors
    /// If it is missing, too large, not JSON of this format, or names a file outside the folder.
    pub(super) fn read(folder: &Path) -> Result<Self, CheckpointError> {
        let path = folder.join(MANIFEST);
        let file = plain::open_inside(&path).map_err(CheckpointError::unread(&path))?;
        let bytes = plain::whole(file, LARGEST).map_err(CheckpointError::unread(&path))?;
        let manifest: Self =
            serde_json::from_slice(&bytes).map_err(|error| CheckpointError::corrupt(&path, error))?;
        if manifest.format != FORMAT {
            let reason = format!(
                "its format is `{}`, this version reads `{FORMAT}`",
                manifest.format
            );
            return Err(CheckpointError::corrupt(&path, reason));
        }
        match manifest.files.keys().find(|name| !is_plain_name(name)) {
            Some(name) => {
                let reason = format!("`{name}` is not a plain file name");
                Err(CheckpointError::corrupt(&path, reason))
            }
            None => Ok(manifest),
        }
    }

    /// Checks that a folder holds these files and no others: size, then hash.
    pub(super) fn check(&self, folder: &Path) -> Result<(), CheckpointError> {
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
    let (file, size) = plain::open_inside(path).map_err(CheckpointError::unread(path))?;
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
