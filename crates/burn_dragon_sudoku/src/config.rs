//! The configuration of a sudoku run; `config/sudoku/base.toml` documents every key.

use crate::data::DatasetConfig;
use crate::error::SudokuError;
use burn_dragon_core::api::{Connector, Positions, Read, TrunkConfig};
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainingConfig,
};
use serde::{Deserialize, Serialize};

/// Base of rotary frequencies, which a model without rotation does not read.
const ROPE_THETA: f64 = 65536.0;

/// All that a sudoku run is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SudokuConfig {
    /// Puzzles, and how they are shown.
    pub dataset: DatasetConfig,
    /// The model's shape.
    pub model: ModelConfig,
    /// What is learnt from.
    pub loss: LossConfig,
    /// Seed, batch, length.
    pub training: TrainingConfig,
    /// How gradients move the weights.
    pub optimizer: OptimizerConfig,
    /// An average of the weights, which is evaluated and saved; absent, they themselves are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Learning rate over the steps.
    pub schedule: Schedule,
    /// When and how much is evaluated.
    pub evaluation: EvaluationConfig,
    /// When a checkpoint is written.
    pub checkpoint: CheckpointConfig,
}

impl SudokuConfig {
    /// The tables that the trainer reads.
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

    /// The configuration without the places of this machine: of files their names alone.
    pub(crate) fn without_places(&self) -> Self {
        let mut config = self.clone();
        config.dataset.name_files_only();
        config
    }

    /// Refuses what no run can be.
    ///
    /// # Errors
    /// Naming the key.
    pub fn validate(&self) -> Result<(), SudokuError> {
        self.model.trunk().validate()?;
        self.loss.supervised(self.model.n_levels)?;
        Ok(())
    }
}

/// `[model]`: the shape of a sudoku model, all that its weights cannot say by themselves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Model width (D).
    pub d_model: usize,
    /// Heads that the neurons are split into (H).
    pub n_heads: usize,
    /// Neurons in all heads together (n).
    pub n_neurons: usize,
    /// Passes through the one shared block (L) in training; more of them may be run afterwards.
    pub n_levels: usize,
    /// Share of y that is dropped in training.
    pub dropout: f64,
    /// What the norms add to the variance.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
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
    /// The trunk: every cell reads every cell, and where a cell stands is in its embedding.
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

/// `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Levels after which the digits are read and judged; the loss is the mean over them.
    pub levels: Supervised,
}

/// Levels with a loss.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected \"all\", \"last\", or a list of levels counted from 1"
)]
pub enum Supervised {
    /// Those that a word names.
    Named(NamedLevels),
    /// These, counted from 1.
    Listed(Vec<usize>),
}

/// Levels by a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The supervised levels of a model of so many, counted from 0.
    ///
    /// # Errors
    /// [`SudokuError::Config`] if there is none, or one that the model does not have, or one twice.
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
