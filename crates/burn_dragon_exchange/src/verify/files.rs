//! Checks of one file.

use super::{Verdict, Verifier};
use crate::inspect::Statistics;
use crate::official::{ForeignFile, is_torch};
use burn::tensor::{Device, TensorData};
use burn_dragon_checkpoint::api::expert::{
    Described, Hashed, MODEL_FORMATS, PART, STATE_FORMATS, TensorFile, described, plain,
};
use burn_dragon_checkpoint::api::{
    CheckpointError, ModelFile, ModelKind, PartsManifest, StateFile, TensorSpec, read_parts,
};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Shapes by name.
pub(super) type Shapes = BTreeMap<String, Vec<usize>>;

impl Verifier<'_> {
    pub(super) fn file(&mut self, path: &Path) -> Result<(), CheckpointError> {
        let name = path.to_string_lossy();
        if name.ends_with(".parts.json") {
            self.parts(path);
        } else if name.ends_with(".safetensors") {
            self.safetensors(path);
        } else if is_torch(path) {
            let path = path.to_path_buf();
            return Err(CheckpointError::Pickle { path });
        } else {
            self.pack(path);
        }
        Ok(())
    }

    /// Checks a burnpack by the format in its metadata. Returns the model in it, if it is valid.
    pub(super) fn pack(&mut self, path: &Path) -> Option<ModelFile> {
        let read = TensorFile::read(path);
        let found = read.as_ref().map(|file| {
            let bytes: usize = file.tensors.values().map(|data| data.as_bytes().len()).sum();
            format!(
                "{} tensors, {bytes} bytes of values, every byte of the file under its hash",
                file.tensors.len()
            )
        });
        self.note(path, "container", found.map_err(ToString::to_string));
        let file = read.ok()?;
        let format = file.metadata.get("format").map(String::as_str);
        match format {
            Some(format) if format.starts_with(MODEL_FORMATS) => match file.metadata.get(PART) {
                Some(part) => self.lone_part(path, part, &file),
                None => return self.model(path, file),
            },
            Some(format) if format.starts_with(STATE_FORMATS) => {
                let found = StateFile::from_tensor_file(file, path)
                    .and_then(|state| self.kinds.of(&state.family, path)?.state(state, path));
                self.note(path, "memory", found);
            }
            format => {
                let found = format.map_or(Err("its metadata has no `format`"), |format| {
                    Ok(format.to_string())
                });
                self.note(path, "description", found);
                self.finite(path, &file.tensors);
            }
        }
        None
    }

    /// Checks a part without its manifest.
    fn lone_part(&mut self, path: &Path, part: &str, file: &TensorFile) {
        let found = is_part(path, part);
        let words = found.as_ref().map_or_else(ToString::to_string, Clone::clone);
        let verdict = found.map_or(Verdict::Failed, |_| Verdict::Warning);
        self.say(path, super::PART, verdict, words);
        self.finite(path, &file.tensors);
    }

    fn model(&mut self, path: &Path, file: TensorFile) -> Option<ModelFile> {
        let TensorFile { tensors, metadata } = file;
        let kinds = self.kinds;
        let read = Described::of(metadata, path).and_then(|described| {
            let (kind, expected) = expected(&described.model, path, |family| kinds.of(family, path))?;
            Ok((described, kind, expected))
        });
        let found = read
            .as_ref()
            .map(|(described, kind, _)| kind.shape(described.model.config.value()));
        self.note(path, "description", found.map_err(ToString::to_string));
        let (described, kind, expected) = read.ok()?;
        let as_they_lie = shapes_of(&tensors);
        let values = not_finite(&tensors);
        let model = described.with_tensors(tensors, path);
        let given = match &model {
            Ok(model) => stored_shapes(model),
            Err(_) => as_they_lie,
        };
        let fits = self.shapes(path, &expected, &given);
        let finite = self.note(path, "values", values);
        let model = model.and_then(|model| {
            match fits && finite {
                true => model.check(kind, path)?,
                false => return Ok(None),
            }
            Ok(Some(model))
        });
        match model {
            Ok(model) => {
                let model = model?;
                self.runs(path, kind, &model);
                Some(model)
            }
            Err(error) => {
                self.note(path, "types", Err::<String, _>(error));
                None
            }
        }
    }

    /// Checks tensors against the expected ones: missing tensors, orphans, other shapes.
    pub(super) fn shapes(&mut self, path: &Path, expected: &Shapes, given: &Shapes) -> bool {
        let mut wrong = Vec::new();
        for (name, shape) in expected {
            match given.get(name) {
                None => wrong.push(format!("`{name}` {shape:?} is missing")),
                Some(given) if given != shape => wrong.push(format!("`{name}` is {given:?}, not {shape:?}")),
                Some(_) => {}
            }
        }
        let orphans = given.keys().filter(|name| !expected.contains_key(*name));
        wrong.extend(orphans.map(|name| format!("`{name}` is an orphan")));
        let found = match wrong.is_empty() {
            true => Ok(format!(
                "{} tensors, each with the shape that its configuration asks for",
                expected.len()
            )),
            false => Err(wrong.join("; ")),
        };
        self.note(path, "tensors", found)
    }

    pub(super) fn finite(&mut self, path: &Path, tensors: &BTreeMap<String, TensorData>) -> bool {
        self.note(path, "values", not_finite(tensors))
    }

    /// Checks that need a model with valid tensors: its assets, and its outputs if they are asked for.
    fn runs(&mut self, path: &Path, kind: &dyn ModelKind, model: &ModelFile) {
        self.note(path, "assets", kind.assets(model));
        if self.options.deep {
            let found = kind.probe(model.clone(), path, &Device::flex());
            self.note(path, "forward", found);
        }
    }

    fn safetensors(&mut self, path: &Path) {
        let file = ForeignFile::safetensors(path);
        let found = file.as_ref().map(|file| {
            let hashed = file.metadata.contains_key(crate::official::keys::SHA256);
            let hash = if hashed {
                "every byte under its sha256"
            } else {
                "without a hash"
            };
            format!(
                "{} tensors, all of the file and in it, {hash}",
                file.tensors.len()
            )
        });
        self.note(path, "container", found.map_err(ToString::to_string));
        let Ok(file) = file else { return };
        match file.model(self.options.config) {
            Ok(imported) => {
                let found = self.kinds.check(&imported.model, path);
                let shape = found
                    .as_ref()
                    .map(|kind| kind.shape(imported.model.config.value()));
                self.note(path, "description", shape.map_err(ToString::to_string));
                let Ok(kind) = found else { return };
                self.say(
                    path,
                    "tensors",
                    Verdict::Ok,
                    "official names, the shapes of the configuration, all finite",
                );
                for note in imported.notes {
                    self.say(path, "note", Verdict::Warning, note);
                }
                self.runs(path, kind, &imported.model);
            }
            // Without a configuration the names and shapes can still be checked.
            Err(error @ CheckpointError::NeedsConfig { .. }) => {
                self.say(path, "description", Verdict::Warning, error.to_string());
                let found = file.check_unconfigured().map(|()| {
                    "official names, shapes that fit together, all finite; levels, theta and epsilon are not in the weights".into()
                });
                self.note(path, "tensors", found);
            }
            Err(error) => {
                self.note(path, "tensors", Err::<String, _>(error));
            }
        }
    }

    fn parts(&mut self, path: &Path) {
        let manifest = PartsManifest::read(path);
        let found = manifest.as_ref().map(|manifest| {
            let (parts, tensors) = (
                &manifest.parts,
                manifest.parts.iter().map(|part| part.tensors.len()),
            );
            format!(
                "{} parts, {} tensors, {}",
                parts.len(),
                tensors.sum::<usize>(),
                manifest.precision
            )
        });
        self.note(path, "manifest", found.map_err(ToString::to_string));
        let Ok(manifest) = manifest else { return };
        let mut sound = true;
        for part in &manifest.parts {
            let file = path.with_file_name(&part.path);
            sound &= self.note(&file, "hash", hash(&file, part.bytes, &part.sha256));
        }
        let whole = path.with_file_name(&manifest.source_file);
        if whole.exists() {
            let found = hash(&whole, manifest.total_bytes, &manifest.sha256);
            self.note(&whole, "hash", found);
        }
        if !sound {
            return;
        }
        let model = read_parts(path, |_| {}).and_then(|model| Ok((self.kinds.check(&model, path)?, model)));
        let found = model.as_ref().map(|(kind, model)| {
            format!(
                "{}, every tensor once in {} parts, with the model's hash",
                kind.shape(model.config.value()),
                manifest.parts.len()
            )
        });
        self.note(path, "model", found.map_err(ToString::to_string));
        if let Ok((kind, model)) = model {
            self.say(path, "values", Verdict::Ok, FINITE);
            self.runs(path, kind, &model);
        }
    }
}

/// Result for tensors in which all values are finite.
const FINITE: &str = "all values are finite";

/// Family of a model, and the expected shapes.
fn expected(
    model: &ModelFile,
    path: &Path,
    kind: impl FnOnce(&str) -> Result<&'static dyn ModelKind, CheckpointError>,
) -> Result<(&'static dyn ModelKind, Shapes), CheckpointError> {
    let kind = kind(&model.family)?;
    let tensors = kind.tensors(model.config.value());
    let tensors = tensors.map_err(|error| CheckpointError::corrupt(path, error))?;
    let shape = |TensorSpec { name, shape, .. }| (name, shape);
    Ok((kind, tensors.into_iter().map(shape).collect()))
}

/// Shapes of tensors, as stored in their file.
pub(super) fn shapes_of(tensors: &BTreeMap<String, TensorData>) -> Shapes {
    let shape = |(name, data): (&String, &TensorData)| (name.clone(), data.shape().to_vec());
    tensors.iter().map(shape).collect()
}

/// Shapes of the tensors of a model; for codes, of the decoded tensors.
fn stored_shapes(model: &ModelFile) -> Shapes {
    let tensors = model.tensors.iter();
    tensors
        .map(|(name, tensor)| (name.clone(), tensor.shape()))
        .collect()
}

/// Checks that all values are finite. The error gives the tensors, and the number of such values in each.
fn not_finite(tensors: &BTreeMap<String, TensorData>) -> Result<String, String> {
    let wrong: Vec<String> = tensors
        .iter()
        .map(|(name, data)| (name, Statistics::of(data).non_finite))
        .filter(|(_, count)| *count > 0)
        .map(|(name, count)| format!("{count} values of `{name}` are not finite"))
        .collect();
    match wrong.is_empty() {
        true => Ok(FINITE.to_string()),
        false => Err(wrong.join("; ")),
    }
}

/// Index of a part, and the number of parts, as text.
fn is_part(path: &Path, part: &str) -> Result<String, CheckpointError> {
    let Part { index, of } = described(path, PART, part)?;
    Ok(format!(
        "it is part {} of {of}, not a model: its manifest, *.parts.json, stands for the model",
        index.saturating_add(1)
    ))
}

/// Metadata of a part.
#[derive(Deserialize)]
struct Part {
    index: u64,
    of: u64,
}

/// Checks the size of a file and its hash against the expected ones.
fn hash(path: &Path, bytes: u64, sha256: &str) -> Result<String, CheckpointError> {
    let (file, length) = plain::open_inside(path).map_err(CheckpointError::unread(path))?;
    let wrong = |what: &str, given: &dyn ToString, expected: &dyn ToString| {
        let (given, expected) = (given.to_string(), expected.to_string());
        CheckpointError::corrupt(path, format!("{what} is {given}, its manifest says {expected}"))
    };
    if length != bytes {
        return Err(wrong("its length", &length, &bytes));
    }
    let mut file = Hashed::new(file);
    io::copy(&mut file, &mut io::sink()).map_err(CheckpointError::io("read", path))?;
    let (_, given) = file.finish();
    match given == sha256 {
        true => Ok(format!("{bytes} bytes, sha256 as its manifest says")),
        false => Err(wrong("its sha256", &given, &sha256)),
    }
}
