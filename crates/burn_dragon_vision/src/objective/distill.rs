//! Objective `distill`: the features of a teacher, after every level or after the last one.
//!
//! The equations are in [`DistillConfig`]. They are those of the public implementation; its feature files, which a random crop
//! misaligns, are replaced by a teacher that sees the same view.

use super::Learning;
use crate::batch::Batch;
use crate::config::{DistillConfig, LevelsWithLoss};
use crate::encoder::{Hidden, Seen, VisionPass};
use crate::error::VisionError;
use crate::heads::norm_rows;
use crate::model::VisionModel;
use burn::tensor::{Tensor, activation};
use burn_dragon_train::api::{Loss, Metrics};

/// Constant added to lengths.
const EPS: f64 = 1e-8;

/// Features of pictures: patches and summary.
struct Features {
    /// `[B, P, K]`.
    patches: Tensor<3>,
    /// `[B, K]`.
    summary: Tensor<2>,
}

/// Mean loss of a batch.
///
/// # Errors
/// If the model has no projectors.
pub(super) fn loss(
    config: &DistillConfig,
    model: &VisionModel,
    teacher: &VisionModel,
    batch: &Batch,
    learning: Learning,
) -> Result<Loss, VisionError> {
    let device = model.device();
    let pixels = batch.pixels(0, &device);
    let of_teacher = of_teacher(teacher, pixels.clone())?;
    let seen = model.encoder.look(pixels, &Hidden::Nothing, learning.pass)?;
    let first = match config.levels {
        LevelsWithLoss::All => 0,
        LevelsWithLoss::Last => seen.len().saturating_sub(1),
    };
    let mut losses = Vec::new();
    for (level, seen) in seen.iter().enumerate().skip(first) {
        let student = of_student(model, seen)?;
        losses.push((level + 1, distance(config, &student, &of_teacher)));
    }
    let mut metrics = Metrics::new();
    if let Some((_, last)) = losses.last().filter(|_| learning.watch) {
        metrics.insert("distance".into(), last.clone().into_scalar::<f64>());
    }
    Ok(Loss {
        value: over_levels(config, losses, Tensor::zeros([1], &device)),
        metrics,
    })
}

/// Mean over the levels, weighted by a power of their numbers, and the hinge of levels that are worse than those before.
fn over_levels(config: &DistillConfig, losses: Vec<(usize, Tensor<1>)>, zero: Tensor<1>) -> Tensor<1> {
    let weight = |level: usize| (level as f64).powf(config.level_power);
    let total: f64 = losses.iter().map(|(level, _)| weight(*level)).sum();
    let hinges = losses.windows(2).map(|pair| {
        let worse = pair[1].1.clone() - pair[0].1.clone();
        activation::relu(worse)
    });
    let pairs = losses.len().saturating_sub(1).max(1) as f64;
    let hinge = hinges
        .reduce(|sum, hinge| sum + hinge)
        .filter(|_| config.improvement > 0.0);
    let mean = losses
        .into_iter()
        .fold(zero, |sum, (level, loss)| sum + loss * (weight(level) / total));
    match hinge {
        Some(hinge) => mean + hinge * (config.improvement / pairs),
        None => mean,
    }
}

/// Features of the teacher after its last level, constants.
fn of_teacher(teacher: &VisionModel, pixels: Tensor<4>) -> Result<Features, VisionError> {
    let tracked = pixels.is_autodiff();
    let pixels = if tracked { pixels.inner() } else { pixels };
    let pass = VisionPass {
        levels: Some(teacher.encoder.config().evaluated()),
        ..VisionPass::default()
    };
    let Seen { stream, summary } = teacher.encoder.look_last(pixels, &Hidden::Nothing, pass)?;
    let patches = teacher.encoder.patches(&stream);
    Ok(if tracked {
        Features {
            patches: patches.autodiff(),
            summary: summary.autodiff(),
        }
    } else {
        Features { patches, summary }
    })
}

/// Projected features of the student.
fn of_student(model: &VisionModel, seen: &Seen) -> Result<Features, VisionError> {
    let missing = || VisionError::NoHead { head: "projector" };
    let of_patches = model.heads.patch_projector.as_ref().ok_or_else(missing)?;
    let of_summary = model.heads.projector.as_ref().ok_or_else(missing)?;
    let patches = model.encoder.patches(&seen.stream);
    let [lanes, count, d] = patches.dims();
    let patches = of_patches.forward(patches.reshape([lanes * count, d]));
    let width = patches.dims()[1];
    Ok(Features {
        patches: patches.reshape([lanes, count, width]),
        summary: of_summary.forward(seen.summary.clone()),
    })
}

/// Distance of the student's features from the teacher's, `[1]`.
fn distance(config: &DistillConfig, student: &Features, teacher: &Features) -> Tensor<1> {
    let [lanes, patches, width] = teacher.patches.dims();
    let rows = |x: &Tensor<3>| norm_rows(x.clone().reshape([lanes * patches, width]));
    let square = |s: Tensor<2>, t: Tensor<2>| (s - t).powi_scalar(2).mean();
    let (s, t) = (rows(&student.patches), rows(&teacher.patches));
    let mut sum = square(s.clone(), t.clone()) * config.patch;
    if config.summary > 0.0 {
        let pair = [&student.summary, &teacher.summary].map(|x| norm_rows(x.clone()));
        let [s, t] = pair;
        sum = sum + square(s, t) * config.summary;
    }
    if config.cosine > 0.0 {
        let cosines = cosine(student.summary.clone(), teacher.summary.clone());
        sum = sum + (cosines.neg() + 1.0) * config.cosine;
    }
    if config.relation > 0.0 {
        let of_pictures = |x: Tensor<2>| x.reshape([lanes, patches, width]) / (width as f64).sqrt();
        let relation = relation(of_pictures(s), of_pictures(t), config.temperature);
        sum = sum + relation * config.relation;
    }
    sum
}

/// Mean cosine of pairs of rows, `[1]`.
fn cosine(s: Tensor<2>, t: Tensor<2>) -> Tensor<1> {
    let length = |x: &Tensor<2>| (x.clone().powi_scalar(2).sum_dim(1) + EPS).sqrt();
    let lengths = length(&s) * length(&t);
    ((s * t).sum_dim(1) / lengths).mean()
}

/// `KL(softmax(t t^T / tau) || softmax(s s^T / tau))`, mean over rows, of patches `[B, P, K]` of length 1.
fn relation(s: Tensor<3>, t: Tensor<3>, temperature: f64) -> Tensor<1> {
    let shares = |x: Tensor<3>| activation::log_softmax(x.clone().matmul(x.transpose()) / temperature, 2);
    let (s, t) = (shares(s), shares(t));
    (t.clone().exp() * (t - s)).sum_dim(2).mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn features(seed: u64) -> Features {
        let device = Device::flex();
        device.seed(seed);
        Features {
            patches: Tensor::random([2, 4, 6], Distribution::Normal(0.0, 1.0), &device),
            summary: Tensor::random([2, 6], Distribution::Normal(0.0, 1.0), &device),
        }
    }

    fn only(which: usize) -> DistillConfig {
        let weight = |index| f64::from(u8::from(index == which));
        DistillConfig {
            patch: weight(0),
            summary: weight(1),
            cosine: weight(2),
            relation: weight(3),
            temperature: 0.5,
            ..DistillConfig::default()
        }
    }

    #[test]
    fn every_term_is_zero_for_the_teacher_itself_and_positive_for_others() {
        for which in 0..4 {
            let of = |a, b| distance(&only(which), &features(a), &features(b)).into_scalar::<f64>();
            assert!(of(1, 1).abs() < 1e-5, "{which}");
            assert!(of(2, 1) > 0.01, "{which}");
        }
    }

    #[test]
    fn terms_do_not_know_the_scale_of_a_feature() {
        for which in 0..4 {
            let student = features(2);
            let scaled = Features {
                patches: student.patches.clone() * 3.0,
                summary: student.summary.clone() * 3.0,
            };
            let of = |student: &Features| distance(&only(which), student, &features(1)).into_scalar::<f64>();
            assert!((of(&student) - of(&scaled)).abs() < 1e-4, "{which}");
        }
    }

    #[test]
    fn later_levels_weigh_more_and_worse_ones_cost() {
        let device = Device::flex();
        let losses = |values: [f32; 3]| {
            let of = |(index, value): (usize, f32)| (index + 1, Tensor::<1>::from_data([value], &device));
            values.into_iter().enumerate().map(of).collect::<Vec<_>>()
        };
        let of = |config: &DistillConfig, values| {
            over_levels(config, losses(values), Tensor::zeros([1], &device)).into_scalar::<f64>()
        };
        let equal = DistillConfig {
            level_power: 0.0,
            ..DistillConfig::default()
        };
        assert!((of(&equal, [3.0, 2.0, 1.0]) - 2.0).abs() < 1e-6);
        let later = DistillConfig::default();
        assert!((of(&later, [3.0, 2.0, 1.0]) - (3.0 + 4.0 + 3.0) / 6.0).abs() < 1e-6);
        let hinged = DistillConfig {
            improvement: 2.0,
            ..equal
        };
        assert!((of(&hinged, [1.0, 3.0, 2.0]) - (2.0 + 2.0)).abs() < 1e-6);
    }
}
