//! Task of a family, for the trainer: batches, loss, evaluation and files.

use crate::error::TrainError;
use crate::extent::Extent;
use crate::figures::{Figure, Unit};
use crate::identity::Identity;
use crate::keys::Keys;
use crate::sample::Sample;
use burn::module::Module;
use burn::tensor::Tensor;
use burn_dragon_checkpoint::api::Content;
use burn_dragon_core::api::{FreeMemory, MemoryError, Need, TensorShape};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Numbers by name, in a stable order.
pub type Metrics = BTreeMap<String, f64>;

/// Training task. The trainer knows a family only through this trait.
///
/// A step draws batches, computes their losses and updates the model:
///
/// ```text
/// batch = task.batch(position, cursor)        the data: a function of the position and the cursor alone
/// loss  = task.loss(model, batch, carry)      the model: memory in `carry` takes in what the batch held
/// ```
///
/// Batches do not depend on the model, so a task may have them [made ahead](Self::prefetches) on a thread.
pub trait Task: Sync {
    /// Model that is trained.
    type Model: Module;
    /// Data of one loss.
    type Batch: Send;
    /// Positions in streams of data, if a batch is not a function of [`DataPosition`] alone; otherwise `()`.
    type Cursor: Clone + Send;
    /// State that the loss carries from step to step: a memory of what was read, or a teacher. `()` if steps are
    /// independent.
    type Carry;

    /// Rules for the keys of the family's configuration: which may change when a run resumes, and which have moved.
    fn keys() -> Keys {
        Keys::default()
    }

    /// Creates a model with the run's shape and seed, on the device of the task.
    ///
    /// # Errors
    /// If the shape is not valid, or the machine does not have the memory for it.
    fn new_model(&self) -> Result<Self::Model, TrainError>;

    /// Cursor at the start of all streams of data.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn cursor(&self) -> Result<Self::Cursor, TrainError>;

    /// Carry before the first step: empty memories.
    ///
    /// # Errors
    /// If the model has no such memory.
    fn carry(&self, model: &Self::Model) -> Result<Self::Carry, TrainError>;

    /// Batch at a position: a function of the position and of the cursor, which moves on. It is not a function of the
    /// step, so a run with another batch size continues with the data that was not drawn yet.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn batch(&self, position: DataPosition, cursor: &mut Self::Cursor) -> Result<Self::Batch, TrainError>;

    /// Whether batches are made on a thread, one ahead of the step. The results of a run are the same bit for bit.
    /// Useful if a batch takes long to make.
    fn prefetches(&self) -> bool {
        false
    }

    /// Mean loss of a batch, differentiable. Memories in `carry` are updated with the batch.
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

    /// Called after the update of each step, counted from 1, with the new weights, for example to update a teacher. A
    /// skipped step has no update.
    ///
    /// # Errors
    /// If the carry does not fit the model.
    fn after_update(
        &self,
        _model: &Self::Model,
        _carry: &mut Self::Carry,
        _step: u64,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Called after a step that was skipped because a value was not finite. Empties the memories in `carry` that hold
    /// such a value, as at the start of a document. Returns their number.
    ///
    /// # Errors
    /// If they cannot be emptied.
    fn forget_damage(&self, _carry: &mut Self::Carry) -> Result<usize, TrainError> {
        Ok(0)
    }

    /// Figures of the model on held-out data. The model is without autodiff.
    ///
    /// # Errors
    /// If the data cannot be read.
    fn evaluate(&self, model: &Self::Model, scope: Scope) -> Result<Evaluation, TrainError>;

    /// Score by which checkpoints are compared; lower is better. The best checkpoint is kept.
    fn score(&self, evaluation: &Evaluation) -> f64 {
        evaluation.loss
    }

    /// Sample for the user: text, files, or both.
    ///
    /// # Errors
    /// If it cannot be made.
    fn sample(&self, _model: &Self::Model, _step: u64) -> Result<Option<Sample>, TrainError> {
        Ok(None)
    }

    /// Settings and data that must not change when the run resumes.
    fn identity(&self) -> Identity;

    /// Unit in which data is counted.
    fn unit(&self) -> Unit {
        Unit::SAMPLE
    }

    /// Figures that are shown beside the loss, in their order on a line.
    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }

    /// Name of the loss at the end of a run, if no figure of the loss is known.
    fn loss_name(&self) -> &'static str {
        "loss"
    }

    /// Number of units in a batch.
    fn units_per_batch(&self) -> u64;

    /// Number of units in one pass over the training data. `u64::MAX` if data is generated as it is drawn: then there are
    /// no epochs.
    fn units_per_epoch(&self) -> u64 {
        u64::MAX
    }

    /// Training FLOPs per unit, for the utilisation that is shown. If 0 (not known), none is shown.
    fn flops_per_unit(&self) -> u64 {
        0
    }

    /// Approximate memory of a training step in bytes, with the model and all that is kept for it; 0 if not known.
    fn bytes_per_step(&self) -> u64 {
        0
    }

    /// Refuses a step for which the machine does not have the memory. Called before the first step.
    ///
    /// # Errors
    /// If the memory is too small; with the memory needed, the memory available, and what to make smaller.
    fn check_memory(&self, memory: FreeMemory) -> Result<(), MemoryError> {
        let need = Need::of("a training step").with("in all", self.bytes_per_step());
        memory.check(&need, || {
            "use a smaller training.batch_size (and training.accumulate to keep the product), or a smaller model"
                .into()
        })
    }

    /// Tensors of the model, with their names and shapes; empty if they are not known without a model.
    fn tensors(&self) -> Vec<TensorShape> {
        Vec::new()
    }

    /// Bytes of cursor and carry in a checkpoint.
    fn carried_bytes(&self) -> u64 {
        0
    }

    /// Largest `training.batch_size`, at most `most`, whose step fits into `memory`; `None` if none fits, or it is not
    /// known.
    fn largest_batch(&self, _memory: FreeMemory, _most: u64) -> Option<u64> {
        None
    }

    /// Number of units that an evaluation reads; 0 if not known.
    fn evaluated_units(&self, _scope: Scope) -> u64 {
        0
    }

    /// Approximate memory of an evaluation in bytes, with the weights; 0 if not known.
    fn bytes_per_evaluation(&self) -> u64 {
        0
    }

    /// Size of a step's work; `None` if the task cannot be [cut](Self::cut).
    fn extent(&self) -> Option<Extent> {
        None
    }

    /// Reduces model and batch to a slice, on which the speed of the machine is measured. What is not in an [`Extent`]
    /// (width, neurons of a head, windows, precision, vocabulary) stays as it is. Returns the extent that the task has
    /// now; a task may be unable to reduce some of it.
    ///
    /// # Errors
    /// If there is no such slice.
    fn cut(&mut self, to: Extent) -> Result<Extent, TrainError> {
        Ok(to)
    }

    /// Files of the task in a checkpoint: the model, and cursor and carry if they are not empty, bit for bit. They are
    /// values, because they are written while training continues.
    ///
    /// # Errors
    /// If a description cannot be written as text.
    fn snapshot(&self, state: TaskState<'_, Self>) -> Result<BTreeMap<String, Content>, TrainError>;

    /// Reads the model's file from a checkpoint folder into `model`.
    ///
    /// # Errors
    /// If it is damaged or belongs to another model.
    fn restore(&self, model: Self::Model, folder: &Path) -> Result<Self::Model, TrainError>;

    /// Restores cursor and carry from a checkpoint folder.
    ///
    /// # Errors
    /// If a file is missing or damaged, or belongs to other data or another model.
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

/// State of a task, for a checkpoint.
#[derive(Debug)]
pub struct TaskState<'a, T: Task + ?Sized> {
    /// Model with the evaluated weights.
    pub model: &'a T::Model,
    /// Cursor after the last batch that was used.
    pub cursor: &'a T::Cursor,
    /// Carry after the last step.
    pub carry: &'a T::Carry,
    /// Number of steps taken.
    pub step: u64,
    /// Number of units drawn.
    pub units: u64,
}

/// Position of a run in its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataPosition {
    /// Number of units drawn before this batch, in all epochs together.
    pub units: u64,
    /// Number of units that the run planned to draw when it began. It decides which data a run leaves out if it is too
    /// short for all of it; a resumed run keeps it.
    pub planned: u64,
}

/// Context of a loss, beside the batch.
#[derive(Clone, Copy, Debug)]
pub struct LossContext {
    /// Seed of the step's dropout.
    pub dropout_seed: u64,
    /// Whether to measure activities (costs a few per cent).
    pub watch: bool,
}

/// Loss of one batch.
#[derive(Debug)]
pub struct Loss {
    /// Mean loss, `[1]`, differentiable.
    pub value: Tensor<1>,
    /// Figures measured on the way, if the context asked for them.
    pub metrics: Metrics,
}

impl Loss {
    /// A loss without metrics.
    pub fn of(value: Tensor<1>) -> Self {
        let metrics = Metrics::new();
        Self { value, metrics }
    }
}

impl Evaluation {
    /// An evaluation with a mean loss and no other figure.
    pub fn of(loss: f64) -> Self {
        Self {
            loss,
            ..Self::default()
        }
    }
}

/// Scope of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A fixed, bounded sample: the same batches every time.
    Sample {
        /// Number of batches.
        batches: usize,
    },
    /// All held-out data, and everything that the family measures once.
    Full,
}

/// Figures on held-out data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Other figures by name.
    pub metrics: Metrics,
    /// Lines for the user, shown at the end of a run.
    #[serde(skip)]
    pub notes: Vec<String>,
}
