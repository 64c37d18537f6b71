//! The parts of a configuration that every family shares.

use crate::error::TrainError;
use crate::guard::GuardConfig;
use crate::streams::StreamConfig;
use burn_dragon_core::{Credit, Precision};
use serde::{Deserialize, Serialize};

/// `[training]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainingConfig {
    /// Every random number derives from it.
    pub seed: u64,
    /// Sequences (or images) in a batch.
    pub batch_size: usize,
    /// Tokens in a training window.
    pub block_size: usize,
    /// Batches whose gradients are averaged into one step.
    pub accumulate: u32,
    /// Optimiser steps.
    pub max_steps: u64,
    /// Passes over the data; where given, they set the number of steps instead of `max_steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<f64>,
    /// Stop after this many minutes, evaluate and save as at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_minutes: Option<f64>,
    /// Largest global norm of the gradients; larger ones are scaled down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Steps between two lines of metrics.
    pub log_every: u64,
    /// How factors enter the products of a training step; evaluations are in f32.
    #[serde(with = "PrecisionName")]
    pub precision: Precision,
    /// How gradients go back through memory.
    #[serde(with = "CreditName")]
    pub credit: Credit,
    /// Memory that goes on from step to step; absent, each window begins with none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub streams: Option<StreamConfig>,
    /// What becomes of outliers; absent, only a value that is not finite stops the run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardConfig>,
}

/// [`Precision`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Precision", rename_all = "lowercase")]
enum PrecisionName {
    F32,
    Bf16,
}

/// [`Credit`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Credit", rename_all = "lowercase")]
enum CreditName {
    Full,
    Queries,
}

impl Default for TrainingConfig {
    fn default() -> Self {
        Self {
            seed: 1337,
            batch_size: 8,
            block_size: 256,
            accumulate: 1,
            max_steps: 1000,
            epochs: None,
            max_minutes: None,
            clip_norm: None,
            log_every: 10,
            precision: Precision::F32,
            credit: Credit::Full,
            streams: None,
            guard: None,
        }
    }
}

impl TrainingConfig {
    /// The steps of a run: `epochs` passes over data of `units_per_epoch`, or `max_steps`.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn total_steps(&self, units_per_epoch: u64, units_per_batch: u64) -> Result<u64, TrainError> {
        self.validate()?;
        let Some(epochs) = self.epochs else {
            return Ok(self.max_steps);
        };
        let units_per_step = units_per_batch * u64::from(self.accumulate);
        let steps = epochs * units_per_epoch as f64 / units_per_step as f64;
        Ok((steps.ceil() as u64).max(1))
    }

    /// Refuses a precision that only the processor has.
    ///
    /// # Errors
    /// Naming the key.
    pub(crate) fn check_precision(&self, on_processor: bool) -> Result<(), TrainError> {
        if self.precision == Precision::Bf16 && !on_processor {
            return Err(TrainError::Setting {
                key: "training.precision".into(),
                given: "bf16".into(),
                expected: "f32 on a GPU (bf16 is for the processor: `--backend cpu`)",
            });
        }
        Ok(())
    }

    /// Refuses what no run can be.
    ///
    /// # Errors
    /// Naming the key.
    pub fn validate(&self) -> Result<(), TrainError> {
        at_least_one("training.batch_size", self.batch_size as u64)?;
        at_least_one("training.block_size", self.block_size as u64)?;
        at_least_one("training.accumulate", u64::from(self.accumulate))?;
        at_least_one("training.max_steps", self.max_steps)?;
        at_least_one("training.log_every", self.log_every)?;
        for (key, value) in [
            ("epochs", self.epochs),
            ("max_minutes", self.max_minutes),
            ("clip_norm", self.clip_norm),
        ] {
            match value {
                Some(value) if value.is_nan() || value <= 0.0 || (key == "epochs" && value.is_infinite()) => {
                    let (key, given) = (format!("training.{key}"), value.to_string());
                    return Err(TrainError::Setting {
                        key,
                        given,
                        expected: "a number above 0",
                    });
                }
                _ => {}
            }
        }
        if let Some(streams) = &self.streams {
            streams.validate(self.batch_size * self.block_size)?;
        }
        self.guard.as_ref().map_or(Ok(()), GuardConfig::validate)
    }
}

/// `[evaluation]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvaluationConfig {
    /// Steps between two evaluations; 0 for none but the first and the last.
    pub every: u64,
    /// Batches of each evaluation but the last, which takes all.
    pub batches: usize,
    /// Steps between two samples for a person; 0 for none.
    pub sample_every: u64,
}

impl EvaluationConfig {
    /// Refuses a count of zero that has no meaning.
    ///
    /// # Errors
    /// Naming the key.
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

/// `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Steps between two checkpoints; 0 for none but the best and the last.
    pub every: u64,
    /// Checkpoints kept beside the best one.
    pub keep: usize,
}

impl CheckpointConfig {
    /// Refuses a count of zero that has no meaning.
    ///
    /// # Errors
    /// Naming the key.
    pub fn validate(&self) -> Result<(), TrainError> {
        at_least_one("checkpoint.keep", self.keep as u64)
    }
}

impl Default for CheckpointConfig {
    fn default() -> Self {
        Self { every: 200, keep: 2 }
    }
}

pub(crate) fn at_least_one(key: &str, value: u64) -> Result<(), TrainError> {
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
        assert_eq!(config.total_steps(10_000, 500).unwrap(), 20);
        assert_eq!(
            config.total_steps(10_001, 500).unwrap(),
            21,
            "its end is read too"
        );
        let config = TrainingConfig {
            epochs: None,
            max_steps: 7,
            ..config
        };
        assert_eq!(config.total_steps(10_000, 500).unwrap(), 7);
    }

    #[test]
    fn bf16_is_refused_where_there_is_none() {
        let config = |precision| TrainingConfig {
            precision,
            ..TrainingConfig::default()
        };
        assert!(config(Precision::F32).check_precision(false).is_ok());
        assert!(config(Precision::Bf16).check_precision(true).is_ok());
        let error = config(Precision::Bf16)
            .check_precision(false)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("training.precision = bf16") && error.contains("--backend cpu"),
            "{error}"
        );
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let config = TrainingConfig {
            batch_size: 0,
            ..TrainingConfig::default()
        };
        assert!(
            config
                .total_steps(1, 1)
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
                .total_steps(1, 1)
                .unwrap_err()
                .to_string()
                .contains("training.clip_norm")
        );
    }
}
