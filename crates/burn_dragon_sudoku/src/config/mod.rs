//! Configuration of a sudoku run. `config/sudoku/base.toml` documents every key.

mod loss;
mod model;
mod rewards;
mod trm;

pub use self::loss::{LossConfig, LossKind, NamedLevels, Supervised};
pub use self::model::{GlimpseConfig, ModelConfig, ModelType, Places, Tokens};
pub(crate) use self::rewards::{REWARDS, default_rewards};
pub use self::trm::{Reads, TrmConfig};

use crate::data::DatasetConfig;
use crate::error::SudokuError;
use burn_dragon_train::api::policy::PolicyConfig;
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Configuration of a sudoku run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SudokuConfig {
    /// Table `[dataset]`: puzzles, and their augmentation.
    pub dataset: DatasetConfig,
    /// Table `[model]`: type and sizes of the model.
    pub model: ModelConfig,
    /// Table `[loss]`: the loss, and the levels with one.
    pub loss: LossConfig,
    /// Table `[policy]`, with `type = "saccade"`: how the policy learns from the rewards `valid`, `solved` and `few_steps`. If absent,
    /// its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyConfig>,
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

impl SudokuConfig {
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

    /// How the policy learns, with the rewards that count; `None` if the model has no policy.
    pub fn policy(&self) -> Option<PolicyConfig> {
        (self.model.kind == ModelType::Saccade).then(|| {
            let mut policy = self.policy.clone().unwrap_or_default();
            if policy.rewards.is_empty() {
                policy.rewards = default_rewards();
            }
            policy
        })
    }

    /// Number of walks of a step over all puzzles of a batch; 0 if the model has no policy.
    pub(crate) fn rollouts(&self, puzzles: usize) -> usize {
        self.policy().map_or(0, |policy| {
            policy
                .rollouts
                .saturating_mul(policy.inputs.unwrap_or(puzzles).min(puzzles))
        })
    }

    /// Approximate peak memory in bytes of a training step of `puzzles` puzzles. What the policy saw is kept for all walks.
    pub(crate) fn training_bytes(&self, puzzles: usize) -> u64 {
        let glimpses = self.model.evaluated().div_ceil(self.model.glimpse().levels) as u64;
        let seen = (self.rollouts(puzzles) as u64).saturating_mul(glimpses * 3 * self.model.glimpse_bytes());
        self.model.training_bytes(puzzles).saturating_add(seen)
    }

    /// The configuration without the folders of this machine: paths are reduced to file names.
    pub(crate) fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.dataset.name_files_only();
        config
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`SudokuError::Config`] or [`SudokuError::Model`], with the key.
    pub fn validate(&self) -> Result<(), SudokuError> {
        self.model.validate()?;
        self.loss.validate()?;
        self.loss.supervised(self.model.trained())?;
        self.loss.fits(&self.model)?;
        match (self.policy(), &self.policy) {
            (None, Some(_)) => Err(SudokuError::Config {
                key: "policy",
                reason: "is given, which is for model.type = \"saccade\"; leave it out".into(),
            }),
            (Some(policy), _) => Ok(policy.validate(&REWARDS).map_err(Box::new)?),
            (None, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::{BASE, Sudoku};
    use burn_dragon_train::api::{Layers, resolve};

    #[test]
    fn the_base_file_says_every_key_there_is() {
        let layers = Layers::new().embedded(BASE.path, BASE.text).unwrap();
        let resolved = resolve::<Sudoku>(layers).unwrap();
        let explained = resolved.explain();
        let unsaid: Vec<_> = explained
            .lines()
            .filter(|line| line.ends_with("# default"))
            .collect();
        assert!(unsaid.is_empty(), "{unsaid:#?}");
        resolved.value.validate().unwrap();
    }

    #[test]
    fn the_runs_of_the_folder_are_of_their_types() {
        for (name, kind) in [
            ("long", ModelType::Constraint),
            ("dense", ModelType::Dense),
            ("trm", ModelType::Trm),
        ] {
            let path = format!("../../config/sudoku/{name}.toml");
            let config = resolve::<Sudoku>(Layers::new().file(path).unwrap())
                .unwrap()
                .value;
            config.validate().unwrap();
            assert_eq!(config.model.kind, kind, "{name}");
        }
    }

    #[test]
    fn a_shape_that_no_model_can_have_is_refused() {
        let mut config = SudokuConfig::default();
        config.validate().unwrap();
        config.model.n_neurons = 250;
        assert!(config.validate().unwrap_err().to_string().contains("250"));
    }
}
