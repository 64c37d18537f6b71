//! Steps without a run around them: what is timed when training is.

use crate::error::TrainError;
use crate::guard::Guard;
use crate::plan::Plan;
use crate::step::StepInput;
use crate::task::{DataPosition, Task};
use crate::update::{Backprop, Update};

/// Takes a task's steps and keeps nothing of them: the update is proposed and applied, at the full learning rate.
#[derive(Debug)]
pub struct BenchSteps<'a, T: Task, U: Update<T> = Backprop> {
    task: &'a T,
    plan: Plan,
    update: U,
    carry: T::Carry,
    step: u64,
}

impl<'a, T: Task> BenchSteps<'a, T> {
    /// Before the first step of `model`.
    ///
    /// # Errors
    /// If a setting of the update is out of range, or the data cannot be had.
    pub fn new(task: &'a T, plan: Plan, model: &T::Model) -> Result<Self, TrainError> {
        Self::with_update(task, plan, model)
    }
}

impl<'a, T: Task, U: Update<T>> BenchSteps<'a, T, U> {
    /// [`new`](BenchSteps::new) with updates made in another way.
    ///
    /// # Errors
    /// As of [`new`](BenchSteps::new).
    pub fn with_update(task: &'a T, plan: Plan, model: &T::Model) -> Result<Self, TrainError> {
        Ok(Self {
            task,
            update: U::new(&plan, model)?,
            carry: task.carry(model)?,
            plan,
            step: 0,
        })
    }

    /// One step, each loss and gradient checked as in a run: the model after it, and the loss before.
    ///
    /// # Errors
    /// If a loss or a gradient is not finite.
    pub fn step(&mut self, model: T::Model) -> Result<(T::Model, f64), TrainError> {
        let (step, training) = (self.step, &self.plan.training);
        let guard = Guard {
            step: step + 1,
            last_good: None,
            skips: false,
        };
        let data = DataPosition {
            units: step * training.units_per_step(self.task.units_per_batch()),
            planned: self.plan.planned_units(self.task),
        };
        let place = StepInput {
            model: &model,
            carry: &mut self.carry,
            step,
            data,
            watch: false,
        };
        let (seen, proposal) = self.update.propose(self.task, place, &guard)?;
        self.step += 1;
        Ok((self.update.apply(model, proposal, 1.0), seen.loss))
    }
}
