//! Configuration of a sudoku run. `config/sudoku/base.toml` documents every key.

use crate::data::DatasetConfig;
use crate::error::SudokuError;
use burn_dragon_core::api::{Connector, Positions, Read, TrunkConfig};
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Base of the rotary frequencies. Unused, because the model has no rotation.
const ROPE_THETA: f64 = 65536.0;

/// Configuration of a sudoku run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SudokuConfig {
    /// Table `[dataset]`: puzzles, and their augmentation.
    pub dataset: DatasetConfig,
    /// Table `[model]`: sizes of the model.
    pub model: ModelConfig,
    /// Table `[loss]`: levels with a loss.
    pub loss: LossConfig,
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
        self.model.trunk().validate()?;
        self.loss.supervised(self.model.n_levels)?;
        Ok(())
    }
}

/// Table `[model]`: the sizes of a sudoku model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads (H).
    pub n_heads: usize,
    /// Number of neurons in all heads together (n); a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels (L) in training: passes through the shared block. More can be run in prediction.
    pub n_levels: usize,
    /// Dropout rate of y in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Constant that the norms add to the variance, 1.2e-38 to 1.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, N(0, `init_std`); 1.1e-19 to 1000.
    pub init_std: f64,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            d_model: 64,
            n_heads: 4,
            n_neurons: 256,
            n_levels: 4,
            dropout: 0.0,
            norm_eps: 1e-5,
            init_std: 0.02,
        }
    }
}

impl ModelConfig {
    /// Configuration of the trunk: full reads, in which every cell reads every cell, without rotation. The position of
    /// a cell is in its embedding.
    pub fn trunk(&self) -> TrunkConfig {
        TrunkConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            dropout: self.dropout,
            norm_eps: self.norm_eps,
            init_std: self.init_std,
            rope_theta: ROPE_THETA,
            decay: None,
            positions: Positions::None,
            connector: Connector::Plain,
            read: Read::Full,
        }
    }
}

/// Table `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Levels with a loss: `"all"`, `"last"`, or rising numbers from 1 to `n_levels`. The total loss is the mean over them.
    pub levels: Supervised,
}

/// Choice of the levels with a loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected \"all\", \"last\", or a list of levels counted from 1"
)]
pub enum Supervised {
    /// Levels by a name.
    Named(NamedLevels),
    /// Levels by number, counted from 1.
    Listed(Vec<usize>),
}

/// Name of a choice of levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NamedLevels {
    /// Every level.
    All,
    /// The last level.
    Last,
}

impl Default for Supervised {
    fn default() -> Self {
        Self::Named(NamedLevels::All)
    }
}

impl LossConfig {
    /// Levels with a loss, in a model of `n_levels` levels, counted from 0.
    ///
    /// # Errors
    /// [`SudokuError::Config`] if there are none, if one does not exist in the model, or if one is listed twice.
    pub fn supervised(&self, n_levels: usize) -> Result<Vec<usize>, SudokuError> {
        match &self.levels {
            Supervised::Named(NamedLevels::All) => Ok((0..n_levels).collect()),
            Supervised::Named(NamedLevels::Last) => Ok(vec![n_levels.saturating_sub(1)]),
            Supervised::Listed(levels) => {
                let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
                let within = levels.iter().all(|level| (1..=n_levels).contains(level));
                if levels.is_empty() || !rising || !within {
                    return Err(SudokuError::Config {
                        key: "loss.levels",
                        reason: format!(
                            "is {levels:?}; expected \"all\", \"last\", or rising numbers from 1 to {n_levels} \
                             (model.n_levels)"
                        ),
                    });
                }
                Ok(levels.iter().map(|level| level - 1).collect())
            }
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
    fn supervised_levels_are_named_or_listed() {
        let of = |text: &str| toml::from_str::<LossConfig>(text).unwrap().supervised(4);
        assert_eq!(of("levels = 'all'").unwrap(), [0, 1, 2, 3]);
        assert_eq!(of("levels = 'last'").unwrap(), [3]);
        assert_eq!(of("levels = [2, 4]").unwrap(), [1, 3]);
        assert_eq!(of("").unwrap().len(), 4);
        for levels in ["[]", "[0]", "[5]", "[2, 2]", "[3, 1]"] {
            let error = of(&format!("levels = {levels}")).unwrap_err().to_string();
            assert!(
                error.contains("loss.levels") && error.contains("from 1 to 4"),
                "{error}"
            );
        }
        let error = toml::from_str::<LossConfig>("levels = 'most'")
            .unwrap_err()
            .to_string();
        assert!(error.contains("\"all\""), "{error}");
    }

    #[test]
    fn a_shape_that_no_model_can_have_is_refused() {
        let mut config = SudokuConfig::default();
        config.validate().unwrap();
        config.model.n_neurons = 250;
        assert!(config.validate().unwrap_err().to_string().contains("250"));
    }
}
