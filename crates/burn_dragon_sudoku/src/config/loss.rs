//! Table `[loss]`: the loss of a level, and the levels with one.

use crate::error::SudokuError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::is_default;

/// Maximum number of levels without gradients.
const MOST_FREE: usize = 1024;

/// Table `[loss]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LossConfig {
    /// Levels with a loss: `"all"`, `"last"`, or rising numbers from 1 to `n_levels`. The total loss is the mean over them.
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
        if self.free_levels <= MOST_FREE {
            return Ok(());
        }
        Err(SudokuError::Config {
            key: "loss.free_levels",
            reason: format!("is {}; expected a number from 0 to {MOST_FREE}", self.free_levels),
        })
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
