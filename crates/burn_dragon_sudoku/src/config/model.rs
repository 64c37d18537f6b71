//! Table `[model]`: the type and the sizes of a model.

use super::trm::{Reads, TrmConfig};
use crate::data::is_default;
use crate::error::SudokuError;
use crate::units::CELLS;
use burn_dragon_core::api::{Connector, InitConfig, NormConfig, Positions, Read, TrunkConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Base of the rotary frequencies. Unused, because the model has no rotation.
const ROPE_THETA: f64 = 65536.0;

/// Maximum number of levels in evaluation.
const MOST_LEVELS: usize = 1024;

/// Table `[model]`: the type and the sizes of a sudoku model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Type of model: which tokens read each other.
    #[serde(rename = "type", skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "dense"))]
    pub kind: ModelType,
    /// Tokens of a puzzle. Candidates are for `type = "constraint"`.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "cells"))]
    pub tokens: Tokens,
    /// Places of the tokens in the model's input.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "embedded"))]
    pub places: Places,
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads (H). With `type = "constraint"`, each kind of unit has as many: a multiple of 3, or of 4 with
    /// candidates as tokens.
    pub n_heads: usize,
    /// Number of neurons in all heads together (n); a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels (L) in training: passes through the shared block. More can be run in prediction. With
    /// `type = "trm"`, number of levels in the network f.
    pub n_levels: usize,
    /// Number of levels in evaluation and prediction, 1 to 1024. If absent, `n_levels`. With `type = "trm"`, number of
    /// supervision steps there; if absent, `trm.supervision_steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluation_levels: Option<usize>,
    /// Table `[model.glimpse]`, with `type = "saccade"`: what is run and committed at a time. If absent, 4 levels and 4 cells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glimpse: Option<GlimpseConfig>,
    /// Factor of the memories of units from level to level, 0 to 1, with `type = "constraint"`. With 0, the memories are
    /// written anew at each level.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = 0.0))]
    pub decay: f64,
    /// Dropout rate of y in training: 0, or 1.6e-5 to 0.99998.
    pub dropout: f64,
    /// Constant that the norms add to the variance, 1.2e-38 to 1.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, N(0, `init_std`); 1.1e-19 to 1000.
    pub init_std: f64,
    /// Table `[model.trm]`: the recursion, with `type = "trm"`. If absent, its defaults.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trm: Option<TrmConfig>,
}

impl Default for ModelConfig {
    fn default() -> Self {
        Self {
            kind: ModelType::Dense,
            tokens: Tokens::Cells,
            places: Places::Embedded,
            d_model: 64,
            n_heads: 4,
            n_neurons: 256,
            n_levels: 4,
            evaluation_levels: None,
            glimpse: None,
            decay: 0.0,
            dropout: 0.0,
            norm_eps: 1e-5,
            init_std: 0.02,
            trm: None,
        }
    }
}

/// Type of model: which tokens read each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModelType {
    /// Every cell reads every cell.
    #[default]
    Dense,
    /// A token reads the memories of its units, each with the heads of its kind. The puzzle is added to the state before
    /// each level.
    Constraint,
    /// An answer and a reasoning, both a state of the tokens, go through one network of levels again and again. A
    /// supervision step has some cycles of it, and ends with an answer.
    Trm,
    /// A constraint model of candidates with a policy. After a few levels the policy picks some of the empty cells, and the
    /// likeliest digits of these are givens from then on.
    Saccade,
}

/// Table `[model.glimpse]`: what is run and committed at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GlimpseConfig {
    /// Number of levels that are run before cells are picked, 1 to 1024.
    pub levels: usize,
    /// Number of cells that are picked, 1 to 81.
    pub cells: usize,
}

impl Default for GlimpseConfig {
    fn default() -> Self {
        Self { levels: 4, cells: 4 }
    }
}

/// Tokens of a puzzle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokens {
    /// The 81 cells. Their units are rows, columns and boxes.
    #[default]
    Cells,
    /// The 729 candidates, a digit in a cell each. Their units are cells, and for each digit rows, columns and boxes. The
    /// weights are the same for all digits.
    Candidates,
}

/// Places of the tokens in the model's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Places {
    /// Row, column and box of a token are embedded with it.
    #[default]
    Embedded,
    /// None, with `type = "constraint"`: a token is known by what it reads alone. A permutation of digits, bands, rows, stacks
    /// or columns of the puzzle is then one of the answer; a transpose is not, since rows and columns have their own heads.
    None,
}

impl Tokens {
    /// Number of tokens of a puzzle.
    pub fn count(self) -> usize {
        match self {
            Self::Cells => CELLS,
            Self::Candidates => CELLS * 9,
        }
    }

    /// Number of kinds of units.
    pub fn kinds(self) -> usize {
        match self {
            Self::Cells => 3,
            Self::Candidates => 4,
        }
    }
}

impl ModelConfig {
    /// Number of levels in training, or of supervision steps of a TRM model: an answer follows each.
    pub fn trained(&self) -> usize {
        self.recursion()
            .map_or(self.n_levels, |trm| trm.supervision_steps)
    }

    /// Number of levels in evaluation and prediction, or of supervision steps of a TRM model.
    pub fn evaluated(&self) -> usize {
        self.evaluation_levels.unwrap_or(self.trained())
    }

    /// Recursion of a TRM model; `None` of others.
    pub fn recursion(&self) -> Option<TrmConfig> {
        (self.kind == ModelType::Trm).then(|| self.trm.clone().unwrap_or_default())
    }

    /// What a token reads in a level.
    pub(crate) fn reading(&self) -> Reads {
        match self.kind {
            ModelType::Dense => Reads::Dense,
            ModelType::Constraint | ModelType::Saccade => Reads::Constraint,
            ModelType::Trm => self.recursion().unwrap_or_default().reads,
        }
    }

    /// What an answer follows, in the plural.
    pub(crate) fn steps_in_words(&self) -> &'static str {
        match self.kind {
            ModelType::Dense | ModelType::Constraint | ModelType::Saccade => "levels",
            ModelType::Trm => "supervision steps",
        }
    }

    /// Levels and cells of a glimpse.
    pub fn glimpse(&self) -> GlimpseConfig {
        self.glimpse.unwrap_or_default()
    }

    /// Sizes in words.
    pub fn in_words(&self) -> String {
        let levels = match self.recursion() {
            None => format!("{} levels", self.n_levels),
            Some(trm) => {
                let (steps, cycles, updates) = (trm.supervision_steps, trm.cycles, trm.calls());
                format!(
                    "{steps} supervision steps of {cycles} x {updates} x {} levels",
                    self.n_levels
                )
            }
        };
        let sizes = format!(
            "{levels}, width {}, {} heads, {} neurons",
            self.d_model, self.n_heads, self.n_neurons
        );
        if self.kind == ModelType::Saccade {
            let GlimpseConfig { levels, cells } = self.glimpse();
            return format!("saccades of {cells} cells every {levels} levels, {sizes}");
        }
        match (self.reading(), self.tokens) {
            (Reads::Dense, _) => sizes,
            (Reads::Constraint, Tokens::Cells) => format!("memories of units of cells, {sizes}"),
            (Reads::Constraint, Tokens::Candidates) => {
                format!("memories of units of candidates, {sizes}")
            }
        }
    }

    /// What a token reads, in words.
    pub(crate) fn reads(&self) -> &'static str {
        if self.kind == ModelType::Saccade {
            return "every candidate, a digit in a cell, reads the memories of its units; a policy picks the cells that are filled next";
        }
        match (self.reading(), self.tokens) {
            (Reads::Dense, _) => "every cell reads every cell",
            (Reads::Constraint, Tokens::Cells) => "every cell reads the memories of its row, column and box",
            (Reads::Constraint, Tokens::Candidates) => {
                "every candidate, a digit in a cell, reads the memories of its cell and of the row, column and box of its digit"
            }
        }
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// [`SudokuError::Config`] or [`SudokuError::Model`], with the key.
    pub fn validate(&self) -> Result<(), SudokuError> {
        self.trunk().validate()?;
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        if !(1..=MOST_LEVELS).contains(&self.evaluated()) {
            let reason = format!(
                "is {}; expected a number from 1 to {MOST_LEVELS}",
                self.evaluated()
            );
            return refuse("model.evaluation_levels", reason);
        }
        if !(0.0..=1.0).contains(&self.decay) {
            let reason = format!("is {}; expected a number from 0 to 1", self.decay);
            return refuse("model.decay", reason);
        }
        self.validate_recursion()?;
        if self.glimpse.is_some() && self.kind != ModelType::Saccade {
            let reason = "is given, which is for model.type = \"saccade\"; leave it out".to_string();
            return refuse("model.glimpse", reason);
        }
        if self.kind == ModelType::Saccade {
            self.validate_saccade()?;
        }
        match self.reading() {
            Reads::Dense => self.validate_dense(),
            Reads::Constraint if !self.n_heads.is_multiple_of(self.tokens.kinds()) => {
                let kinds = self.tokens.kinds();
                let reason = format!(
                    "is {}; expected a multiple of {kinds}: so many heads for each of the {kinds} kinds of units",
                    self.n_heads
                );
                refuse("model.n_heads", reason)
            }
            Reads::Constraint => Ok(()),
        }
    }

    /// A recursion is that of a TRM model, whose memories of units do not outlast a level.
    fn validate_recursion(&self) -> Result<(), SudokuError> {
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        match (self.recursion(), &self.trm) {
            (Some(_), _) if self.decay != 0.0 => {
                let reason = format!(
                    "is {}; expected 0 with model.type = \"trm\": its states are carried, its memories of units are not",
                    self.decay
                );
                refuse("model.decay", reason)
            }
            (Some(trm), _) => trm.validate(),
            (None, Some(_)) => refuse(
                "model.trm",
                "is for model.type = \"trm\"; leave the table out, or set the type".into(),
            ),
            (None, None) => Ok(()),
        }
    }

    /// A saccade model has candidates as tokens, and memories that are written anew: a committed cell changes what it wrote.
    fn validate_saccade(&self) -> Result<(), SudokuError> {
        let GlimpseConfig { levels, cells } = self.glimpse();
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        if self.tokens != Tokens::Candidates {
            let reason = "is \"cells\"; expected \"candidates\" with model.type = \"saccade\"".to_string();
            return refuse("model.tokens", reason);
        }
        if self.decay != 0.0 {
            let reason = format!("is {}; expected 0 with model.type = \"saccade\"", self.decay);
            return refuse("model.decay", reason);
        }
        if !(1..=MOST_LEVELS).contains(&levels) {
            let reason = format!("is {levels}; expected a number from 1 to {MOST_LEVELS}");
            return refuse("model.glimpse.levels", reason);
        }
        if !(1..=CELLS).contains(&cells) {
            let reason = format!("is {cells}; expected a number from 1 to {CELLS}");
            return refuse("model.glimpse.cells", reason);
        }
        Ok(())
    }

    /// A dense model has cells as tokens, with their places, and no memories of units.
    fn validate_dense(&self) -> Result<(), SudokuError> {
        let only = |key, value: &str| {
            let reason = format!("is {value}, which is for model.type = \"constraint\"; the reads are dense");
            Err(SudokuError::Config { key, reason })
        };
        match self {
            Self {
                tokens: Tokens::Candidates,
                ..
            } => only("model.tokens", "\"candidates\""),
            Self {
                places: Places::None, ..
            } => only("model.places", "\"none\""),
            Self { decay, .. } if *decay != 0.0 => only("model.decay", &decay.to_string()),
            _ => Ok(()),
        }
    }

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
            fanout: None,
            summary_memory: None,
            neuron_recurrence: None,
            connector: Connector::Plain {},
            norm: NormConfig::default(),
            init: InitConfig::default(),
            quant: None,
            rho: None,
            read: Read::Full,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_of_before_is_read_and_written_as_it_was() {
        let before = r#"{"d_model":64,"n_heads":4,"n_neurons":256,"n_levels":4,"dropout":0.0,"norm_eps":0.00001,"init_std":0.02}"#;
        let config: ModelConfig = serde_json::from_str(before).unwrap();
        assert_eq!(config, ModelConfig::default());
        assert_eq!(serde_json::to_string(&config).unwrap(), before);
    }

    #[test]
    fn a_model_that_cannot_be_is_refused_by_its_key() {
        let constraint = ModelConfig {
            kind: ModelType::Constraint,
            n_heads: 6,
            n_neurons: 96,
            ..ModelConfig::default()
        };
        constraint.validate().unwrap();
        let saccade = ModelConfig {
            kind: ModelType::Saccade,
            tokens: Tokens::Candidates,
            n_heads: 12,
            ..constraint.clone()
        };
        saccade.validate().unwrap();
        let refused = |config: ModelConfig| config.validate().unwrap_err().to_string();
        let candidates = ModelConfig {
            tokens: Tokens::Candidates,
            ..constraint.clone()
        };
        let error = refused(candidates);
        assert!(
            error.contains("model.n_heads is 6") && error.contains("multiple of 4"),
            "{error}"
        );
        for (key, config) in [
            (
                "model.tokens",
                ModelConfig {
                    tokens: Tokens::Candidates,
                    ..ModelConfig::default()
                },
            ),
            (
                "model.places",
                ModelConfig {
                    places: Places::None,
                    ..ModelConfig::default()
                },
            ),
            (
                "model.decay",
                ModelConfig {
                    decay: 0.5,
                    ..ModelConfig::default()
                },
            ),
            (
                "model.decay",
                ModelConfig {
                    decay: 1.5,
                    ..constraint.clone()
                },
            ),
            (
                "model.decay",
                ModelConfig {
                    decay: f64::NAN,
                    ..constraint.clone()
                },
            ),
            (
                "model.glimpse",
                ModelConfig {
                    glimpse: Some(GlimpseConfig::default()),
                    ..constraint.clone()
                },
            ),
            (
                "model.tokens",
                ModelConfig {
                    tokens: Tokens::Cells,
                    ..saccade.clone()
                },
            ),
            (
                "model.decay",
                ModelConfig {
                    decay: 0.5,
                    ..saccade.clone()
                },
            ),
            (
                "model.glimpse.levels",
                ModelConfig {
                    glimpse: Some(GlimpseConfig { levels: 0, cells: 4 }),
                    ..saccade.clone()
                },
            ),
            (
                "model.glimpse.cells",
                ModelConfig {
                    glimpse: Some(GlimpseConfig { levels: 4, cells: 82 }),
                    ..saccade.clone()
                },
            ),
            (
                "model.evaluation_levels",
                ModelConfig {
                    evaluation_levels: Some(0),
                    ..constraint.clone()
                },
            ),
        ] {
            let error = refused(config);
            assert!(error.contains(key), "{error}");
        }
    }
}
