//! Assembly of a model from its parts.

use super::export::{PART, part_text};
use super::manifest::{PartEntry, PartsManifest};
use crate::error::CheckpointError;
use crate::hash::Hashed;
use crate::model::ModelFile;
use crate::plain;
use crate::tensors::TensorFile;
use burn::tensor::TensorData;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Progress of an assembly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartsProgress {
    /// Number of parts received.
    pub parts: usize,
    /// Number of parts in all.
    pub of: usize,
    /// Number of bytes received.
    pub bytes: u64,
    /// Number of bytes in all.
    pub total: u64,
}

/// Parts of a model, received in any order, each once.
#[derive(Debug)]
pub struct Assembly {
    pub(super) manifest: PartsManifest,
    /// Path or address of the manifest, for error texts.
    path: PathBuf,
    came: BTreeSet<usize>,
    /// Metadata of the model, from the first part received.
    metadata: Option<BTreeMap<String, String>>,
    tensors: BTreeMap<String, TensorData>,
}

impl Assembly {
    /// An assembly without any part yet. `path` says where the manifest came from.
    pub fn new(manifest: PartsManifest, path: impl Into<PathBuf>) -> Self {
        Self {
            manifest,
            path: path.into(),
            came: BTreeSet::new(),
            metadata: None,
            tensors: BTreeMap::new(),
        }
    }

    /// Manifest of the parts.
    pub fn manifest(&self) -> &PartsManifest {
        &self.manifest
    }

    /// Progress so far.
    pub fn progress(&self) -> PartsProgress {
        let parts = &self.manifest.parts;
        PartsProgress {
            parts: self.came.len(),
            of: parts.len(),
            bytes: self.came.iter().map(|&index| parts[index].bytes).sum(),
            total: self.manifest.bytes(),
        }
    }

    /// Reads the part at `index` of the manifest's list from `source`, which holds this part and nothing else. If a
    /// part is refused, the assembly is unchanged, and the part can be added again.
    ///
    /// # Errors
    /// If the source fails, does not hold that part, or the part was added before.
    pub fn add(&mut self, index: usize, source: impl Read + Send) -> Result<PartsProgress, CheckpointError> {
        let path = self.path.clone();
        let Some(entry) = self.manifest.parts.get(index) else {
            let reason = format!(
                "there is no part {index}, the manifest lists {} parts",
                self.manifest.parts.len()
            );
            return Err(CheckpointError::corrupt(&path, reason));
        };
        let path = path.with_file_name(&entry.path);
        if self.came.contains(&index) {
            return Err(CheckpointError::corrupt(&path, "this part was already added"));
        }
        let TensorFile {
            tensors,
            mut metadata,
        } = read_part(source, entry, &path)?;
        let refuse = |reason: String| Err(CheckpointError::corrupt(&path, reason));
        let expected = part_text(index, self.manifest.parts.len(), &self.manifest.model);
        let given = metadata.remove(PART);
        if given.as_deref() != Some(expected.as_str()) {
            let given = given.unwrap_or("no part".into());
            return refuse(format!(
                "it is {given}, expected {expected}, as its manifest says"
            ));
        }
        if self.metadata.as_ref().is_some_and(|first| *first != metadata) {
            return refuse(
                "it describes another model than the parts before it; fetch all parts of one export".into(),
            );
        }
        if !tensors.keys().eq(entry.tensors.iter().collect::<BTreeSet<_>>()) {
            let names: Vec<&String> = tensors.keys().collect();
            return refuse(format!(
                "it holds the tensors {names:?}, expected {:?}, as its manifest says",
                entry.tensors
            ));
        }
        self.metadata = Some(metadata);
        self.tensors.extend(tensors);
        self.came.insert(index);
        Ok(self.progress())
    }

    /// The model, after all parts were added.
    ///
    /// # Errors
    /// If a part is missing, or the parts hold another model than the manifest names.
    pub fn finish(self) -> Result<ModelFile, CheckpointError> {
        let path = &self.path;
        let parts = self.manifest.parts.iter().enumerate();
        let mut missing = parts.filter(|(index, _)| !self.came.contains(index));
        if let Some((_, part)) = missing.next() {
            let reason = format!("part `{}` and {} others are missing", part.path, missing.count());
            return Err(CheckpointError::corrupt(path, reason));
        }
        let file = TensorFile {
            tensors: self.tensors,
            metadata: self.metadata.unwrap_or_default(),
        };
        let model = ModelFile::from_tensor_file(file, path)?;
        let hash = model.hash();
        if hash != self.manifest.model {
            let reason = format!(
                "the hash of the model in its parts is {hash}, the manifest says {}",
                self.manifest.model
            );
            return Err(CheckpointError::corrupt(path, reason));
        }
        Ok(model)
    }
}

fn read_part(
    source: impl Read + Send,
    entry: &PartEntry,
    path: &Path,
) -> Result<TensorFile, CheckpointError> {
    let mut source = Hashed::new(source);
    let file = TensorFile::read_from(&mut source, entry.bytes).map_err(|error| error.at(path))?;
    let (_, sha256) = source.finish();
    if sha256 != entry.sha256 {
        let reason = format!("its sha256 is {sha256}, its manifest says {}", entry.sha256);
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(file)
}

/// Reads a model from the parts beside their manifest. `progress` is called after each part.
///
/// # Errors
/// If the manifest or a part is missing, damaged, a link, or of another model.
pub fn read_parts(
    manifest: &Path,
    mut progress: impl FnMut(PartsProgress),
) -> Result<ModelFile, CheckpointError> {
    let mut assembly = Assembly::new(PartsManifest::read(manifest)?, manifest);
    for index in 0..assembly.manifest.parts.len() {
        let entry = &assembly.manifest.parts[index];
        let path = manifest.with_file_name(&entry.path);
        let (file, size) = plain::open_inside(&path).map_err(CheckpointError::unread(&path))?;
        if size != entry.bytes {
            let reason = format!("it has {size} bytes, its manifest says {}", entry.bytes);
            return Err(CheckpointError::corrupt(&path, reason));
        }
        progress(assembly.add(index, file)?);
    }
    assembly.finish()
}
