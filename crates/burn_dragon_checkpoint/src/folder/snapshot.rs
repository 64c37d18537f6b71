//! A checkpoint before it is written: named files, as values that another thread can have.

use crate::disk::{Disk, write_synced};
use crate::error::CheckpointError;
use crate::folder::manifest::{FORMAT, FileEntry, MANIFEST, Manifest};
use crate::hash::Hashed;
use crate::names::is_plain_name;
use crate::tensors::TensorFile;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

/// What one file of a checkpoint holds.
#[derive(Clone, Debug)]
pub enum Content {
    /// Tensors and metadata, in a burnpack.
    Tensors(TensorFile),
    /// Text, as it is.
    Text(String),
}

impl Content {
    /// The bytes of the file.
    ///
    /// # Errors
    /// If the sink refuses them.
    pub fn write_to(&self, sink: &mut dyn Write) -> io::Result<()> {
        match self {
            Self::Tensors(file) => file.write_to(sink),
            Self::Text(text) => sink.write_all(text.as_bytes()),
        }
    }
}

/// What a checkpoint is made of.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Optimiser steps taken.
    pub step: u64,
    /// Its files by name: `model.bpk`, `optimizer.bpk`, `trainer.json`, and `streams.bpk` where memory is carried.
    pub files: BTreeMap<String, Content>,
    /// SHA-256 of the run's `config.toml`, where there is one.
    pub config_sha256: Option<String>,
    /// Version of the software that trained it, where that is known.
    pub version: Option<String>,
}

impl Snapshot {
    /// Writes the files into an empty folder, the manifest last, each of them synced, then the folder.
    ///
    /// Hashes are of the bytes on their way to the disk, so nothing is read back.
    pub(super) fn write(&self, disk: &dyn Disk, folder: &Path) -> Result<(), CheckpointError> {
        let mut files = BTreeMap::new();
        for (name, content) in &self.files {
            let path = folder.join(name);
            if !is_plain_name(name) || name == MANIFEST {
                let reason = format!("a file of a checkpoint cannot be called `{name}`");
                return Err(CheckpointError::corrupt(folder, reason));
            }
            let mut entry = None;
            write_synced(disk, &path, |sink| {
                let mut hashed = Hashed::new(sink);
                content.write_to(&mut hashed)?;
                let (size, sha256) = hashed.finish();
                entry = Some(FileEntry { size, sha256 });
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
