//! View into a trained model at work on an input: the request to a family, and its result.

use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Request for a view.
#[derive(Clone, Debug)]
pub struct LookRequest {
    /// Path of the model, for messages.
    pub model: PathBuf,
    /// Input: a file.
    pub input: PathBuf,
    /// Number of steps, for a model that can take more or fewer than in training.
    pub steps: Option<usize>,
    /// Device to run on.
    pub device: Device,
}

/// View into a model at work.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Picture of the view, a PNG file.
    pub picture: Vec<u8>,
    /// Page with the picture and its legend, HTML without any other file.
    pub page: String,
    /// The view as text.
    pub lines: Vec<String>,
    /// Its numbers, for `--json`.
    pub object: Map<String, Value>,
}
