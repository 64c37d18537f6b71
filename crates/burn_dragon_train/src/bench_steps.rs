//! Training steps without a run, for benchmarks.

use crate::batches::Batches;
use crate::error::TrainError;
use crate::guard::Guard;
use crate::plan::Plan;
use crate::start::Start;
use crate::step::StepInput;
use crate::task::{DataPosition, Task};
use crate::update::{Backprop, Update};
use std::time::Instant;

/// Training steps of a task without a run: each update is proposed and applied, at the full learning rate, and nothing
/// is saved.
///
/// Batches are made on request, whatever the task prefers, so their time counts.
#[derive(Debug)]
pub struct BenchSteps<'a, T: Task, U: Update<T> = Backprop> {
    task: &'a T,
    plan: Plan,
    update: U,
    cursor: T::Cursor,
    carry: T::Carry,
    step: u64,
    position: DataPosition,
}

impl<'a, T: Task> BenchSteps<'a, T> {
    /// Steps from the beginning of `model`.
    ///
    /// # Errors
    /// If a setting of the update is out of range, or the data cannot be read.
    pub fn new(task: &'a T, plan: Plan, model: &T::Model) -> Result<Self, TrainError> {
        Self::with_update(task, plan, model)
    }
}

impl<'a, T: Task, U: Update<T>> BenchSteps<'a, T, U> {
    /// Like [`new`](BenchSteps::new), with another [`Update`].
    ///
    /// # Errors
    /// As for [`new`](BenchSteps::new).
    pub fn with_update(task: &'a T, plan: Plan, model: &T::Model) -> Result<Self, TrainError> {
        let position = DataPosition {
            units: 0,
            planned: plan.planned_units(task),
        };
        Ok(Self {
            task,
            update: U::new(&plan, model)?,
            plan,
            cursor: task.cursor()?,
            carry: task.carry(model)?,
            step: 0,
            position,
        })
    }

    /// Steps from the point that a run has reached, with a fresh optimiser. Returns the model too.
    ///
    /// # Errors
    /// If a setting of the optimiser is out of range.
    pub fn after(task: &'a T, plan: Plan, start: Start<T>) -> Result<(Self, T::Model), TrainError> {
        let steps = Self {
            task,
            update: U::new(&plan, &start.model)?,
            plan,
            cursor: start.cursor,
            carry: start.carry,
            step: start.done.steps,
            position: DataPosition {
                units: start.done.units,
                planned: start.planned_units,
            },
        };
        Ok((steps, start.model))
    }

    /// Takes one step, with every loss and gradient checked as in a run. Returns the model after it, and the loss
    /// before it.
    ///
    /// # Errors
    /// If a loss or a gradient is not finite.
    pub fn step(&mut self, model: T::Model) -> Result<(T::Model, f64), TrainError> {
        let (model, loss, _) = self.timed_step(model)?;
        Ok((model, loss))
    }

    /// Takes one step like [`step`](Self::step), and times its parts.
    pub(crate) fn timed_step(&mut self, model: T::Model) -> Result<(T::Model, f64, StepTime), TrainError> {
        let training = &self.plan.training;
        let guard = Guard {
            step: self.step + 1,
            last_good: None,
            skips: false,
        };
        let input = StepInput {
            model: &model,
            batches: &mut Batches::at_once(self.task),
            cursor: &mut self.cursor,
            carry: &mut self.carry,
            step: self.step,
            data: self.position,
            watch: false,
        };
        let started = Instant::now();
        let (seen, proposal) = self.update.propose(self.task, input, &guard)?;
        let propose = started.elapsed().as_secs_f64();
        self.step += 1;
        self.position.units += training.units_per_step(self.task.units_per_batch());
        let model = self.update.apply(model, proposal, 1.0.into());
        let apply = started.elapsed().as_secs_f64() - propose;
        Ok((model, seen.loss, StepTime { propose, apply }))
    }
}

/// Seconds of the parts of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct StepTime {
    /// Batches, forward and backward.
    pub(crate) propose: f64,
    /// Update of the weights.
    pub(crate) apply: f64,
}
