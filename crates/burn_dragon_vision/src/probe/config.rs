//! Table `[probe]`.

use crate::error::VisionError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[probe]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ProbeConfig {
    /// Number of training pictures whose features the probes know at the end of a run, at least 2.
    pub pictures: usize,
    /// Number of training pictures that nearest neighbours are looked for among in the evaluations between, at least 2.
    pub pictures_between: usize,
    /// Number of nearest neighbours that vote, at least 1.
    pub neighbours: usize,
    /// Temperature of their votes: a neighbour of cosine similarity s has the weight `exp(s / temperature)`. At least 0.001.
    pub temperature: f64,
    /// Weight decays of the linear probe, each from 0 to 1e6. The best on validation rows is taken.
    pub weight_decays: Vec<f64>,
    /// Maximum number of training rows that choose the weight decay, at least 1. It is at most a fifth of the training rows.
    pub validation_rows: usize,
    /// Maximum number of iterations of L-BFGS, at least 1.
    pub iterations: usize,
    /// Seed of the choice of validation rows.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self {
            pictures: 10_000,
            pictures_between: 2_000,
            neighbours: 20,
            temperature: 0.07,
            weight_decays: vec![0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1],
            validation_rows: 5000,
            iterations: 100,
            seed: 1337,
        }
    }
}

impl ProbeConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`VisionError::Config`] with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        let refuse = |key, reason| Err(VisionError::Config { key, reason });
        for (key, value) in [
            ("probe.neighbours", self.neighbours),
            ("probe.validation_rows", self.validation_rows),
            ("probe.iterations", self.iterations),
        ] {
            if value == 0 {
                return refuse(key, "is 0; expected at least 1".into());
            }
        }
        for (key, value) in [
            ("probe.pictures", self.pictures),
            ("probe.pictures_between", self.pictures_between),
        ] {
            if value < 2 {
                return refuse(key, format!("is {value}; expected at least 2"));
            }
        }
        if !(self.temperature >= 1e-3 && self.temperature.is_finite()) {
            let reason = format!("is {}; expected a number of at least 0.001", self.temperature);
            return refuse("probe.temperature", reason);
        }
        let is_decay = |decay: &f64| (0.0..=1e6).contains(decay);
        if self.weight_decays.is_empty() || !self.weight_decays.iter().all(is_decay) {
            let reason = format!(
                "is {:?}; expected numbers from 0 to 1e6, at least one",
                self.weight_decays
            );
            return refuse("probe.weight_decays", reason);
        }
        Ok(())
    }
}
