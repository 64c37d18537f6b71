//! Weights of the official PyTorch release, as `.safetensors` with its names.
//!
//! | official | here |
//! |---|---|
//! | `embed.weight` | `embed` |
//! | `encoder` | `decoder_x` |
//! | `encoder_v` | `decoder_y` |
//! | `decoder` | `encoder` |
//! | `lm_head` | `lm_head` |
//!
//! `attn.freqs` follows from theta and is not read. Levels, heads, theta and epsilon cannot be read from weights:
//! they come from a configuration beside them.

use crate::error::CheckpointError;
use crate::model::{ModelFile, ModelInfo, expected_tensors};
use burn::tensor::TensorData;
use burn_dragon_core::DragonConfig;
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Official names and ours.
pub const NAMES: [(&str, &str); 5] = [
    ("embed.weight", "embed"),
    ("encoder", "decoder_x"),
    ("encoder_v", "decoder_y"),
    ("decoder", "encoder"),
    ("lm_head", "lm_head"),
];

/// A configuration by the official names; keys it does not know are ignored, since such files hold more.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct OfficialConfig {
    /// Levels.
    pub n_layer: usize,
    /// Model width.
    pub n_embd: usize,
    /// Heads.
    pub n_head: usize,
    /// Neurons in all, as a multiple of the width.
    pub mlp_internal_dim_multiplier: usize,
    /// Tokens in the vocabulary.
    pub vocab_size: usize,
    /// Share of y dropped in training.
    #[serde(default)]
    pub dropout: f64,
    /// Base of the rotary frequencies.
    #[serde(default = "official_theta")]
    pub rope_theta: f64,
    /// What the norms add to the variance.
    #[serde(default = "official_eps")]
    pub layer_norm_eps: f64,
}

fn official_theta() -> f64 {
    65536.0
}

fn official_eps() -> f64 {
    1e-5
}

impl OfficialConfig {
    /// Reads a JSON file with the official keys.
    ///
    /// # Errors
    /// If it cannot be read, or lacks a key.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let text = std::fs::read_to_string(path).map_err(CheckpointError::io("read", path))?;
        serde_json::from_str(&text).map_err(|error| CheckpointError::corrupt(path, error))
    }

    /// The same shape by our names.
    pub fn to_dragon(&self) -> DragonConfig {
        DragonConfig {
            vocab_size: self.vocab_size,
            d_model: self.n_embd,
            n_heads: self.n_head,
            n_neurons: self.n_embd * self.mlp_internal_dim_multiplier,
            n_levels: self.n_layer,
            dropout: self.dropout,
            rope_theta: self.rope_theta,
            norm_eps: self.layer_norm_eps,
            init_std: 0.02,
            decay: None,
        }
    }
}

/// Reads official weights under our names.
///
/// # Errors
/// If the file is damaged, or its shapes are not those of the configuration.
pub fn read_safetensors(path: &Path, config: &OfficialConfig) -> Result<ModelFile, CheckpointError> {
    let bytes = std::fs::read(path).map_err(CheckpointError::io("read", path))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| CheckpointError::corrupt(path, error))?;
    let config = config.to_dragon();
    config
        .validate()
        .map_err(|error| CheckpointError::corrupt(path, error))?;
    let shapes = expected_tensors(&config);
    let mut tensors = BTreeMap::new();
    // Checked here, where a message can call a tensor as the file does: their `encoder` is not ours.
    for (theirs, ours) in NAMES {
        let (path, name, expected) = (path.to_path_buf(), theirs.to_string(), shapes[ours].clone());
        let Ok(view) = file.tensor(theirs) else {
            return Err(CheckpointError::MissingTensor { path, name, expected });
        };
        if view.shape() != expected {
            let given = view.shape().to_vec();
            return Err(CheckpointError::Shape {
                path,
                name,
                given,
                expected,
            });
        }
        let data = float_data(&path, theirs, view.dtype(), view.shape(), view.data())?;
        tensors.insert(ours.to_string(), data);
    }
    let info = ModelInfo {
        family: "language".into(),
        version: "official".into(),
        ..ModelInfo::default()
    };
    Ok(ModelFile {
        config,
        info,
        tokenizer: None,
        tensors,
    })
}

fn float_data(
    path: &Path,
    name: &str,
    dtype: Dtype,
    shape: &[usize],
    bytes: &[u8],
) -> Result<TensorData, CheckpointError> {
    if dtype != Dtype::F32 {
        let reason = format!("tensor `{name}` is {dtype:?}; official weights are read as F32");
        return Err(CheckpointError::corrupt(path, reason));
    }
    let values: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|four| f32::from_le_bytes(*four))
        .collect();
    if !values.iter().all(|value| value.is_finite()) {
        let reason = format!("tensor `{name}` holds values that are not finite");
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(TensorData::new(values, shape))
}
