//! Configuration of a sudoku run. `config/sudoku/base.toml` documents every key.

mod loss;
mod model;
mod trm;

pub use self::loss::{LossConfig, LossKind, NamedLevels, Supervised};
pub use self::model::{ModelConfig, ModelType, Places, Tokens};
pub use self::trm::{Reads, TrmConfig};

use crate::data::DatasetConfig;
use crate::error::SudokuError;
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
        self.model.validate()?;
        self.loss.validate()?;
        self.loss.supervised(self.model.trained())?;
        self.loss.fits(&self.model)
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
