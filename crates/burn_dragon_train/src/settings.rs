//! Shared tables of a configuration, the same for every family.

use crate::error::TrainError;
use crate::guard::GuardConfig;
use crate::precision::TrainingPrecision;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Upper limit of samples and units in a step, so that no count of steps and units overflows.
pub const MOST_UNITS: u64 = 1 << 48;

/// Table `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Seed of all random numbers of the training: any whole number up to 2^64 - 1. TOML ends at 2^63 - 1: a larger one is
    /// stored in quotes, and read with or without.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Number of samples (windows of text, puzzles) in a batch.
    pub batch_size: usize,
    /// Number of micro-batches whose gradients are averaged into one step.
    pub accumulate: u32,
    /// Number of optimiser steps.
    pub max_steps: u64,
    /// Number of passes over the data, fractions allowed, of at most 1e9 steps in all. If given, it sets the number of
    /// steps instead of `max_steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Time limit of a session in minutes. The run then evaluates and saves as at its end. The schedule is that of the whole
    /// run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
    /// Limit on the global norm of the gradients, 1.1e-19 to 1.8e19, or `inf` for none. Larger gradients are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Names of the parameters that are not trained, or patterns in which `*` stands for any text: `embed`, `decoder_*`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub freeze: Vec<String>,
    /// Number of steps between two lines of metrics.
    pub log_every: u64,
    /// Format of event files beside `metrics.jsonl`; none without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<EventFormat>,
    /// Precision of the factors in the products of a training step. Evaluations are in f32.
    pub precision: TrainingPrecision,
    /// Guard against outliers. Without it, only a value that is not finite stops the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardConfig>,
}

/// Format of the event files beside `metrics.jsonl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventFormat {
    /// Event files of TensorBoard.
    Tensorboard,
}

/// Steps and units that a run has taken so far; zero for a new run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Number of optimiser steps taken.
    pub steps: u64,
    /// Number of units (tokens) drawn.
    pub units: u64,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            seed: 1337,
            batch_size: 8,
            accumulate: 1,
            max_steps: 1000,
            epochs: None,
            max_minutes: None,
            clip_norm: None,
            freeze: Vec::new(),
            log_every: 10,
            events: None,
            precision: TrainingPrecision::F32,
            guard: None,
        }
    }
}

impl TrainingConfig {
    /// Number of steps of a whole run, of which `done` are taken: `max_steps`, or the steps taken plus those for the
    /// units left of `epochs`. At least 1.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn total_steps(
        &self,
        units_per_epoch: u64,
        units_per_batch: u64,
        done: Done,
    ) -> Result<u64, TrainError> {
        self.validate()?;
        if self.epochs.is_none() {
            return Ok(self.max_steps);
        }
        let units = self.planned_units(units_per_epoch, units_per_batch);
        let left = units
            .saturating_sub(done.units)
            .div_ceil(self.units_per_step(units_per_batch));
        let steps = done.steps.saturating_add(left).max(1);
        if steps as f64 > MOST_STEPS {
            return Err(TrainError::Setting {
                key: "training.epochs".into(),
                given: format!("{:?}", self.epochs.unwrap_or_default()),
                expected: "passes with at most 1e9 steps in all",
            });
        }
        Ok(steps)
    }

    /// Number of units that a run with these settings draws from its start: those of its passes, or of its steps.
    pub fn planned_units(&self, units_per_epoch: u64, units_per_batch: u64) -> u64 {
        match self.epochs {
            Some(epochs) => (epochs * units_per_epoch as f64).ceil() as u64,
            None => self
                .max_steps
                .saturating_mul(self.units_per_step(units_per_batch)),
        }
    }

    /// Number of units in a step, from the number in a batch.
    pub fn units_per_step(&self, units_per_batch: u64) -> u64 {
        units_per_batch.saturating_mul(u64::from(self.accumulate)).max(1)
    }

    /// Refuses settings out of range.
    ///
    /// # Errors
    /// If a setting is out of range; with the key.
    pub fn validate(&self) -> Result<(), TrainError> {
        at_least_one("training.batch_size", self.batch_size as u64)?;
        at_least_one("training.accumulate", u64::from(self.accumulate))?;
        at_least_one("training.max_steps", self.max_steps)?;
        at_least_one("training.log_every", self.log_every)?;
        self.check_step()?;
        for (key, value, none) in [
            ("epochs", self.epochs, f64::NAN),
            ("max_minutes", self.max_minutes, f64::INFINITY),
            ("clip_norm", self.clip_norm, f64::INFINITY),
        ] {
            let value = value.filter(|value| *value != none); // as if it were left out
            let range = if key == "clip_norm" { CLIP } else { Range::POSITIVE };
            value.map_or(Ok(()), |value| check(format!("training.{key}"), value, range))?;
        }
        self.guard.as_ref().map_or(Ok(()), GuardConfig::validate)
    }
}

impl TrainingConfig {
    /// Refuses a step of too many samples.
    fn check_step(&self) -> Result<(), TrainError> {
        let (size, count) = (self.batch_size as u64, u64::from(self.accumulate));
        if size
            .checked_mul(count)
            .is_some_and(|samples| samples <= MOST_UNITS)
        {
            return Ok(());
        }
        // The larger of the two is reported.
        let named = [("batch_size", size), ("accumulate", count)];
        let (key, given) = named
            .into_iter()
            .max_by_key(|(_, given)| *given)
            .unwrap_or_default();
        Err(TrainError::Setting {
            key: format!("training.{key}"),
            given: given.to_string(),
            expected: "fewer than 2^48 samples a step (batch_size * accumulate)",
        })
    }
}

/// Table `[evaluation]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Number of steps between two evaluations; with 0 only the first and the last. The checkpoint with the best figure is
    /// kept as `best`.
    pub every: u64,
    /// Number of batches in each evaluation but the last, which uses all held-out data: a fixed sample, spread evenly.
    pub batches: usize,
    /// Number of steps between two samples for the user; 0 for none.
    pub sample_every: u64,
}

impl EvaluationConfig {
    /// Refuses a count of zero that makes no sense.
    ///
    /// # Errors
    /// If a count is zero; with the key.
    pub fn validate(&self) -> Result<(), TrainError> {
        at_least_one("evaluation.batches", self.batches as u64)
    }
}

impl Default for EvaluationConfig {
    fn default() -> Self {
        Self {
            every: 100,
            batches: 8,
            sample_every: 250,
        }
    }
}

/// Table `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Number of steps between two checkpoints; with 0 only the best and the last.
    pub every: u64,
    /// Number of newest checkpoints that are kept beside the best one, at least 1.
    pub keep: usize,
}

impl CheckpointConfig {
    /// Refuses a count of zero that makes no sense.
    ///
    /// # Errors
    /// If a count is zero; with the key.
    pub fn validate(&self) -> Result<(), TrainError> {
        at_least_one("checkpoint.keep", self.keep as u64)
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 200, keep: 2 }
    }
}

/// Limit on the steps of a run: AdamW counts its steps in 31 bits.
const MOST_STEPS: f64 = 1e9;

/// Range of norms for clipping.
const CLIP: Range = Range {
    words: "a number from 1.1e-19 to 1.8e19, whose square f32 can hold, or inf for no limit",
    ..Range::SQUARED
};

/// Refuses a number out of range for a key.
///
/// # Errors
/// If the number is out of range; with the key, the value and the range.
pub fn check(key: String, value: f64, range: Range) -> Result<(), TrainError> {
    range.check(value).map_err(|expected| TrainError::Setting {
        key,
        given: format!("{value:?}"), // 1e-50 rather than fifty zeros
        expected,
    })
}

/// Refuses a count of zero that makes no sense.
///
/// # Errors
/// If the count is zero; with the key.
pub fn at_least_one(key: &str, value: u64) -> Result<(), TrainError> {
    if value == 0 {
        return Err(TrainError::Setting {
            key: key.into(),
            given: "0".into(),
            expected: "at least 1",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_one_pass_over_the_tokens() {
        let config = TrainingConfig {
            epochs: Some(2.0),
            accumulate: 2,
            ..TrainingConfig::default()
        };
        assert_eq!(config.total_steps(10_000, 500, Done::default()).unwrap(), 20);
        assert_eq!(
            config.total_steps(10_001, 500, Done::default()).unwrap(),
            21,
            "its end is read too"
        );
        assert_eq!(config.planned_units(10_000, 500), 20_000);
        let config = TrainingConfig {
            epochs: None,
            max_steps: 7,
            ..config
        };
        assert_eq!(config.total_steps(10_000, 500, Done::default()).unwrap(), 7);
        assert_eq!(config.planned_units(10_000, 500), 7000);
    }

    #[test]
    fn steps_left_follow_from_the_units_left() {
        let config = |epochs, accumulate| TrainingConfig {
            epochs: Some(epochs),
            accumulate,
            ..TrainingConfig::default()
        };
        let done = |steps, units| Done { steps, units };
        // 63 of 100 windows of 10 tokens, read one a step; 37 are left.
        let after = done(63, 630);
        assert_eq!(config(1.0, 1).total_steps(1000, 10, after).unwrap(), 100);
        assert_eq!(config(1.0, 1).total_steps(1000, 20, after).unwrap(), 63 + 19);
        assert_eq!(config(1.0, 3).total_steps(1000, 10, after).unwrap(), 63 + 13);
        assert_eq!(config(0.63, 1).total_steps(1000, 10, after).unwrap(), 63);
        assert_eq!(config(0.5, 1).total_steps(1000, 10, after).unwrap(), 63);
        assert_eq!(
            config(0.001, 1).total_steps(1000, 10, Done::default()).unwrap(),
            1
        );
    }

    #[test]
    fn a_run_that_goes_on_as_it_was_has_as_many_steps_as_it_had() {
        for units_per_batch in [1, 7, 24, 1000] {
            for epochs in [0.3, 1.0, 1.7, 3.0] {
                let config = TrainingConfig {
                    epochs: Some(epochs),
                    accumulate: 3,
                    ..TrainingConfig::default()
                };
                let whole = config.total_steps(997, units_per_batch, Done::default()).unwrap();
                for steps in 0..=whole {
                    let units = steps * 3 * units_per_batch;
                    let total = config.total_steps(997, units_per_batch, Done { steps, units });
                    assert_eq!(total.unwrap(), whole, "{steps} x {units_per_batch}, {epochs}");
                }
            }
        }
    }

    #[test]
    fn a_step_of_more_samples_than_can_be_counted_is_refused_by_its_larger_key() {
        let refused = |config: TrainingConfig| config.validate().unwrap_err().to_string();
        let sizes = |batch_size, accumulate| TrainingConfig {
            batch_size,
            accumulate,
            ..TrainingConfig::default()
        };
        for (key, config) in [
            ("training.batch_size = 4611686018427387904", sizes(1 << 62, 1)),
            ("training.accumulate = 4294967295", sizes(1 << 20, u32::MAX)),
        ] {
            let error = refused(config);
            assert!(error.contains(key) && error.contains("2^48"), "{error}");
        }
        sizes(1 << 40, 256).validate().unwrap();
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let config = TrainingConfig {
            batch_size: 0,
            ..TrainingConfig::default()
        };
        assert!(
            config
                .total_steps(1, 1, Done::default())
                .unwrap_err()
                .to_string()
                .contains("training.batch_size")
        );
        let config = TrainingConfig {
            clip_norm: Some(-1.0),
            ..TrainingConfig::default()
        };
        assert!(
            config
                .total_steps(1, 1, Done::default())
                .unwrap_err()
                .to_string()
                .contains("training.clip_norm")
        );
    }
}
