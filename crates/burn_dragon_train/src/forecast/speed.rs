//! Speed of the machine on a task, measured on a slice of it.
//!
//! A slice has the widths of the whole (model width, neurons of a head, window, precision, vocabulary), and fewer heads,
//! levels and lanes. It is trained, evaluated and sampled as the whole would be. Where the slice is the whole, its times
//! are those of the run. Otherwise slices of one and of two levels are timed in turn, and their difference is a level:
//!
//! ```text
//! batch = B/b (rest + L H/h level)         b lanes and h heads in the slice, B, H and L in the whole
//! step  = accumulate batch + P/p update    p parameters in the slice, P in the whole
//! ```
//!
//! Evaluations and samples are scaled by their FLOPs.

use crate::bench_steps::BenchSteps;
use crate::error::TrainError;
use crate::extent::Extent;
use crate::plan::Plan;
use crate::reporter::peak_flops;
use crate::task::{Scope, Task};
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_kernel::api::machine;
use std::time::{Duration, Instant};

/// Longest step of a slice, in seconds, as far as FLOPs tell.
const STEP: f64 = 0.5;

/// Most memory of a step of a slice, in bytes.
const BYTES: u64 = 512 << 20;

/// Share of the peak that a step is expected to reach when a slice is chosen.
const SHARE: f64 = 0.4;

/// Time for which steps are timed.
const TIME: Duration = Duration::from_secs(6);

/// Most and least number of steps of each model that are timed.
const STEPS: std::ops::Range<u32> = 3..300;

/// Seconds of the work of a run, as measured on a slice and scaled to the whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Speed {
    /// One batch, forward and backward.
    pub(crate) batch: f64,
    /// Share of it in the levels; `None` if it was not measured, since the slice is the whole.
    pub(crate) levels: Option<f64>,
    /// The update of the weights.
    pub(crate) update: f64,
    /// An evaluation, per unit.
    pub(crate) evaluated_unit: f64,
    /// A sample.
    pub(crate) sample: f64,
    /// What was measured.
    pub(crate) slice: Extent,
    /// What it stands for.
    pub(crate) whole: Extent,
}

/// Mean seconds of a step of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Mean {
    batch: f64,
    update: f64,
}

/// Measures a task, which is cut for it; `None` if it cannot be.
pub(crate) fn measure<T: Task>(
    task: &mut T,
    plan: &Plan,
    device: &Device,
) -> Result<Option<Speed>, TrainError> {
    let Some(whole) = task.extent() else {
        return Ok(None);
    };
    let plan = &one_batch(plan);
    let of_whole = Work::of(task);
    let slice = choose(task, whole, device)?;
    let models = match slice == whole {
        true => vec![(slice.levels, task.new_model()?)],
        false => two_depths(task, slice)?,
    };
    let levels: Vec<usize> = models.iter().map(|(levels, _)| *levels).collect();
    let (means, model) = timed(task, plan, models)?;
    let of_slice = Work::of(task);
    let more = of_slice.to(of_whole);
    let (evaluated_unit, sample) = judged(task, plan, &model)?;
    let (batch, levels_share) = scaled(&means, &levels, slice, whole);
    Ok(Some(Speed {
        batch,
        levels: levels_share,
        update: means.last().map_or(0.0, |mean| mean.update) * more.parameters,
        evaluated_unit: evaluated_unit * more.flops,
        sample: sample * more.flops,
        slice: Extent {
            levels: levels.last().copied().unwrap_or(slice.levels),
            ..slice
        },
        whole,
    }))
}

/// Seconds of a batch of the whole, and the share of its levels if it is known: from the means of models of so many
/// levels each, with the heads and lanes of a slice.
fn scaled(means: &[Mean], levels: &[usize], slice: Extent, whole: Extent) -> (f64, Option<f64>) {
    let lanes = whole.lanes as f64 / slice.lanes as f64;
    let heads = whole.heads as f64 / slice.heads as f64;
    match (means, levels) {
        ([shallow, deep], [few, many]) if many > few => {
            let level = (deep.batch - shallow.batch).max(0.0) / (many - few) as f64;
            let rest = lanes * (shallow.batch - level * *few as f64).max(0.0);
            let in_levels = lanes * heads * level * whole.levels as f64;
            (rest + in_levels, Some(in_levels / (rest + in_levels).max(1e-12)))
        }
        // All that was measured is in proportion to heads and lanes.
        (means, _) => (means.last().map_or(0.0, |mean| mean.batch) * lanes * heads, None),
    }
}

/// Plan of steps of one batch each.
fn one_batch(plan: &Plan) -> Plan {
    let mut plan = plan.clone();
    plan.training.accumulate = 1;
    plan
}

/// Amount of work of a task.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Work {
    /// FLOPs of a unit.
    flops: f64,
    parameters: f64,
}

impl Work {
    fn of<T: Task>(task: &T) -> Self {
        let numbers = task.tensors().into_iter().map(|tensor| tensor.numbers().0 as f64);
        Self {
            flops: task.flops_per_unit() as f64,
            parameters: numbers.sum(),
        }
    }

    /// Factors from this work to another one.
    fn to(self, other: Self) -> Self {
        let factor = |of: f64, to: f64| if of > 0.0 { to / of } else { 1.0 };
        Self {
            flops: factor(self.flops, other.flops),
            parameters: factor(self.parameters, other.parameters),
        }
    }
}

/// Cuts the task until a step of it is short and small.
fn choose<T: Task>(task: &mut T, whole: Extent, device: &Device) -> Result<Extent, TrainError> {
    let rate = peak_flops(&device.clone().inner()).map_or(1e11, |peak| SHARE * peak);
    let mut slice = whole;
    loop {
        let seconds = task.flops_per_unit() as f64 * task.units_per_batch() as f64 / rate;
        if seconds <= STEP && task.bytes_per_step() <= BYTES {
            return Ok(slice);
        }
        let cut = task.cut(slice.smaller(machine::threads()))?;
        if cut == slice {
            return Ok(slice);
        }
        slice = cut;
    }
}

/// Models of one and of two levels. The task is left with two.
fn two_depths<T: Task>(task: &mut T, slice: Extent) -> Result<Vec<(usize, T::Model)>, TrainError> {
    let mut models = Vec::new();
    for levels in [1, 2] {
        let cut = task.cut(Extent { levels, ..slice })?;
        models.push((cut.levels, task.new_model()?));
    }
    Ok(models)
}

/// Mean times of steps of each model, taken in turn after one to warm up, and the last model.
fn timed<T: Task>(
    task: &T,
    plan: &Plan,
    models: Vec<(usize, T::Model)>,
) -> Result<(Vec<Mean>, T::Model), TrainError> {
    let mut steps = Vec::new();
    for (_, model) in &models {
        steps.push(<BenchSteps<'_, T>>::new(task, plan.clone(), model)?);
    }
    let mut sums = vec![Mean::default(); steps.len()];
    let mut models: Vec<T::Model> = models.into_iter().map(|(_, model)| model).collect();
    let (mut rounds, mut started) = (0, Instant::now());
    while rounds <= STEPS.start || (rounds < STEPS.end && started.elapsed() < TIME) {
        let mut after = Vec::new();
        for ((model, steps), sum) in models.into_iter().zip(&mut steps).zip(&mut sums) {
            let (model, _, time) = steps.timed_step(model)?;
            after.push(model);
            sum.batch += time.propose;
            sum.update += time.apply;
        }
        models = after;
        rounds += 1;
        if rounds == 1 {
            // The first steps also warm up.
            sums.fill(Mean::default());
            started = Instant::now();
        }
    }
    let mean = |sum: Mean| Mean {
        batch: sum.batch / f64::from(rounds - 1),
        update: sum.update / f64::from(rounds - 1),
    };
    let model = models.pop().map_or_else(|| task.new_model(), Ok)?;
    Ok((sums.into_iter().map(mean).collect(), model))
}

/// Seconds of an evaluation per unit, and of a sample.
fn judged<T: Task>(task: &T, plan: &Plan, model: &T::Model) -> Result<(f64, f64), TrainError> {
    let scope = Scope::Sample {
        batches: plan.evaluation.batches,
    };
    let model = model.valid();
    let started = Instant::now();
    task.evaluate(&model, scope)?;
    let evaluation = started.elapsed().as_secs_f64();
    task.sample(&model, 0)?;
    let sample = started.elapsed().as_secs_f64() - evaluation;
    Ok((evaluation / task.evaluated_units(scope).max(1) as f64, sample))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(batch: f64) -> Mean {
        Mean { batch, update: 0.0 }
    }

    #[test]
    fn a_batch_is_its_levels_and_the_rest_in_proportion() {
        let extent = |heads, levels, lanes| Extent { heads, levels, lanes };
        // A level of a head takes 3 s, the rest 2 s, with one of the eight lanes.
        let (seconds, share) = scaled(&[mean(5.0), mean(8.0)], &[1, 2], extent(1, 2, 1), extent(4, 6, 8));
        assert_eq!(
            (seconds, share),
            (8.0 * (2.0 + 6.0 * 4.0 * 3.0), Some(576.0 / 592.0))
        );
        // The whole model: its own time, of which nothing is known.
        let whole = extent(4, 6, 8);
        assert_eq!(scaled(&[mean(5.0)], &[6], whole, whole), (5.0, None));
        // Levels that cannot be cut: heads and lanes alone.
        let cut = extent(2, 6, 4);
        assert_eq!(scaled(&[mean(5.0), mean(5.0)], &[6, 6], cut, whole), (20.0, None));
        // A machine that was busy in between: no time is negative.
        let (seconds, share) = scaled(&[mean(5.0), mean(4.0)], &[1, 2], extent(1, 2, 1), extent(2, 2, 1));
        assert_eq!((seconds, share), (5.0, Some(0.0)));
    }
}
