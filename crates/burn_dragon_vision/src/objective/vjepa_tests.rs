//! Tests of `vjepa21`.

use super::*;
use crate::config::ObjectiveConfig;
use crate::data::Pixels;
use crate::encoder::testing::{check_directions, gradients, numbers};
use crate::encoder::{BackboneKind, ModelConfig, PyramidConfig, StemKind};
use crate::heads::{AttentionPredictorConfig, TokenPredictorConfig};
use crate::model::VisionModelConfig;
use crate::objective::BlockMasks;
use crate::picture::{Colours, Picture};
use burn::module::Module;
use burn::tensor::Int;
use burn_dragon_core::api::expert::Rng;

fn config(predictor: PredictorConfig) -> Vjepa21Config {
    Vjepa21Config {
        masks: BlockMasks {
            blocks: 2,
            spatial_scale: [0.3, 0.5],
            temporal_scale: [0.5, 1.0],
            aspect: [0.5, 2.0],
        },
        depths: vec![1, 2],
        predictor,
        ..Vjepa21Config::default()
    }
}

fn attention() -> PredictorConfig {
    PredictorConfig::Attention(AttentionPredictorConfig {
        d_model: 12,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 2,
    })
}

fn per_token() -> PredictorConfig {
    PredictorConfig::PerToken(TokenPredictorConfig { hidden: 10 })
}

/// A pyramid of many neurons, as the other backbones have here: with few, all of a token may be silent, and norms jump where one
/// begins to speak.
fn many() -> PyramidConfig {
    PyramidConfig {
        patch_rank: 48,
        coarse_rank: 48,
        ..PyramidConfig::default()
    }
}

fn model(config: &Vjepa21Config, kind: BackboneKind, seed: u64, device: &Device) -> VisionModel {
    let objective = ObjectiveConfig::Vjepa21(config.clone());
    let config = VisionModelConfig {
        encoder: ModelConfig {
            kind,
            image_size: 8,
            patch_size: 2,
            stem: StemKind::Linear,
            d_model: 8,
            n_heads: 2,
            n_neurons: 64,
            n_levels: 2,
            init_std: 0.4,
            pyramid: (kind == BackboneKind::Pyramid).then(many),
            ..ModelConfig::default()
        },
        heads: objective.heads(kind, 0, None),
    };
    VisionModel::new(&config, seed, device).unwrap()
}

/// Two clips of three frames; `changed` gives pixels another value.
fn batch(changed: impl Fn(usize, usize, usize) -> Option<u8>) -> Batch {
    let mut rng = Rng::new(7);
    let mut frame = |frame: usize, clip: usize| {
        let pixels = (0..64).map(|pixel| {
            let drawn = rng.below(256) as u8;
            changed(clip, frame, pixel).unwrap_or(drawn)
        });
        Pixels::from(&Picture::new(8, 8, Colours::Gray, pixels.collect()))
    };
    let frames = (0..3).map(|index| (0..2).map(|clip| frame(index, clip)).collect());
    let frames: Vec<Vec<Pixels>> = frames.collect();
    Batch::new(&frames, vec![0, 1])
}

fn learning() -> Learning {
    Learning {
        seed: 11,
        updates: u64::MAX,
        ..Learning::default()
    }
}

/// The kinds of predictions and of targets.
fn variants() -> [(Vjepa21Config, BackboneKind); 6] {
    let with = |targets, predictor| Vjepa21Config {
        targets,
        ..config(predictor)
    };
    [
        (config(attention()), BackboneKind::Dense),
        (config(attention()), BackboneKind::Cellular),
        (config(per_token()), BackboneKind::Dense),
        (config(per_token()), BackboneKind::Pyramid),
        (with(TargetNorm::Batch, attention()), BackboneKind::Dense),
        (with(TargetNorm::Batch, per_token()), BackboneKind::Dense),
    ]
}

/// Targets of two clips, `[2, 48, 16]` from such tokens of a teacher, by their definition.
fn targets(config: &Vjepa21Config, raw: &[f32]) -> Vec<f32> {
    let (tokens, width) = (48, 16);
    if config.targets == TargetNorm::Batch {
        // Of two numbers, the distance from their mean is half their difference.
        let far = |index: usize| (raw[index] - raw[(index + tokens * width) % raw.len()]) / 2.0;
        let square = |number: usize| (0..2 * tokens).map(move |row| far(row * width + number).powi(2));
        let scale = |number: usize| (square(number).sum::<f32>() / (2 * tokens) as f32 + 1e-6).sqrt();
        return (0..raw.len())
            .map(|index| far(index) / scale(index % width))
            .collect();
    }
    let of_level = |level: &[f32]| {
        let mean = level.iter().sum::<f32>() / 8.0;
        let square = |shift: f32| level.iter().map(|x| (x - shift).powi(2)).sum::<f32>();
        let (shift, scale) = match config.predictor {
            PredictorConfig::Attention(_) => (mean, (square(mean) / 8.0 + 1e-5).sqrt()),
            PredictorConfig::PerToken(_) => (0.0, square(0.0).sqrt()),
        };
        level.iter().map(|x| (x - shift) / scale).collect::<Vec<f32>>()
    };
    raw.chunks(8).flat_map(of_level).collect()
}

#[test]
fn gradients_are_those_of_the_loss_for_a_teacher_that_stays() {
    let device = Device::flex().autodiff();
    for (config, kind) in variants() {
        let model = model(&config, kind, 2, &device);
        // The teacher has the same weights: were it not constant, gradients would be others.
        let teacher = model.valid();
        let batch = batch(|_, _, _| None);
        let of = |model: &VisionModel| {
            let loss = loss(&config, model, &teacher, &batch, learning()).unwrap();
            loss.value * 20.0 // gradients of about 1
        };
        let found = gradients(&model, of(&model).backward());
        check_directions(&model.valid(), &found, |model| of(&model).into_scalar::<f64>());
    }
}

#[test]
fn predictions_know_nothing_of_the_pixels_of_hidden_patches() {
    let device = Device::flex();
    for (config, kind) in variants() {
        let model = model(&config, kind, 2, &device);
        let masked = Masked::draw(&config, &model, 3, 2, 11);
        let in_patch = |frame: usize, pixel: usize| frame * 16 + pixel / 16 * 4 + pixel % 8 / 2;
        let of = |batch: &Batch| {
            let clip = batch.clip(&device);
            let predictions = predictions(&config, &model, clip, &masked, learning()).unwrap();
            predictions.map(|prediction| numbers(&prediction))
        };
        let plain = of(&batch(|_, _, _| None));
        let other_hidden = batch(|clip, frame, pixel| {
            let hidden = masked.masks[clip].flags()[in_patch(frame, pixel)];
            hidden.then_some((pixel * 3) as u8)
        });
        assert_eq!(of(&other_hidden), plain, "{kind:?}");
        let other_visible = batch(|clip, frame, pixel| {
            let visible = !masked.masks[clip].flags()[in_patch(frame, pixel)];
            (visible && frame == 1).then_some((pixel * 3) as u8)
        });
        assert_ne!(of(&other_visible)[1], plain[1], "{kind:?}");
        // A predictor of single tokens gets what the encoder painted; both variants know the visible part.
        assert_ne!(of(&other_visible)[0], plain[0], "{kind:?}");
    }
}

#[test]
fn the_loss_is_that_of_its_definition() {
    let device = Device::flex();
    for (config, kind) in variants() {
        let (model, teacher) = (model(&config, kind, 2, &device), model(&config, kind, 5, &device));
        let batch = batch(|_, _, _| None);
        let masked = Masked::draw(&config, &model, 3, 2, 11);
        let clip = batch.clip(&device);
        let raw = of_teacher(&config, &teacher, clip.clone(), Some(2)).unwrap();
        let (tokens, width) = (48, 16);
        let targets = targets(&config, &numbers(&raw));
        let target = |clip: usize, token: usize| &targets[(clip * tokens + token) * width..][..width];
        let given = predictions(&config, &model, clip, &masked, learning()).unwrap();
        let term = |predictions: &Tensor<3>, list: &IndexLists, weighted: bool| {
            let (predictions, mut sum) = (numbers(predictions), 0.0);
            for clip in 0..2 {
                let weights = masked.masks[clip].distance_weights();
                for (index, &token) in list.of(clip).iter().enumerate() {
                    let row = &predictions[(clip * list.length + index) * width..][..width];
                    let errors = row.iter().zip(target(clip, token)).map(|(p, t)| (p - t).abs());
                    let weight = if weighted { weights[token] } else { 1.0 };
                    sum += f64::from(errors.sum::<f32>() * weight);
                }
            }
            sum / (2 * list.length * width) as f64
        };
        let (hidden, context) = (
            term(&given[0], &masked.hidden, false),
            term(&given[1], &masked.context, true),
        );
        let learning = Learning {
            watch: true,
            ..learning()
        };
        let found = loss(&config, &model, &teacher, &batch, learning).unwrap();
        let value = found.value.into_scalar::<f64>();
        assert!(
            (value - (hidden + 0.5 * context)).abs() < 1e-5,
            "{kind:?} {value}"
        );
        assert!((found.metrics["hidden"] - hidden).abs() < 1e-5);
        assert!(found.metrics["target_deviation"] > 0.0);
        // Before its weight rises, the context costs nothing.
        let early = Vjepa21Config {
            context_warmup: [5, 10],
            ..config.clone()
        };
        let learning = Learning {
            updates: 5,
            ..learning
        };
        let found = loss(&early, &model, &teacher, &batch, learning).unwrap();
        assert!((found.value.into_scalar::<f64>() - hidden).abs() < 1e-5);
    }
}

#[test]
fn hidden_patches_are_left_out_of_a_dense_encoder_and_behind_a_token_elsewhere() {
    let config = config(attention());
    let heads = |kind| ObjectiveConfig::Vjepa21(config.clone()).heads(kind, 0, None);
    assert!(!heads(BackboneKind::Dense).mask_token);
    assert!(heads(BackboneKind::Cellular).mask_token);
    let per_token = ObjectiveConfig::Vjepa21(self::config(per_token()));
    assert!(per_token.heads(BackboneKind::Dense, 0, None).mask_token);
}

/// A teacher that said the same of every clip, whatever it says of a place, would leave nothing to predict.
#[test]
fn what_all_clips_share_at_a_place_is_no_target_of_the_batch() {
    let (device, batch) = (Device::flex(), batch(|_, _, _| None));
    let of = |targets, shared: f64| {
        let config = Vjepa21Config {
            targets,
            ..config(attention())
        };
        let model = model(&config, BackboneKind::Dense, 2, &device);
        let raw = of_teacher(&config, &model, batch.clip(&device), Some(2)).unwrap();
        let [_, tokens, width] = raw.dims();
        let places = Tensor::<1, Int>::arange(0..(tokens * width) as i64, &device);
        let places = places.float().sin().reshape([1, tokens, width]) * shared;
        numbers(&scaled(&config, raw + places))
    };
    let distance = |targets| {
        let pairs = of(targets, 0.0).into_iter().zip(of(targets, 3.0));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(
        distance(TargetNorm::Batch) < 1e-3,
        "{}",
        distance(TargetNorm::Batch)
    );
    assert!(distance(TargetNorm::Rows) > 0.1, "{}", distance(TargetNorm::Rows));
}
