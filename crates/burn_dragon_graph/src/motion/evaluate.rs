//! Squared errors of predicted frames.

use super::read::{FrameModel, batch_frames, losses};
use super::{BodyInputs, Motion};
use crate::error::GraphError;
use crate::evaluate::{batches, graphs};
use crate::graph::Example;
use crate::model::GraphPass;

/// Errors of a model on trajectories.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct MotionScore {
    /// Mean squared error of the scaled outputs for the first predicted frame, after 1, 2, ... levels of the pass; empty if
    /// there are no outputs.
    pub(crate) losses: Vec<f64>,
    /// Mean squared error of the positions in the first, second, ... predicted frame of a roll-out.
    pub(crate) by_frame: Vec<f64>,
}

impl MotionScore {
    /// Error of the positions in the first predicted frame.
    pub(crate) fn first(&self) -> f64 {
        self.by_frame.first().copied().unwrap_or_default()
    }

    /// Error of the positions in the last predicted frame.
    pub(crate) fn last(&self) -> f64 {
        self.by_frame.last().copied().unwrap_or_default()
    }
}

/// Errors of a model on the examples: of a pass, and of a roll-out of `count` frames in the levels of training.
///
/// # Errors
/// If there are too many edges.
pub(crate) fn score(
    model: &impl FrameModel,
    motion: &Motion,
    examples: &[Example],
    count: usize,
    pass: GraphPass,
) -> Result<MotionScore, GraphError> {
    let mut means = Means::default();
    for batch in batches(examples) {
        let bodies: usize = batch.iter().map(|example| example.graph.nodes()).sum();
        let by_level = losses(model, motion, batch, pass)?.into_iter();
        let by_level = by_level.map(|loss| loss.into_scalar::<f64>());
        let frames = batch_frames(batch, motion.observed_frames + count);
        let (observed, expected) = frames.split_at(motion.observed_frames);
        let predicted = model.rollout(&graphs(batch), observed, motion, count, pass.memory)?;
        means.add(bodies, by_level.collect(), errors(motion, &predicted, expected));
    }
    Ok(means.score())
}

/// Errors of the control: each body goes on with its velocity, or with its last displacement where velocities are not seen.
pub(crate) fn constant_velocity(motion: &Motion, examples: &[Example], count: usize) -> MotionScore {
    let mut means = Means::default();
    for batch in batches(examples) {
        let bodies: usize = batch.iter().map(|example| example.graph.nodes()).sum();
        let mut frames = batch_frames(batch, motion.observed_frames + count);
        let expected = frames.split_off(motion.observed_frames);
        for _ in 0..count {
            frames.push(gone_on(motion, &frames));
        }
        let predicted = &frames[motion.observed_frames..];
        means.add(bodies, Vec::new(), errors(motion, predicted, &expected));
    }
    means.score()
}

/// Frame after some frames if velocities do not change.
fn gone_on(motion: &Motion, frames: &[Vec<f32>]) -> Vec<f32> {
    let newest = &frames[frames.len() - 1];
    match motion.inputs {
        BodyInputs::PositionsAndVelocities => motion.next(newest, &vec![0.0; newest.len()]),
        BodyInputs::Positions => {
            let pairs = newest.iter().zip(&frames[frames.len() - 2]);
            pairs.map(|(newest, before)| 2.0 * newest - before).collect()
        }
    }
}

/// Mean squared error of the positions in each frame.
fn errors(motion: &Motion, predicted: &[Vec<f32>], expected: &[Vec<f32>]) -> Vec<f64> {
    let width = motion.inputs.width();
    let frame = |(predicted, expected): (&Vec<f32>, &Vec<f32>)| {
        let pairs = predicted.iter().zip(expected).enumerate();
        let positions = pairs.filter(|(at, _)| at % width < 2);
        let squares = positions.map(|(_, (one, other))| f64::from(one - other).powi(2));
        squares.sum::<f64>() / (2 * predicted.len() / width).max(1) as f64
    };
    predicted.iter().zip(expected).map(frame).collect()
}

/// Means over batches, each weighed by its number of bodies.
#[derive(Default)]
struct Means {
    bodies: usize,
    losses: Vec<f64>,
    by_frame: Vec<f64>,
}

impl Means {
    fn add(&mut self, bodies: usize, losses: Vec<f64>, by_frame: Vec<f64>) {
        self.bodies += bodies;
        for (sums, means) in [(&mut self.losses, losses), (&mut self.by_frame, by_frame)] {
            sums.resize(means.len(), 0.0);
            let pairs = sums.iter_mut().zip(means);
            pairs.for_each(|(sum, mean)| *sum += bodies as f64 * mean);
        }
    }

    fn score(self) -> MotionScore {
        let bodies = self.bodies.max(1) as f64;
        let means = |sums: Vec<f64>| sums.into_iter().map(|sum| sum / bodies).collect();
        MotionScore {
            losses: means(self.losses),
            by_frame: means(self.by_frame),
        }
    }
}

#[cfg(test)]
#[path = "evaluate_tests.rs"]
pub(in crate::motion) mod tests;
