//! Using a trained model: what `dragon predict` asks of a family.

use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// What was typed of a prediction.
#[derive(Clone, Debug)]
pub struct PredictRequest {
    /// Where the model was read, for messages.
    pub model: PathBuf,
    /// What to predict from: a file, `-` for standard input, or the input itself.
    pub input: String,
    /// Steps of a model that may take more or fewer of them than it was trained with, such as passes through its block.
    pub steps: Option<usize>,
    /// Where to run.
    pub device: Device,
}

/// What a model makes of its inputs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Predictions {
    /// A line for each input, in their order.
    pub lines: Vec<String>,
    /// The same as an object, for `--json`.
    pub object: Map<String, Value>,
    /// Inputs that cannot be read, each with its place and what is wrong with it. The others are predicted all the same.
    pub refused: Vec<String>,
}
