//! Prediction with a trained model: the request to a family, and its result.

use crate::error::TrainError;
use crate::policy::Chooser;
use burn::tensor::Device;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Request for predictions.
#[derive(Clone, Debug)]
pub struct PredictRequest {
    /// Path of the model, for messages.
    pub model: PathBuf,
    /// Inputs: files, `-` for standard input, or an input itself. Most families take one.
    pub inputs: Vec<String>,
    /// Number of steps, for a model that can take more or fewer than in training, such as passes through its block.
    pub steps: Option<usize>,
    /// Device to run on.
    pub device: Device,
    /// Options that only some families have.
    pub options: PredictOptions,
}

/// Options of a prediction that only some families have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PredictOptions {
    /// Maximum number of attempts at an input.
    pub samples: Option<usize>,
    /// Whether inputs are examined too, and the answers that are right are counted for the user.
    pub verify: bool,
    /// Whether an exact method completes what the model has not solved; reported apart.
    pub complete: bool,
    /// What picks cells in a model with a policy; the learned policy if absent.
    pub policy: Option<Chooser>,
    /// Whether answers by step are drawn as text.
    pub show: bool,
    /// Whether answers by step are drawn as a picture.
    pub picture: bool,
    /// Whether features are given instead of predictions.
    pub embed: bool,
}

impl PredictRequest {
    /// The only input, for a family that takes one.
    ///
    /// # Errors
    /// If there are several, or none.
    pub fn input(&self, family: &str) -> Result<&str, TrainError> {
        match &self.inputs[..] {
            [input] => Ok(input),
            inputs => Err(TrainError::Usage(format!(
                "{} inputs; a model of the family `{family}` takes one: put them into one file",
                inputs.len()
            ))),
        }
    }
}

impl PredictOptions {
    /// Refuses the options of other families.
    ///
    /// # Errors
    /// The first option that was given, with the family that has it.
    pub fn refuse(&self, family: &str) -> Result<(), TrainError> {
        let given = [
            ("--samples", "sudoku", self.samples.is_some()),
            ("--verify", "sudoku", self.verify),
            ("--complete", "sudoku", self.complete),
            ("--policy", "sudoku", self.policy.is_some()),
            ("--show", "sudoku", self.show),
            ("--svg", "sudoku", self.picture),
            ("--embed", "vision", self.embed),
        ];
        let foreign = |(_, of, given): &(&str, &str, bool)| *given && *of != family;
        match given.into_iter().find(foreign) {
            None => Ok(()),
            Some((option, of, _)) => Err(TrainError::Usage(format!(
                "{option} is for {of} models; the model is of the family `{family}`"
            ))),
        }
    }
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
    /// Drawings of the answers as text, if they were asked for.
    pub drawings: Vec<String>,
    /// Drawings of the answers as one SVG, if it was asked for.
    pub picture: Option<String>,
    /// Features of the inputs as a file, safetensors, if they were asked for.
    pub features: Option<Vec<u8>>,
    /// Lines for the user about all answers.
    pub notes: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_a_family_lacks_is_named() {
        PredictOptions::default().refuse("graph").unwrap();
        let embed = PredictOptions {
            embed: true,
            ..PredictOptions::default()
        };
        embed.refuse("vision").unwrap();
        assert!(
            embed
                .refuse("sudoku")
                .unwrap_err()
                .to_string()
                .contains("vision models")
        );
        let options = PredictOptions {
            complete: true,
            ..PredictOptions::default()
        };
        let error = options.refuse("graph").unwrap_err().to_string();
        assert!(
            error.contains("--complete") && error.contains("`graph`"),
            "{error}"
        );
    }
}
