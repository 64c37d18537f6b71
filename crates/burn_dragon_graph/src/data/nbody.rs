//! Trajectories of bodies joined by springs, each a function of seed and index.

use super::generate::GeneratorConfig;
use super::springs::{Bodies, Springs, Vectors};
use super::{Part, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use crate::motion::{BodyInputs, Frames, MOST_FRAMES, Motion};
use burn_dragon_core::api::expert::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Number of training graphs by which outputs are scaled.
const SCALED: usize = 200;
/// Least scale of an output.
const LEAST_SCALE: f64 = 1e-6;

/// Bodies and frames: the table `[dataset.nbody]`, for `task = "nbody"`.
///
/// Positions and velocities begin uniform in a square, -1 to 1, with a mean of 0. The first frame is at a random time after that,
/// up to `rollout_frames` frames later. Training graphs have one frame after those that are observed, the others
/// `rollout_frames`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NbodyConfig {
    /// What a model sees of a body.
    pub inputs: BodyInputs,
    /// Number of frames that are observed before the first one is predicted, 1 to 1,024; at least 2 where velocities are not
    /// seen.
    pub observed_frames: usize,
    /// Number of frames that are predicted one after another in evaluation, each from the predicted ones before it; 1 to
    /// 1,024.
    pub rollout_frames: usize,
    /// Time between two frames, above 0 to 1. The mass of a body is 1.
    pub frame_time: f64,
    /// Stiffness of the springs, 0 to 100.
    pub stiffness: f64,
    /// Length of a spring at rest, 0 to 10. With 0, motion is linear.
    pub spring_length: f64,
}

impl Default for NbodyConfig {
    fn default() -> Self {
        Self {
            inputs: BodyInputs::default(),
            observed_frames: 1,
            rollout_frames: 50,
            frame_time: 0.1,
            stiffness: 1.0,
            spring_length: 1.0,
        }
    }
}

impl NbodyConfig {
    pub(super) fn validate(&self) -> Result<(), GraphError> {
        let least = self.inputs.least_frames();
        for (key, frames, least) in [
            ("dataset.nbody.observed_frames", self.observed_frames, least),
            ("dataset.nbody.rollout_frames", self.rollout_frames, 1),
        ] {
            if !(least..=MOST_FRAMES).contains(&frames) {
                let reason = format!("is {frames}; expected a number from {least} to {MOST_FRAMES}");
                return Err(GraphError::Config { key, reason });
            }
        }
        for (key, value, least, most) in [
            ("dataset.nbody.frame_time", self.frame_time, 1e-6, 1.0),
            ("dataset.nbody.stiffness", self.stiffness, 0.0, 100.0),
            ("dataset.nbody.spring_length", self.spring_length, 0.0, 10.0),
        ] {
            if !(least..=most).contains(&value) {
                let reason = format!("is {value}; expected a number from {least} to {most}");
                return Err(GraphError::Config { key, reason });
            }
        }
        Ok(())
    }

    /// Memory of the frames of a body.
    pub(super) fn bytes_a_body(&self) -> u64 {
        let frames = (self.observed_frames + self.rollout_frames) as u64;
        4 * frames * self.inputs.width() as u64
    }

    /// Columns and outputs, with the scales of the outputs in the first training graphs.
    pub(super) fn schema(&self, generator: &GeneratorConfig) -> Schema {
        let mut motion = Motion {
            inputs: self.inputs,
            observed_frames: self.observed_frames,
            frame_time: self.frame_time,
            scales: [1.0; 2],
        };
        let scaled = 0..generator.graphs.min(SCALED) as u64;
        motion.scales = scales(&motion, scaled.map(|index| generator.example(Part::Train, index)));
        Schema {
            features: motion.columns(1),
            classes: self.inputs.names().iter().map(ToString::to_string).collect(),
            target: Target::Motion(motion),
            coding: None,
        }
    }

    /// Bodies, their springs and their frames.
    pub(super) fn example(&self, part: Part, bodies: usize, rng: &mut Rng) -> Example {
        let springs = Springs {
            pairs: pairs(bodies, rng),
            stiffness: self.stiffness,
            length: self.spring_length,
        };
        let begin = Bodies {
            positions: centred(bodies, rng),
            velocities: centred(bodies, rng),
        };
        let later = rng.below(self.rollout_frames + 1);
        let shown = match part {
            Part::Train => self.observed_frames + 1,
            Part::Validation | Part::Test => self.observed_frames + self.rollout_frames,
        };
        let next = |bodies: &Bodies| Some(springs.after(bodies.clone(), self.frame_time));
        let all = std::iter::successors(Some(begin), next);
        let numbers = all.skip(later).take(shown).flat_map(|bodies| self.seen(&bodies));
        let frames = Frames::new(bodies, self.inputs, numbers.collect());
        let graph = Graph::undirected(&springs.pairs, vec![Vec::new(); bodies]);
        match (graph, frames) {
            (Ok(graph), Ok(frames)) => Example {
                graph: Arc::new(graph),
                labels: Labels::Frames(Arc::new(frames)),
            },
            (Err(error), _) | (_, Err(error)) => {
                unreachable!("springs join bodies, and frames are whole and finite: {error}")
            }
        }
    }

    /// Numbers of a frame.
    fn seen(&self, bodies: &Bodies) -> Vec<f32> {
        let each = bodies.positions.iter().zip(&bodies.velocities);
        let numbers = |([x, y], [vx, vy]): (&[f64; 2], &[f64; 2])| {
            let all = [*x, *y, *vx, *vy].map(|number| number as f32);
            all.into_iter().take(self.inputs.width())
        };
        each.flat_map(numbers).collect()
    }
}

/// A random tree of springs, in which each body hangs on an earlier one, and up to half as many further springs as bodies.
fn pairs(bodies: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = (1..bodies).map(|body| (rng.below(body), body)).collect();
    for _ in 0..rng.below(bodies / 2 + 1) {
        let (one, other) = (rng.below(bodies), rng.below(bodies));
        let pair = (one.min(other), one.max(other));
        if one != other && !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// Uniform vectors, -1 to 1, less their mean.
fn centred(bodies: usize, rng: &mut Rng) -> Vectors {
    let mut vectors: Vectors = (0..bodies)
        .map(|_| [rng.uniform(), rng.uniform()].map(|share| 2.0 * share - 1.0))
        .collect();
    for axis in 0..2 {
        let mean = vectors.iter().map(|vector| vector[axis]).sum::<f64>() / bodies as f64;
        vectors.iter_mut().for_each(|vector| vector[axis] -= mean);
    }
    vectors
}

/// Root mean squares of the outputs that are not scaled yet: of positions, and of velocities.
fn scales(motion: &Motion, examples: impl Iterator<Item = Example>) -> [f64; 2] {
    let (mut sums, mut counts, width) = ([0.0; 2], [0usize; 2], motion.inputs.width());
    for example in examples {
        let Labels::Frames(frames) = &example.labels else {
            continue;
        };
        let last = motion.observed_frames;
        let targets = motion.targets(frames.frame(last - 1), frames.frame(last));
        for (at, target) in targets.into_iter().enumerate() {
            let of = at % width / 2;
            sums[of] += f64::from(target).powi(2);
            counts[of] += 1;
        }
    }
    [0, 1].map(|of| match counts[of] {
        0 => 1.0,
        count => (sums[of] / count as f64).sqrt().max(LEAST_SCALE),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{DatasetConfig, GeneratedTask};

    fn generator(nbody: NbodyConfig) -> GeneratorConfig {
        GeneratorConfig {
            task: GeneratedTask::Nbody,
            graphs: 6,
            validation_graphs: 2,
            test_graphs: 2,
            nodes: [3, 5],
            test_nodes: [6, 8],
            nbody: Some(nbody),
            ..GeneratorConfig::default()
        }
    }

    fn frames(example: &Example) -> &Frames {
        match &example.labels {
            Labels::Frames(frames) => frames,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_trajectory_is_a_function_of_its_index_and_has_the_frames_of_its_part() {
        let config = generator(NbodyConfig::default());
        for (part, count, bodies) in [
            (Part::Train, 2, 3..=5),
            (Part::Validation, 51, 3..=5),
            (Part::Test, 51, 6..=8),
        ] {
            let example = config.example(part, 1);
            assert_eq!(frames(&example).count(), count);
            assert!(bodies.contains(&example.graph.nodes()));
            assert!(example.graph.edges().len() >= 2 * (example.graph.nodes() - 1));
            assert_eq!(example, config.example(part, 1));
            assert_ne!(example, config.example(part, 2));
        }
    }

    /// Bodies that see positions alone are the same bodies.
    #[test]
    fn hidden_velocities_leave_the_positions() {
        let seen = generator(NbodyConfig::default());
        let hidden = generator(NbodyConfig {
            inputs: BodyInputs::Positions,
            observed_frames: 2,
            ..NbodyConfig::default()
        });
        let (seen, hidden) = (seen.example(Part::Test, 0), hidden.example(Part::Test, 0));
        assert_eq!(seen.graph, hidden.graph);
        let positions = frames(&seen)
            .frame(1)
            .chunks(4)
            .flat_map(|body| body[..2].to_vec());
        assert_eq!(positions.collect::<Vec<_>>(), frames(&hidden).frame(1));
    }

    /// In frames close in time, positions follow velocities, and velocities the force of the springs.
    #[test]
    fn frames_follow_the_law_of_motion() {
        let nbody = NbodyConfig {
            frame_time: 1e-3,
            spring_length: 0.5,
            ..NbodyConfig::default()
        };
        let Example { graph, labels } = generator(nbody).example(Part::Test, 3);
        let Labels::Frames(frames) = labels else { panic!() };
        let body = |frame: usize, body: usize| -> Vec<f64> {
            let numbers = &frames.frame(frame)[4 * body..][..4];
            numbers.iter().copied().map(f64::from).collect()
        };
        for node in 0..graph.nodes() {
            let (before, after) = (body(10, node), body(30, node));
            let mut force = [0.0; 2];
            for (_, other) in graph.edges().iter().filter(|(one, _)| *one == node) {
                let other = body(20, *other);
                let offset = [0, 1].map(|axis| body(20, node)[axis] - other[axis]);
                let stretch = 1.0 - 0.5 / offset[0].hypot(offset[1]);
                force[0] -= stretch * offset[0];
                force[1] -= stretch * offset[1];
            }
            for axis in 0..2 {
                let speed = (after[axis] - before[axis]) / 0.02;
                assert!((speed - body(20, node)[2 + axis]).abs() < 1e-3);
                let acceleration = (after[2 + axis] - before[2 + axis]) / 0.02;
                assert!(
                    (acceleration - force[axis]).abs() < 2e-2,
                    "{acceleration} {force:?}"
                );
            }
        }
    }

    #[test]
    fn outputs_of_the_training_graphs_have_a_mean_square_of_one() {
        let config = generator(NbodyConfig::default());
        let Target::Motion(motion) = config.schema().target else {
            panic!()
        };
        let data = DatasetConfig::Embedded(config).load().unwrap();
        assert_eq!((data.schema.features, data.train.len()), (5, 6));
        let targets = data.train.iter().map(|example| {
            let frames = frames(example);
            motion.targets(frames.frame(0), frames.frame(1))
        });
        let targets: Vec<f32> = targets.flatten().collect();
        for of in 0..2 {
            let own = targets.chunks(4).flat_map(|body| &body[2 * of..][..2]);
            let squares: Vec<f32> = own.map(|value| value * value).collect();
            let mean = squares.iter().sum::<f32>() / squares.len() as f32;
            assert!((mean - 1.0).abs() < 1e-3, "{mean}");
        }
    }

    #[test]
    fn frames_that_cannot_be_are_refused_by_their_key() {
        let refused = |change: fn(&mut NbodyConfig)| {
            let mut nbody = NbodyConfig::default();
            change(&mut nbody);
            generator(nbody).validate().unwrap_err().to_string()
        };
        let hidden = refused(|nbody| nbody.inputs = BodyInputs::Positions);
        assert!(hidden.starts_with("dataset.nbody.observed_frames is 1; expected a number from 2"));
        assert!(refused(|nbody| nbody.rollout_frames = 0).starts_with("dataset.nbody.rollout_frames"));
        assert!(refused(|nbody| nbody.frame_time = 0.0).starts_with("dataset.nbody.frame_time"));
        assert!(refused(|nbody| nbody.stiffness = f64::NAN).starts_with("dataset.nbody.stiffness"));
        assert!(refused(|nbody| nbody.spring_length = -1.0).starts_with("dataset.nbody.spring_length"));
    }
}
