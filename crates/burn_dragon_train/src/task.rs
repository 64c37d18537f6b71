//! What a family tells the trainer: the batch of a step, its loss, how to evaluate, how to be saved.

use crate::error::TrainError;
use crate::figures::{Figure, Unit};
use crate::identity::Identity;
use crate::keys::Keys;
use crate::sample::Sample;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::{FreeMemory, MemoryError, Need};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers by name, in a stable order.
pub type Metrics = BTreeMap<String, f64>;

/// A thing to be learnt. The trainer knows nothing else about it.
///
/// A step draws batches, computes their losses and updates the model:
///
/// ```text
/// batch = task.batch(position, cursor)        the data: a function of the position and the cursor alone
/// loss  = task.loss(model, batch, carry)      the model: memory in `carry` takes in what the batch held
/// ```
///
/// Batches depend on no model, so a task may ask for them to be [made ahead](Self::prefetches) on a thread.
pub trait Task: Sync {
    /// What is trained.
    type Model: Module;
    /// What one loss is computed from.
    type Batch: Send;
    /// Places in streams of data, where a batch is no function of [`DataPosition`] alone; otherwise `()`.
    type Cursor: Clone + Send;
    /// What goes from step to step through the loss: memory of what was read, a teacher. `()` where steps are independent.
    type Carry;

    /// The keys of the family's configuration: which may change when a run goes on, and which have moved.
    fn keys() -> Keys {
        Keys::default()
    }

    /// A new model of the run's shape and seed, on the device of the task.
    ///
    /// # Errors
    /// If no model can have the shape, or the machine has no memory for it.
    fn new_model(&self) -> Result<Self::Model, TrainError>;

    /// The start of all streams of data.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn cursor(&self) -> Result<Self::Cursor, TrainError>;

    /// What is carried before the first step: memory of nothing.
    ///
    /// # Errors
    /// If the model has no such memory.
    fn carry(&self, model: &Self::Model) -> Result<Self::Carry, TrainError>;

    /// The batch that comes after so much data: a function of the position and of the cursor, which moves on. Not of the
    /// step: another size of batches goes on with the data that was not drawn yet.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn batch(&self, position: DataPosition, cursor: &mut Self::Cursor) -> Result<Self::Batch, TrainError>;

    /// Whether batches are made on a thread, one ahead of the step. The bits of a run are the same with and without; it
    /// pays where a batch takes long to make.
    fn prefetches(&self) -> bool {
        false
    }

    /// The mean loss of a batch, differentiable. Memory in `carry` takes in what the batch held.
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

    /// Called after the update of each step, counted from 1, with the new weights: a teacher follows its student. A step
    /// that was skipped has no update.
    ///
    /// # Errors
    /// If what is carried does not fit the model.
    fn after_update(
        &self,
        _model: &Self::Model,
        _carry: &mut Self::Carry,
        _step: u64,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// After a step that was skipped because a value was not finite: empties memories in `carry` that hold such a value,
    /// as where a document begins. Gives how many were emptied.
    ///
    /// # Errors
    /// If they cannot be.
    fn forget_damage(&self, _carry: &mut Self::Carry) -> Result<usize, TrainError> {
        Ok(0)
    }

    /// The model's figures on held-out data. The model is without autodiff.
    ///
    /// # Errors
    /// If the data cannot be had.
    fn evaluate(&self, model: &Self::Model, scope: Scope) -> Result<Evaluation, TrainError>;

    /// The number by which checkpoints are compared, lower is better: the best one is kept.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        evaluation.loss
    }

    /// Something for a person to look at: text, files, or both.
    ///
    /// # Errors
    /// If it cannot be made.
    fn sample(&self, _model: &Self::Model, _step: u64) -> Result<Option<Sample>, TrainError> {
        Ok(None)
    }

    /// What a run that goes on must find as it left it.
    fn identity(&self) -> Identity;

    /// What data is counted in.
    fn unit(&self) -> Unit {
        Unit::SAMPLE
    }

    /// The figures that are shown beside the loss, in their order on a line.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// What the loss is called at the end of a run, where no figure of the loss is known.
    fn loss_name(&self) -> &'static str {
        "loss"
    }

    /// Units that one batch holds.
    fn units_per_batch(&self) -> u64;

    /// Units in one pass over the training data; without end where data is made as it is drawn, and there are no epochs.
    fn units_per_epoch(&self) -> u64 {
        u64::MAX
    }

    /// Training FLOPs per unit, for the utilisation that is shown; 0 where they are not known, and none is shown.
    fn flops_per_unit(&self) -> u64 {
        0
    }

    /// Bytes that a training step needs, roughly, with the model and all that is kept for it; 0 where that is not known.
    fn bytes_per_step(&self) -> u64 {
        0
    }

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

    /// The files of a checkpoint that are the task's own: the model, and cursor and carry, bit for bit, where they hold
    /// anything. As values, because they are written while training goes on.
    ///
    /// # Errors
    /// If a description has no form as text.
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError>;

    /// Reads the model's file from a checkpoint folder into `model`.
    ///
    /// # Errors
    /// If it is damaged or belongs to another model.
    fn restore(&self, model: Self::Model, folder: &Path) -> Result<Self::Model, TrainError>;

    /// Goes on from what a checkpoint folder says of cursor and carry.
    ///
    /// # Errors
    /// If it is missing or damaged, or belongs to other data or another model.
    fn restore_carried(
        &self,
        _model: &Self::Model,
        _cursor: &mut Self::Cursor,
        _carry: &mut Self::Carry,
        _folder: &Path,
    ) -> Result<(), TrainError> {
        Ok(())
    }
}

/// What a task writes into a checkpoint.
#[derive(Debug)]
pub struct TaskState<'a, T: Task + ?Sized> {
    /// The model as it is evaluated.
    pub model: &'a T::Model,
    /// After the last batch that was learnt from.
    pub cursor: &'a T::Cursor,
    /// After the last step.
    pub carry: &'a T::Carry,
    /// Steps taken.
    pub step: u64,
    /// Units drawn.
    pub units: u64,
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

impl Loss {
    /// A loss, with nothing seen on the way.
    pub fn of(value: Tensor<1>) -> Self {
        let metrics = Metrics::new();
        Self { value, metrics }
    }
}

impl Evaluation {
    /// A mean loss, and no other figure.
    pub fn of(loss: f64) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }
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
