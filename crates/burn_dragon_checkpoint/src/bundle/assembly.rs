//! A model put together from its parts.

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

/// How far the parts have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartsProgress {
    /// Parts that came.
    pub parts: usize,
    /// Of so many.
    pub of: usize,
    /// Bytes that came.
    pub bytes: u64,
    /// Of so many.
    pub total: u64,
}

/// Parts of a model, as they come: in any order, each once.
#[derive(Debug)]
pub struct Assembly {
    pub(super) manifest: PartsManifest,
    /// Where the manifest was, for messages.
    path: PathBuf,
    came: BTreeSet<usize>,
    /// What the first part that came says of the model.
    metadata: Option<BTreeMap<String, String>>,
    tensors: BTreeMap<String, TensorData>,
}

impl Assembly {
    /// Nothing yet of the parts that a manifest at `path` names.
    pub fn new(manifest: PartsManifest, path: impl Into<PathBuf>) -> Self {
        Self {
            manifest,
            path: path.into(),
            came: BTreeSet::new(),
            metadata: None,
            tensors: BTreeMap::new(),
        }
    }

    /// What the parts are.
    pub fn manifest(&self) -> &PartsManifest {
        &self.manifest
    }

    /// How far they have come.
    pub fn progress(&self) -> PartsProgress {
        let parts = &self.manifest.parts;
        PartsProgress {
            parts: self.came.len(),
            of: parts.len(),
            bytes: self.came.iter().map(|&index| parts[index].bytes).sum(),
            total: self.manifest.bytes(),
        }
    }

    /// Reads the part at `index` of the manifest's list from a source that holds it and nothing else. A part that is
    /// refused leaves everything as it was, and can come again.
    ///
    /// # Errors
    /// If the source fails, or does not hold that part, or the part came before.
    pub fn add(&mut self, index: usize, source: impl Read) -> Result<PartsProgress, CheckpointError> {
        let path = self.path.clone();
        let Some(entry) = self.manifest.parts.get(index) else {
            let reason = format!("there is no part {index}, it names {}", self.manifest.parts.len());
            return Err(CheckpointError::corrupt(&path, reason));
        };
        let path = path.with_file_name(&entry.path);
        if self.came.contains(&index) {
            return Err(CheckpointError::corrupt(&path, "this part came before"));
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
            return refuse(format!("it is {given}, its manifest says {expected}"));
        }
        if self.metadata.as_ref().is_some_and(|first| *first != metadata) {
            return refuse("it describes another model than the parts before it".into());
        }
        if !tensors.keys().eq(entry.tensors.iter().collect::<BTreeSet<_>>()) {
            let names: Vec<&String> = tensors.keys().collect();
            return refuse(format!(
                "it holds {names:?}, its manifest says {:?}",
                entry.tensors
            ));
        }
        self.metadata = Some(metadata);
        self.tensors.extend(tensors);
        self.came.insert(index);
        Ok(self.progress())
    }

    /// The model, now that every part has come.
    ///
    /// # Errors
    /// If one is missing, or what they hold is not the model of the manifest.
    pub fn finish(self) -> Result<ModelFile, CheckpointError> {
        let path = &self.path;
        let parts = self.manifest.parts.iter().enumerate();
        let mut missing = parts.filter(|(index, _)| !self.came.contains(index));
        if let Some((_, part)) = missing.next() {
            let reason = format!("part `{}` and {} others did not come", part.path, missing.count());
            return Err(CheckpointError::corrupt(path, reason));
        }
        let file = TensorFile {
            tensors: self.tensors,
            metadata: self.metadata.unwrap_or_default(),
        };
        let model = ModelFile::from_tensor_file(file, path)?;
        let hash = model.hash();
        if hash != self.manifest.model {
            let reason = format!("its parts make the model {hash}, it says {}", self.manifest.model);
            return Err(CheckpointError::corrupt(path, reason));
        }
        Ok(model)
    }
}

fn read_part(source: impl Read, entry: &PartEntry, path: &Path) -> Result<TensorFile, CheckpointError> {
    let mut source = Hashed::new(source);
    let file = TensorFile::read_from(&mut source, entry.bytes).map_err(|error| error.at(path))?;
    let (_, sha256) = source.finish();
    if sha256 != entry.sha256 {
        let reason = format!("its sha256 is {sha256}, its manifest says {}", entry.sha256);
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(file)
}

/// Reads the model whose parts lie beside their manifest, and says after each part how far it has come.
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
