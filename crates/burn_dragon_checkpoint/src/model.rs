//! A model in one self-describing file: weights, shape, tokenizer, where it came from.
//!
//! The weights are burnpack tensors under the project's names (`embed`, `decoder_x`, `decoder_y`, `encoder`,
//! `lm_head`, and `decay` where it is learnt). The metadata holds `format` (`burn_dragon.model/1`), `config` (JSON),
//! `info` (JSON) and, for language models, `tokenizer` (JSON as in `tokenizer.json`), beside the hash that
//! [`TensorFile`] keeps.

use crate::error::CheckpointError;
use crate::hash::of_model;
use crate::tensors::TensorFile;
use burn::tensor::{Device, TensorData};
use burn_dragon_core::parameters;
use burn_dragon_core::{DecayConfig, Dragon, DragonConfig};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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
    /// Weights by name.
    pub tensors: BTreeMap<String, TensorData>,
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

    /// What the file holds.
    pub fn tensor_file(&self) -> TensorFile {
        self.clone().into_tensor_file()
    }

    /// What the file holds, without a copy of it.
    pub fn into_tensor_file(self) -> TensorFile {
        let json = |value: serde_json::Result<String>| match value {
            Ok(json) => json,
            Err(error) => unreachable!("a description is plain numbers and names: {error}"),
        };
        let mut metadata = BTreeMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("config".to_string(), json(serde_json::to_string(&self.config))),
            ("info".to_string(), json(serde_json::to_string(&self.info))),
        ]);
        metadata.extend(
            self.tokenizer
                .map(|tokenizer| ("tokenizer".to_string(), tokenizer)),
        );
        TensorFile {
            tensors: self.tensors,
            metadata,
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.tensor_file().write(path)
    }

    /// Reads and checks a file: format, configuration, names, shapes, finite values.
    ///
    /// # Errors
    /// If it is damaged or is not a model.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let TensorFile {
            tensors,
            mut metadata,
        } = TensorFile::read(path)?;
        match metadata.get("format").map(String::as_str) {
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
        let parsed = |key: &str| {
            let text = metadata
                .get(key)
                .ok_or_else(|| CheckpointError::corrupt(path, format!("no `{key}`")))?;
            Ok::<_, CheckpointError>(text.as_str())
        };
        let config: DragonConfig = serde_json::from_str(parsed("config")?)
            .map_err(|error| CheckpointError::corrupt(path, format!("config: {error}")))?;
        let info: ModelInfo = serde_json::from_str(parsed("info")?)
            .map_err(|error| CheckpointError::corrupt(path, format!("info: {error}")))?;
        config
            .validate()
            .map_err(|error| CheckpointError::corrupt(path, error))?;
        check_tensors(path, &config, &tensors)?;
        Ok(Self {
            config,
            info,
            tokenizer: metadata.remove("tokenizer"),
            tensors,
        })
    }

    /// The model, on `device`.
    ///
    /// # Errors
    /// If names or shapes are not those of the configuration.
    pub fn into_dragon(mut self, path: &Path, device: &Device) -> Result<Dragon, CheckpointError> {
        check_tensors(path, &self.config, &self.tensors)?;
        let dragon =
            Dragon::new(&self.config, 0, device).map_err(|error| CheckpointError::corrupt(path, error))?;
        Ok(parameters::load(dragon, |name, _| self.tensors.remove(name)))
    }
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

/// Exactly the expected tensors, of the expected shapes, all finite.
fn check_tensors(
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
        let finite = data.iter::<f32>().all(f32::is_finite);
        if !finite {
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
