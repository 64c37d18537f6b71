//! Model whose weights a new run starts from: `dragon train --init-from MODEL`.

use crate::config::{Layers, Origin, Resolved};
use crate::error::TrainError;
use crate::family::{Family, resolve};
use crate::identity::ChangedSetting;
use crate::keys::flatten;
use burn::module::Module;
use burn_dragon_checkpoint::api::{CheckpointError, ModelFile, StoredPrecision, StoredTensor};
use burn_dragon_core::api::expert::{load, named_shapes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use toml::{Table, Value};

/// Name of the option, as the origin of settings.
pub(crate) const OPTION: &str = "--init-from";

/// Table of a configuration that the configuration of a model sets.
const MODEL: &str = "model";

/// Keys of it that are not compared: a dropout acts in training alone, and a vocabulary is compared with that of the tokenizer.
const MAY_DIFFER: [&str; 2] = ["model.dropout", "model.vocab_size"];

/// Model whose weights a new run starts from.
#[derive(Clone)]
pub struct InitialModel {
    /// MODEL as it was given: a path, an address, or an id of a hub.
    pub given: String,
    /// File that it was read from.
    pub path: PathBuf,
    /// The model, checked against the description of its family.
    pub model: Arc<ModelFile>,
}

/// Origin of the first weights of a run, in `run.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitialModelInfo {
    /// MODEL as it was given.
    pub model: String,
    /// Number of optimiser steps that had been taken; 0 for imported weights.
    pub step: u64,
    /// [Hash](ModelFile::hash) of the model.
    pub sha256: String,
}

impl std::fmt::Debug for InitialModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("InitialModel");
        shown.field("given", &self.given).field("path", &self.path);
        shown.finish_non_exhaustive()
    }
}

impl InitialModel {
    /// Description of the model, for `run.json`.
    pub fn info(&self) -> InitialModelInfo {
        InitialModelInfo {
            model: self.given.clone(),
            step: self.model.info.step,
            sha256: self.model.hash(),
        }
    }

    /// Refuses a model of another family, and one whose assets do not fit it.
    pub(crate) fn check_family<F: Family>(&self) -> Result<(), TrainError> {
        if self.model.family != F::NAME {
            return Err(self.disagrees("family", F::NAME.into(), &"asked for", self.model.family.clone()));
        }
        let assets = F::kind().assets(&self.model);
        assets.map_err(|reason| CheckpointError::corrupt(&self.path, reason))?;
        Ok(())
    }

    /// The layers with the configuration of the model on top of them.
    pub(crate) fn layer<F: Family>(&self, layers: Layers) -> Result<Layers, TrainError> {
        let refuse = |reason: String| TrainError::from(CheckpointError::corrupt(&self.path, reason));
        let settings = F::settings_of(&self.model).map_err(refuse)?;
        let table = Table::try_from(&settings).map_err(|error| refuse(format!("config: {error}")))?;
        let layers = F::OF_MODEL.iter().fold(layers, |layers, key| layers.without(key));
        Ok(layers.value(OPTION, MODEL, Value::Table(table)))
    }

    /// Refuses settings that disagree with the model.
    pub(crate) fn check_settings<F: Family>(&self, asked: &Resolved<F::Config>) -> Result<(), TrainError> {
        let base = Layers::new().embedded(F::BASE.path, F::BASE.text)?;
        let own = resolve::<F>(self.layer::<F>(base)?)?;
        let of_model = |config: &F::Config| -> BTreeMap<String, String> {
            let mut settings = flatten(config);
            settings.retain(|key, _| key.starts_with("model.") && !MAY_DIFFER.contains(&key.as_str()));
            settings
        };
        let differing = ChangedSetting::between(&of_model(&own.value), &of_model(&asked.value));
        let Some(ChangedSetting { key, then, now }) = differing.into_iter().next() else {
            return Ok(());
        };
        let origin: Origin = asked.origin(&key);
        let text = |value: Option<String>| value.unwrap_or_else(|| "none".into());
        Err(self.disagrees(&key, text(now), &origin, text(then)))
    }

    /// Error: a setting disagrees with the model.
    pub fn disagrees(
        &self,
        key: &str,
        given: String,
        origin: &impl ToString,
        expected: String,
    ) -> TrainError {
        TrainError::OtherModel {
            key: key.into(),
            given,
            origin: origin.to_string(),
            model: self.given.clone(),
            expected,
        }
    }

    /// The module with the weights of the model, as f32.
    ///
    /// # Errors
    /// If the model has not the tensors of the module.
    pub fn weights<M: Module>(&self, module: M) -> Result<M, TrainError> {
        let mut wrong = None;
        for (name, shape) in named_shapes(&module) {
            match self.model.tensors.get(&name) {
                Some(StoredTensor::Float(data)) if data.shape().to_vec() == shape => {}
                _ => wrong = wrong.or(Some(format!("it has no tensor `{name}` of numbers, {shape:?}"))),
            }
        }
        if let Some(reason) = wrong {
            return Err(CheckpointError::corrupt(&self.path, reason).into());
        }
        Ok(load(module, |name, _| match self.model.tensors.get(name) {
            Some(StoredTensor::Float(data)) => Some(StoredPrecision::widen(data.clone())),
            _ => None,
        }))
    }
}
