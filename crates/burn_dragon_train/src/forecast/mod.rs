//! Forecast of a run: what it takes, before it starts.
//!
//! Nothing of the model is allocated. Counts are those of the task and its plan. Memory is what the process holds once
//! the data is read, and the cost of a step. Time is measured on a slice of the model (`speed.rs`).

mod course;
mod disk;
mod lines;
mod speed;

pub use course::Course;
pub use disk::DiskForecast;
pub(crate) use lines::{common_lines, lines_of_backend};

use crate::error::TrainError;
use crate::extent::Extent;
use crate::plan::Plan;
use crate::settings::Done;
use crate::task::{Scope, Task};
use burn::tensor::Device;
use burn_dragon_core::api::FreeMemory;
use serde::Serialize;
use std::path::Path;

/// Counts of a run: what does not depend on the machine.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Counts {
    /// Number of parameters.
    pub parameters: u64,
    /// Number of units (tokens) that the rest of the run draws.
    pub units: u64,
    /// The same in passes over the training data; `None` if data is generated as it is drawn.
    pub epochs: Option<f64>,
    /// Kinds of work, and how often they are done.
    #[serde(flatten)]
    pub course: Course,
    /// Disk space.
    pub disk: DiskForecast,
}

/// Memory of a run at its peak, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct MemoryForecast {
    /// All of it: the resident memory of the process.
    pub peak_bytes: u64,
    /// The program and its data.
    pub data_bytes: u64,
    /// A step, with the model and all that is kept for it.
    pub step_bytes: u64,
    /// An evaluation, with the model and all that is kept for it.
    pub evaluation_bytes: u64,
    /// A copy of the state, while a checkpoint is written beside a step; 0 if none is.
    pub snapshot_bytes: u64,
    /// All that the process can have.
    pub available_bytes: u64,
    /// Number of samples in a batch, `training.batch_size`.
    pub batch_size: usize,
    /// Largest batch that fits; `None` if it is not known.
    pub largest_batch_size: Option<u64>,
}

/// Time of the rest of a run, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TimeForecast {
    /// All of it.
    pub seconds: f64,
    /// One step.
    pub seconds_per_step: f64,
    /// Of a step: forward and backward through the levels; `None` if it was not measured by itself.
    pub levels_per_step: Option<f64>,
    /// Of a step: the update of the weights.
    pub update_per_step: f64,
    /// All steps.
    pub steps: f64,
    /// Evaluations on the sample.
    pub evaluations: f64,
    /// The evaluation on all held-out data.
    pub last_evaluation: f64,
    /// Samples.
    pub samples: f64,
    /// Reading of the data.
    pub data: f64,
    /// What was measured.
    pub slice: Extent,
    /// What it stands for.
    pub whole: Extent,
}

/// Bytes that a run takes for what is neither data nor step: stacks, the writer of checkpoints, the last generations.
/// Measured: 2 to 12 MB in runs of 90 to 230 MB.
const BESIDE: u64 = 8 << 20;

/// Batches beyond which no larger one is looked for.
const MOST_BATCH: u64 = 1 << 24;

impl Counts {
    /// Counts of a run of `task`, in a folder, of which `done` is taken.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new<T: Task>(task: &T, plan: &Plan, done: Done, folder: &Path) -> Result<Self, TrainError> {
        let steps = plan.total_steps(task, done)?;
        let (course, tensors) = (Course::new(plan, steps, done), task.tensors());
        let parameters = tensors.iter().map(|tensor| tensor.numbers().0);
        let per_step = plan.training.units_per_step(task.units_per_batch());
        let (units, epoch) = (
            course.steps_left().saturating_mul(per_step),
            task.units_per_epoch(),
        );
        Ok(Self {
            parameters: parameters.fold(0, u64::saturating_add),
            units,
            epochs: (epoch < u64::MAX).then(|| units as f64 / epoch.max(1) as f64),
            course,
            disk: DiskForecast::new(plan, &tensors, task.carried_bytes(), course.checkpoints, folder),
        })
    }
}

impl MemoryForecast {
    /// Memory of a run of `task` on this machine. The data is read, and the model is not made yet.
    ///
    /// A checkpoint in the middle of a run is a copy beside a step. The last one is written when the step is over.
    pub fn new<T: Task>(task: &T, plan: &Plan, counts: &Counts) -> Self {
        let memory = FreeMemory::of_this_machine();
        let (step, evaluation) = (task.bytes_per_step(), task.bytes_per_evaluation());
        let snapshot = match counts.course.checkpoints {
            0 | 1 => 0,
            _ => counts.disk.checkpoint_bytes,
        };
        let work = step
            .max(evaluation)
            .saturating_add(snapshot)
            .saturating_add(BESIDE);
        Self {
            peak_bytes: memory.held().saturating_add(work).max(memory.most_held()),
            data_bytes: memory.held(),
            step_bytes: step,
            evaluation_bytes: evaluation,
            snapshot_bytes: snapshot,
            available_bytes: memory.whole(),
            batch_size: plan.training.batch_size,
            largest_batch_size: task.largest_batch(memory, MOST_BATCH),
        }
    }
}

impl MemoryForecast {
    /// Bytes of the slices that [`TimeForecast::measure`] left in the task: a step of the deeper model, and the other one
    /// with the state of its optimiser.
    pub(crate) fn of_slices<T: Task>(task: &T, plan: &Plan) -> u64 {
        let step = task.bytes_per_step().max(task.bytes_per_evaluation());
        step.saturating_add(disk::checkpoint_bytes(plan, &task.tensors()))
    }

    /// The forecast after steps of a slice, which show what no formula counts: the pages of the program that run, the
    /// stacks and the remains of the allocator. `seen` is the peak of the process since, and `slice` the bytes of the
    /// slices; `None` if it was the whole, whose peak was seen then, unless the end of a run takes more.
    #[must_use]
    pub fn corrected(self, seen: u64, slice: Option<u64>) -> Self {
        let peak_bytes = match slice {
            None => seen
                .saturating_add(self.snapshot_bytes)
                .saturating_add(BESIDE)
                .max(self.peak_bytes),
            Some(slice) => {
                let more = seen.saturating_sub(self.data_bytes.saturating_add(slice));
                self.peak_bytes.saturating_add(more)
            }
        };
        Self { peak_bytes, ..self }
    }
}

impl TimeForecast {
    /// Time of a run of `task`, whose data took `data` seconds to read; `None` if its speed cannot be measured. The task
    /// is cut for the measurement, so everything else must be asked of it before.
    ///
    /// # Errors
    /// If a step of the slice fails.
    pub fn measure<T: Task>(
        task: &mut T,
        plan: &Plan,
        course: &Course,
        device: &Device,
        data: f64,
    ) -> Result<Option<Self>, TrainError> {
        let sample = task.evaluated_units(Scope::Sample {
            batches: plan.evaluation.batches,
        });
        let all = task.evaluated_units(Scope::Full);
        let Some(speed) = speed::measure(task, plan, device)? else {
            return Ok(None);
        };
        let batches = f64::from(plan.training.accumulate) * speed.batch;
        let seconds_per_step = batches + speed.update;
        let steps = seconds_per_step * course.steps_left() as f64;
        let evaluations = speed.evaluated_unit * sample as f64 * course.evaluations as f64;
        let last_evaluation = speed.evaluated_unit * all as f64;
        let samples = speed.sample * course.samples as f64;
        Ok(Some(Self {
            seconds: data + steps + evaluations + last_evaluation + samples,
            seconds_per_step,
            levels_per_step: speed.levels.map(|share| share * batches),
            update_per_step: speed.update,
            steps,
            evaluations,
            last_evaluation,
            samples,
            data,
            slice: speed.slice,
            whole: speed.whole,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_slice_takes_beyond_its_formula_the_whole_takes_too() {
        let forecast = MemoryForecast {
            peak_bytes: 1000,
            data_bytes: 100,
            step_bytes: 800,
            evaluation_bytes: 300,
            snapshot_bytes: 100,
            available_bytes: 5000,
            batch_size: 4,
            largest_batch_size: None,
        };
        assert_eq!(forecast.corrected(370, Some(250)).peak_bytes, 1020);
        assert_eq!(
            forecast.corrected(300, Some(250)).peak_bytes,
            1000,
            "less is no correction"
        );
        assert_eq!(
            forecast.corrected(950, None).peak_bytes,
            1050 + BESIDE,
            "the whole was seen, but no checkpoint"
        );
        let much = MemoryForecast {
            peak_bytes: 2 * BESIDE,
            ..forecast
        };
        assert_eq!(much.corrected(850, None).peak_bytes, 2 * BESIDE);
    }
}
