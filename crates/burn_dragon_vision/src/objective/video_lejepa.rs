//! Objective `video_lejepa`: projections of frames to come, with an isotropic distribution.
//!
//! ```text
//! z_t = projector(summary of the state at frame t)        observed for t < context, then predicted: a step each, no frame
//! y_t = projector(summary of frame t alone), a constant: by a teacher that is an average, or by the model itself
//!
//! prediction = mean over t >= context of |z_t - y_t|^2        observe = the same over t < context
//! cosine     = mean over t >= context of 1 - cos(z_t, y_t)
//! loss = weighted sum of these + weight SIGReg(z)             sigreg.rs, a view for each t
//! ```
//!
//! A target knows one frame, so neither memory nor motion is in it. Without SIGReg a constant is the best answer.
//!
//! The public implementation has this name for a model with a learnt gate between prediction and observation, pixel losses and
//! a classifier beside it. Here a frame replaces the stream of patches, and memories are kept.

use super::Learning;
use crate::batch::Batch;
use crate::config::VideoLejepaConfig;
use crate::encoder::{FrameByFrame, Hidden, VisionPass};
use crate::error::VisionError;
use crate::model::VisionModel;
use burn::tensor::{DType, Tensor};
use burn_dragon_train::api::{Loss, Metrics};

/// Constant added to lengths.
const EPS: f64 = 1e-8;

/// Mean loss of a batch. The teacher has no autodiff.
///
/// # Errors
/// If the model has no projector, or its backbone no memory.
pub(super) fn loss(
    config: &VideoLejepaConfig,
    model: &VisionModel,
    teacher: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let clip = batch.clip(&model.device());
    let frames = clip.dims()[1];
    let way = FrameByFrame {
        observed: config.context,
        predicted: config.horizon(frames),
        backprop_frames: config.backprop_frames,
    };
    let targets = alone(teacher, clip.clone(), learning.pass.levels)?; // [B, T, K]
    let summaries = model.encoder.follow(clip, way, learning.pass)?; // [B, T, D]
    let states = summaries.clone();
    let z = projected(model, summaries)?; // [B, T, K]
    let terms = Terms::of(config, &z, &targets);
    let views = z.clone().swap_dims(0, 1); // [T, B, K]
    let directions = config
        .sigreg
        .directions(views.dims()[2], (learning.seed, 0), &views.device());
    let statistic = config.sigreg.statistic(views, directions);
    let mut metrics = Metrics::new();
    if learning.watch {
        metrics = terms.metrics();
        metrics.insert("sigreg".into(), statistic.clone().into_scalar::<f64>());
        metrics.extend(motion(config.context, &z, &targets, &states));
    }
    let value = terms.prediction * config.prediction
        + terms.observe * config.observe
        + terms.cosine * config.cosine
        + statistic * config.sigreg_weight;
    Ok(Loss { value, metrics })
}

/// Terms of the loss that have targets, `[1]` each.
struct Terms {
    prediction: Tensor<1>,
    observe: Tensor<1>,
    cosine: Tensor<1>,
}

impl Terms {
    /// Terms of projections and targets, `[B, T, K]`.
    fn of(config: &VideoLejepaConfig, z: &Tensor<3>, targets: &Tensor<3>) -> Self {
        let (context, frames) = (config.context, z.dims()[1]);
        let part = |x: &Tensor<3>, first: usize, last: usize| x.clone().narrow(1, first, last - first);
        let square = |first, last| {
            let difference = part(z, first, last) - part(targets, first, last);
            difference.powi_scalar(2).mean()
        };
        let (given, truth) = (part(z, context, frames), part(targets, context, frames));
        let length = |x: &Tensor<3>| (x.clone().powi_scalar(2).sum_dim(2) + EPS).sqrt();
        let lengths = length(&given) * length(&truth);
        Self {
            prediction: square(context, frames),
            observe: square(0, context),
            cosine: ((given * truth).sum_dim(2) / lengths).mean().neg() + 1.0,
        }
    }

    fn metrics(&self) -> Metrics {
        let named = [
            ("prediction", &self.prediction),
            ("observe", &self.observe),
            ("cosine", &self.cosine),
        ];
        let value = |(name, term): (&str, &Tensor<1>)| (name.to_string(), term.clone().into_scalar::<f64>());
        named.map(value).into_iter().collect()
    }
}

/// Figures of the predicted frames, whose order a collapse or a state that fades would show: `state_ratio`, the length of the
/// last state divided by that of the last observed one; `motion`, the mean square of the steps from prediction to prediction,
/// divided by that of the targets.
fn motion(context: usize, z: &Tensor<3>, targets: &Tensor<3>, states: &Tensor<3>) -> Metrics {
    let frames = z.dims()[1];
    let at = |frame: usize| states.clone().narrow(1, frame, 1).powi_scalar(2).mean();
    let ratio = at(frames - 1).into_scalar::<f64>() / at(context - 1).into_scalar::<f64>();
    let mut metrics = Metrics::from([("state_ratio".to_string(), ratio.sqrt())]);
    let steps = frames - context - 1;
    if steps > 0 {
        let size = |x: &Tensor<3>| {
            let step = x.clone().narrow(1, context + 1, steps) - x.clone().narrow(1, context, steps);
            step.powi_scalar(2).mean().into_scalar::<f64>()
        };
        metrics.insert("motion".into(), size(z) / size(targets).max(f64::MIN_POSITIVE));
    }
    metrics
}

/// Projections of frames, each seen alone by a model, `[B, T, K]`, constants.
///
/// # Errors
/// If the model has no projector.
pub(crate) fn alone(
    model: &VisionModel,
    clip: Tensor<5>,
    levels: Option<usize>,
) -> Result<Tensor<3>, VisionError> {
    let tracked = clip.is_autodiff();
    let clip = if tracked { clip.inner() } else { clip };
    let [lanes, frames, height, width, channels] = clip.dims();
    let pictures = clip.reshape([lanes * frames, height, width, channels]);
    let pass = VisionPass {
        levels,
        ..VisionPass::default()
    };
    let seen = model.encoder.look_last(pictures, &Hidden::Nothing, pass)?;
    let d = seen.summary.dims()[1];
    let z = projected(model, seen.summary.reshape([lanes, frames, d]))?;
    Ok(if tracked { z.autodiff() } else { z })
}

/// Projections of summaries, `[B, T, K]` from `[B, T, D]`, in f32.
fn projected(model: &VisionModel, summaries: Tensor<3>) -> Result<Tensor<3>, VisionError> {
    let projector = model.heads.projector.as_ref();
    let projector = projector.ok_or(VisionError::NoHead { head: "projector" })?;
    let [lanes, frames, d] = summaries.dims();
    let z = projector.forward(summaries.reshape([lanes * frames, d]));
    let width = z.dims()[1];
    Ok(z.reshape([lanes, frames, width]).cast(DType::F32))
}

#[cfg(test)]
#[path = "video_lejepa_tests.rs"]
mod tests;
