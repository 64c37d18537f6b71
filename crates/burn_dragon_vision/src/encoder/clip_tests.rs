//! Tests of encoders on clips.

use super::*;
use crate::encoder::testing::{close, differ, numbers};
use crate::encoder::{BackboneKind, DenseRead, MemoryUse, StemKind, StepPass};
use burn::tensor::{Device, Distribution, Int};

const KINDS: [BackboneKind; 3] = [BackboneKind::Dense, BackboneKind::Cellular, BackboneKind::Pyramid];

fn config(kind: BackboneKind) -> ModelConfig {
    ModelConfig {
        kind,
        image_size: 16,
        stem: StemKind::Linear,
        d_model: 12,
        n_heads: 2,
        n_neurons: 24,
        n_levels: 2,
        init_std: 0.4,
        ..ModelConfig::default()
    }
}

fn encoder(config: &ModelConfig, device: &Device) -> VisionEncoder {
    VisionEncoder::new(config, 3, device).unwrap()
}

/// Clips of 4 frames, `[2, 4, 16, 16, 1]`.
fn clip(device: &Device) -> Tensor<5> {
    device.seed(4);
    Tensor::random([2, 4, 16, 16, 1], Distribution::Uniform(0.0, 1.0), device)
}

fn watch(encoder: &VisionEncoder, clip: Tensor<5>, hidden: &Hidden) -> Watched {
    encoder.watch(clip, hidden, VisionPass::default()).unwrap()
}

/// Another frame in place of one.
fn changed(clip: &Tensor<5>, frame: usize) -> Tensor<5> {
    let [lanes, _, height, width, channels] = clip.dims();
    let other = clip.clone().narrow(1, frame, 1) * 0.5 + 0.3;
    let range = [0..lanes, frame..frame + 1, 0..height, 0..width, 0..channels];
    clip.clone().slice_assign(range, other)
}

#[test]
fn tokens_and_summaries_are_those_of_the_frames_in_their_order() {
    let device = Device::flex();
    for kind in KINDS {
        let watched = watch(&encoder(&config(kind), &device), clip(&device), &Hidden::Nothing);
        assert_eq!(watched.levels.len(), 2);
        let last = watched.levels[1].clone();
        assert_eq!(last.dims(), [2, 64, 12]);
        let frames = watched.frames.unwrap();
        assert_eq!(frames.dims(), [2, 4, 12]);
        if kind != BackboneKind::Pyramid {
            let means = last.reshape([2, 4, 16, 12]).mean_dim(2);
            close("means", &numbers(&frames), &numbers(&means), 1e-5);
        }
    }
}

#[test]
fn a_first_frame_is_seen_as_a_picture_and_the_next_ones_know_it() {
    let device = Device::flex();
    for kind in [BackboneKind::Cellular, BackboneKind::Pyramid] {
        let encoder = encoder(&config(kind), &device);
        let clip = clip(&device);
        let first = |clip: &Tensor<5>| {
            let frame = clip.clone().narrow(1, 0, 1).reshape([2, 16, 16, 1]);
            encoder
                .look_last(frame, &Hidden::Nothing, VisionPass::default())
                .unwrap()
        };
        let of = |clip: &Tensor<5>| watch(&encoder, clip.clone(), &Hidden::Nothing).levels[1].clone();
        let whole = of(&clip);
        let seen = encoder.patches(&first(&clip).stream);
        close(
            "first",
            &numbers(&whole.clone().narrow(1, 0, 16)),
            &numbers(&seen),
            1e-5,
        );
        // What comes later changes nothing before it; what came before is remembered.
        let later = of(&changed(&clip, 2));
        let part = |x: &Tensor<3>, frame: usize| numbers(&x.clone().narrow(1, frame * 16, 16));
        assert_eq!(part(&whole, 1), part(&later, 1));
        for frame in [2, 3] {
            assert!(
                differ(&part(&whole, frame), &part(&later, frame)),
                "{kind:?} {frame}"
            );
        }
        // Without memories nothing is remembered.
        let pass = VisionPass {
            memory: MemoryUse::NeverWritten,
            ..VisionPass::default()
        };
        let blind = |clip: &Tensor<5>| {
            let watched = encoder.watch(clip.clone(), &Hidden::Nothing, pass).unwrap();
            watched.levels[1].clone()
        };
        let (one, other) = (blind(&clip), blind(&changed(&clip, 2)));
        close("blind", &part(&one, 3), &part(&other, 3), 1e-5);
    }
}

#[test]
fn a_dense_clip_is_one_stream_in_which_every_frame_knows_every_other() {
    let device = Device::flex();
    for positions in [
        GridPositions::Learned2d,
        GridPositions::Rope2d,
        GridPositions::None,
    ] {
        for read in [DenseRead::Full, DenseRead::Softmax] {
            let config = ModelConfig {
                positions,
                read,
                ..config(BackboneKind::Dense)
            };
            let encoder = encoder(&config, &device);
            let clip = clip(&device);
            let of = |clip: &Tensor<5>| watch(&encoder, clip.clone(), &Hidden::Nothing).levels[1].clone();
            let (whole, later) = (of(&clip), of(&changed(&clip, 2)));
            let part = |x: &Tensor<3>, frame: usize| numbers(&x.clone().narrow(1, frame * 16, 16));
            assert!(
                differ(&part(&whole, 0), &part(&later, 0)),
                "{positions:?} {read:?}"
            );
            // Frames have places in time: in another order they are something else.
            let order = Tensor::<1, Int>::from_data([2, 1, 0, 3], &device);
            let reversed = of(&clip.clone().select(1, order));
            assert!(
                differ(&part(&whole, 3), &part(&reversed, 3)),
                "{positions:?} {read:?}"
            );
        }
    }
}

#[test]
fn a_dense_clip_without_its_hidden_patches_is_the_stream_of_the_others() {
    let device = Device::flex();
    let kept: Vec<i32> = vec![1, 5, 17, 40, 63, 0, 16, 33, 34, 62];
    let kept = Tensor::<2, Int>::from_data(burn::tensor::TensorData::new(kept, [2, 5]), &device);
    for positions in [GridPositions::Learned2d, GridPositions::Rope2d] {
        let config = ModelConfig {
            positions,
            ..config(BackboneKind::Dense)
        };
        let encoder = encoder(&config, &device);
        let clip = clip(&device);
        let watched = watch(&encoder, clip.clone(), &Hidden::AllBut(kept.clone()));
        assert_eq!(watched.levels[1].dims(), [2, 5, 12]);
        assert!(watched.frames.is_none());
        // Pixels of hidden patches change nothing: all of frame 1 but patch 17, whose pixels are rows 0 to 3, columns 4 to 7.
        let mut other = changed(&clip, 1);
        let range = [0..1, 1..2, 0..4, 4..8, 0..1];
        other = other.slice_assign(range.clone(), clip.clone().slice(range));
        let range = [1..2, 0..4, 0..16, 0..16, 0..1];
        other = other.slice_assign(range.clone(), clip.clone().slice(range));
        let hidden = watch(&encoder, other.clone(), &Hidden::AllBut(kept.clone()));
        assert_eq!(numbers(&hidden.levels[1]), numbers(&watched.levels[1]));
        let whole = |clip| numbers(&watch(&encoder, clip, &Hidden::Nothing).levels[1]);
        assert!(differ(&whole(clip), &whole(other)), "{positions:?}");
    }
}

#[test]
fn a_prediction_takes_time_and_changes_the_state_without_a_frame() {
    let device = Device::flex();
    for kind in [BackboneKind::Cellular, BackboneKind::Pyramid] {
        let encoder = encoder(&config(kind), &device);
        let way = |observed, predicted| FrameByFrame {
            observed,
            predicted,
            backprop_frames: None,
        };
        let clip = clip(&device);
        let of = |clip: &Tensor<5>, way| encoder.follow(clip.clone(), way, VisionPass::default()).unwrap();
        let followed = of(&clip, way(2, 3));
        assert_eq!(followed.dims(), [2, 5, 12]);
        let all = of(&clip, way(4, 0));
        let part = |x: &Tensor<3>, frame: usize| numbers(&x.clone().narrow(1, frame, 1));
        assert_eq!(part(&followed, 1), part(&all, 1));
        for frame in 2..5 {
            assert!(
                differ(&part(&followed, frame), &part(&followed, frame - 1)),
                "{kind:?} {frame}"
            );
        }
        // Frames to come are not looked at.
        assert_eq!(numbers(&of(&changed(&clip, 2), way(2, 3))), numbers(&followed));
        let refused = encoder.follow(clip.clone(), way(5, 0), VisionPass::default());
        assert!(refused.unwrap_err().to_string().contains("expected 1 to 4"));
    }
    let dense = encoder(&config(BackboneKind::Dense), &device);
    let way = FrameByFrame {
        observed: 1,
        predicted: 1,
        backprop_frames: None,
    };
    let refused = dense.follow(clip(&device), way, VisionPass::default());
    assert!(refused.unwrap_err().to_string().starts_with("model.backbone"));
}

#[test]
fn time_passes_before_every_frame_but_the_first() {
    let (device, options) = (Device::flex(), StepPass::default());
    for kind in [BackboneKind::Cellular, BackboneKind::Pyramid] {
        let encoder = encoder(&config(kind), &device);
        let clip = clip(&device);
        let frame = |index: usize| {
            let frame = clip.clone().narrow(1, index, 1).reshape([2, 16, 16, 1]);
            encoder.embed(frame, &Hidden::Nothing)
        };
        let first = frame(0);
        let backbone = encoder.backbone(&first, &Hidden::Nothing).unwrap();
        let mut state = backbone.start(first.clone());
        let mut expected = Vec::new();
        for index in 0..4 {
            if index > 0 {
                backbone.step(&mut state, StepMode::Predict, options).unwrap();
            }
            if index < 3 {
                if index > 0 {
                    backbone.observe(&mut state, frame(index)).unwrap();
                }
                backbone.look(&mut state, 2, options).unwrap();
            }
            assert_eq!(state.banks().times(), [index as u64; 2]);
            expected.push(backbone.summary(&state).unwrap());
        }
        let way = FrameByFrame {
            observed: 3,
            predicted: 1,
            backprop_frames: None,
        };
        let followed = encoder.follow(clip.clone(), way, VisionPass::default()).unwrap();
        close(
            "followed",
            &numbers(&followed),
            &numbers(&Tensor::stack::<3>(expected, 1)),
            1e-6,
        );
    }
}

#[test]
fn gradients_end_where_back_propagation_is_cut() {
    let device = Device::flex().autodiff();
    for kind in [BackboneKind::Cellular, BackboneKind::Pyramid] {
        let encoder = encoder(&config(kind), &device);
        let gradient = |backprop_frames| {
            let clip = clip(&device).require_grad();
            let way = FrameByFrame {
                observed: 3,
                predicted: 1,
                backprop_frames,
            };
            let last = encoder.follow(clip.clone(), way, VisionPass::default()).unwrap();
            let last = last.narrow(1, 3, 1).powi_scalar(2).narrow(2, 0, 5).sum();
            let gradients = last.backward();
            let of_clip = clip.grad(&gradients);
            (0..3)
                .map(|frame| {
                    let part = of_clip.clone().map(|part| part.narrow(1, frame, 1));
                    part.map_or(0.0, |part| part.abs().max().into_scalar::<f32>())
                })
                .collect::<Vec<f32>>()
        };
        let all = gradient(None);
        assert!(all.iter().all(|&size| size > 0.0), "{kind:?} {all:?}");
        // Before frame 2 it is cut: memories and stream of frames 0 and 1 are constants.
        let two = gradient(Some(2));
        assert!(two[0] == 0.0 && two[1] == 0.0 && two[2] > 0.0, "{kind:?} {two:?}");
        assert_eq!(gradient(Some(1)), [0.0; 3], "{kind:?}");
    }
}
