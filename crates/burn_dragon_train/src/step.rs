//! What a step knows before the optimiser takes it.

use crate::batches::Batches;
use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::guard::Guard;
use crate::settings::TrainingConfig;
use crate::task::{DataPosition, LossContext, Metrics, Task};
use burn_dragon_core::seed::derive;

/// Where a run is: what a step starts from.
pub(crate) struct StepInput<'a, 't, T: Task> {
    pub(crate) model: &'a T::Model,
    pub(crate) batches: &'a mut Batches<'t, T>,
    pub(crate) cursor: &'a mut T::Cursor,
    pub(crate) carry: &'a mut T::Carry,
    pub(crate) step: u64,
    pub(crate) data: DataPosition,
}

/// The gradients of one step, averaged over its batches and clipped, and what was seen on the way.
pub(crate) struct StepGradients {
    pub(crate) gradients: GradientSet,
    /// Mean over the batches; not finite only where the guard skips such a step.
    pub(crate) loss: f64,
    /// Global norm of the mean gradient, before it was clipped; NaN where the loss is not finite.
    pub(crate) norm: f64,
    /// What the task measured; of the last batch.
    pub(crate) metrics: Metrics,
}

impl StepGradients {
    /// Draws the batches of a step and goes through them forward and backward.
    ///
    /// # Errors
    /// If a batch cannot be drawn, or a loss or the norm is not finite and the guard does not skip such a step.
    pub(crate) fn new<T: Task>(
        task: &T,
        training: &TrainingConfig,
        place: StepInput<'_, '_, T>,
        guard: &Guard,
        watch: bool,
    ) -> Result<Self, TrainError> {
        let StepInput {
            model,
            batches,
            cursor,
            carry,
            step,
            data,
        } = place;
        let mut gradients = GradientSet::default();
        let (mut loss, mut metrics) = (0.0, Metrics::new());
        for micro in 0..training.accumulate {
            let drawn = u64::from(micro) * task.units_per_batch();
            let place = DataPosition {
                units: data.units + drawn,
                ..data
            };
            let batch = batches.next(place, cursor)?;
            let dropout_seed = derive(training.seed, "dropout", step, u64::from(micro));
            let out = task.loss(model, batch, carry, LossContext { dropout_seed, watch })?;
            let value = out.value.clone().into_scalar::<f64>();
            guard.check("loss", value)?;
            loss += value / f64::from(training.accumulate);
            metrics.extend(out.metrics);
            if loss.is_finite() {
                gradients.add(out.value.backward(), model);
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
        Ok(Self {
            gradients,
            loss,
            norm,
            metrics,
        })
    }
}
