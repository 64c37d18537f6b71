//! Configuration of a vision run. `config/vision/base.toml` documents every key.

mod clips;
mod objective;

pub use clips::{VideoLejepaConfig, Vjepa21Config};
pub use objective::{
    DistillConfig, LejepaConfig, LevelsWithLoss, MaeConfig, MaeHiding, ObjectiveConfig, SupervisedConfig,
};

use crate::data::{AugmentConfig, DatasetConfig};
use crate::encoder::ModelConfig;
use crate::error::VisionError;
use crate::probe::ProbeConfig;
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of a vision run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct VisionConfig {
    /// Table `[dataset]`: pictures, and their classes.
    pub dataset: DatasetConfig,
    /// Table `[augment]`: random changes of the pictures in training. Clips stay as they are.
    pub augment: AugmentConfig,
    /// Table `[model]`: the backbone and the sizes of the encoder.
    pub model: ModelConfig,
    /// Table `[objective]`: what the encoder learns from.
    pub objective: ObjectiveConfig,
    /// Table `[probe]`: what is measured on frozen features.
    pub probe: ProbeConfig,
    /// Table `[training]`: seed, batch, steps.
    pub training: TrainingConfig,
    /// Table `[optimizer]`: updates of the weights.
    pub optimizer: OptimizerConfig,
    /// Table `[ema]`: average of the weights, which is evaluated and saved. If absent, the weights themselves are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Table `[schedule]`: learning rate over the steps.
    pub schedule: Schedule,
    /// Table `[evaluation]`: frequency and amount of evaluation.
    pub evaluation: EvaluationConfig,
    /// Table `[checkpoint]`: frequency of checkpoints.
    pub checkpoint: CheckpointConfig,
}

impl VisionConfig {
    /// Tables that the trainer reads.
    pub fn plan(&self) -> Plan {
        Plan {
            training: self.training.clone(),
            optimizer: self.optimizer.clone(),
            ema: self.ema,
            schedule: self.schedule,
            evaluation: self.evaluation.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// The configuration without the folders of this machine: paths are reduced to file names.
    pub(crate) fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.dataset.name_files_only();
        config.objective.name_files_only();
        config
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] or [`VisionError::Model`], with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        self.dataset.validate()?;
        self.model.validate()?;
        self.augment.validate()?;
        self.objective.validate(self)?;
        self.probe.validate()
    }
}
