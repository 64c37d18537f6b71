//! What the next step of a run starts from.

use crate::error::TrainError;
use crate::plan::Plan;
use crate::resume_point::ResumePoint;
use crate::settings::Done;
use crate::task::Task;

/// What the next step of a run starts from.
#[derive(Debug)]
pub struct Start<T: Task> {
    /// The model.
    pub model: T::Model,
    /// Places in the data.
    pub cursor: T::Cursor,
    /// What goes through the loss.
    pub carry: T::Carry,
    /// What is behind the run.
    pub done: Done,
    /// Units that the run was to draw when it began.
    pub planned_units: u64,
}

impl<T: Task> Start<T> {
    /// Before the first step.
    ///
    /// # Errors
    /// If the data cannot be had.
    pub fn new(task: &T, plan: &Plan, model: T::Model) -> Result<Self, TrainError> {
        Ok(Self {
            cursor: task.cursor()?,
            carry: task.carry(&model)?,
            model,
            done: Done::default(),
            planned_units: plan.planned_units(task),
        })
    }

    /// The same after a checkpoint; where the training data has changed, cursor and carry stay as they are.
    ///
    /// # Errors
    /// If what the checkpoint holds does not fit the task.
    pub fn resumed(mut self, task: &T, point: &ResumePoint, changed_data: bool) -> Result<Self, TrainError> {
        self.model = task.restore(self.model, &point.folder)?;
        if !changed_data {
            task.restore_carried(&self.model, &mut self.cursor, &mut self.carry, &point.folder)?;
        }
        (self.done, self.planned_units) = (point.done, point.planned_units);
        Ok(self)
    }
}
