//! Checks of one file.

use super::{Verdict, Verifier};
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, PartsManifest, StateFile, read_parts};
use burn_dragon_checkpoint::api::expert::{Hashed, PART, PartEntry, TensorFile, expected_tensors, model, plain, state, widened};
use crate::inspect::Statistics;
use crate::official::{ForeignFile, is_torch};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::DragonConfig;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Tokens that a deep check reads.
const DEEP: usize = 16;

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

    /// A burnpack, by what it says it is; the model in it, where there is a sound one.
    pub(super) fn pack(&mut self, path: &Path) -> Option<ModelFile> {
        let read = TensorFile::read(path);
        let found = read.as_ref().map(|file| {
            let bytes: usize = file.tensors.values().map(|data| data.as_bytes().len()).sum();
            format!(
                "{} tensors, {bytes} bytes of values, every byte of the file under its sha256",
                file.tensors.len()
            )
        });
        self.note(path, "container", found.map_err(ToString::to_string));
        let file = read.ok()?;
        match file.metadata.get("format").map(String::as_str) {
            Some(model::FORMAT) => match file.metadata.get(PART) {
                Some(part) => {
                    let found = is_part(path, part);
                    let words = found.as_ref().map_or_else(ToString::to_string, Clone::clone);
                    let verdict = found.map_or(Verdict::Failed, |_| Verdict::Warning);
                    self.say(path, super::PART, verdict, words);
                    self.finite(path, &file.tensors);
                }
                None => return self.model(path, file),
            },
            Some(format) if format.starts_with(state::FORMATS) => {
                let read = StateFile::read(path, &Device::flex());
                let found = read.map(|file| {
                    let (lanes, tokens) = (file.lanes(), file.info.tokens);
                    format!(
                        "{lanes} streams, {tokens} tokens read, shapes as its configuration says, all finite"
                    )
                });
                self.note(path, "memory", found);
            }
            format => {
                let found = format.map_or(Err("it does not say what it is"), |format| Ok(format.to_string()));
                self.note(path, "description", found);
                self.finite(path, &file.tensors);
            }
        }
        None
    }

    fn model(&mut self, path: &Path, file: TensorFile) -> Option<ModelFile> {
        let TensorFile { tensors, metadata } = file;
        let described = ModelFile::described_by(metadata, path);
        let found = described.as_ref().map(|model| in_words(&model.config));
        self.note(path, "description", found.map_err(ToString::to_string));
        let mut model = described.ok()?;
        let expected = expected_tensors(&model.config);
        let expected = expected
            .into_iter()
            .map(|(name, shape)| (name.to_string(), shape));
        let given = tensors
            .iter()
            .map(|(name, data)| (name.clone(), data.shape().to_vec()));
        let fits = self.shapes(path, &expected.collect(), &given.collect());
        let finite = self.finite(path, &tensors);
        let tensors: Result<BTreeMap<_, _>, _> = tensors
            .into_iter()
            .map(|(name, data)| widened(path, &name, data).map(|data| (name, data)))
            .collect();
        match tensors {
            Ok(tensors) if fits && finite => model.tensors = tensors,
            Ok(_) => return None,
            Err(error) => {
                self.note(path, "types", Err::<String, _>(error));
                return None;
            }
        }
        self.runs(path, &model);
        Some(model)
    }

    /// Tensors against what must be there: missing, orphans, other shapes.
    pub(super) fn shapes(
        &mut self,
        path: &Path,
        expected: &BTreeMap<String, Vec<usize>>,
        given: &BTreeMap<String, Vec<usize>>,
    ) -> bool {
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
        let wrong: Vec<String> = tensors
            .iter()
            .map(|(name, data)| (name, Statistics::of(data).non_finite))
            .filter(|(_, count)| *count > 0)
            .map(|(name, count)| format!("{count} values of `{name}` are not finite"))
            .collect();
        let found = match wrong.is_empty() {
            true => Ok("all values are finite".to_string()),
            false => Err(wrong.join("; ")),
        };
        self.note(path, "values", found)
    }

    /// What can only be seen of a model whose tensors are sound: its tokenizer, and, where it is asked for, its logits.
    fn runs(&mut self, path: &Path, model: &ModelFile) {
        match (&model.tokenizer, self.options.tokenizer) {
            (_, Some(check)) => {
                self.note(path, "tokenizer", check(model));
            }
            (Some(text), None) => {
                let parsed = serde_json::from_str::<serde_json::Value>(text);
                self.note(path, "tokenizer", parsed.map(|_| "it is JSON".to_string()));
            }
            (None, None) => {}
        }
        if self.options.deep {
            let found = forward(path, model.clone());
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
                let config = in_words(&imported.model.config);
                self.say(path, "description", Verdict::Ok, config);
                self.say(
                    path,
                    "tensors",
                    Verdict::Ok,
                    "official names, the shapes of the configuration, all finite",
                );
                for note in imported.notes {
                    self.say(path, "note", Verdict::Warning, note);
                }
                self.runs(path, &imported.model);
            }
            // Without a configuration something can be said all the same.
            Err(error @ CheckpointError::NeedsConfig { .. }) => {
                self.say(path, "description", Verdict::Warning, error.to_string());
                let found = file.check_unconfigured().map(|()| {
                    "official names, shapes that fit together, all finite; levels, theta and epsilon are in none".into()
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
        let model = read_parts(path, |_| {});
        let found = model.as_ref().map(|model| {
            let every: Vec<&PartEntry> = manifest.parts.iter().collect();
            format!(
                "{}, every tensor once in {} parts, with the model's hash",
                in_words(&model.config),
                every.len()
            )
        });
        self.note(path, "model", found.map_err(ToString::to_string));
        if let Ok(model) = model {
            self.finite(path, &model.tensors);
            self.runs(path, &model);
        }
    }
}

/// Which part of how many a file says it is, in words.
fn is_part(path: &Path, part: &str) -> Result<String, CheckpointError> {
    model::check_length(path, PART, part)?;
    let part: Part = serde_json::from_str(part)
        .map_err(|error| CheckpointError::corrupt(path, format!("{PART}: {error}")))?;
    let Part { index, of } = part;
    Ok(format!(
        "it is part {} of {of}, not a model: its manifest, *.parts.json, stands for the model",
        index.saturating_add(1)
    ))
}

/// What a part says of itself.
#[derive(Deserialize)]
struct Part {
    index: u64,
    of: u64,
}

/// The bytes of a file and their hash, against what was said of them.
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

/// Runs a model on some tokens, all at once and one by one.
fn forward(path: &Path, model: ModelFile) -> Result<String, CheckpointError> {
    let config = model.config.clone();
    let device = Device::flex();
    let dragon = model.into_dragon(path, &device)?;
    let ids: Vec<i32> = (0..DEEP).map(|at| (at * 37 % config.vocab_size) as i32).collect();
    let tokens = Tensor::<2, Int>::from_data(TensorData::new(ids, [1, DEEP]), &device);
    let logits = dragon.forward(tokens.clone()).into_data();
    let (carried, _) = dragon
        .forward_with_state(tokens, dragon.empty_state(1))
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    let (mut largest, mut apart) = (0f64, 0f64);
    for (a, b) in logits.iter::<f64>().zip(carried.into_data().iter::<f64>()) {
        if !a.is_finite() || !b.is_finite() {
            return Err(CheckpointError::corrupt(path, "its logits are not finite"));
        }
        (largest, apart) = (largest.max(a.abs()), apart.max((a - b).abs()));
    }
    Ok(format!(
        "logits of {DEEP} tokens are finite, the largest {largest:.3}; with carried memory the same to {apart:.0e}"
    ))
}

fn in_words(config: &DragonConfig) -> String {
    format!(
        "{} levels, width {}, {} heads, {} neurons, vocabulary {}",
        config.n_levels, config.d_model, config.n_heads, config.n_neurons, config.vocab_size
    )
}
