//! How to train: what a trainer reads of a configuration.

use crate::error::TrainError;
use crate::optimizer::{EmaConfig, OptimizerConfig};
use crate::schedule::Schedule;
use crate::settings::{CheckpointConfig, Done, EvaluationConfig, TrainingConfig};
use crate::task::Task;
use crate::update::{Backprop, Update};
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_core::api::FreeMemory;

/// How to train: the shared tables of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// `[training]`.
    pub training: TrainingConfig,
    /// `[optimizer]`.
    pub optimizer: OptimizerConfig,
    /// `[ema]`; absent, the weights themselves are evaluated.
    pub ema: Option<EmaConfig>,
    /// `[schedule]`.
    pub schedule: Schedule,
    /// `[evaluation]`.
    pub evaluation: EvaluationConfig,
    /// `[checkpoint]`.
    pub checkpoint: CheckpointConfig,
}

impl Plan {
    /// Training with a method, everything else by default.
    pub fn new(training: &TrainingConfig, optimizer: &OptimizerConfig) -> Self {
        Self {
            training: training.clone(),
            optimizer: optimizer.clone(),
            ..Self::default()
        }
    }

    pub(crate) fn validate(&self) -> Result<(), TrainError> {
        self.training.validate()?;
        self.evaluation.validate()?;
        self.checkpoint.validate()
    }

    /// The steps of a run of `task` that has so much behind it, once every setting but the optimiser's is known to be in
    /// range.
    pub(crate) fn total_steps<T: Task>(&self, task: &T, done: Done) -> Result<u64, TrainError> {
        self.validate()?;
        let total_steps = self
            .training
            .total_steps(task.units_per_epoch(), task.units_per_batch(), done)?;
        self.schedule.validate(total_steps)?;
        Ok(total_steps)
    }

    /// Everything that can be refused before a step is taken and a file is written; gives the steps of the run, which has
    /// so much behind it.
    ///
    /// # Errors
    /// If a setting is out of range, or the machine has too little memory for a step, or not the precision.
    pub fn check<T: Task>(&self, task: &T, model: &T::Model, done: Done) -> Result<u64, TrainError> {
        let total_steps = self.total_steps(task, done)?;
        let on_processor = model
            .devices()
            .into_iter()
            .all(|device| device.inner() == Device::flex());
        self.training.check_precision(on_processor)?;
        <Backprop as Update<T>>::new(self, model)?;
        task.check_memory(FreeMemory::of_this_machine())?;
        Ok(total_steps)
    }

    /// The units that a run of `task` is to draw when it begins.
    pub(crate) fn planned_units<T: Task>(&self, task: &T) -> u64 {
        self.training
            .planned_units(task.units_per_epoch(), task.units_per_batch())
    }

    /// Sequences of the fixed sample that the best figure is measured on.
    pub(crate) fn sample(&self) -> u64 {
        self.evaluation.batches as u64 * self.training.batch_size as u64
    }
}
