//! Tests of `video_lejepa`.

use super::*;
use crate::config::ObjectiveConfig;
use crate::data::{Data, DatasetConfig, PictureShape};
use crate::encoder::testing::{check_directions, gradients};
use crate::encoder::{BackboneKind, ModelConfig, PyramidConfig, StemKind};
use crate::heads::{MlpConfig, MlpNorm};
use crate::model::VisionModelConfig;
use crate::objective::SigReg;
use crate::picture::Colours;
use crate::probe::{Features, deviation, effective_rank};
use burn::module::Module;
use burn::tensor::{Device, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use std::collections::BTreeMap;

fn config() -> VideoLejepaConfig {
    VideoLejepaConfig {
        context: 2,
        cosine: 0.1,
        sigreg: SigReg {
            directions: 16,
            ..SigReg::default()
        },
        projector: MlpConfig {
            hidden: vec![12],
            output: 6,
            norm: MlpNorm::Rows,
        },
        ..VideoLejepaConfig::default()
    }
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

fn model(config: &VideoLejepaConfig, kind: BackboneKind, device: &Device) -> VisionModel {
    let encoder = ModelConfig {
        kind,
        image_size: 8,
        patch_size: 4,
        stem: StemKind::Linear,
        d_model: 8,
        n_heads: 2,
        n_neurons: 64,
        n_levels: 2,
        init_std: 0.4,
        pyramid: (kind == BackboneKind::Pyramid).then(many),
        ..ModelConfig::default()
    };
    let heads = ObjectiveConfig::VideoLejepa(config.clone()).heads(kind, 0, None);
    VisionModel::new(&VisionModelConfig { encoder, heads }, 2, device).unwrap()
}

/// Clips of four frames.
fn batch(first: usize, count: usize) -> Batch {
    let text = "type = 'moving_glyphs'\n[motion]\nframes = 4\nscale = 0.8";
    let config: DatasetConfig = toml::from_str(text).unwrap();
    let shape = PictureShape {
        size: 8,
        colours: Colours::Gray,
    };
    let Data::Clips(clips) = config.load(shape).unwrap() else {
        panic!("pictures");
    };
    let indices: Vec<usize> = (first..first + count).collect();
    Batch::of_clips(&clips.train.batch(&indices))
}

fn learning(seed: u64) -> Learning {
    Learning {
        seed,
        ..Learning::default()
    }
}

#[test]
fn gradients_are_those_of_the_loss_for_targets_that_stay() {
    let device = Device::flex().autodiff();
    let (config, batch) = (config(), batch(0, 3));
    for kind in [BackboneKind::Cellular, BackboneKind::Pyramid] {
        let model = model(&config, kind, &device);
        let teacher = model.valid();
        let of = |model: &VisionModel| {
            let loss = loss(&config, model, &teacher, &batch, learning(3)).unwrap();
            loss.value * 20.0 // gradients of about 1
        };
        let found = gradients(&model, of(&model).backward());
        check_directions(&model.valid(), &found, |model| of(&model).into_scalar::<f64>());
    }
}

#[test]
fn terms_are_those_of_their_definitions() {
    let device = Device::flex();
    let config = config();
    let z = Tensor::<3>::from_data([[[1.0f32, 0.0], [2.0, 0.0], [0.0, 3.0], [4.0, 0.0]]], &device);
    let y = Tensor::<3>::from_data([[[1.0f32, 2.0], [0.0, 0.0], [0.0, 1.0], [0.0, 2.0]]], &device);
    let terms = Terms::of(&config, &z, &y).metrics();
    assert!((terms["observe"] - (4.0 + 4.0) / 4.0).abs() < 1e-6);
    assert!((terms["prediction"] - (4.0 + 16.0 + 4.0) / 4.0).abs() < 1e-6);
    assert!((terms["cosine"] - 0.5).abs() < 1e-6);
    let states = Tensor::<3>::from_data([[[1.0f32, 1.0], [1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]], &device);
    let figures = motion(2, &z, &y, &states);
    assert!((figures["state_ratio"] - 3.0).abs() < 1e-6);
    assert!((figures["motion"] - 25.0).abs() < 1e-4);
}

#[test]
fn targets_know_one_frame_alone_and_predictions_no_frame_to_come() {
    let device = Device::flex();
    let (config, batch) = (config(), batch(0, 2));
    let model = model(&config, BackboneKind::Cellular, &device);
    let clip = batch.clip(&device);
    let targets = alone(&model, clip.clone(), None).unwrap();
    let third = alone(&model, clip.narrow(1, 2, 1), None).unwrap();
    assert_eq!(targets.narrow(1, 2, 1).into_data(), third.into_data());
}

/// Projections of held-out frames after 100 steps of Adam: their effective rank of 6, and their mean deviation.
fn after(sigreg_weight: f64) -> (f64, f64) {
    let device = Device::flex().autodiff();
    let config = VideoLejepaConfig {
        sigreg_weight,
        ..config()
    };
    let mut model = model(&config, BackboneKind::Cellular, &device);
    let mut moments: BTreeMap<String, Vec<[f32; 2]>> = BTreeMap::new();
    let batches = [batch(0, 32), batch(32, 32), batch(64, 32), batch(96, 32)];
    for step in 0..100 {
        let batch = &batches[step as usize % 4];
        let loss = loss(&config, &model, &model.valid(), batch, learning(step)).unwrap();
        let gradients = gradients(&model, loss.value.backward());
        let weights = snapshot(&model);
        model = load(model, |name, shape| {
            let gradient = &gradients[name];
            let moments = moments
                .entry(name.into())
                .or_insert_with(|| vec![[0.0; 2]; gradient.len()]);
            let numbers = weights[name].iter::<f32>().zip(gradient).zip(moments);
            let moved = numbers.map(|((weight, g), [first, second])| {
                (*first, *second) = (0.9 * *first + 0.1 * g, 0.99 * *second + 0.01 * g * g);
                let age = step as i32 + 1;
                let (first, second) = (
                    *first / (1.0 - 0.9f32.powi(age)),
                    *second / (1.0 - 0.99f32.powi(age)),
                );
                weight - 0.02 * first / (second.sqrt() + 1e-8)
            });
            Some(TensorData::new(moved.collect::<Vec<f32>>(), shape))
        });
    }
    let z = alone(&model.valid(), batch(500, 64).clip(&device.inner()), None).unwrap();
    let [lanes, frames, width] = z.dims();
    let features = Features::from_tensor(z.reshape([lanes * frames, width])).unwrap();
    (effective_rank(&features), deviation(&features))
}

#[test]
fn projections_collapse_without_the_regularisation_and_not_with_it() {
    let (without, with) = (after(0.0), after(1.0));
    println!("effective rank and deviation: {without:?} without, {with:?} with it");
    // The collapse is to a point: what is left around it may have any rank.
    assert!(with.1 > 5.0 * without.1, "{with:?} {without:?}");
}
