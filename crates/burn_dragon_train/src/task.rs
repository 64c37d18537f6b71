//! What a family tells the trainer: the batch of a step, its loss, how to evaluate, how to be saved.

use crate::error::TrainError;
use crate::identity::Identity;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_dragon_checkpoint::folder::Content;
use burn_dragon_core::{FreeMemory, MemoryError, Need};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers by name, in a stable order.
pub type Metrics = BTreeMap<String, f64>;

/// A thing to be learnt. The trainer knows nothing else about it.
pub trait Task {
    /// What is trained.
    type Model: Module;
    /// What one loss is computed from.
    type Batch;
    /// What goes on from step to step beside the model: places in streams of data and the memory of what was read
    /// there. `()` for a task whose steps are independent.
    type Carry;

    /// `language`, or another family.
    fn family(&self) -> &'static str;

    /// What a run begins with: the starts of all streams, and memories of nothing.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn carry(&self, model: &Self::Model) -> Result<Self::Carry, TrainError>;

    /// The batch that comes after so much data: a function of the place and of what is carried, which moves on. Not of
    /// the step: another size of batches goes on with the data that was not drawn yet.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn batch(&self, place: DataPosition, carry: &mut Self::Carry) -> Result<Self::Batch, TrainError>;

    /// The mean loss of a batch, differentiable. Memories carried take in what the batch held.
    ///
    /// # Errors
    /// If the batch and the model do not fit.
    fn loss(
        &self,
        model: &Self::Model,
        batch: Self::Batch,
        carry: &mut Self::Carry,
        context: LossContext,
    ) -> Result<Loss, TrainError>;

    /// After a step that was skipped because a value was not finite: empties what is carried of memories that hold such
    /// a value, as where a document begins. Places stay. Gives how many were emptied.
    ///
    /// # Errors
    /// If they cannot be.
    fn forget_damage(&self, carry: &mut Self::Carry) -> Result<usize, TrainError>;

    /// The model's figures on held-out data. The model is without autodiff.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn evaluate(&self, model: &Self::Model, scope: Scope) -> Result<Evaluation, TrainError>;

    /// Something for a person to look at.
    ///
    /// # Errors
    /// If it cannot be made.
    fn sample(&self, model: &Self::Model, step: u64) -> Result<Option<String>, TrainError>;

    /// What a run that goes on must find as it left it.
    fn identity(&self) -> Identity;

    /// Units (tokens, images) that one batch holds.
    fn units_per_batch(&self) -> u64;

    /// Units in one pass over the training data.
    fn units_per_epoch(&self) -> u64;

    /// Training FLOPs per unit, for the utilisation that is shown.
    fn flops_per_unit(&self) -> u64;

    /// Bytes that a training step needs, roughly, with the model and all that is kept for it.
    fn bytes_per_step(&self) -> u64;

    /// Refuses a step that there is no memory for; asked before the first one.
    ///
    /// # Errors
    /// With what a step needs, what there is, and what to make smaller.
    fn check_memory(&self, memory: FreeMemory) -> Result<(), MemoryError> {
        let need = Need::of("a training step").with("in all", self.bytes_per_step());
        memory.check(&need, || {
            "use a smaller training.batch_size (and training.accumulate to keep the product), or a smaller model"
                .into()
        })
    }

    /// A figure that is proportional to the loss, and the factor: bits per byte, for text.
    fn derived(&self) -> Option<(&'static str, f64)>;

    /// The files of a checkpoint that are the task's own: the model, and what is carried, bit for bit, where anything
    /// is. As values, because they are written while training goes on.
    ///
    /// # Errors
    /// If a description has no form as text.
    fn snapshot(
        &self,
        model: &Self::Model,
        carry: &Self::Carry,
        step: u64,
        units: u64,
    ) -> Result<BTreeMap<String, Content>, TrainError>;

    /// Reads the model's file from a checkpoint folder into `model`.
    ///
    /// # Errors
    /// If it is damaged or belongs to another model.
    fn restore(&self, model: Self::Model, folder: &Path) -> Result<Self::Model, TrainError>;

    /// Goes on from what a checkpoint folder says was carried.
    ///
    /// # Errors
    /// If it is missing or damaged, or belongs to other data or another model.
    fn restore_carry(
        &self,
        model: &Self::Model,
        carry: &mut Self::Carry,
        folder: &Path,
    ) -> Result<(), TrainError>;
}

/// Where in its data a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPosition {
    /// Units drawn before this batch, of all epochs together.
    pub units: u64,
    /// Units that the run was to draw when it began. They decide what a run too short for all of its data leaves out; a
    /// run that goes on keeps them.
    pub planned: u64,
}

/// What a loss may depend on beside the batch.
#[derive(Clone, Copy, Debug)]
pub struct LossContext {
    /// Seed of the step's dropout.
    pub dropout_seed: u64,
    /// Whether activations should be looked at (it costs a few per cent).
    pub watch: bool,
}

/// The loss of one batch.
#[derive(Debug)]
pub struct Loss {
    /// The mean loss, `[1]`, differentiable.
    pub value: Tensor<1>,
    /// Figures seen on the way, where the context asked for them.
    pub metrics: Metrics,
}

/// How much is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A fixed, bounded sample: the same batches every time.
    Sample {
        /// Batches.
        batches: usize,
    },
    /// All held-out data, and whatever the family measures once.
    Full,
}

/// Figures on held-out data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Other figures by name.
    pub metrics: Metrics,
    /// Lines for a person, shown at the end of a run.
    #[serde(skip)]
    pub notes: Vec<String>,
}
