//! Learning-rate schedules: a factor on the base learning rate for each step.
//!
//! With `w` warm-up steps and `n` steps in all, step `s` (from 0) has
//!
//! ```text
//! factor(s) = (s + 1) / w            while s < w: from 1/w up to 1 at the last warm-up step
//! factor(s) = decay(s - w, n - w)    after it, with decay(0) = 1
//! ```
//!
//! so the factor is in (0, 1] for every step of the run: `linear`, `cosine` and `wsd` would reach
//! `final_factor` at step `n`, the first one after the run, and no step is spent at a learning rate of 0.
//!
//! ```
//! use burn_dragon_train::schedule::Schedule;
//!
//! let schedule = Schedule::Cosine { warmup_steps: 10, final_factor: 0.1 };
//! assert_eq!(schedule.factor(0, 110), 0.1);
//! assert_eq!(schedule.factor(10, 110), 1.0);
//! assert!((schedule.factor(60, 110) - 0.55).abs() < 1e-12);
//! ```

use std::f64::consts::PI;

use burn_dragon_core::Range;
use serde::{Deserialize, Serialize};

/// How the learning rate changes during a run. In TOML: `type = "cosine"` and the variant's keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// Always 1 after the warm-up.
    Constant {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
    },
    /// A straight line from 1 to `final_factor`.
    Linear {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
    },
    /// Half a cosine wave from 1 to `final_factor` (Loshchilov and Hutter 2017, without restarts).
    Cosine {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
    },
    /// `gamma^t`, t steps after the warm-up.
    Exponential {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Factor from one step to the next, above 0 and at most 1.
        gamma: f64,
    },
    /// `gamma^floor(t / step_size)`, t steps after the warm-up: a staircase.
    Step {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Length of a stair in steps, at least 1.
        step_size: u64,
        /// Factor from one stair to the next, above 0 and at most 1.
        gamma: f64,
    },
    /// Inverse square root: `sqrt(w / (s + 1))` after the warm-up (Vaswani et al. 2017, section 5.3).
    ///
    /// The paper's rate is `d_model^-0.5 * min((s+1)^-0.5, (s+1) * w^-1.5)`, whose peak, at the end of the
    /// warm-up, is `(d_model * w)^-0.5`. Here it is divided by that peak, which makes the base learning rate
    /// the peak, as in every other schedule; `d_model` cancels and is therefore no key.
    Noam {
        /// Steps of linear warm-up, at least 1: they set the speed of the decay too.
        warmup_steps: u64,
    },
    /// Warm-up, stable, decay (Hu et al. 2024): 1 until the last `decay_steps`, then a straight line to
    /// `final_factor`.
    Wsd {
        /// Steps of linear warm-up.
        #[serde(default)]
        warmup_steps: u64,
        /// Length of the decay in steps.
        decay_steps: u64,
        /// Factor at the end of the run, 0 to 1.
        #[serde(default = "tenth")]
        final_factor: f64,
    },
}

fn tenth() -> f64 {
    0.1
}

/// A schedule that cannot be followed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// Warm-up and a decay of fixed length do not fit into the run.
    #[error(
        "the schedule needs {needed} steps (warmup_steps = {warmup_steps}, decay_steps = {decay_steps}), but the run \
         has {total_steps}: shorten them or train for longer"
    )]
    LongerThanRun {
        /// Their sum.
        needed: u64,
        /// Steps of warm-up.
        warmup_steps: u64,
        /// Steps of decay, 0 for schedules without this key.
        decay_steps: u64,
        /// Steps of the run.
        total_steps: u64,
    },
    /// A count that must be at least 1 is 0.
    #[error("`{key}` of the {schedule} schedule must be at least 1, but is 0")]
    Zero {
        /// The schedule's `type`.
        schedule: &'static str,
        /// The key.
        key: &'static str,
    },
    /// A factor is not in its range.
    #[error("`{key}` of the learning-rate schedule is {given:?}; expected {range}")]
    OutOfRange {
        /// The key.
        key: &'static str,
        /// What it may be.
        range: &'static str,
        /// What it is.
        given: f64,
    },
    /// The learning rate falls to nothing before the run is over.
    #[error(
        "`gamma` of the learning-rate schedule is {gamma:?}: {times} times over it leaves less of the learning rate than \
         f32 can hold before step {total_steps}, the last; use at least {least:.6}"
    )]
    Vanishes {
        /// The key's value.
        gamma: f64,
        /// How often it is multiplied by until the last step.
        times: u64,
        /// Steps of the run.
        total_steps: u64,
        /// The least that leaves some.
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
    /// The factor on the base learning rate at `step` (from 0) of a run of `total_steps`.
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
                ..
            } => {
                let start = total_steps.saturating_sub(decay_steps);
                between(
                    1.0 - fraction(step.saturating_sub(start), decay_steps),
                    final_factor,
                )
            }
        }
    }

    /// Steps of linear warm-up.
    pub fn warmup_steps(&self) -> u64 {
        match *self {
            Self::Constant { warmup_steps }
            | Self::Linear { warmup_steps, .. }
            | Self::Cosine { warmup_steps, .. }
            | Self::Exponential { warmup_steps, .. }
            | Self::Step { warmup_steps, .. }
            | Self::Noam { warmup_steps }
            | Self::Wsd { warmup_steps, .. } => warmup_steps,
        }
    }

    /// Refuses keys outside their range, and a decay that does not fit into `total_steps`.
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
        }
        let warmup_steps = self.warmup_steps();
        let needed = warmup_steps.saturating_add(decay);
        // A run that ends within its warm-up is a short look; a decay that does not fit is a mistake.
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

    /// Refuses a factor that is none, or that leaves nothing by the last step when it comes every `step_size` steps.
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

/// `part / whole`, at most 1; an empty whole is done once anything of it is.
fn fraction(part: u64, whole: u64) -> f64 {
    if part >= whole {
        f64::from(u8::from(part > 0))
    } else {
        part as f64 / whole as f64
    }
}

/// From `floor` where `height` is 0 to 1 where it is 1.
fn between(height: f64, floor: f64) -> f64 {
    floor + (1.0 - floor) * height
}

/// A power that underflowed, beyond the run that was asked for, still is a learning rate.
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
mod tests {
    use super::*;

    const TOTAL: u64 = 110;

    /// One of each, with 10 steps of warm-up.
    fn all() -> [Schedule; 7] {
        let warmup_steps = 10;
        [
            Schedule::Constant { warmup_steps },
            Schedule::Linear {
                warmup_steps,
                final_factor: 0.2,
            },
            Schedule::Cosine {
                warmup_steps,
                final_factor: 0.0,
            },
            Schedule::Exponential {
                warmup_steps,
                gamma: 0.99,
            },
            Schedule::Step {
                warmup_steps,
                step_size: 20,
                gamma: 0.5,
            },
            Schedule::Noam { warmup_steps },
            Schedule::Wsd {
                warmup_steps,
                decay_steps: 50,
                final_factor: 0.0,
            },
        ]
    }

    #[test]
    fn factors_equal_hand_computed_values() {
        let [constant, linear, cosine, exponential, step, noam, wsd] = all();
        let cases = [
            (constant, 109, 1.0),
            (linear, 35, 0.8),          // a quarter of the way from 1 to 0.2
            (linear, 109, 0.208),       // 99 of 100 steps
            (cosine, 35, 0.853_553_39), // (1 + cos 45 deg) / 2
            (cosine, 60, 0.5),
            (exponential, 12, 0.9801),
            (step, 29, 1.0),
            (step, 30, 0.5),
            (step, 109, 0.0625), // four stairs down
            (noam, 39, 0.5),     // sqrt(10 / 40)
            (wsd, 60, 1.0),
            (wsd, 85, 0.5),
            (wsd, 109, 0.02),
        ];
        for (schedule, at, expected) in cases {
            let factor = schedule.factor(at, TOTAL);
            assert!(
                (factor - expected).abs() < 1e-8,
                "{schedule:?} at {at}: {factor}, not {expected}"
            );
        }
    }

    #[test]
    fn warm_up_is_a_line_from_one_over_its_length_to_one() {
        for schedule in all() {
            for step in 0..10 {
                assert_eq!(
                    schedule.factor(step, TOTAL),
                    (step + 1) as f64 / 10.0,
                    "{schedule:?}"
                );
            }
        }
    }

    #[test]
    fn the_edge_of_the_warm_up_has_no_jump() {
        for schedule in all() {
            let (before, after) = (schedule.factor(9, TOTAL), schedule.factor(10, TOTAL));
            assert_eq!(before, 1.0);
            assert!((before - after).abs() < 0.05, "{schedule:?}: {before} {after}");
        }
    }

    #[test]
    fn factors_never_rise_after_the_warm_up_and_stay_in_their_bounds() {
        for schedule in all() {
            for step in 0..TOTAL {
                let factor = schedule.factor(step, TOTAL);
                assert!(factor > 0.0 && factor <= 1.0, "{schedule:?} at {step}: {factor}");
                assert!(
                    step < 10 || schedule.factor(step + 1, TOTAL) <= factor,
                    "{schedule:?} at {step}"
                );
            }
        }
        assert!(
            Schedule::Exponential {
                warmup_steps: 0,
                gamma: 0.5
            }
            .factor(1_000_000, 1_000_001)
                > 0.0
        );
    }

    #[test]
    fn decays_end_at_the_final_factor_and_stay_there() {
        for schedule in [
            Schedule::Linear {
                warmup_steps: 10,
                final_factor: 0.3,
            },
            Schedule::Cosine {
                warmup_steps: 10,
                final_factor: 0.3,
            },
            Schedule::Wsd {
                warmup_steps: 10,
                decay_steps: 20,
                final_factor: 0.3,
            },
        ] {
            for step in [TOTAL, TOTAL + 1, 10 * TOTAL] {
                assert!((schedule.factor(step, TOTAL) - 0.3).abs() < 1e-12, "{schedule:?}");
            }
        }
    }

    #[test]
    fn a_run_that_is_all_warm_up_has_no_decay() {
        let schedule = Schedule::Cosine {
            warmup_steps: 5,
            final_factor: 0.1,
        };
        assert_eq!(schedule.validate(5), Ok(()));
        assert_eq!(schedule.factor(4, 5), 1.0);
        assert_eq!(schedule.factor(5, 5), 1.0);
    }

    #[test]
    fn a_run_may_end_within_its_warm_up_but_a_decay_must_fit() {
        assert!(Schedule::Constant { warmup_steps: 200 }.validate(100).is_ok());
        let wsd = Schedule::Wsd {
            warmup_steps: 60,
            decay_steps: 50,
            final_factor: 0.0,
        };
        assert!(wsd.validate(110).is_ok());
        assert!(
            wsd.validate(109)
                .unwrap_err()
                .to_string()
                .contains("needs 110 steps")
        );
    }

    #[test]
    fn a_count_of_zero_is_refused() {
        let zero = |schedule: Schedule| matches!(schedule.validate(10), Err(ScheduleError::Zero { .. }));
        assert!(zero(Schedule::Noam { warmup_steps: 0 }));
        assert!(zero(Schedule::Step {
            warmup_steps: 0,
            step_size: 0,
            gamma: 0.5
        }));
    }

    #[test]
    fn a_factor_out_of_range_is_refused() {
        for given in [-0.1, 1.5, f64::NAN] {
            let linear = Schedule::Linear {
                warmup_steps: 0,
                final_factor: given,
            };
            assert!(matches!(
                linear.validate(10),
                Err(ScheduleError::OutOfRange {
                    key: "final_factor",
                    ..
                })
            ));
        }
        for given in [0.0, 1.5, f64::NAN] {
            let exponential = Schedule::Exponential {
                warmup_steps: 0,
                gamma: given,
            };
            assert!(matches!(
                exponential.validate(10),
                Err(ScheduleError::OutOfRange { key: "gamma", .. })
            ));
        }
    }

    #[test]
    fn toml_gives_a_type_and_its_keys_only() {
        let read = |text: &str| toml::from_str::<Schedule>(text);
        assert_eq!(
            read("type = 'linear'").unwrap(),
            Schedule::Linear {
                warmup_steps: 0,
                final_factor: 0.1
            }
        );
        assert!(
            read("type = 'constant'\ngamma = 0.5")
                .unwrap_err()
                .message()
                .contains("unknown field `gamma`")
        );
        for schedule in all() {
            assert_eq!(read(&toml::to_string(&schedule).unwrap()).unwrap(), schedule);
        }
    }

    #[test]
    fn a_gamma_that_leaves_nothing_is_refused_with_the_least_that_leaves_some() {
        let warmup_steps = 10;
        let exponential = |gamma| Schedule::Exponential { warmup_steps, gamma };
        let stairs = |gamma| Schedule::Step {
            warmup_steps,
            step_size: 5,
            gamma,
        };
        // 9 steps after the warm-up leave 1e-36, a tenth 1e-40; so do stairs of 5 steps at the 10th of them.
        for (schedule, longest) in [(exponential(1e-4), 20), (stairs(1e-4), 60)] {
            assert_eq!(schedule.validate(longest), Ok(()));
            assert!((schedule.factor(longest - 1, longest) as f32).is_normal());
            let Err(ScheduleError::Vanishes { times, least, .. }) = schedule.validate(longest + 1) else {
                panic!("{schedule:?}");
            };
            assert_eq!(times, 10);
            let text = schedule.validate(longest + 1).unwrap_err().to_string();
            assert!(text.contains("`gamma`") && text.contains("0.0001"), "{text}");
            let right = match schedule {
                Schedule::Step { .. } => stairs(least),
                _ => exponential(least),
            };
            assert_eq!(right.validate(longest + 1), Ok(()), "{least}");
        }
    }
}
