//! `[training.guard]`: steps whose loss or gradient is not like that of the steps before them.
//!
//! ```text
//! outlier:  value > mean + z * deviation      mean and deviation of the last `window` values, once the window is full
//! ```
//!
//! A value is compared before it enters the window. The rules for the window:
//!
//! - A value that is not finite never enters: it would make the mean undefined.
//! - The first outlier after a step that was taken does not enter. A single spike would raise the deviation, and the
//!   guard would accept too much for a whole window.
//! - An outlier after a skipped step enters: two in a row may be a lasting change of data or model. If `k` of the
//!   window's `n` values lie on a new level, it is at most `sqrt(n / k - 1)` deviations above the mean, however high it
//!   is. So it is accepted after `1 + n / (z^2 + 1)` skipped steps, rounded up: five with the defaults. `patience`
//!   should not be less. If no outlier entered, a new level would be an outlier forever.
//!
//! Both values of a step enter, or none. The idea is from llm.c, where the third outlier in a row is the first to
//! enter.

use crate::error::TrainError;
use crate::settings::check;
use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt::{self, Display, Formatter};

/// Range of window lengths. Fewer values have no meaningful deviation, and every checkpoint holds all of them.
const WINDOWS: std::ops::RangeInclusive<usize> = 8..=10_000;

/// Least deviation, as a share of the mean. Losses are summed in f32, so values that differ by less count as equal.
const ROUNDING: f64 = 1e-6;

/// Table `[training.guard]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GuardConfig {
    /// Number of last losses and gradient norms to compare with, 8 to 10000. No step is judged before there are as many.
    pub window: usize,
    /// Number of deviations above the mean beyond which a loss is an outlier.
    pub loss_z: f64,
    /// Number of deviations above the mean beyond which a gradient norm, before clipping, is an outlier.
    pub norm_z: f64,
    /// Treatment of a step with an outlier.
    pub policy: GuardPolicy,
    /// Maximum number of skipped steps in a row; one more ends the run.
    pub patience: u64,
}

/// Treatment of a step with an outlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardPolicy {
    /// Skip the step: weights and moments do not change, and its data is not used again. This applies to values that
    /// are not finite too.
    #[default]
    Skip,
    /// End the run with an error.
    Stop,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            window: 128,
            loss_z: 6.0,
            norm_z: 6.0,
            policy: GuardPolicy::Skip,
            patience: 16,
        }
    }
}

impl GuardConfig {
    /// Refuses values that a guard cannot have.
    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        let refuse = |key: &str, given: String, expected| {
            let key = format!("training.guard.{key}");
            Err(TrainError::Setting { key, given, expected })
        };
        if !WINDOWS.contains(&self.window) {
            return refuse("window", self.window.to_string(), "8 to 10000 steps");
        }
        for (key, z) in [("loss_z", self.loss_z), ("norm_z", self.norm_z)] {
            check(format!("training.guard.{key}"), z, Range::POSITIVE)?;
        }
        if self.patience == 0 {
            return refuse("patience", "0".into(), "at least 1, or policy = \"stop\"");
        }
        Ok(())
    }
}

/// State of the guard, part of a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct GuardMemory {
    losses: VecDeque<f64>,
    norms: VecDeque<f64>,
    /// Number of skipped steps in all.
    pub(crate) skipped: u64,
    /// Number of skipped steps since the last step that was taken.
    pub(crate) in_a_row: u64,
}

impl GuardMemory {
    /// Compares a step with those before it, and updates the state.
    pub(super) fn judge(&mut self, config: &GuardConfig, loss: f64, norm: f64) -> Option<Irregularity> {
        let named = [
            ("loss", loss, config.loss_z),
            ("gradient norm", norm, config.norm_z),
        ];
        let found = match named.into_iter().find(|(_, value, _)| !value.is_finite()) {
            Some((quantity, value, _)) => Some(Irregularity {
                quantity,
                value,
                beyond: None,
            }),
            None => {
                let windows = named.into_iter().zip([&self.losses, &self.norms]);
                let mut outliers = windows.filter_map(|((quantity, value, z), recent)| {
                    let beyond = Some(Limit::of(recent, config.window, z)?);
                    let found = Irregularity {
                        quantity,
                        value,
                        beyond,
                    };
                    beyond.is_some_and(|limit| value > limit.limit()).then_some(found)
                });
                outliers.next()
            }
        };
        let finite = loss.is_finite() && norm.is_finite();
        if finite && (found.is_none() || self.in_a_row > 0) {
            for (recent, value) in [(&mut self.losses, loss), (&mut self.norms, norm)] {
                recent.push_back(value);
                let surplus = recent.len().saturating_sub(config.window); // more than one where it was made smaller
                recent.drain(..surplus);
            }
        }
        self.skipped += u64::from(found.is_some());
        self.in_a_row = if found.is_some() { self.in_a_row + 1 } else { 0 };
        found
    }
}

/// Upper limit of a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Limit {
    window: usize,
    mean: f64,
    deviation: f64,
    z: f64,
}

impl Limit {
    /// Limit from the newest values of `recent`; `None` if there are too few. Two passes, always in the same order.
    fn of(recent: &VecDeque<f64>, window: usize, z: f64) -> Option<Self> {
        let newest = || recent.iter().skip(recent.len() - window);
        if recent.len() < window {
            return None;
        }
        let mean = newest().sum::<f64>() / window as f64;
        let squares: f64 = newest().map(|value| (value - mean) * (value - mean)).sum();
        let deviation = (squares / window as f64).sqrt().max(ROUNDING * mean.abs());
        Some(Self {
            window,
            mean,
            deviation,
            z,
        })
    }

    fn limit(&self) -> f64 {
        self.mean + self.z * self.deviation
    }
}

/// Description of an irregular step: "the loss is 8.312, above 4.2: ...".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Irregularity {
    quantity: &'static str,
    value: f64,
    /// Limit that was exceeded; `None` if the value is not finite.
    beyond: Option<Limit>,
}

impl Irregularity {
    /// Whether the value is finite, and only too high.
    pub fn is_finite(&self) -> bool {
        self.beyond.is_some()
    }
}

impl Display for Irregularity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { quantity, value, .. } = self;
        let Some(limit) = self.beyond else {
            return write!(f, "the {quantity} is {value}");
        };
        write!(
            f,
            "the {quantity} is {}, above {} = mean {} + {} deviations of {} over {} steps",
            digits(*value),
            digits(limit.limit()),
            digits(limit.mean),
            limit.z,
            digits(limit.deviation),
            limit.window
        )
    }
}

/// Enough digits to tell a value from its limit.
fn digits(value: f64) -> String {
    if (0.1..1e4).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.4e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(window: usize, z: f64) -> GuardConfig {
        GuardConfig {
            window,
            loss_z: z,
            norm_z: z,
            ..GuardConfig::default()
        }
    }

    /// Values around 3 with a deviation of 1.
    fn full(config: &GuardConfig) -> GuardMemory {
        let mut memory = GuardMemory::default();
        for step in 0..config.window {
            let value = if step % 2 == 0 { 2.0 } else { 4.0 };
            assert_eq!(memory.judge(config, value, value), None, "step {step}");
        }
        memory
    }

    #[test]
    fn the_limit_is_the_mean_and_so_many_deviations_once_the_window_is_full() {
        let config = config(8, 6.0);
        let mut early = GuardMemory::default();
        for value in [1.0, 1e9, 1.0, 1e12, 1.0, 1.0, 1e30] {
            assert_eq!(early.judge(&config, value, value), None);
        }
        let memory = full(&config);
        assert_eq!(memory.clone().judge(&config, 9.0, 9.0), None);
        let found = memory.clone().judge(&config, 9.001, 9.0).unwrap();
        assert_eq!(
            found.to_string(),
            "the loss is 9.0010, above 9.0000 = mean 3.0000 + 6 deviations of 1.0000 over 8 steps"
        );
        let found = memory.clone().judge(&config, 9.0, 9.001).unwrap();
        assert!(
            found.to_string().starts_with("the gradient norm is 9.001"),
            "{found}"
        );
        assert_eq!(
            memory.clone().judge(&config, -1e9, -1e9),
            None,
            "only what is high is wrong"
        );
    }

    #[test]
    fn a_lone_outlier_and_what_is_not_finite_leave_the_window_as_it_was() {
        let config = config(8, 6.0);
        let before = full(&config);
        for (loss, norm) in [(1e9, 3.0), (3.0, 1e9), (f64::NAN, 3.0), (3.0, f64::INFINITY)] {
            let mut memory = before.clone();
            let found = memory.judge(&config, loss, norm).unwrap();
            assert_eq!(found.is_finite(), loss.is_finite() && norm.is_finite());
            assert_eq!((memory.skipped, memory.in_a_row), (1, 1));
            assert_eq!((&memory.losses, &memory.norms), (&before.losses, &before.norms));
            assert_eq!(memory.judge(&config, 3.0, 3.0), None);
            assert_eq!((memory.skipped, memory.in_a_row), (1, 0));
        }
        let mut memory = before.clone();
        (0..100).for_each(|_| assert!(memory.judge(&config, f64::NAN, 3.0).is_some()));
        assert_eq!(memory.losses, before.losses);
    }

    #[test]
    fn a_new_level_is_accepted_after_as_many_steps_as_the_window_and_z_say() {
        for (window, z) in [(128, 6.0), (128, 3.0), (64, 6.0), (8, 1.5), (300, 10.0)] {
            let config = config(window, z);
            let promised = 1 + (window as f64 / (z * z + 1.0)).ceil() as u64;
            for level in [1e3, 1e9, 1e30] {
                let mut memory = full(&config);
                while memory.judge(&config, level, level).is_some() {
                    assert!(memory.in_a_row <= promised, "{window} {z}");
                }
                assert_eq!(memory.skipped, promised, "{window} {z} {level}");
            }
        }
        assert!(GuardConfig::default().patience >= 5);
    }

    #[test]
    fn values_that_are_equal_but_for_rounding_are_no_outliers() {
        let config = config(8, 6.0);
        let mut memory = GuardMemory::default();
        for step in 0..100 {
            let value = 0.1 * (1.0 + f64::from(step % 2) * f64::from(f32::EPSILON));
            assert_eq!(memory.judge(&config, value, value), None);
        }
    }

    #[test]
    fn what_is_remembered_goes_through_json_bit_for_bit_and_into_a_smaller_window() {
        let config = config(8, 6.0);
        let mut memory = full(&config);
        for step in 1..8 {
            let step = f64::from(step);
            assert_eq!(memory.judge(&config, 3.0 + 0.1 * step, 1.0 / step), None);
        }
        let text = serde_json::to_string(&memory).unwrap();
        assert_eq!(serde_json::from_str::<GuardMemory>(&text).unwrap(), memory);
        let mut wide = full(&self::config(100, 6.0));
        wide.judge(&config, 3.0, 3.0);
        assert_eq!((wide.losses.len(), wide.norms.len()), (8, 8));
    }

    #[test]
    fn what_no_guard_can_be_is_refused_by_name() {
        let base = GuardConfig::default;
        for (wrong, said) in [
            (
                GuardConfig { window: 7, ..base() },
                "window = 7; expected 8 to 10000",
            ),
            (
                GuardConfig {
                    window: usize::MAX,
                    ..base()
                },
                "8 to 10000",
            ),
            (
                GuardConfig {
                    loss_z: 0.0,
                    ..base()
                },
                "loss_z = 0",
            ),
            (
                GuardConfig {
                    loss_z: f64::NAN,
                    ..base()
                },
                "loss_z = NaN",
            ),
            (
                GuardConfig {
                    norm_z: f64::INFINITY,
                    ..base()
                },
                "norm_z = inf",
            ),
            (
                GuardConfig {
                    patience: 0,
                    ..base()
                },
                "patience = 0",
            ),
        ] {
            let text = wrong.validate().unwrap_err().to_string();
            assert!(
                text.starts_with("training.guard.") && text.contains(said),
                "{text}"
            );
        }
        assert!(base().validate().is_ok());
    }
}
