//! A model written as it is handed out.

use super::manifest::{PartEntry, PartsManifest, appended, manifest_of, page_of, part_name};
use crate::burnpack::MAX_TENSORS;
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::folder::CheckpointFolder;
use crate::hash::Hashed;
use crate::model::ModelFile;
use crate::names::is_plain_name;
use crate::precision::StoredPrecision;
use crate::tensors::{self, TensorFile};
use burn::tensor::TensorData;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The metadata key of a part: which of how many, of which model.
pub const PART: &str = "part";

/// How a model is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// How its numbers are stored; codes stay as they are.
    pub precision: StoredPrecision,
    /// Also in parts: each is filled with tensors up to so many bytes.
    pub max_part_bytes: Option<u64>,
    /// Take the place of an export that is already there, and of its parts.
    pub overwrite: bool,
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// The whole.
    pub file: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// The SHA-256 of its bytes.
    pub sha256: String,
    /// The [hash](crate::model::ModelFile::hash) of the model in it.
    pub model: String,
    /// The manifest of its parts, where there are parts.
    pub manifest: Option<PathBuf>,
    /// How many.
    pub parts: usize,
}

/// Endings of files that hold something else: who asks for one does not mean an export.
const FOREIGN: [&str; 11] = [
    "safetensors",
    "pt",
    "pth",
    "ckpt",
    "bin",
    "onnx",
    "gguf",
    "json",
    "toml",
    "state",
    "txt",
];

/// The file that is meant by what was given as the output of an export: itself, or with the ending `.bpk` where that is
/// left out. What follows a dot is a part of the name, as in `model.v1`, unless it is the ending of another format.
///
/// # Errors
/// If it names no file, a folder, or a file of another format.
pub fn export_name(output: &Path) -> Result<PathBuf, String> {
    let shown = output.display();
    let written = output.to_string_lossy();
    if written.ends_with(std::path::is_separator) || output.is_dir() {
        let inside = output.join("model.bpk");
        return Err(format!(
            "{shown} is a folder; name the file in it, as in {}",
            inside.display()
        ));
    }
    let Some(name) = output.file_name() else {
        return Err(format!("`{shown}` names no file; an export is called NAME.bpk"));
    };
    let ending = output
        .extension()
        .map(|ending| ending.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("bpk") => Ok(output.to_path_buf()),
        Some("safetensors") => Err(format!(
            "an export is called NAME.bpk, not {shown}; `dragon convert` writes .safetensors"
        )),
        Some(foreign) if FOREIGN.contains(&foreign) => Err(format!(
            "an export is called NAME.bpk, not {shown}; without an ending it gets this one"
        )),
        _ if name == ".bpk" => {
            Err("`.bpk` has no name before its ending; an export is called NAME.bpk".into())
        }
        _ => Ok(appended(output, ".bpk")),
    }
}

/// Writes a model as `output`, and in parts beside it if that is asked for.
///
/// The manifest is written last and removed first, so that where one is, its parts are.
///
/// # Errors
/// If a weight is beyond the precision, a description longer than is read, or parts are there and must not be overwritten, or the file system refuses.
pub fn export(model: ModelFile, output: &Path, options: ExportOptions) -> Result<Exported, CheckpointError> {
    let name = check_output(output, options)?;
    model.check_descriptions(output)?;
    let model = model.rounded(options.precision, output)?;
    let hash = model.hash();
    let whole = model.into_tensor_file();
    // Before anything is removed for it. A part holds all texts of the whole, and one more.
    let mut texts = whole.metadata.clone();
    if options.max_part_bytes.is_some() {
        texts.insert(PART.into(), part_text(MAX_TENSORS, MAX_TENSORS, &hash));
    }
    tensors::check_writable(tensors::by_name(&whole.tensors), texts, output)?;
    remove_parts(output)?;
    let (bytes, sha256) = write(&whole, output)?;
    let mut exported = Exported {
        file: output.to_path_buf(),
        bytes,
        sha256,
        model: hash,
        manifest: None,
        parts: 0,
    };
    if let Some(max_part_bytes) = options.max_part_bytes {
        let mut manifest = PartsManifest::new(name, options.precision, max_part_bytes);
        manifest.total_bytes = exported.bytes;
        manifest.sha256.clone_from(&exported.sha256);
        manifest.model.clone_from(&exported.model);
        take_apart(whole, output, &mut manifest)?;
        exported.parts = manifest.parts.len();
        exported.manifest = Some(manifest_of(output));
    }
    Ok(exported)
}

/// The name of the file, once it and its parts may be written.
fn check_output(output: &Path, options: ExportOptions) -> Result<String, CheckpointError> {
    let refused = |path: &Path, reason: &str| {
        let (path, reason) = (path.to_path_buf(), reason.to_string());
        Err(CheckpointError::Refused { path, reason })
    };
    let name = output
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if options.max_part_bytes.is_some() && !is_plain_name(name) {
        let reason =
            "parts are fetched by the name of their file: letters, digits, `.`, `-`, `_` and `+` only";
        return refused(output, reason);
    }
    let folder = output.parent().unwrap_or(output);
    if folder.join("manifest.json").is_file() && CheckpointFolder::open(folder).is_ok() {
        return refused(output, "it is in a checkpoint, which nothing else may be in");
    }
    for path in [output.to_path_buf(), manifest_of(output)] {
        if path.exists() && !options.overwrite {
            return refused(
                &path,
                "it is there already; to replace an export and its parts: --overwrite-parts",
            );
        }
    }
    Ok(name.to_string())
}

/// Writes the parts of a file, then their manifest.
fn take_apart(whole: TensorFile, output: &Path, manifest: &mut PartsManifest) -> Result<(), CheckpointError> {
    let TensorFile { tensors, metadata } = whole;
    let groups = groups(tensors, manifest.max_part_bytes);
    let of = groups.len();
    for (index, tensors) in groups.into_iter().enumerate() {
        let mut metadata = metadata.clone();
        metadata.insert(PART.into(), part_text(index, of, &manifest.model));
        let part = TensorFile { tensors, metadata };
        let path = part_name(&manifest.source_file, index);
        let (bytes, sha256) = write(&part, &output.with_file_name(&path))?;
        manifest.parts.push(PartEntry {
            path,
            bytes,
            sha256,
            tensors: part.tensors.into_keys().collect(),
        });
    }
    let path = manifest_of(output);
    write_atomic(&Os, &path, |sink| sink.write_all(manifest.sealed().as_bytes()))
}

/// What a part says of itself.
pub(super) fn part_text(index: usize, of: usize, model: &str) -> String {
    serde_json::json!({ "index": index, "of": of, "model": model }).to_string()
}

/// Whole tensors in the order of their names, in groups of at most `limit` bytes, but at least one tensor.
fn groups(tensors: BTreeMap<String, TensorData>, limit: u64) -> Vec<BTreeMap<String, TensorData>> {
    let mut groups: Vec<BTreeMap<_, _>> = Vec::new();
    let mut room = 0;
    for (name, data) in tensors {
        let bytes = data.as_bytes().len() as u64;
        match groups.last_mut() {
            Some(group) if bytes <= room => {
                room -= bytes;
                group.insert(name, data);
            }
            _ => {
                room = limit.saturating_sub(bytes);
                groups.push(BTreeMap::from([(name, data)]));
            }
        }
    }
    groups
}

/// Removes what an earlier export wrote beside the whole: the index for a page, the manifest, then the parts that are
/// numbered like its own.
fn remove_parts(output: &Path) -> Result<(), CheckpointError> {
    let (page, manifest) = (page_of(output), manifest_of(output));
    if page.exists() {
        remove(&page)?;
    }
    if !manifest.exists() {
        return Ok(());
    }
    remove(&manifest)?;
    let mut index = 0;
    loop {
        let part = appended(output, &part_name("", index));
        if !part.exists() {
            return Ok(());
        }
        remove(&part)?;
        index += 1;
    }
}

fn remove(path: &Path) -> Result<(), CheckpointError> {
    std::fs::remove_file(path).map_err(CheckpointError::io("remove", path))
}

/// Writes a file, and gives its bytes and their hash.
fn write(file: &TensorFile, path: &Path) -> Result<(u64, String), CheckpointError> {
    let mut written = None;
    write_atomic(&Os, path, |sink| {
        let mut sink = Hashed::new(sink);
        file.write_to(&mut sink)?;
        written = Some(sink.finish());
        Ok(())
    })?;
    Ok(written.unwrap_or_default())
}
