//! Table `[loss]`: the loss of a level, and the levels with one.

use super::model::{ModelConfig, ModelType};
use crate::error::SudokuError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::is_default;

/// Maximum number of levels without gradients.
const MOST_FREE: usize = 1024;

/// Weight of the loss of the halting head, where none is given.
const HALTING_WEIGHT: f64 = 0.5;

/// Maximum weight of the loss of the halting head.
const MOST_WEIGHT: f64 = 1000.0;

/// Table `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Levels with a loss: `"all"`, `"last"`, or rising numbers from 1 to `n_levels`. The total loss is the mean over them.
    /// `"all"` with `model.type = "trm"`: every supervision step.
    pub levels: Supervised,
    /// Function of the logits that gives the probabilities of the digits.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = "softmax"))]
    pub kind: LossKind,
    /// Maximum number of levels that are run before those with a loss, without gradients: each batch draws a number from 0
    /// to it. A model then learns to go on from where many levels have brought it. At most 1024.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = 0))]
    pub free_levels: usize,
    /// Weight of the loss of the halting head, 0 to 1000, with `model.type = "trm"`: the cross-entropy, in nats, of whether the
    /// answer is right. If absent, 0.5.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halting_weight: Option<f64>,
}

/// Function of the logits that gives the probabilities of the digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// `exp(z) / sum exp(z)`.
    #[default]
    Softmax,
    /// `s(z) / sum s(z)` with `s(z) = z + 1` for z of at least 0, and `1 / (1 - z)` below.
    Stablemax,
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
    /// Checks the values.
    ///
    /// # Errors
    /// [`SudokuError::Config`] with the key.
    pub fn validate(&self) -> Result<(), SudokuError> {
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        if self.free_levels > MOST_FREE {
            let reason = format!("is {}; expected a number from 0 to {MOST_FREE}", self.free_levels);
            return refuse("loss.free_levels", reason);
        }
        if !(0.0..=MOST_WEIGHT).contains(&self.halting()) {
            let reason = format!("is {}; expected a number from 0 to {MOST_WEIGHT}", self.halting());
            return refuse("loss.halting_weight", reason);
        }
        Ok(())
    }

    /// Weight of the loss of the halting head.
    pub fn halting(&self) -> f64 {
        self.halting_weight.unwrap_or(HALTING_WEIGHT)
    }

    /// Checks that a model has what the loss is of.
    ///
    /// # Errors
    /// [`SudokuError::Config`] with the key.
    pub(crate) fn fits(&self, model: &ModelConfig) -> Result<(), SudokuError> {
        let is_trm = model.kind == ModelType::Trm;
        let refuse = |key, reason: String| Err(SudokuError::Config { key, reason });
        match self {
            Self { levels, .. } if is_trm && *levels != Supervised::default() => refuse(
                "loss.levels",
                "is not \"all\": with model.type = \"trm\" every supervision step has a loss".into(),
            ),
            Self { free_levels: 1.., .. } if is_trm => refuse(
                "loss.free_levels",
                format!(
                    "is {}; expected 0 with model.type = \"trm\": model.trm.cycles has the cycles without gradients",
                    self.free_levels
                ),
            ),
            Self {
                halting_weight: Some(weight),
                ..
            } if !is_trm => refuse(
                "loss.halting_weight",
                format!("is {weight}, which is for model.type = \"trm\": other models have no halting head"),
            ),
            _ => Ok(()),
        }
    }

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
    fn a_loss_is_of_what_the_model_has() {
        let of = |text: &str, kind| {
            let model = ModelConfig {
                kind,
                ..ModelConfig::default()
            };
            let loss: LossConfig = toml::from_str(text).unwrap();
            loss.validate().and_then(|()| loss.fits(&model))
        };
        for text in ["", "levels = 'all'", "kind = 'stablemax'"] {
            of(text, ModelType::Trm).unwrap();
            of(text, ModelType::Dense).unwrap();
        }
        of("halting_weight = 0.0", ModelType::Trm).unwrap();
        for (text, kind) in [
            ("levels = 'last'", ModelType::Trm),
            ("free_levels = 3", ModelType::Trm),
            ("halting_weight = -1.0", ModelType::Trm),
            ("halting_weight = nan", ModelType::Trm),
            ("halting_weight = 0.5", ModelType::Constraint),
        ] {
            let error = of(text, kind).unwrap_err().to_string();
            let key = text.split(' ').next().unwrap();
            assert!(error.starts_with(&format!("loss.{key} is ")), "{error}");
        }
    }

    #[test]
    fn more_free_levels_than_can_be_run_are_refused() {
        let of = |text: &str| toml::from_str::<LossConfig>(text).unwrap().validate();
        of("free_levels = 1024").unwrap();
        let error = of("free_levels = 1025").unwrap_err().to_string();
        assert!(error.contains("loss.free_levels is 1025"), "{error}");
        // What a file of today does not name is not written.
        assert_eq!(
            toml::to_string(&LossConfig::default()).unwrap().trim(),
            "levels = \"all\""
        );
    }
}
