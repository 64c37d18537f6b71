//! Motion of bodies, which are nodes of a graph: frames that are observed, and frames that are predicted.
//!
//! A frame has a position of each body, and a velocity if velocities are seen. It enters a model as the features
//! `(1, x, y, vx, vy)` or `(1, x, y)` of each node. With t the time between two frames and s the scales, the outputs are
//!
//! ```text
//! (x' - x - t vx) / s_1,  (y' - y - t vy) / s_1,  (vx' - vx) / s_2,  (vy' - vy) / s_2
//! (x' - x) / s_1,  (y' - y) / s_1                                        if velocities are not seen
//! ```
//!
//! so that outputs of 0 are motion with constant velocity, or no motion. A roll-out takes each predicted frame as the next
//! observation.
//!
//! | what | where |
//! |---|---|
//! | frames, and the quantities above | here |
//! | models that read frames, and their loss | `read.rs` |
//! | squared errors of roll-outs | `evaluate.rs` |
//! | report of a run | `report.rs` |
//! | predictions of given frames | `predict.rs` |

mod evaluate;
mod predict;
mod read;
mod report;

pub(crate) use self::evaluate::{MotionScore, constant_velocity, score};
pub(crate) use self::predict::predict;
pub(crate) use self::read::{FrameModel, losses};
pub(crate) use self::report::{MotionReport, NamedMotion, object};

use crate::error::GraphError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest number of observed frames, and of frames of a roll-out.
pub(crate) const MOST_FRAMES: usize = 1 << 10;

/// What is seen of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BodyInputs {
    /// Its position and velocity.
    #[default]
    PositionsAndVelocities,
    /// Its position.
    Positions,
}

impl BodyInputs {
    /// Names of the numbers of a body, which are those of the outputs.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::PositionsAndVelocities => &["x", "y", "vx", "vy"],
            Self::Positions => &["x", "y"],
        }
    }

    /// Number of the numbers of a body.
    pub fn width(self) -> usize {
        self.names().len()
    }

    /// Least number of frames from which a velocity is known.
    pub fn least_frames(self) -> usize {
        match self {
            Self::PositionsAndVelocities => 1,
            Self::Positions => 2,
        }
    }
}

/// Frames of some bodies, in equal steps of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Frames {
    bodies: usize,
    width: usize,
    /// `[T, P, W]`
    values: Vec<f32>,
}

impl Frames {
    /// Frames of `bodies` bodies; `values` has the numbers of each body, of all bodies, of all frames.
    ///
    /// # Errors
    /// [`GraphError::Graph`] if there is no body or no frame, a frame is not whole, or a number is not finite.
    pub fn new(bodies: usize, inputs: BodyInputs, values: Vec<f32>) -> Result<Self, GraphError> {
        let width = inputs.width();
        let (given, frame) = (values.len(), bodies * width);
        if given == 0 || frame == 0 || !given.is_multiple_of(frame) {
            return Err(GraphError::Graph(format!(
                "{given} numbers are no frames of {bodies} bodies with {width} numbers each; expected a multiple of {frame}, and \
                 at least one frame"
            )));
        }
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            let (frame, body) = (at / frame, at % frame / width);
            return Err(GraphError::Graph(format!(
                "frame {frame}, body {body}: {} is not finite",
                values[at]
            )));
        }
        Ok(Self {
            bodies,
            width,
            values,
        })
    }

    /// Number of bodies.
    pub fn bodies(&self) -> usize {
        self.bodies
    }

    /// Number of frames.
    pub fn count(&self) -> usize {
        self.values.len() / (self.bodies * self.width)
    }

    /// Numbers of a frame, `[P, W]`.
    ///
    /// # Panics
    /// If there is no such frame.
    pub fn frame(&self, index: usize) -> &[f32] {
        let size = self.bodies * self.width;
        &self.values[index * size..][..size]
    }

    /// Numbers of all frames, `[T, P, W]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Frames of a task, and the scales of the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Motion {
    /// What is seen of a body.
    pub inputs: BodyInputs,
    /// Number of frames that are observed before the first one is predicted.
    pub observed_frames: usize,
    /// Time between two frames.
    pub frame_time: f64,
    /// Scales of the outputs: of positions, and of velocities.
    pub scales: [f64; 2],
}

impl Motion {
    /// Checks the values, and that a model of so many features and classes can read and predict frames.
    ///
    /// # Errors
    /// What differs.
    pub(crate) fn check(&self, features: usize, outputs: &[String]) -> Result<(), String> {
        let Self {
            inputs,
            observed_frames,
            frame_time,
            scales,
        } = *self;
        let least = inputs.least_frames();
        let is_scale = |scale: f64| scale.is_finite() && scale > 0.0;
        if !(least..=MOST_FRAMES).contains(&observed_frames) {
            return Err(format!(
                "observed_frames is {observed_frames}; expected from {least} to {MOST_FRAMES}"
            ));
        }
        if ![frame_time, scales[0], scales[1]].into_iter().all(is_scale) {
            return Err(format!(
                "frame_time is {frame_time} and scales {scales:?}; expected positive numbers"
            ));
        }
        if features != self.columns(1) || outputs != inputs.names() {
            return Err(format!(
                "{features} features and the outputs {outputs:?}; expected {} and {:?}",
                self.columns(1),
                inputs.names()
            ));
        }
        Ok(())
    }

    /// Number of columns of an input of so many frames.
    pub(crate) fn columns(&self, frames: usize) -> usize {
        1 + frames * self.inputs.width()
    }

    /// Input of frames that are read at once: for each body 1, and its numbers in each frame. `[P, 1 + T W]`.
    pub(crate) fn rows(&self, frames: &[&[f32]]) -> Vec<f32> {
        let width = self.inputs.width();
        let bodies = frames.first().map_or(0, |frame| frame.len() / width);
        let mut rows = Vec::with_capacity(bodies * self.columns(frames.len()));
        for body in 0..bodies {
            rows.push(1.0);
            for frame in frames {
                rows.extend_from_slice(&frame[body * width..][..width]);
            }
        }
        rows
    }

    /// Outputs for a frame and the next one, `[P, W]`.
    pub(crate) fn targets(&self, frame: &[f32], next: &[f32]) -> Vec<f32> {
        let still = self.still(frame);
        let differences = next.iter().zip(&still).enumerate();
        let scaled = differences.map(|(at, (next, still))| (f64::from(*next) - still) / self.scale(at));
        scaled.map(|value| value as f32).collect()
    }

    /// Frame after a frame, from the outputs.
    pub(crate) fn next(&self, frame: &[f32], outputs: &[f32]) -> Vec<f32> {
        let still = self.still(frame);
        let terms = still.into_iter().zip(outputs).enumerate();
        let numbers = terms.map(|(at, (still, output))| still + f64::from(*output) * self.scale(at));
        numbers.map(|number| number as f32).collect()
    }

    /// Frame after outputs of 0: each body goes on with its velocity, or stays where velocities are not seen.
    fn still(&self, frame: &[f32]) -> Vec<f64> {
        let width = self.inputs.width();
        let of = |at: usize| match (self.inputs, at % width) {
            (BodyInputs::PositionsAndVelocities, 0 | 1) => {
                f64::from(frame[at]) + self.frame_time * f64::from(frame[at + 2])
            }
            _ => f64::from(frame[at]),
        };
        (0..frame.len()).map(of).collect()
    }

    fn scale(&self, at: usize) -> f64 {
        self.scales[at % self.inputs.width() / 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn motion(inputs: BodyInputs) -> Motion {
        Motion {
            inputs,
            observed_frames: inputs.least_frames(),
            frame_time: 0.5,
            scales: [0.25, 2.0],
        }
    }

    #[test]
    fn outputs_of_zero_are_constant_velocity_and_targets_lead_to_the_next_frame() {
        let frame = [1.0, 2.0, 4.0, -2.0, 0.0, 0.0, 1.0, 1.0];
        let seen = motion(BodyInputs::PositionsAndVelocities);
        assert_eq!(
            seen.next(&frame, &[0.0; 8]),
            [3.0, 1.0, 4.0, -2.0, 0.5, 0.5, 1.0, 1.0]
        );
        let next = [3.5, 1.0, 6.0, -2.0, 0.5, 1.0, 1.0, -1.0];
        let targets = seen.targets(&frame, &next);
        assert_eq!(targets, [2.0, 0.0, 1.0, 0.0, 0.0, 2.0, 0.0, -1.0]);
        assert_eq!(seen.next(&frame, &targets), next);
        let hidden = motion(BodyInputs::Positions);
        let targets = hidden.targets(&[1.0, 2.0], &[1.5, 1.0]);
        assert_eq!(targets, [2.0, -4.0]);
        assert_eq!(hidden.next(&[1.0, 2.0], &targets), [1.5, 1.0]);
    }

    #[test]
    fn an_input_has_a_one_and_the_numbers_of_every_frame_body_by_body() {
        let hidden = motion(BodyInputs::Positions);
        let rows = hidden.rows(&[&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0, 8.0]]);
        assert_eq!(rows, [1.0, 1.0, 2.0, 5.0, 6.0, 1.0, 3.0, 4.0, 7.0, 8.0]);
        assert_eq!(hidden.columns(2), 5);
    }

    #[test]
    fn frames_that_are_not_whole_or_not_finite_are_refused() {
        let frames = |values: &[f32]| Frames::new(2, BodyInputs::Positions, values.to_vec());
        let whole = frames(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]).unwrap();
        assert_eq!((whole.count(), whole.frame(1)), (2, &[4.0, 5.0, 6.0, 7.0][..]));
        for (values, says) in [
            (&[][..], "0 numbers"),
            (&[1.0; 6], "expected a multiple of 4"),
            (&[0.0, 0.0, 0.0, f32::NAN], "frame 0, body 1"),
        ] {
            let error = frames(values).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    #[test]
    fn a_file_of_a_stranger_is_refused_by_what_is_wrong() {
        let names = |inputs: BodyInputs| inputs.names().iter().map(ToString::to_string).collect::<Vec<_>>();
        let of = |change: fn(&mut Motion)| {
            let mut motion = motion(BodyInputs::Positions);
            change(&mut motion);
            motion.check(3, &names(BodyInputs::Positions))
        };
        of(|_| ()).unwrap();
        assert!(
            of(|motion| motion.observed_frames = 1)
                .unwrap_err()
                .contains("from 2")
        );
        assert!(
            of(|motion| motion.frame_time = f64::NAN)
                .unwrap_err()
                .contains("frame_time")
        );
        assert!(
            of(|motion| motion.scales[1] = 0.0)
                .unwrap_err()
                .contains("scales")
        );
        let wide = of(|motion| motion.inputs = BodyInputs::PositionsAndVelocities);
        assert!(wide.unwrap_err().contains("expected 5"));
    }
}
