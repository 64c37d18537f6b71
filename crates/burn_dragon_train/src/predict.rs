//! Prediction with a trained model: the request to a family, and its result.

use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Request for predictions.
#[derive(Clone, Debug)]
pub struct PredictRequest {
    /// Path of the model, for messages.
    pub model: PathBuf,
    /// Input: a file, `-` for standard input, or the input itself.
    pub input: String,
    /// Number of steps, for a model that can take more or fewer than in training, such as passes through its block.
    pub steps: Option<usize>,
    /// Device to run on.
    pub device: Device,
}

/// Predictions of a model for its inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// Lines of text, one for each input, in order.
    pub lines: Vec<String>,
    /// The same as a JSON object, for `--json`.
    pub object: Map<String, Value>,
    /// Inputs that cannot be read, each with its place and the fault. The other inputs are predicted.
    pub refused: Vec<String>,
}
