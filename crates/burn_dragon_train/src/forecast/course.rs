//! Course of a run: how often it does what.

use crate::plan::Plan;
use crate::settings::Done;
use serde::Serialize;

/// Number of times that the rest of a run does each kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Course {
    /// Number of steps of the whole run.
    pub steps: u64,
    /// Number of steps that are taken already.
    pub steps_done: u64,
    /// Number of evaluations on the sample, with the one before the first step and the one after the last. One on all
    /// held-out data follows.
    pub evaluations: u64,
    /// Number of samples, with the one at the end.
    pub samples: u64,
    /// Most checkpoints that are written: those that are due, and one for each evaluation, which may be the best so far.
    pub checkpoints: u64,
}

impl Course {
    /// Course of a run of `steps` steps, of which some are taken.
    pub(crate) fn new(plan: &Plan, steps: u64, done: Done) -> Self {
        // Work that is due at the last step is done after it, once.
        let due = |every: u64| {
            let until = |step: u64| step.checked_div(every).unwrap_or(0);
            until(steps.saturating_sub(1)).saturating_sub(until(done.steps))
        };
        let evaluations = due(plan.evaluation.every);
        Self {
            steps,
            steps_done: done.steps,
            evaluations: evaluations + 1 + u64::from(done.steps == 0),
            samples: due(plan.evaluation.sample_every) + 1,
            checkpoints: (due(plan.checkpoint.every) + evaluations + 1).min(steps),
        }
    }

    /// Number of steps that are left.
    pub fn steps_left(&self) -> u64 {
        self.steps.saturating_sub(self.steps_done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{CheckpointConfig, EvaluationConfig};

    fn plan(every: u64, sample_every: u64, save_every: u64) -> Plan {
        Plan {
            evaluation: EvaluationConfig {
                every,
                sample_every,
                ..EvaluationConfig::default()
            },
            checkpoint: CheckpointConfig {
                every: save_every,
                ..CheckpointConfig::default()
            },
            ..Plan::default()
        }
    }

    #[test]
    fn what_is_due_at_the_last_step_is_done_at_the_end_alone() {
        let course = Course::new(&plan(500, 2000, 2000), 7000, Done::default());
        // At 500 .. 6500, before and after; at 2000, 4000, 6000 and the end.
        assert_eq!((course.evaluations, course.samples), (13 + 2, 3 + 1));
        assert_eq!(course.checkpoints, 3 + 13 + 1);
        let course = Course::new(&plan(0, 0, 0), 7000, Done::default());
        assert_eq!(
            (course.evaluations, course.samples, course.checkpoints),
            (2, 1, 1)
        );
    }

    #[test]
    fn what_was_done_is_not_done_again() {
        let done = Done {
            steps: 1000,
            units: 0,
        };
        let course = Course::new(&plan(500, 2000, 2000), 2500, done);
        assert_eq!((course.evaluations, course.samples), (2 + 1, 1 + 1));
        assert_eq!(course.steps_left(), 1500);
    }
}
