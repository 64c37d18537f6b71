//! State from which the next step of a run starts.

use crate::error::TrainError;
use crate::plan::Plan;
use crate::resume_point::ResumePoint;
use crate::settings::Done;
use crate::task::Task;

/// State from which the next step of a run starts.
#[derive(Debug)]
pub struct Start<T: Task> {
    /// The model.
    pub model: T::Model,
    /// Position in the streams of data.
    pub cursor: T::Cursor,
    /// State that the loss carries from step to step.
    pub carry: T::Carry,
    /// Steps and units so far.
    pub done: Done,
    /// Number of units that the run planned to draw when it began.
    pub planned_units: u64,
}

impl<T: Task> Start<T> {
    /// State before the first step.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn new(task: &T, plan: &Plan, model: T::Model) -> Result<Self, TrainError> {
        Ok(Self {
            cursor: task.cursor()?,
            carry: task.carry(&model)?,
            model,
            done: Done::default(),
            planned_units: plan.planned_units(task),
        })
    }

    /// The state after a checkpoint. If the training data has changed, cursor and carry of `self` are kept.
    ///
    /// # Errors
    /// If the content of the checkpoint does not fit the task.
    pub fn resumed(mut self, task: &T, point: &ResumePoint, changed_data: bool) -> Result<Self, TrainError> {
        self.model = task.restore(self.model, &point.folder)?;
        if !changed_data {
            task.restore_carried(&self.model, &mut self.cursor, &mut self.carry, &point.folder)?;
        }
        (self.done, self.planned_units) = (point.done, point.planned_units);
        Ok(self)
    }
}
