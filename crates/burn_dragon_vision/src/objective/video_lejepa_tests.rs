//! Tests of `video_lejepa`.

use super::*;
use crate::config::ObjectiveConfig;
use crate::data::{Data, DatasetConfig, PictureShape};
use crate::encoder::testing::{check_gradients, gradients};
use crate::encoder::{BackboneKind, ModelConfig, StemKind};
use crate::heads::MlpConfig;
use crate::model::VisionModelConfig;
use crate::objective::SigReg;
use crate::picture::Colours;
use crate::probe::{Features, effective_rank};
use burn::module::Module;
use burn::tensor::Device;
use burn_dragon_core::api::expert::{load, snapshot};

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
        },
        ..VideoLejepaConfig::default()
    }
}

fn model(config: &VideoLejepaConfig, kind: BackboneKind, device: &Device) -> VisionModel {
    let encoder = ModelConfig {
        kind,
        image_size: 8,
        patch_size: 2,
        stem: StemKind::Linear,
        d_model: 8,
        n_heads: 2,
        n_neurons: 12,
        n_levels: 2,
        init_std: 0.4,
        ..ModelConfig::default()
    };
    let heads = ObjectiveConfig::VideoLejepa(config.clone()).heads(kind, 0, None);
    VisionModel::new(&VisionModelConfig { encoder, heads }, 2, device).unwrap()
}

/// Clips of four frames.
fn batch(first: usize, count: usize) -> Batch {
    let config: DatasetConfig = toml::from_str("type = 'moving_glyphs'\n[motion]\nframes = 4").unwrap();
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
        let of = |model: &VisionModel| loss(&config, model, &teacher, &batch, learning(3)).unwrap().value;
        let found = gradients(&model, of(&model).backward());
        check_gradients(&model.valid(), &found, |model| of(&model).into_scalar::<f64>());
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

/// Effective rank of the projections of held-out frames after some steps of plain descent.
fn rank_after(steps: u64, sigreg_weight: f64) -> f64 {
    let device = Device::flex().autodiff();
    let config = VideoLejepaConfig {
        sigreg_weight,
        ..config()
    };
    let mut model = model(&config, BackboneKind::Cellular, &device);
    for step in 0..steps {
        let batch = batch(16 * (step as usize % 8), 16);
        let loss = loss(&config, &model, &model.valid(), &batch, learning(step)).unwrap();
        let gradients = gradients(&model, loss.value.backward());
        let weights = snapshot(&model);
        model = load(model, |name, shape| {
            let pairs = weights[name].iter::<f32>().zip(&gradients[name]);
            let values: Vec<f32> = pairs.map(|(weight, gradient)| weight - 0.1 * gradient).collect();
            Some(burn::tensor::TensorData::new(values, shape))
        });
    }
    let z = alone(&model.valid(), batch(500, 64).clip(&device.inner()), None).unwrap();
    let [lanes, frames, width] = z.dims();
    let deviation = z.clone().reshape([lanes * frames, width]);
    let features = Features::from_tensor(deviation).unwrap();
    println!(
        "sigreg {sigreg_weight}: rank {}, deviation {}",
        effective_rank(&features),
        crate::probe::deviation(&features)
    );
    effective_rank(&features)
}

#[test]
fn projections_collapse_without_the_regularisation_and_not_with_it() {
    let (without, with) = (rank_after(60, 0.0), rank_after(60, 0.2));
    assert!(without < 2.5, "{without}");
    assert!(with > 4.0, "{with}");
}
