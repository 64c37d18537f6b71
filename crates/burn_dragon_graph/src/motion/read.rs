//! Models that read frames, and their loss.

use super::Motion;
use crate::baselines::Baseline;
use crate::error::GraphError;
use crate::evaluate::{NodeModel, graphs};
use crate::execution::{GraphCompiledExecutor, GraphObservationMerger, GraphState, GraphStepMode};
use crate::graph::{Example, Graph, Labels};
use crate::input::GraphInput;
use crate::model::{GraphDragon, GraphPass, PlaceMemory};
use burn::tensor::{Tensor, TensorData};

/// A frame of the bodies of all graphs of a batch, `[P, W]`.
pub(crate) type BatchFrame = Vec<f32>;

/// Model that predicts the frame after some frames.
pub(crate) trait FrameModel: NodeModel {
    /// Outputs after each level for the newest of the frames, `[P, W]`.
    ///
    /// # Errors
    /// If there are too many edges.
    fn outputs(
        &self,
        graphs: &[&Graph],
        frames: &[BatchFrame],
        motion: &Motion,
        pass: GraphPass,
    ) -> Result<Vec<Tensor<2>>, GraphError>;

    /// The `count` frames after the observed ones, each from those before it: of a model without a memory, from as many as
    /// are observed.
    ///
    /// # Errors
    /// As [`outputs`](Self::outputs).
    fn rollout(
        &self,
        graphs: &[&Graph],
        observed: &[BatchFrame],
        motion: &Motion,
        count: usize,
        _memory: PlaceMemory,
    ) -> Result<Vec<BatchFrame>, GraphError> {
        let mut frames = observed.to_vec();
        for _ in 0..count {
            let window = &frames[frames.len() - observed.len()..];
            let outputs = self.outputs(graphs, window, motion, GraphPass::default())?.pop();
            push_next(&mut frames, outputs, motion);
        }
        Ok(frames.split_off(observed.len()))
    }
}

impl FrameModel for GraphDragon {
    /// The frames are read in turn, with the memories carried from one to the next.
    fn outputs(
        &self,
        graphs: &[&Graph],
        frames: &[BatchFrame],
        motion: &Motion,
        pass: GraphPass,
    ) -> Result<Vec<Tensor<2>>, GraphError> {
        let input = self.input(graphs)?;
        let values = |frame: &BatchFrame| input.clone().with_values(motion.rows(&[frame]));
        let inputs: Vec<GraphInput> = frames.iter().map(values).collect();
        let last = self.streams_of_frames(&inputs, pass).pop().unwrap_or_default();
        Ok(last.into_iter().map(|s| self.read_out(s, &input)).collect())
    }

    /// Observed frames are observed, predicted ones are fed back, and each of them is a step of prediction that is refined
    /// in the levels after the first.
    fn rollout(
        &self,
        graphs: &[&Graph],
        observed: &[BatchFrame],
        motion: &Motion,
        count: usize,
        memory: PlaceMemory,
    ) -> Result<Vec<BatchFrame>, GraphError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let input = self.input(graphs)?;
        let executor = GraphCompiledExecutor::of_input(&input, self)?;
        let mut state = executor.empty_state(self);
        let (mut frames, merger) = (observed.to_vec(), GraphObservationMerger::Learnt);
        for index in 0..(observed.len() + count).saturating_sub(1) {
            let given = input.clone().with_values(motion.rows(&[&frames[index]]));
            state = match index < observed.len() {
                true => executor.observe_input(self, state, &given, merger)?,
                false => executor.feed(self, state, &given, merger)?,
            };
            state = frame_read(self, &executor, state, index + 1, memory)?;
            if index + 1 >= observed.len() {
                push_next(&mut frames, Some(state.node_logits(self)), motion);
            }
        }
        Ok(frames.split_off(observed.len()))
    }
}

/// State after the levels of frame number `frame`, counted from 1.
fn frame_read(
    model: &GraphDragon,
    executor: &GraphCompiledExecutor,
    mut state: GraphState,
    frame: usize,
    memory: PlaceMemory,
) -> Result<GraphState, GraphError> {
    let is_wiped = memory == PlaceMemory::WipedAt(frame);
    if is_wiped || memory == PlaceMemory::ResetEachLevel {
        state = state.with_empty_memories();
    }
    for level in 0..model.config().model.n_levels {
        let mode = match level {
            0 => GraphStepMode::Predict,
            _ => GraphStepMode::Refine,
        };
        state = match memory == PlaceMemory::NeverWritten || (is_wiped && level == 0) {
            true => executor.step_without_writing(model, state, mode)?,
            false => executor.step(model, state, mode)?,
        };
    }
    Ok(state)
}

impl FrameModel for Baseline {
    /// The frames are read at once.
    fn outputs(
        &self,
        graphs: &[&Graph],
        frames: &[BatchFrame],
        motion: &Motion,
        pass: GraphPass,
    ) -> Result<Vec<Tensor<2>>, GraphError> {
        let frames: Vec<&[f32]> = frames.iter().map(Vec::as_slice).collect();
        let input = self.input(graphs)?.with_values(motion.rows(&frames));
        Ok(self.logits(&input, pass))
    }
}

/// Adds the frame of some outputs.
fn push_next(frames: &mut Vec<BatchFrame>, outputs: Option<Tensor<2>>, motion: &Motion) {
    let (Some(newest), Some(outputs)) = (frames.last(), outputs) else {
        return;
    };
    let outputs: Vec<f32> = outputs.into_data().convert::<f32>().iter::<f32>().collect();
    frames.push(motion.next(newest, &outputs));
}

/// The first `count` frames of a batch.
pub(super) fn batch_frames(examples: &[Example], count: usize) -> Vec<BatchFrame> {
    let frame = |index: usize| {
        let own = examples.iter().filter_map(|example| match &example.labels {
            Labels::Frames(frames) => Some(frames.frame(index)),
            _ => None,
        });
        own.flatten().copied().collect()
    };
    (0..count).map(frame).collect()
}

/// Mean squared error of the outputs after each level, for the first frame after those that are observed.
///
/// # Errors
/// If there are too many edges.
pub(crate) fn losses(
    model: &impl FrameModel,
    motion: &Motion,
    examples: &[Example],
    pass: GraphPass,
) -> Result<Vec<Tensor<1>>, GraphError> {
    let mut frames = batch_frames(examples, motion.observed_frames + 1);
    let next = frames.pop().unwrap_or_default();
    let newest = frames.last().map_or(&[][..], Vec::as_slice);
    let targets = motion.targets(newest, &next);
    let shape = [targets.len() / motion.inputs.width(), motion.inputs.width()];
    let targets = TensorData::new(targets, shape);
    let outputs = model.outputs(&graphs(examples), &frames, motion, pass)?;
    let loss = |outputs: Tensor<2>| {
        let options = (&outputs.device(), outputs.dtype());
        let targets = Tensor::<2>::from_data(targets.clone(), options);
        (outputs - targets).square().mean()
    };
    Ok(outputs.into_iter().map(loss).collect())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
