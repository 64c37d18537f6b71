//! Learning-rate schedules: a factor on the base learning rate for each step.
//!
//! With `w` warm-up steps and `n` steps in all, step `s` (from 0) has
//!
//! ```text
//! factor(s) = (s + 1) / w            while s < w: from 1/w up to 1 at the last warm-up step
//! factor(s) = decay(s - w, n - w)    after it, with decay(0) = 1
//! ```
//!
//! so the factor is in (0, 1] for every step of the run: `linear`, `cosine`, `wsd` and `bitnet` would reach
//! `final_factor` at step `n`, the first one after the run, and no step is spent at a learning rate of 0. `bitnet` alone has a
//! factor on the weight decay too.
//!
//! ```
//! use burn_dragon_train::api::Schedule;
//!
//! let schedule = Schedule::Cosine { warmup_steps: 10, final_factor: 0.1 };
//! assert_eq!(schedule.factor(0, 110), 0.1);
//! assert_eq!(schedule.factor(10, 110), 1.0);
//! assert!((schedule.factor(60, 110) - 0.55).abs() < 1e-12);
//! ```

use std::f64::consts::PI;

use burn_dragon_core::api::expert::Range;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Learning-rate schedule. In TOML: `type = "cosine"` and the keys of the variant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Constant: factor 1 after the warm-up.
    Constant {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// Linear: a straight line from 1 to `final_factor`.
    Linear {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
    },
    /// Cosine: half a wave from 1 to `final_factor` (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
    },
    /// Exponential: `gamma^t`, t steps after the warm-up.
    Exponential {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor from one step to the next, above 0 and at most 1.
        gamma: f64,
    },
    /// Step: `gamma^floor(t / step_size)`, t steps after the warm-up.
    Step {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Number of steps with the same factor, at least 1.
        step_size: u64,
        /// Factor from one such group of steps to the next, above 0 and at most 1.
        gamma: f64,
    },
    /// Inverse square root: `sqrt(w / (s + 1))` after the warm-up (Vaswani et al. 2017, section 5.3).
    ///
    /// The paper's rate is `d_model^-0.5 * min((s+1)^-0.5, (s+1) * w^-1.5)`, whose peak, at the end of the
    /// warm-up, is `(d_model * w)^-0.5`. Here it is divided by that peak, which makes the base learning rate
    /// the peak, as in every other schedule; `d_model` cancels and is therefore no key.
    Noam {
        /// Number of steps of linear warm-up, at least 1. It also sets the speed of the decay.
        warmup_steps: u64,
    },
    /// Warm-up, stable, decay (Hu et al. 2024): 1 until the last `decay_steps`, then down to `final_factor`.
    Wsd {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Number of steps of the decay.
        decay_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
        /// Shape of the decay.
        #[serde(default)]
        shape: DecayShape,
    },
    /// BitNet: two stages (Ma et al. 2024, training tips). 1 until a share of the run; from there less, in a straight line to the end,
    /// with another weight decay.
    Bitnet {
        /// Number of steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Share of the run at which the second stage begins, above 0 and below 1.
        #[serde(default = "half")]
        drop_at: f64,
        /// Factor at the beginning of the second stage, above 0 and at most 1.
        #[serde(default = "two_thirds")]
        drop_factor: f64,
        /// Factor at the end of the run, 0 to `drop_factor`; with `drop_factor` the second stage has one factor.
        #[serde(default = "tenth")]
        final_factor: f64,
        /// Factor of the optimiser's weight decay in the second stage, 0 to 1.
        #[serde(default)]
        decay_factor: f64,
    },
}

/// Factors of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Factors {
    /// Factor on the learning rate.
    pub learning: f64,
    /// Factor on the weight decay.
    pub decay: f64,
}

impl From<f64> for Factors {
    /// A factor on the learning rate alone.
    fn from(learning: f64) -> Self {
        Self { learning, decay: 1.0 }
    }
}

/// Shape of a decay of fixed length, with p the share that is completed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DecayShape {
    /// `1 - p`.
    #[default]
    Linear,
    /// `1 - sqrt(p)` (Haegele et al. 2024): steep at first.
    Sqrt,
}

fn tenth() -> f64 {
    0.1
}

fn half() -> f64 {
    0.5
}

/// As from 1.5e-3 to 1e-3 of the published run of 700 M parameters.
fn two_thirds() -> f64 {
    2.0 / 3.0
}

/// Range of the share of a run at which its second stage begins.
const STAGE: Range = Range {
    zero: false,
    words: "a number from 1.2e-38 to 0.9999999",
    ..Range::BELOW_ONE
};

/// Error of a learning-rate schedule.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Warm-up and a decay of fixed length do not fit into the run.
    #[error(
        "the schedule needs {needed} steps (warmup_steps = {warmup_steps}, decay_steps = {decay_steps}), but the run \
         has {total_steps}: shorten them or train for longer"
    )]
    LongerThanRun {
        /// Number of steps of both together.
        needed: u64,
        /// Number of steps of the warm-up.
        warmup_steps: u64,
        /// Number of steps of the decay; 0 for schedules without it.
        decay_steps: u64,
        /// Number of steps of the run.
        total_steps: u64,
    },
    /// A count that must be at least 1 is 0.
    #[error("`{key}` of the {schedule} schedule must be at least 1, but is 0")]
    Zero {
        /// Value of `type`.
        schedule: &'static str,
        /// Name of the key.
        key: &'static str,
    },
    /// A factor is out of range.
    #[error("`{key}` of the learning-rate schedule is {given:?}; expected {range}")]
    OutOfRange {
        /// Name of the key.
        key: &'static str,
        /// Allowed range.
        range: &'static str,
        /// Given value.
        given: f64,
    },
    /// The learning rate vanishes in f32 before the end of the run.
    #[error(
        "`gamma` of the learning-rate schedule is {gamma:?}: {times} times over it leaves less of the learning rate than \
         f32 can hold before step {total_steps}, the last; use at least {least:.6}"
    )]
    Vanishes {
        /// Value of the key.
        gamma: f64,
        /// Number of multiplications by it up to the last step.
        times: u64,
        /// Number of steps of the run.
        total_steps: u64,
        /// Least value with which the learning rate does not vanish.
        least: f64,
    },
}

impl Default for Schedule {
    /// Constant, without warm-up.
    fn default() -> Self {
        Self::Constant { warmup_steps: 0 }
    }
}

impl Schedule {
    /// Factor on the base learning rate at `step` (from 0) of a run of `total_steps`.
    pub fn factor(&self, step: u64, total_steps: u64) -> f64 {
        let warmup = self.warmup_steps();
        if step < warmup {
            return (step + 1) as f64 / warmup as f64;
        }
        let t = step - warmup;
        let done = fraction(t, total_steps.saturating_sub(warmup));
        match *self {
            Self::Constant { .. } => 1.0,
            Self::Linear { final_factor, .. } => between(1.0 - done, final_factor),
            Self::Cosine { final_factor, .. } => between(0.5 * (1.0 + (PI * done).cos()), final_factor),
            Self::Exponential { gamma, .. } => positive(gamma.powf(t as f64)),
            Self::Step { step_size, gamma, .. } => positive(gamma.powf((t / step_size.max(1)) as f64)),
            Self::Noam { .. } => (warmup.max(1) as f64 / (step + 1) as f64).sqrt(),
            Self::Wsd {
                decay_steps,
                final_factor,
                shape,
                ..
            } => {
                let start = total_steps.saturating_sub(decay_steps);
                let over = fraction(step.saturating_sub(start), decay_steps);
                between(shape.height(over), final_factor)
            }
            Self::Bitnet {
                drop_at,
                drop_factor,
                final_factor,
                ..
            } => {
                let start = second_stage(drop_at, total_steps);
                let over = fraction(step.saturating_sub(start), total_steps.saturating_sub(start));
                match step < start {
                    true => 1.0,
                    false => final_factor + (drop_factor - final_factor) * (1.0 - over),
                }
            }
        }
    }

    /// Factors on the base learning rate and on the weight decay at `step` (from 0) of a run of `total_steps`.
    pub fn factors(&self, step: u64, total_steps: u64) -> Factors {
        let decay = match *self {
            Self::Bitnet {
                drop_at,
                decay_factor,
                ..
            } if step >= second_stage(drop_at, total_steps) => decay_factor,
            _ => 1.0,
        };
        Factors {
            learning: self.factor(step, total_steps),
            decay,
        }
    }

    /// Number of steps of linear warm-up.
    pub fn warmup_steps(&self) -> u64 {
        match *self {
            Self::Constant { warmup_steps }
            | Self::Linear { warmup_steps, .. }
            | Self::Cosine { warmup_steps, .. }
            | Self::Exponential { warmup_steps, .. }
            | Self::Step { warmup_steps, .. }
            | Self::Noam { warmup_steps }
            | Self::Wsd { warmup_steps, .. }
            | Self::Bitnet { warmup_steps, .. } => warmup_steps,
        }
    }

    /// Refuses keys out of range, and a decay that does not fit into `total_steps`.
    pub fn validate(&self, total_steps: u64) -> Result<(), ScheduleError> {
        let mut decay = 0;
        match *self {
            Self::Constant { .. } => {}
            Self::Linear { final_factor, .. } | Self::Cosine { final_factor, .. } => {
                in_range("final_factor", final_factor, Range::SHARE_OR_NONE)?;
            }
            Self::Exponential { gamma, .. } => self.valid_gamma(gamma, 1, total_steps)?,
            Self::Step { step_size, gamma, .. } => {
                at_least_one("step", "step_size", step_size)?;
                self.valid_gamma(gamma, step_size, total_steps)?;
            }
            Self::Noam { warmup_steps } => at_least_one("noam", "warmup_steps", warmup_steps)?,
            Self::Wsd {
                decay_steps,
                final_factor,
                ..
            } => {
                decay = decay_steps;
                in_range("final_factor", final_factor, Range::SHARE_OR_NONE)?;
            }
            Self::Bitnet {
                drop_at,
                drop_factor,
                final_factor,
                decay_factor,
                ..
            } => {
                in_range("drop_at", drop_at, STAGE)?;
                in_range("drop_factor", drop_factor, Range::SHARE)?;
                let to_drop = Range {
                    most: drop_factor,
                    words: "0, or a number from 1.2e-38 to `drop_factor`",
                    ..Range::SHARE_OR_NONE
                };
                in_range("final_factor", final_factor, to_drop)?;
                in_range("decay_factor", decay_factor, Range::SHARE_OR_NONE)?;
            }
        }
        let warmup_steps = self.warmup_steps();
        let needed = warmup_steps.saturating_add(decay);
        // A run that ends within its warm-up is a short test; a decay that does not fit is a mistake.
        if decay > 0 && needed > total_steps {
            return Err(ScheduleError::LongerThanRun {
                needed,
                warmup_steps,
                decay_steps: decay,
                total_steps,
            });
        }
        Ok(())
    }

    /// Refuses a factor out of range, and one with which the learning rate vanishes by the last step if it is applied
    /// every `step_size` steps.
    fn valid_gamma(&self, gamma: f64, step_size: u64, total_steps: u64) -> Result<(), ScheduleError> {
        in_range("gamma", gamma, Range::SHARE)?;
        let last = total_steps.saturating_sub(1);
        let times = last.saturating_sub(self.warmup_steps()) / step_size;
        let (left, vanishing) = (gamma.powf(times as f64), Range::SHARE.least);
        if left >= vanishing {
            return Ok(());
        }
        let least = vanishing.powf(1.0 / times as f64);
        Err(ScheduleError::Vanishes {
            gamma,
            times,
            total_steps,
            least: (least * 1e6).ceil() / 1e6, // a number that is shown is one that works
        })
    }
}

impl DecayShape {
    /// Height of the decay, from 1 to 0, after a share of it.
    fn height(self, over: f64) -> f64 {
        match self {
            Self::Linear => 1.0 - over,
            Self::Sqrt => 1.0 - over.sqrt(),
        }
    }
}

/// First step of the second stage of a run.
fn second_stage(drop_at: f64, total_steps: u64) -> u64 {
    (drop_at * total_steps as f64).ceil() as u64
}

/// Fraction `part / whole`, at most 1. With an empty whole it is 1 as soon as `part` is above 0.
fn fraction(part: u64, whole: u64) -> f64 {
    if part >= whole {
        f64::from(u8::from(part > 0))
    } else {
        part as f64 / whole as f64
    }
}

/// Interpolation from `floor` at height 0 to 1 at height 1.
fn between(height: f64, floor: f64) -> f64 {
    floor + (1.0 - floor) * height
}

/// The factor, or the smallest valid one if the power underflowed. That happens only beyond the planned run.
fn positive(factor: f64) -> f64 {
    factor.max(Range::SHARE.least)
}

fn in_range(key: &'static str, given: f64, range: Range) -> Result<(), ScheduleError> {
    let refused = |range| ScheduleError::OutOfRange { key, range, given };
    range.check(given).map_err(refused)
}

fn at_least_one(schedule: &'static str, key: &'static str, given: u64) -> Result<(), ScheduleError> {
    if given == 0 {
        Err(ScheduleError::Zero { schedule, key })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
