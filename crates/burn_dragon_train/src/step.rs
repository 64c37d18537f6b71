//! Gradients of a step, proposed by backpropagation.

use crate::batches::Batches;
use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::guard::Guard;
use crate::settings::TrainingConfig;
use crate::task::{DataPosition, LossContext, Metrics, Task};
use burn_dragon_core::api::expert::derive;

/// Input of a step: the state of a run.
pub struct StepInput<'a, 't, T: Task> {
    /// The model, with autodiff.
    pub model: &'a T::Model,
    /// State that the loss carries from step to step.
    pub carry: &'a mut T::Carry,
    /// Number of the step, from 0.
    pub step: u64,
    /// Position of the run in its data.
    pub data: DataPosition,
    /// Whether the task should measure activities.
    pub watch: bool,
    pub(crate) batches: &'a mut Batches<'t, T>,
    pub(crate) cursor: &'a mut T::Cursor,
}

impl<T: Task> StepInput<'_, '_, T> {
    /// Next batch of the step, after `drawn` of its units.
    ///
    /// # Errors
    /// If the data cannot be read.
    pub fn batch(&mut self, drawn: u64) -> Result<T::Batch, TrainError> {
        let position = DataPosition {
            units: self.data.units + drawn,
            ..self.data
        };
        self.batches.next(position, self.cursor)
    }
}

/// Values of a step before the update.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Mean loss of the step's batches. It may be not finite only if the guard skips such a step.
    pub loss: f64,
    /// Norm of the whole update before it was limited; in backpropagation that of the gradient. NaN if the loss is not
    /// finite. A guard judges a step by loss and norm.
    pub norm: f64,
    /// Metrics of the task.
    pub metrics: Metrics,
}

/// Gradients of one step, averaged over its batches and clipped, with the values measured on the way.
pub(crate) struct StepGradients {
    pub(crate) gradients: GradientSet,
    /// Mean loss over the batches, global norm of the mean gradient before clipping, and the task's metrics of the last
    /// batch.
    pub(crate) seen: Seen,
}

impl StepGradients {
    /// Draws the batches of a step and runs them forward and backward.
    ///
    /// # Errors
    /// If a batch cannot be drawn, or a loss or the norm is not finite and the guard does not skip such a step.
    pub(crate) fn new<T: Task>(
        task: &T,
        training: &TrainingConfig,
        mut input: StepInput<'_, '_, T>,
        guard: &Guard,
    ) -> Result<Self, TrainError> {
        let (step, watch) = (input.step, input.watch);
        let mut gradients = GradientSet::default();
        let (mut loss, mut metrics) = (0.0, Metrics::new());
        for micro in 0..training.accumulate {
            let batch = input.batch(u64::from(micro) * task.units_per_batch())?;
            let dropout_seed = derive(training.seed, "dropout", step, u64::from(micro));
            let out = task.loss(
                input.model,
                batch,
                input.carry,
                LossContext { dropout_seed, watch },
            )?;
            let value = out.value.clone().into_scalar::<f64>();
            guard.check("loss", value)?;
            loss += value / f64::from(training.accumulate);
            metrics.extend(out.metrics);
            if loss.is_finite() {
                gradients.add(out.value.backward(), input.model);
            }
        }
        let gradients = gradients.mean();
        let norm = if loss.is_finite() {
            gradients.norm()
        } else {
            f64::NAN
        };
        guard.check("gradient norm", norm)?;
        let gradients = match training.clip_norm {
            Some(limit) => gradients.clip(norm, limit),
            None => gradients,
        };
        let seen = Seen { loss, norm, metrics };
        Ok(Self { gradients, seen })
    }
}
