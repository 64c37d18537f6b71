//! A checkpoint before it is written: named files, as values that another thread can have.

use crate::disk::{Disk, write_synced};
use crate::error::CheckpointError;
use crate::folder::manifest::{FORMAT, FileEntry, MANIFEST, Manifest, is_plain};
use crate::hash::hex;
use crate::tensors::TensorFile;
use sha2::{Digest, Sha256};
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
            if !is_plain(name) || name == MANIFEST {
                let reason = format!("a file of a checkpoint cannot be called `{name}`");
                return Err(CheckpointError::corrupt(folder, reason));
            }
            let mut entry = None;
            write_synced(disk, &path, |sink| {
                let mut hashed = Hashed::new(sink);
                content.write_to(&mut hashed)?;
                entry = Some(hashed.finish());
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

/// Counts and hashes what goes through it.
struct Hashed<'a> {
    sink: &'a mut dyn Write,
    sha256: Sha256,
    size: u64,
}

impl<'a> Hashed<'a> {
    fn new(sink: &'a mut dyn Write) -> Self {
        Self {
            sink,
            sha256: Sha256::new(),
            size: 0,
        }
    }

    fn finish(self) -> FileEntry {
        FileEntry {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
        }
    }
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        self.sha256.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
