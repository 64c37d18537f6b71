//! Steps of an encoder: what its backbones have in common.
//!
//! A picture is a stream of patches, and a step is a pass through the one block. A new frame replaces the stream, and
//! memories are kept:
//!
//! ```text
//! state = start(frame);  step(observe), step(refine), ...     the first frame
//! observe(state, frame); step(observe), step(refine), ...     the next ones
//! step(predict), ...                                          without a frame: time passes, and memories decay
//! ```
//!
//! [`State::detach`] between two steps truncates the back-propagation there.

use super::memory_use::MemoryUse;
use crate::error::VisionError;
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::api::Precision;
use burn_dragon_core::api::structured::{StepMode, StructuredError, StructuredState};
use burn_dragon_kernel::api::graph::History;

/// Options of a step.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepPass {
    /// Seed of the dropout masks. If absent, there is no dropout.
    pub dropout_seed: Option<u64>,
    /// Precision of the factors in matrix products, on the processor.
    pub precision: Precision,
    /// Use of the memories.
    pub memory: MemoryUse,
}

/// Backbone of an encoder on one grid of patches, with the weights of one pass.
pub trait Backbone {
    /// State of pictures with empty memories, from the patches of their first frame, `[B, 1, P, D]`.
    ///
    /// # Panics
    /// If the patches are not those of the grid, or have another width.
    fn start(&self, v: Tensor<4>) -> State;

    /// Replaces the stream by the patches of another frame, `[B, 1, P, D]`; memories are kept. A step in mode `Observe`
    /// follows.
    ///
    /// # Errors
    /// If the shape is another one, or the state is of another backbone.
    fn observe(&self, state: &mut State, v: Tensor<4>) -> Result<(), VisionError> {
        state.replace(v)
    }

    /// A step.
    ///
    /// # Errors
    /// If the state is of another backbone.
    fn step(&self, state: &mut State, mode: StepMode, pass: StepPass) -> Result<(), VisionError>;

    /// The pictures as vectors, `[B, D]`: the mean of the patches, if the backbone has no other readout.
    ///
    /// # Errors
    /// If the state is of another backbone.
    fn summary(&self, state: &State) -> Result<Tensor<2>, VisionError> {
        Ok(state.mean())
    }

    /// Gives the memories a form whose size does not grow with the steps, for many frames.
    ///
    /// # Errors
    /// If the state is of another backbone.
    fn settle(&self, state: &mut State) -> Result<(), VisionError> {
        let _ = state;
        Ok(())
    }

    /// The streams after each of `steps` steps on the current frame, `[B, 1, P, D]` each: one in mode `Observe`, and the
    /// others in mode `Refine`.
    ///
    /// # Errors
    /// If the state is of another backbone.
    fn look(&self, state: &mut State, steps: usize, pass: StepPass) -> Result<Vec<Tensor<4>>, VisionError> {
        let step = |index| {
            let mode = if index == 0 {
                StepMode::Observe
            } else {
                StepMode::Refine
            };
            self.step(state, mode, pass)?;
            Ok(state.stream())
        };
        (0..steps).map(step).collect()
    }
}

/// State of some pictures between two steps, as a value.
///
/// A clone forks it; data is copied only when one of the two continues.
#[derive(Clone, Debug)]
pub struct State {
    /// Stream of the patches, `[B, 1, P, D]`.
    pub(super) stream: Tensor<4>,
    /// Writes of the patches since memories were empty, in place of their memories.
    pub(super) writes: Option<History>,
    /// Memories in banks, none for backbones or forms without, and the time of each lane.
    pub(super) banks: StructuredState,
    /// Number of steps.
    pub(super) steps: usize,
}

impl State {
    /// State of a backbone that carries no memory, from patches `[B, 1, P, D]`.
    pub fn of_patches(v: Tensor<4>) -> Self {
        Self {
            banks: StructuredState::new(&[], v.dims()[0], &v.device()),
            stream: v,
            writes: None,
            steps: 0,
        }
    }

    /// Stream of the patches, `[B, 1, P, D]`.
    pub fn stream(&self) -> Tensor<4> {
        self.stream.clone()
    }

    /// Mean of the patches, `[B, D]`.
    pub fn mean(&self) -> Tensor<2> {
        let [lanes, _, _, width] = self.stream.dims();
        self.stream.clone().mean_dim(2).reshape([lanes, width])
    }

    /// Number of steps since the start.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Whole memories in banks, and time and age of each lane.
    pub fn banks(&self) -> &StructuredState {
        &self.banks
    }

    /// Counts a step in a mode, with the stream after it.
    pub fn advance(&mut self, stream: Tensor<4>, mode: StepMode) {
        self.stream = stream;
        self.banks.advance(mode);
        self.steps += 1;
    }

    /// The same state, detached: gradients end here.
    #[must_use]
    pub fn detach(self) -> Self {
        self.map(Tensor::detach, StructuredState::detach)
    }

    /// The same state without autodiff, for inference.
    #[must_use]
    pub fn inner(self) -> Self {
        self.map(Tensor::inner, StructuredState::inner)
    }

    /// The same state with autodiff, for training: a constant until a tracked tensor is written to it.
    #[must_use]
    pub fn autodiff(self) -> Self {
        self.map(Tensor::autodiff, StructuredState::autodiff)
    }

    /// State of some lanes, in this order; a lane that is listed twice is forked.
    ///
    /// # Errors
    /// If no lane is listed, or a lane does not exist.
    pub fn select(&self, lanes: &[usize]) -> Result<Self, VisionError> {
        let banks = self.banks.select_lanes(lanes)?;
        let indices: Vec<i32> = lanes.iter().map(|&lane| lane as i32).collect();
        let device = self.stream.device().inner();
        let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [lanes.len()]), &device);
        let pick = |tensor: Tensor<4>| tensor.select(0, indices.clone());
        Ok(self.clone().map(pick, |_| banks))
    }

    /// Replaces the stream by one of the same shape.
    pub(super) fn replace(&mut self, v: Tensor<4>) -> Result<(), VisionError> {
        let (given, expected) = (v.dims(), self.stream.dims());
        if given != expected {
            return Err(VisionError::State(StructuredError::Shape {
                bank: "patch".into(),
                part: "stream",
                given: given.to_vec(),
                expected: expected.to_vec(),
            }));
        }
        self.stream = v;
        Ok(())
    }

    fn map(
        self,
        change: impl Fn(Tensor<4>) -> Tensor<4>,
        banks: impl FnOnce(StructuredState) -> StructuredState,
    ) -> Self {
        Self {
            stream: change(self.stream),
            writes: self.writes.map(|writes| writes.map(&change)),
            banks: banks(self.banks),
            steps: self.steps,
        }
    }
}
