//! First run: the default one without a setting. Its number of steps is fitted to the machine.
//!
//! Steps are timed for a few seconds, before the run. The number that fits into the time is chosen once, and from there
//! the run is a function of it: schedule and data are those of a run of that many steps, and `config.toml` has it. A
//! machine that becomes much slower later takes fewer steps still ([`Trainer::complete_by`](crate::trainer::Trainer)),
//! so that the run is complete in time.

use super::{Prepared, Ran, RunRequest};
use crate::amounts::duration;
use crate::bench_steps::BenchSteps;
use crate::config::Resolved;
use crate::error::TrainError;
use crate::family::Family;
use crate::progress::Output;
use crate::task::Task;
use burn_dragon_core::api::SelectedBackend;
use std::time::{Duration, Instant};

/// Time for which steps are timed.
const TIMED: Duration = Duration::from_secs(5);

/// Most steps that are timed.
const MOST_TIMED: u32 = 300;

/// Share of the time for steps. The rest is for evaluations and for a machine that becomes slower.
const SHARE: f64 = 0.9;

/// Time for the evaluation at the end.
const FINAL: Duration = Duration::from_secs(12);

/// The number of steps is a multiple of this.
const GRAIN: u64 = 50;

/// Trains the default run with as many of its steps as fit into its minutes.
pub(super) fn run<F: Family>(
    request: &RunRequest,
    resolved: &Resolved<F::Config>,
    selected: SelectedBackend,
    output: Output,
) -> Result<Ran, TrainError> {
    let end = Instant::now() + Duration::from_secs_f64(60.0 * F::BASE.minutes);
    let prepared = Prepared::<F>::new(resolved, None, None, selected.clone(), output)?;
    let Some(seconds) = timed(&prepared)? else {
        return prepared.go(request, Some(end));
    };
    let left = end.saturating_duration_since(Instant::now()).as_secs_f64();
    let fitting = fitting(left, seconds, prepared.total_steps);
    output.tell(&format!(
        "fit    {:.1} ms a step on this machine now: {fitting} of {} steps, about {}",
        1e3 * seconds,
        prepared.total_steps,
        duration(fitting as f64 * seconds + FINAL.as_secs_f64())
    ));
    let deadline = Some(end - FINAL);
    if fitting == prepared.total_steps {
        return prepared.go(request, deadline);
    }
    drop(prepared);
    let resolved = request.resolve_first::<F>(fitting)?;
    let fitted = Prepared::<F>::new(&resolved, None, None, selected, Output::silent())?;
    Prepared { output, ..fitted }.go(request, deadline)
}

/// Mean seconds of a step of the run that is prepared, from its beginning.
fn timed<F: Family>(prepared: &Prepared<F>) -> Result<Option<f64>, TrainError> {
    let plan = F::plan(&prepared.config);
    let model = prepared.start.model.clone();
    let mut steps = <BenchSteps<'_, F::Task>>::new(&prepared.task, plan, &model)?;
    seconds_per_step(&mut steps, model, TIMED)
}

/// Mean seconds of a step over `time`; `None` if not one step was taken in it.
pub(super) fn seconds_per_step<T: Task>(
    steps: &mut BenchSteps<'_, T>,
    model: T::Model,
    time: Duration,
) -> Result<Option<f64>, TrainError> {
    let (mut model, started, mut taken) = (model, Instant::now(), 0);
    while taken < MOST_TIMED && started.elapsed() < time {
        (model, _) = steps.step(model)?;
        taken += 1;
    }
    Ok((taken > 0).then(|| started.elapsed().as_secs_f64() / f64::from(taken)))
}

/// Number of steps of `seconds` each that fit into the time that is left, at most `most`.
fn fitting(left: f64, seconds: f64, most: u64) -> u64 {
    let time = (left - FINAL.as_secs_f64()).max(0.0) * SHARE;
    let steps = (time / seconds) as u64 / GRAIN * GRAIN;
    steps.max(GRAIN).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_steps_are_taken_as_fit_and_no_more_than_there_are() {
        assert_eq!(fitting(212.0, 0.01, 7000), 7000);
        assert_eq!(fitting(212.0, 0.1, 7000), 1800);
        assert_eq!(fitting(212.0, 0.0999, 7000), 1800);
        assert_eq!(fitting(212.0, 100.0, 7000), GRAIN);
        assert_eq!(fitting(1.0, 0.1, 20), 20);
    }
}
