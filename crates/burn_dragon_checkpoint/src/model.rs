//! A model in one self-describing file: weights, shape, tokenizer, where it came from.
//!
//! The weights are burnpack tensors under the project's names (`embed`, `decoder_x`, `decoder_y`, `encoder`,
//! `lm_head`, and `decay` where it is learnt), as f32, f16 or bf16; in memory they are f32. The metadata holds `format` (`burn_dragon.model/1`), `config` (JSON),
//! `info` (JSON) and, for language models, `tokenizer` (JSON as in `tokenizer.json`), beside the hash that
//! [`TensorFile`] keeps.

use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::of_model;
use crate::precision::StoredPrecision;
use crate::tensors::{self, TensorFile};
use burn::tensor::{Device, TensorData};
use burn_dragon_core::{DecayConfig, Dragon, DragonConfig, parameters};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::Path;

/// The value of the metadata key `format`.
pub const FORMAT: &str = "burn_dragon.model/1";

/// Where a model came from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// `language`, or another family.
    pub family: String,
    /// Optimiser steps taken.
    pub step: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Version of the software that wrote it.
    pub version: String,
    /// How it has learnt to read text; not known of weights that came from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reading: Option<LearntReading>,
    /// What is said of an exported model beside its numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provenance: Option<Provenance>,
}

/// How a model has learnt to read text: so it is judged, wherever its file is, unless told otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntReading {
    /// Tokens in a window.
    pub block_size: NonZeroUsize,
    /// What it knows in a window of the document's earlier ones.
    pub memory: LearntMemory,
    /// What separates the documents of a file; without it a file is a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
}

/// What a model knows in a window of the document's earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearntMemory {
    /// Nothing.
    Reset,
    /// Everything.
    Carried,
}

/// What whoever gets a model should know of it, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// The name of the run that trained it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// What it was trained on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
    /// The licence of its weights; what nobody said is not made up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
}

/// A model as it stands in a file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Its shape.
    pub config: DragonConfig,
    /// Where it came from.
    pub info: ModelInfo,
    /// The tokenizer's JSON, for language models.
    pub tokenizer: Option<String>,
    /// Weights by name, f32.
    pub tensors: BTreeMap<String, TensorData>,
}

/// The keys of the metadata.
mod key {
    pub(super) const FORMAT: &str = "format";
    pub(super) const CONFIG: &str = "config";
    pub(super) const INFO: &str = "info";
    pub(super) const TOKENIZER: &str = "tokenizer";
}

impl ModelFile {
    /// A model as it would be written.
    pub fn of(dragon: &Dragon, info: ModelInfo, tokenizer: Option<String>) -> Self {
        Self {
            config: dragon.config().clone(),
            info,
            tokenizer,
            tensors: parameters::snapshot(dragon),
        }
    }

    /// What tells this model from every other, as [`model_hash`](crate::hash::model_hash).
    pub fn hash(&self) -> String {
        of_model(&self.config, &self.tensors)
    }

    /// The numbers as they are after they were stored in `precision`.
    ///
    /// # Errors
    /// If one is beyond what the precision can hold; `path` is where it was to go.
    pub fn rounded(mut self, precision: StoredPrecision, path: &Path) -> Result<Self, CheckpointError> {
        if precision != StoredPrecision::F32 {
            let round = |data| StoredPrecision::widen(precision.round(data));
            let rounded = self.tensors.into_iter().map(|(name, data)| (name, round(data)));
            self.tensors = rounded.collect();
            let lost = self.tensors.iter().find(|(_, data)| !is_finite(data));
            if let Some((name, _)) = lost {
                let reason = format!(
                    "tensor `{name}` holds numbers beyond what {precision} can hold; use bf16 or f32"
                );
                let path = path.to_path_buf();
                return Err(CheckpointError::Refused { path, reason });
            }
        }
        Ok(self)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If its description is longer than is read, or the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.check_descriptions(path)?;
        tensors::check_writable(&self.tensors, self.metadata(), path)?;
        write_atomic(&Os, path, |sink| {
            tensors::write_to(&self.tensors, self.metadata(), sink)
        })
    }

    /// Refuses a description that is longer than is read: the file at `path` would be one that nobody can read.
    pub(crate) fn check_descriptions(&self, path: &Path) -> Result<(), CheckpointError> {
        let longest = [(key::CONFIG, json(&self.config)), (key::INFO, json(&self.info))]
            .into_iter()
            .find(|(_, text)| text.len() > MAX_TEXT);
        let Some((key, text)) = longest else {
            return Ok(());
        };
        let reason = format!(
            "its `{key}` would have {} bytes, at most {MAX_TEXT} are read; of a licence the name is enough",
            text.len()
        );
        Err(CheckpointError::refused(path, reason))
    }

    /// What the file holds.
    pub fn into_tensor_file(self) -> TensorFile {
        TensorFile {
            metadata: self.metadata(),
            tensors: self.tensors,
        }
    }

    /// Everything but the weights, as it stands in a file.
    pub(crate) fn metadata(&self) -> BTreeMap<String, String> {
        let described = [
            (key::FORMAT, FORMAT.to_string()),
            (key::CONFIG, json(&self.config)),
            (key::INFO, json(&self.info)),
        ];
        let tokenizer = self
            .tokenizer
            .clone()
            .map(|tokenizer| (key::TOKENIZER, tokenizer));
        let described = described.into_iter().chain(tokenizer);
        described.map(|(key, text)| (key.to_string(), text)).collect()
    }

    /// Reads and checks a file: format, configuration, names, shapes, finite values.
    ///
    /// # Errors
    /// If it is damaged or is not a model.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_tensor_file(TensorFile::read(path)?, path)
    }

    /// Checks what was read from `path`.
    ///
    /// # Errors
    /// If it is not a model.
    pub fn from_tensor_file(file: TensorFile, path: &Path) -> Result<Self, CheckpointError> {
        let TensorFile { tensors, metadata } = file;
        let without_weights = Self::described_by(metadata, path)?;
        let tensors: Result<BTreeMap<_, _>, _> = tensors
            .into_iter()
            .map(|(name, data)| widened(path, &name, data).map(|data| (name, data)))
            .collect();
        let tensors = tensors?;
        check_tensors(path, &without_weights.config, &tensors)?;
        Ok(Self {
            tensors,
            ..without_weights
        })
    }

    /// A model without its weights, from the text of its file.
    pub(crate) fn described_by(
        mut metadata: BTreeMap<String, String>,
        path: &Path,
    ) -> Result<Self, CheckpointError> {
        match metadata.get(key::FORMAT).map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                let reason = format!("its format is `{other}`, this version reads `{FORMAT}`");
                return Err(CheckpointError::corrupt(path, reason));
            }
            None => {
                return Err(CheckpointError::corrupt(
                    path,
                    "it is a burnpack without a model's description",
                ));
            }
        }
        let config: DragonConfig = parsed(path, &metadata, key::CONFIG)?;
        let info: ModelInfo = parsed(path, &metadata, key::INFO)?;
        config
            .validate()
            .map_err(|error| CheckpointError::corrupt(path, error))?;
        Ok(Self {
            config,
            info,
            tokenizer: metadata.remove(key::TOKENIZER),
            tensors: BTreeMap::new(),
        })
    }

    /// Refuses tensors that are not the configuration's, in name, shape or value.
    pub(crate) fn check(&self, path: &Path) -> Result<(), CheckpointError> {
        check_tensors(path, &self.config, &self.tensors)
    }

    /// The model, on `device`.
    ///
    /// # Errors
    /// If names or shapes are not those of the configuration.
    pub fn into_dragon(mut self, path: &Path, device: &Device) -> Result<Dragon, CheckpointError> {
        check_tensors(path, &self.config, &self.tensors)?;
        let weights = |name: &str, _: &[usize]| match self.tensors.remove(name) {
            Some(data) => data,
            None => unreachable!("`{name}` is one of the tensors that were checked"),
        };
        Dragon::from_weights(&self.config, device, weights)
            .map_err(|error| CheckpointError::corrupt(path, error))
    }
}

fn json(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("a configuration is plain numbers and names: {error}"),
    }
}

fn parsed<T: for<'a> Deserialize<'a>>(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    key: &str,
) -> Result<T, CheckpointError> {
    let text = metadata
        .get(key)
        .ok_or_else(|| CheckpointError::corrupt(path, format!("no `{key}`")))?;
    described(path, key, text)
}

/// What a text of a file describes, which is no longer than any.
pub(crate) fn described<T: for<'a> Deserialize<'a>>(
    path: &Path,
    key: &str,
    text: &str,
) -> Result<T, CheckpointError> {
    check_length(path, key, text)?;
    serde_json::from_str(text).map_err(|error| CheckpointError::corrupt(path, format!("{key}: {error}")))
}

/// Bytes of the longest description: read as values, a list takes many times the memory of its text.
const MAX_TEXT: usize = 32 << 10;

/// Refuses a description that is longer than any.
pub(crate) fn check_length(path: &Path, key: &str, text: &str) -> Result<(), CheckpointError> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    let reason = format!(
        "its `{key}` has {} bytes, at most {MAX_TEXT} are read",
        text.len()
    );
    Err(CheckpointError::corrupt(path, reason))
}

/// A weight in f32.
pub(crate) fn widened(path: &Path, name: &str, data: TensorData) -> Result<TensorData, CheckpointError> {
    if StoredPrecision::of(data.dtype()).is_none() {
        let reason = format!(
            "tensor `{name}` is {}; weights are f32, f16 or bf16",
            data.dtype().name()
        );
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(StoredPrecision::widen(data))
}

/// The names and shapes of a model's weights.
pub fn expected_tensors(config: &DragonConfig) -> BTreeMap<&'static str, Vec<usize>> {
    let (d, h, n) = (config.d_model, config.n_heads, config.neurons_per_head());
    let mut tensors = BTreeMap::from([
        ("embed", vec![config.vocab_size, d]),
        ("decoder_x", vec![h, d, n]),
        ("decoder_y", vec![h, d, n]),
        ("encoder", vec![h * n, d]),
        ("lm_head", vec![d, config.vocab_size]),
    ]);
    if config.decay.as_ref().is_some_and(DecayConfig::learnable) {
        tensors.insert("decay", vec![h]);
    }
    tensors
}

fn is_finite(data: &TensorData) -> bool {
    let values = data.as_slice::<f32>();
    values.is_ok_and(|values| values.iter().all(|value| value.is_finite()))
}

/// Exactly the expected tensors, of the expected shapes, f32, all finite.
pub(crate) fn check_tensors(
    path: &Path,
    config: &DragonConfig,
    tensors: &BTreeMap<String, TensorData>,
) -> Result<(), CheckpointError> {
    let expected = expected_tensors(config);
    for (&name, shape) in &expected {
        let Some(data) = tensors.get(name) else {
            let (path, name) = (path.to_path_buf(), name.to_string());
            return Err(CheckpointError::MissingTensor {
                path,
                name,
                expected: shape.clone(),
            });
        };
        let given = data.shape().to_vec();
        if given != *shape {
            let (path, name) = (path.to_path_buf(), name.to_string());
            return Err(CheckpointError::Shape {
                path,
                name,
                given,
                expected: shape.clone(),
            });
        }
        if !is_finite(data) {
            return Err(CheckpointError::corrupt(
                path,
                format!("tensor `{name}` holds values that are not finite"),
            ));
        }
    }
    let unknown = |name: &&String| !expected.contains_key(name.as_str());
    let names: Vec<String> = tensors.keys().filter(unknown).cloned().collect();
    if names.is_empty() {
        return Ok(());
    }
    Err(CheckpointError::UnknownTensors {
        path: path.to_path_buf(),
        names,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_a_model_reads_comes_back_and_is_not_known_of_every_model() {
        let info = ModelInfo {
            reading: Some(LearntReading {
                block_size: NonZeroUsize::new(256).unwrap(),
                memory: LearntMemory::Carried,
                document_separator: Some("\n\n".into()),
            }),
            ..ModelInfo::default()
        };
        assert_eq!(serde_json::from_str::<ModelInfo>(&json(&info)).unwrap(), info);
        let other = r#"{"family":"language","step":1,"tokens":2,"version":"0"}"#;
        assert_eq!(serde_json::from_str::<ModelInfo>(other).unwrap().reading, None);
    }

    #[test]
    fn windows_without_tokens_are_no_way_to_read() {
        let path = Path::new("stranger.bpk");
        let info =
            r#"{"family":"","step":1,"tokens":2,"version":"","reading":{"block_size":0,"memory":"reset"}}"#;
        let error = described::<ModelInfo>(path, key::INFO, info).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("nonzero"),
            "{error}"
        );
    }
}
