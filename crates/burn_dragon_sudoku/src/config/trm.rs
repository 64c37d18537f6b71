//! Table `[model.trm]`: the recursion of a TRM model.

use crate::error::SudokuError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Maximum of each number of repetitions.
const MOST: usize = 1024;

/// Table `[model.trm]`: the recursion of a model with `type = "trm"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrmConfig {
    /// What a token reads in the network f: as with `model.type` of the same name.
    pub reads: Reads,
    /// Number of updates of the reasoning z in a cycle, before the update of the answer y (n), 1 to 1024.
    pub reasoning_updates: usize,
    /// Number of cycles in a supervision step (T), 1 to 1024. In training only the last one has gradients.
    pub cycles: usize,
    /// Maximum number of supervision steps of a puzzle in training, 1 to 1024. A lane takes another puzzle after them, or
    /// earlier if the halting head says that the answer is right.
    pub supervision_steps: usize,
}

impl Default for TrmConfig {
    fn default() -> Self {
        Self {
            reads: Reads::Constraint,
            reasoning_updates: 6,
            cycles: 3,
            supervision_steps: 16,
        }
    }
}

/// What a token reads in a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reads {
    /// All cells.
    Dense,
    /// The memories of its units.
    Constraint,
}

impl TrmConfig {
    /// Number of applications of f in a cycle: n updates of z and one of y.
    pub fn calls(&self) -> usize {
        self.reasoning_updates + 1
    }

    /// Checks the values.
    ///
    /// # Errors
    /// [`SudokuError::Config`] with the key.
    pub(crate) fn validate(&self) -> Result<(), SudokuError> {
        for (key, value) in [
            ("model.trm.reasoning_updates", self.reasoning_updates),
            ("model.trm.cycles", self.cycles),
            ("model.trm.supervision_steps", self.supervision_steps),
        ] {
            if !(1..=MOST).contains(&value) {
                let reason = format!("is {value}; expected a number from 1 to {MOST}");
                return Err(SudokuError::Config { key, reason });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recursion_that_runs_nothing_is_refused_by_its_key() {
        TrmConfig::default().validate().unwrap();
        for key in ["reasoning_updates", "cycles", "supervision_steps"] {
            for value in [0, MOST + 1] {
                let config: TrmConfig = toml::from_str(&format!("{key} = {value}")).unwrap();
                let error = config.validate().unwrap_err().to_string();
                assert!(error.contains(&format!("model.trm.{key} is {value}")), "{error}");
            }
        }
    }
}
