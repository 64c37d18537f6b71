//! Steps without a run around them: what is timed when training is.

use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::guard::Guard;
use crate::optimizer::AdamW;
use crate::task::{LossContext, Task};
use crate::trainer::Plan;
use burn_dragon_core::seed::derive;

/// Takes a task's steps and keeps nothing of them: batch, loss, gradients, clip, AdamW at the full learning rate.
#[derive(Debug)]
pub struct Rehearsal<'a, T: Task> {
    task: &'a T,
    plan: Plan,
    optimizer: AdamW,
    step: u64,
}

impl<'a, T: Task> Rehearsal<'a, T> {
    /// Before the first step of `model`.
    ///
    /// # Errors
    /// If a setting of the optimiser is out of range.
    pub fn new(task: &'a T, plan: Plan, model: &T::Model) -> Result<Self, TrainError> {
        Ok(Self {
            task,
            optimizer: AdamW::new(&plan.optimizer, model)?,
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
        };
        let (mut gradients, mut loss) = (GradientSet::default(), 0.0);
        for micro in 0..training.accumulate {
            let context = LossContext {
                dropout_seed: derive(training.seed, "dropout", step, u64::from(micro)),
                watch: false,
            };
            let out = self.task.loss(&model, self.task.batch(step, micro)?, context)?;
            let value = out.value.clone().into_scalar::<f64>();
            guard.check("loss", value)?;
            loss += value / f64::from(training.accumulate);
            gradients.add(out.value.backward(), &model);
        }
        let gradients = gradients.mean();
        let norm = gradients.norm();
        guard.check("gradient norm", norm)?;
        let gradients = match training.clip_norm {
            Some(limit) => gradients.clip(norm, limit),
            None => gradients,
        };
        self.step += 1;
        Ok((self.optimizer.step(model, gradients, 1.0), loss))
    }
}
