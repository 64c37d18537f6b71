//! Plan of a training: the tables of a configuration that a trainer reads.

use crate::error::TrainError;
use crate::optimizer::{EmaConfig, OptimizerConfig};
use crate::schedule::Schedule;
use crate::settings::{CheckpointConfig, Done, EvaluationConfig, TrainingConfig};
use crate::task::Task;
use crate::update::{Backprop, Update};
use burn::module::Module;
use burn_dragon_core::api::FreeMemory;
use burn_dragon_kernel::api::Kernels;

/// Plan of a training: the shared tables of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Table `[training]`.
    pub training: TrainingConfig,
    /// Table `[optimizer]`.
    pub optimizer: OptimizerConfig,
    /// Table `[ema]`. Without it the trained weights are evaluated.
    pub ema: Option<EmaConfig>,
    /// Table `[schedule]`.
    pub schedule: Schedule,
    /// Table `[evaluation]`.
    pub evaluation: EvaluationConfig,
    /// Table `[checkpoint]`.
    pub checkpoint: CheckpointConfig,
}

impl Plan {
    /// A plan with this method, and defaults for everything else.
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

    /// Faults of the tables, as far as they are known without a task.
    pub fn faults(&self) -> Vec<TrainError> {
        // The steps of epochs are not known without the data: so many that no schedule is refused for its steps.
        let steps = match (self.training.epochs, self.schedule) {
            (None, _) => self.training.max_steps.max(1),
            (Some(_), Schedule::Wsd { .. }) => u64::MAX,
            (Some(_), _) => 1,
        };
        let checks = [
            self.training.validate(),
            self.optimizer.validate(),
            self.ema.as_ref().map_or(Ok(()), EmaConfig::validate),
            self.schedule.validate(steps).map_err(TrainError::from),
            self.evaluation.validate(),
            self.checkpoint.validate(),
        ];
        checks.into_iter().filter_map(Result::err).collect()
    }

    /// Number of steps of a run of `task`, of which `done` are already taken. All settings except those of the
    /// optimiser are checked first.
    pub(crate) fn total_steps<T: Task>(&self, task: &T, done: Done) -> Result<u64, TrainError> {
        self.validate()?;
        let total_steps = self
            .training
            .total_steps(task.units_per_epoch(), task.units_per_batch(), done)?;
        self.schedule.validate(total_steps)?;
        Ok(total_steps)
    }

    /// Checks everything that can be refused before a step is taken or a file is written. Returns the number of steps
    /// of the run, of which `done` are already taken.
    ///
    /// # Errors
    /// If a setting is out of range, the machine has too little memory for a step, the device does not support the
    /// precision, or the precision is `auto` and not settled.
    pub fn check<T: Task>(&self, task: &T, model: &T::Model, done: Done) -> Result<u64, TrainError> {
        let total_steps = self.total_steps(task, done)?;
        let has_bf16 = model
            .devices()
            .iter()
            .all(|device| Kernels::of(device).have_bf16());
        self.training.precision.check(has_bf16)?;
        <Backprop as Update<T>>::new(self, model)?;
        task.check_memory(FreeMemory::of_this_machine())?;
        Ok(total_steps)
    }

    /// Number of units that a new run of `task` plans to draw.
    pub(crate) fn planned_units<T: Task>(&self, task: &T) -> u64 {
        self.training
            .planned_units(task.units_per_epoch(), task.units_per_batch())
    }

    /// Number of sequences in the fixed sample for the best score.
    pub(crate) fn sample(&self) -> u64 {
        self.evaluation.batches as u64 * self.training.batch_size as u64
    }
}
