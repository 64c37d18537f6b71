//! Update of the weights.
//!
//! The loop, the benchmarks and the checkpoints know learning only as [`Update`]. [`Backprop`] is the only
//! implementation so far.
//!
//! Others fit in as files of their own, with the bounds that they need on their own `impl`:
//!
//! - **Evolution strategies** (`impl<T: Task> Update<T> for Evolution where T::Batch: Clone`). `propose` draws a batch (`input.batch`), perturbs
//!   the weights of `input.model` without autodiff, member by member, from `derive(seed, "member", step, member)`, asks
//!   `task.loss` of each for its value alone, and proposes the losses. `apply` draws the same perturbations again, weighs
//!   them by the losses and moves the weights. [`Seen`] has the mean loss and the norm of the estimate, which the guard
//!   judges. A task that carries memory needs `T::Carry: Clone` too: each member reads on from the same one.
//! - **Policy optimisation** (`impl<T: Rollouts> Update<T> for Policy`, where `Rollouts: Task` samples and rewards).
//!   `propose` samples groups, normalises their rewards into advantages and takes gradients of the weighted likelihoods;
//!   `apply` is that of [`Backprop`].

use crate::error::TrainError;
use crate::gradients::GradientSet;
use crate::guard::Guard;
use crate::optimizer::{self, Ema, Frozen, ModelOptimizer};
use crate::plan::Plan;
use crate::schedule::Factors;
use crate::settings::TrainingConfig;
use crate::step::{Seen, StepGradients, StepInput};
use crate::task::Task;
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::Content;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

/// Kind of update: it is proposed, judged by the guard, then applied or dropped.
///
/// A dropped proposal must leave no trace: `propose` must not change the state from which the next one is made.
pub trait Update<T: Task>: Debug + Sized {
    /// Input of [`apply`](Self::apply): gradients, or losses of perturbed weights.
    type Proposal;

    /// An update before the first step of `model`.
    ///
    /// # Errors
    /// If a setting is out of range, or does not fit the model.
    fn new(plan: &Plan, model: &T::Model) -> Result<Self, TrainError>;

    /// Draws the data of a step and computes the proposal.
    ///
    /// # Errors
    /// If the data cannot be read, or a loss or the norm is not finite and the guard does not skip such a step.
    fn propose(
        &self,
        task: &T,
        input: StepInput<'_, '_, T>,
        guard: &Guard,
    ) -> Result<(Seen, Self::Proposal), TrainError>;

    /// The model after the update, with the factors of the schedule.
    fn apply(&mut self, model: T::Model, proposal: Self::Proposal, factors: Factors) -> T::Model;

    /// Learning rate before the schedule's factor.
    fn learning_rate(&self) -> f64;

    /// The model with the weights that are evaluated, shown and saved as `model.bpk`, if they differ from the trained
    /// weights, as an average does. It is tracked by autodiff if the given model is.
    fn evaluated(&self, model: T::Model) -> T::Model;

    /// Files of a checkpoint beside those of the task: everything that [`restore`](Self::restore) needs.
    ///
    /// # Errors
    /// If a state cannot be represented as a file.
    fn snapshot(&self, model: &T::Model) -> Result<BTreeMap<String, Content>, TrainError>;

    /// Restores the state from a checkpoint, whose `model.bpk` was loaded into the given model. Returns the model with
    /// the trained weights, and notes for the log.
    ///
    /// # Errors
    /// If a file is missing or damaged, or is of another model.
    fn restore(&mut self, model: T::Model, folder: &Path) -> Result<(T::Model, Vec<String>), TrainError>;
}

/// Backpropagation: averaged and clipped gradients, and an optimiser; with `[ema]` also an average of the weights.
#[derive(Debug)]
pub struct Backprop {
    training: TrainingConfig,
    optimizer: ModelOptimizer,
    ema: Option<Ema>,
}

impl<T: Task> Update<T> for Backprop {
    type Proposal = GradientSet;

    fn new(plan: &Plan, model: &T::Model) -> Result<Self, TrainError> {
        let optimizer = ModelOptimizer::new(&plan.optimizer, model)?;
        let frozen = Frozen::of(&plan.training.freeze, model)?;
        Ok(Self {
            training: plan.training.clone(),
            optimizer,
            ema: plan
                .ema
                .map(|config| Ema::new(config, model, frozen))
                .transpose()?,
        })
    }

    fn propose(
        &self,
        task: &T,
        input: StepInput<'_, '_, T>,
        guard: &Guard,
    ) -> Result<(Seen, GradientSet), TrainError> {
        let StepGradients { gradients, seen } = StepGradients::new(task, &self.training, input, guard)?;
        Ok((seen, gradients))
    }

    fn apply(&mut self, model: T::Model, gradients: GradientSet, factors: Factors) -> T::Model {
        let model = self.optimizer.step(model, gradients, factors);
        if let Some(ema) = &mut self.ema {
            ema.update(&self.optimizer.evaluated(model.clone()));
        }
        model
    }

    fn learning_rate(&self) -> f64 {
        self.optimizer.learning_rate()
    }

    fn evaluated(&self, model: T::Model) -> T::Model {
        match &self.ema {
            Some(ema) => ema.averaged(model),
            None => self.optimizer.evaluated(model),
        }
    }

    fn snapshot(&self, model: &T::Model) -> Result<BTreeMap<String, Content>, TrainError> {
        let optimizer = (optimizer::FILE, self.optimizer.snapshot());
        let weights = self
            .ema
            .as_ref()
            .map(|ema| (optimizer::WEIGHTS, ema.snapshot(model)));
        let files = [optimizer].into_iter().chain(weights);
        Ok(files
            .map(|(name, file)| (name.into(), Content::Tensors(file)))
            .collect())
    }

    fn restore(&mut self, model: T::Model, folder: &Path) -> Result<(T::Model, Vec<String>), TrainError> {
        let device = model
            .devices()
            .into_iter()
            .next()
            .unwrap_or_else(Device::flex)
            .inner();
        let note = self.optimizer.restore(&folder.join(optimizer::FILE), &device)?;
        let mut notes: Vec<String> = note.into_iter().collect();
        let path = folder.join(optimizer::WEIGHTS);
        let (trained, updates) = match path.exists() {
            true => optimizer::read_weights(&path, model.clone())?,
            false => (self.optimizer.trained(model.clone()), 0),
        };
        match &mut self.ema {
            Some(ema) => ema.begin(updates, &model),
            None if path.exists() => {
                notes.push(
                    "there is no [ema] any more: from now on the weights themselves are evaluated and saved"
                        .into(),
                );
            }
            None => {}
        }
        Ok((trained, notes))
    }
}
