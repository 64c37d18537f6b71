//! Checkpoint in memory: named files as values, which another thread can write.

use crate::disk::{Disk, write_synced};
use crate::error::CheckpointError;
use crate::folder::manifest::{FORMAT, FileEntry, MANIFEST, Manifest};
use crate::hash::{Algorithm, Hashed};
use crate::names::is_plain_name;
use crate::tensors::TensorFile;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// Content of one file of a checkpoint.
#[derive(Clone, Debug)]
pub enum Content {
    /// Tensors and metadata, written as a burnpack.
    Tensors(TensorFile),
    /// Text, written unchanged.
    Text(String),
}

impl Content {
    /// Writes the bytes of the file.
    ///
    /// # Errors
    /// If the sink fails.
    pub fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Tensors(file) => file.write_to(sink),
            Self::Text(text) => sink.write_all(text.as_bytes()),
        }
    }
}

/// Checkpoint in memory.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Number of optimiser steps taken.
    pub step: u64,
    /// Files by name: `model.bpk`, `optimizer.bpk`, `trainer.json`, and `streams.bpk` if memory is carried.
    pub files: BTreeMap<String, Content>,
    /// SHA-256 of the run's `config.toml`; `None` without one.
    pub config_sha256: Option<String>,
    /// Version of the software that trained the model, if known.
    pub version: Option<String>,
}

impl Snapshot {
    /// Writes the files into an empty folder and syncs each of them. The manifest is written last; then the folder is
    /// synced.
    ///
    /// Hashes are computed while the bytes are written, so nothing is read back.
    pub(super) fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<(), CheckpointError> {
        let mut files = BTreeMap::new();
        for (name, content) in &self.files {
            let path = folder.join(name);
            if !is_plain_name(name) || name == MANIFEST {
                let reason = format!("`{name}` is no valid name for a file of a checkpoint");
                return Err(CheckpointError::corrupt(folder, reason));
            }
            let mut entry = None;
            write_synced(disk, &path, |sink| {
                let mut hashed = Hashed::by(Algorithm::Blake3, sink);
                content.write_to(&mut hashed)?;
                let (size, blake3) = hashed.finish();
                entry = Some(FileEntry {
                    size,
                    blake3: Some(blake3),
                    sha256: None,
                });
                Ok(())
            })
            .map_err(CheckpointError::io("write", &path))?;
            files.extend(entry.map(|entry| (name.clone(), entry)));
        }
        let manifest = Manifest {
            format: FORMAT.into(),
            step: self.step,
            config_sha256: self.config_sha256.clone(),
            version: self.version.clone(),
            files,
            sha256: String::new(),
        };
        let path = folder.join(MANIFEST);
        let text = manifest.sealed().text();
        write_synced(disk, &path, |sink| sink.write_all(text.as_bytes()))
            .map_err(CheckpointError::io("write", &path))?;
        disk.sync_dir(folder).map_err(CheckpointError::io("sync", folder))
    }
}
