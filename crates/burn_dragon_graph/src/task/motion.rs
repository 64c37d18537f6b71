//! The task of bodies: errors of predicted frames, and their controls.

use super::GraphTask;
use crate::baselines;
use crate::error::GraphError;
use crate::graph::Example;
use crate::model::{GraphDragon, GraphPass, PlaceMemory};
use crate::motion::{FrameModel, Motion, MotionReport, MotionScore, NamedMotion, constant_velocity, score};
use burn::module::Module;
use burn_dragon_train::api::{Evaluation, Figure, FigureFormat, Metrics, Scope, Task, TrainError};

/// Figure of the next frame: its error, as a share of that of constant velocity.
const OF_CONSTANT: &str = "step_mse_of_constant_velocity";

impl GraphTask {
    /// Figures of the model on the examples: of the next frame, and of a roll-out with all controls where the scope is full.
    pub(super) fn evaluate_motion(
        &self,
        motion: &Motion,
        model: &GraphDragon,
        examples: &[Example],
        scope: Scope,
    ) -> Result<Evaluation, TrainError> {
        let levels = self.config().model.n_levels;
        let next = self.frames_of(motion, model, examples, 1, PlaceMemory::Carried)?;
        let control = constant_velocity(motion, examples, 1).first();
        let share = next.first() / control.max(f64::MIN_POSITIVE);
        let mut metrics = Metrics::from([(OF_CONSTANT.to_string(), share)]);
        let notes = match scope {
            Scope::Sample { .. } => Vec::new(),
            Scope::Full => {
                let report = self.report_of_motion(motion, model)?;
                metrics.extend(report.metrics());
                report.lines()
            }
        };
        Ok(Evaluation {
            loss: next.losses[levels - 1],
            metrics,
            notes,
        })
    }

    /// Errors after the levels of training, in a roll-out of `count` frames.
    fn frames_of(
        &self,
        motion: &Motion,
        model: &impl FrameModel,
        examples: &[Example],
        count: usize,
        memory: PlaceMemory,
    ) -> Result<MotionScore, GraphError> {
        let pass = GraphPass {
            levels: Some(self.config().model.n_levels),
            memory,
            ..GraphPass::default()
        };
        score(model, motion, examples, count, pass)
    }

    /// Number of frames of a roll-out.
    fn rollout_frames(&self) -> usize {
        let generator = self.config().dataset.generator();
        generator.map_or(1, |generator| generator.nbody().rollout_frames)
    }

    /// Errors of a roll-out on the validation part and on the test part.
    fn named_motion(
        &self,
        motion: &Motion,
        name: &str,
        model: &impl FrameModel,
        memory: PlaceMemory,
    ) -> Result<NamedMotion, GraphError> {
        let count = self.rollout_frames();
        let of = |examples: &[Example]| self.frames_of(motion, model, examples, count, memory);
        let data = self.data();
        Ok(NamedMotion {
            name: name.into(),
            validation: of(&data.validation)?,
            test: (!data.test.is_empty()).then(|| of(&data.test)).transpose()?,
        })
    }

    fn report_of_motion(&self, motion: &Motion, model: &GraphDragon) -> Result<MotionReport, TrainError> {
        let (data, trained) = (self.data(), self.config().model.n_levels);
        let still = |examples: &[Example]| constant_velocity(motion, examples, self.rollout_frames());
        let mut controls = vec![
            NamedMotion {
                name: "constant_velocity".into(),
                validation: still(&data.validation),
                test: (!data.test.is_empty()).then(|| still(&data.test)),
            },
            self.named_motion(
                motion,
                "untrained",
                &self.new_model()?.valid(),
                PlaceMemory::Carried,
            )?,
        ];
        for name in &self.config().baselines.models {
            let baseline = baselines::trained(self, *name)?;
            controls.push(self.named_motion(motion, name.key(), &baseline, PlaceMemory::Carried)?);
        }
        let memories = [
            ("reset", PlaceMemory::ResetEachLevel),
            ("wiped", PlaceMemory::WipedAt(motion.observed_frames)),
            ("never_written", PlaceMemory::NeverWritten),
        ];
        let memories = memories.map(|(name, memory)| self.named_motion(motion, name, model, memory));
        let mut own = self.named_motion(motion, "model", model, PlaceMemory::Carried)?;
        own.validation.losses = self.losses_by_levels(motion, model)?;
        Ok(MotionReport {
            trained,
            model: own,
            memories: memories.into_iter().collect::<Result<_, _>>()?,
            controls,
        })
    }

    /// Losses of the validation part with 1, 2, ... levels in each frame, up to twice those of training.
    fn losses_by_levels(&self, motion: &Motion, model: &GraphDragon) -> Result<Vec<f64>, GraphError> {
        let with = |levels: usize| {
            let pass = GraphPass {
                levels: Some(levels),
                ..GraphPass::default()
            };
            let score = score(model, motion, &self.data().validation, 0, pass)?;
            Ok(score.losses[levels - 1])
        };
        (1..=2 * self.config().model.n_levels).map(with).collect()
    }

    pub(super) fn figures_of_motion(&self) -> Vec<Figure> {
        let mut figures = vec![Figure {
            key: OF_CONSTANT,
            name: "squared error of the next frame, of that of constant velocity",
            label: "error of a step",
            format: FigureFormat::Percent,
            factor: None,
        }];
        let number = |key, name, label| Figure {
            key,
            name,
            label,
            format: FigureFormat::Number,
            factor: None,
        };
        figures.push(number(
            "rollout_mse",
            "squared error of the last frame of a roll-out",
            "roll-out",
        ));
        if !self.data().test.is_empty() {
            figures.push(number(
                "test_rollout_mse",
                "the same on the test part",
                "on test: roll-out",
            ));
        }
        figures
    }
}
