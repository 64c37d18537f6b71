//! Export of a model to a file, and to parts.

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

/// Metadata key of a part: its index, the number of parts, and the hash of the model.
pub const PART: &str = "part";

/// Options of an export.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExportOptions {
    /// Precision of the stored numbers. Packed codes are stored unchanged.
    pub precision: StoredPrecision,
    /// Limit on the bytes of tensors in a part. `None` writes no parts.
    pub max_part_bytes: Option<u64>,
    /// Replace an existing export and its parts.
    pub overwrite: bool,
}

/// Result of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Path of the whole file.
    pub file: PathBuf,
    /// Size of the whole file in bytes.
    pub bytes: u64,
    /// SHA-256 of the whole file, lower-case hexadecimal.
    pub sha256: String,
    /// [Hash](crate::model::ModelFile::hash) of the model in the file.
    pub model: String,
    /// Path of the manifest of the parts; `None` if no parts were written.
    pub manifest: Option<PathBuf>,
    /// Number of parts written.
    pub parts: usize,
}

/// Endings of other file formats: an output with one of them is not meant as an export.
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

/// Output file of an export: the path as given, or with the ending `.bpk` if it has none. A dot inside a name is part
/// of the name, as in `model.v1`, unless the ending after it is that of another format.
///
/// # Errors
/// If the path names no file, a folder, or a file of another format.
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

/// Writes a model to `output`, and its parts beside it if `options` ask for parts.
///
/// The manifest is removed first and written last: if there is a manifest, its parts are there too.
///
/// # Errors
/// If a weight is out of range for the precision, a description is longer than the limit, parts exist and `overwrite`
/// is not set, or the file system refuses.
pub fn export(model: ModelFile, output: &Path, options: ExportOptions) -> Result<Exported, CheckpointError> {
    let name = check_output(output, options)?;
    model.check_descriptions(output)?;
    let model = model.rounded(options.precision, output)?;
    let hash = model.hash();
    let whole = model.into_tensor_file();
    // Checked before an old export is removed. A part holds all texts of the whole file, and one more.
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

/// Name of the output file, after a check that the file and its parts may be written.
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
        let reason = "parts are fetched by the name of the file, which may have letters, digits, `.`, `-`, `_` \
                      and `+` only; choose another name";
        return refused(output, reason);
    }
    let folder = output.parent().unwrap_or(output);
    if folder.join("manifest.json").is_file() && CheckpointFolder::open(folder).is_ok() {
        return refused(
            output,
            "it is in a checkpoint folder, which may hold no other files; choose another folder",
        );
    }
    for path in [output.to_path_buf(), manifest_of(output)] {
        if path.exists() && !options.overwrite {
            return refused(
                &path,
                "it is there already; to replace the export and its parts, add --overwrite-parts",
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

/// Text of a part: its index, the number of parts, and the hash of the model.
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

/// Removes the files that an earlier export wrote beside the whole file: the index for a page, the manifest, then the
/// numbered parts.
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

/// Writes a file. Returns its size in bytes and its SHA-256.
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
