//! Table `[ema]`: an exponential moving average of the weights, which is evaluated and saved instead of them.
//!
//! ```text
//! e = e + (1 - d_t) (w - e)           d_t = min(decay, (1 + t) / (10 + t)), t updates before this one
//! ```
//!
//! The average starts at the first weights, and adapts faster while it is young. It averages the weights that the
//! method would evaluate: for schedule-free AdamW, the method's own average.

use super::values::{replace, visit};
use crate::error::TrainError;
use crate::settings::check;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::expert::{Range, load, named, snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// File of a checkpoint with the trained weights, if `model.bpk` holds their average.
pub(crate) const FILE: &str = "weights.bpk";

/// Value of the metadata key `format`.
pub(crate) const FORMAT: &str = "burn_dragon.weights/1";

/// Table `[ema]`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EmaConfig {
    /// Factor of the old average in a step, after the first steps: 0, or 1.2e-38 to 0.9999999.
    pub decay: f64,
}

impl Default for EmaConfig {
    fn default() -> Self {
        Self { decay: 0.999 }
    }
}

impl EmaConfig {
    /// Refuses a decay with which new weights have no effect.
    ///
    /// # Errors
    /// If the decay is out of range; with the key, the value, and the allowed range.
    pub fn validate(&self) -> Result<(), TrainError> {
        check("ema.decay".into(), self.decay, Range::BELOW_ONE)
    }
}

/// Moving average of a model's weights.
#[derive(Debug)]
pub(crate) struct Ema {
    decay: f64,
    updates: u64,
    weights: BTreeMap<String, Tensor<1>>,
}

impl Ema {
    /// An average that starts at these weights.
    pub(crate) fn new<M: Module>(config: EmaConfig, model: &M) -> Result<Self, TrainError> {
        config.validate()?;
        let mut ema = Self {
            decay: config.decay,
            updates: 0,
            weights: BTreeMap::new(),
        };
        ema.begin(0, model);
        Ok(ema)
    }

    /// Continues from an average of `updates` updates.
    pub(crate) fn begin<M: Module>(&mut self, updates: u64, average: &M) {
        self.updates = updates;
        visit(average, |name, value| {
            self.weights.insert(name.into(), value);
        });
    }

    /// Updates the average with the weights after a step.
    pub(crate) fn update<M: Module>(&mut self, model: &M) {
        let young = (1.0 + self.updates as f64) / (10.0 + self.updates as f64);
        let taken = 1.0 - self.decay.min(young);
        self.updates += 1;
        visit(model, |name, value| {
            if let Some(average) = self.weights.remove(name) {
                let average = average.clone() + (value - average) * taken;
                self.weights.insert(name.into(), average);
            }
        });
    }

    /// The model with the averaged weights.
    pub(crate) fn averaged<M: Module>(&self, model: M) -> M {
        replace(model, |name| self.weights.get(name).cloned())
    }

    /// File with the trained weights.
    pub(crate) fn snapshot<M: Module>(&self, trained: &M) -> TensorFile {
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("updates".into(), self.updates.to_string());
        file.tensors = snapshot(trained);
        file
    }
}

/// Reads the trained weights into a model. Returns it with the number of updates of its average.
///
/// # Errors
/// If the file is damaged, or of another model.
pub(crate) fn read<M: Module>(path: &Path, model: M) -> Result<(M, u64), TrainError> {
    let TensorFile {
        mut tensors,
        metadata,
    } = TensorFile::read(path)?;
    let refuse = |reason: String| TrainError::from(CheckpointError::corrupt(path, reason));
    let text = |key: &str| metadata.get(key).map(String::as_str);
    if text("format") != Some(FORMAT) {
        return Err(refuse(format!(
            "its format is {:?}, expected `{FORMAT}`",
            text("format")
        )));
    }
    let updates = text("updates").and_then(|updates| updates.parse().ok());
    let updates =
        updates.ok_or_else(|| refuse("it lacks a valid number of updates of its average".into()))?;
    let mut wrong = None;
    named(&model, |name, shape, _| {
        let sound = tensors.get(name).is_some_and(|data| {
            let values = data.as_slice::<f32>();
            data.shape().to_vec() == shape
                && values.is_ok_and(|values| values.iter().all(|value| value.is_finite()))
        });
        if !sound {
            wrong = wrong
                .take()
                .or_else(|| Some(format!("`{name}` is not finite f32 of {shape:?}")));
        }
    });
    let model = match wrong {
        Some(wrong) => return Err(refuse(wrong)),
        None => load(model, |name, _| tensors.remove(name)),
    };
    match tensors.keys().next() {
        Some(name) => Err(refuse(format!("`{name}` is not a parameter of the model"))),
        None => Ok((model, updates)),
    }
}
