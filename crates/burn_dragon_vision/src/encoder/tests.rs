//! Tests of encoders.

use super::*;
use burn::tensor::{DType, Distribution};
use burn_dragon_core::api::Pass;
use burn_dragon_core::api::expert::{named_shapes, snapshot};

fn config() -> ModelConfig {
    ModelConfig {
        image_size: 16,
        d_model: 16,
        n_heads: 2,
        n_neurons: 32,
        n_levels: 3,
        init_std: 0.3,
        ..ModelConfig::default()
    }
}

fn encoder(config: &ModelConfig) -> VisionEncoder {
    VisionEncoder::new(config, 1, &Device::flex()).unwrap()
}

fn pixels(config: &ModelConfig, lanes: usize) -> Tensor<4> {
    let (device, side) = (Device::flex(), config.image_size);
    device.seed(5);
    let shape = [lanes, side, side, config.colours.channels()];
    Tensor::random(shape, Distribution::Uniform(0.0, 1.0), &device)
}

fn last(encoder: &VisionEncoder, pixels: Tensor<4>, hidden: &Hidden) -> Tensor<4> {
    encoder
        .look_last(pixels, hidden, VisionPass::default())
        .unwrap()
        .stream
}

fn off<const R: usize>(a: Tensor<R>, b: Tensor<R>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).abs().max().into_scalar::<f32>()
}

/// Every kind of stem, positions, read and summary.
fn kinds() -> Vec<ModelConfig> {
    let stem = |stem, d_model| ModelConfig {
        stem,
        d_model,
        ..config()
    };
    let positions = |positions, read| ModelConfig {
        positions,
        read,
        ..config()
    };
    let of_kind = |kind| ModelConfig { kind, ..config() };
    vec![
        config(),
        stem(StemKind::Linear, 16),
        stem(StemKind::Identity, 16),
        positions(GridPositions::SineCosine2d, DenseRead::Softmax),
        positions(GridPositions::Rope2d, DenseRead::Full),
        positions(GridPositions::None, DenseRead::RowL1),
        positions(GridPositions::AlibiRaster, DenseRead::RowL1),
        of_kind(BackboneKind::Cellular),
        of_kind(BackboneKind::Pyramid),
        of_kind(BackboneKind::Convolution),
        ModelConfig {
            summary: Summary::Cls,
            colours: crate::picture::Colours::Rgb,
            ..positions(GridPositions::Rope2d, DenseRead::Softmax)
        },
    ]
}

#[test]
fn the_tensors_listed_are_those_of_the_encoder() {
    for config in kinds() {
        let listed = config.tensors().into_iter().map(|t| (t.name, t.shape)).collect();
        assert_eq!(named_shapes(&encoder(&config)), listed, "{config:?}");
    }
}

#[test]
fn streams_have_the_tokens_of_the_grid_and_a_picture_does_not_know_its_batch() {
    for config in kinds() {
        let (encoder, pixels) = (encoder(&config), pixels(&config, 3));
        let together = last(&encoder, pixels.clone(), &Hidden::Nothing);
        assert_eq!(together.dims(), [3, 1, config.tokens(), 16]);
        let alone = last(&encoder, pixels.narrow(0, 1, 1), &Hidden::Nothing);
        assert!(off(alone, together.narrow(0, 1, 1)) < 1e-5, "{config:?}");
    }
}

#[test]
fn the_full_read_is_that_of_the_trunk() {
    let config = config();
    let (encoder, pixels) = (encoder(&config), pixels(&config, 2));
    let v = encoder.embed(pixels.clone(), &Hidden::Nothing);
    let expected = encoder.trunk.as_ref().unwrap().forward(v, Pass::default());
    assert!(off(last(&encoder, pixels, &Hidden::Nothing), expected) < 1e-5);
}

/// Scores of neurons that are not negative have one sign, so that dividing by the sum of their sizes is a positive factor
/// of a row, which the norm behind it takes away.
#[test]
fn row_l1_without_a_bias_is_the_full_read() {
    let config = ModelConfig {
        read: DenseRead::RowL1,
        ..config()
    };
    let pixels = pixels(&config, 2);
    let by_scores = last(&encoder(&config), pixels.clone(), &Hidden::Nothing);
    let full = last(&encoder(&self::config()), pixels, &Hidden::Nothing);
    assert!(off(by_scores, full) < 1e-2);
}

#[test]
fn a_bias_by_raster_distance_is_not_a_function_of_the_grid() {
    let config = ModelConfig {
        positions: GridPositions::AlibiRaster,
        read: DenseRead::Softmax,
        ..config()
    };
    let bias = positions::raster_bias(2, 16, &Device::flex());
    let of = |row: usize, column: usize| {
        bias.clone()
            .slice([0..1, 0..1, row..row + 1, column..column + 1])
            .into_scalar::<f32>()
    };
    // Patch 4 lies below patch 0, and patch 1 beside it: the same distance, another bias; later patches have more.
    assert!(of(0, 4) > of(0, 1) && of(0, 1) > 0.0 && of(1, 0) < 0.0);
    let with = last(&encoder(&config), pixels(&config, 1), &Hidden::Nothing);
    let without = ModelConfig {
        positions: GridPositions::None,
        ..config
    };
    assert!(
        off(
            with,
            last(&encoder(&without), pixels(&without, 1), &Hidden::Nothing)
        ) > 1e-3
    );
}

#[test]
fn without_positions_a_permutation_of_patches_is_one_of_the_outputs() {
    for (positions, same) in [(GridPositions::None, true), (GridPositions::Rope2d, false)] {
        let config = ModelConfig {
            stem: StemKind::Linear,
            positions,
            ..config()
        };
        let (encoder, pixels) = (encoder(&config), pixels(&config, 1));
        // Rows of patches in another order: 4 rows of pixels each.
        let rows = |x: Tensor<4>| Tensor::cat(vec![x.clone().narrow(1, 4, 12), x.narrow(1, 0, 4)], 1);
        let moved = last(&encoder, rows(pixels.clone()), &Hidden::Nothing);
        let output = last(&encoder, pixels, &Hidden::Nothing);
        let expected = Tensor::cat(vec![output.clone().narrow(2, 4, 12), output.narrow(2, 0, 4)], 2);
        assert_eq!(off(moved, expected) < 1e-4, same, "{positions:?}");
    }
}

/// Rotated queries know differences of places alone: the scores of two patches do not change where both move.
#[test]
fn rotations_of_a_grid_know_differences_of_rows_and_of_columns() {
    let config = ModelConfig {
        positions: GridPositions::Rope2d,
        ..config()
    };
    let rotation = positions::rotation(&config, 0, DType::F32, &Device::flex());
    let x = Tensor::<4>::random([1, 1, 1, 16], Distribution::Uniform(0.0, 1.0), &Device::flex());
    let q = rotation.rotate(x.expand([1, 1, 16, 16])); // the same neurons at every place
    let scores = q.clone().matmul(q.transpose());
    let score = |a: usize, b: usize| {
        scores
            .clone()
            .slice([0..1, 0..1, a..a + 1, b..b + 1])
            .into_scalar::<f32>()
    };
    // One row and one column further, on a grid of 4 x 4.
    for (a, b) in [(0, 1), (0, 4), (1, 6), (2, 9)] {
        assert!((score(a, b) - score(a + 5, b + 5)).abs() < 1e-4, "{a} {b}");
    }
    assert!((score(0, 1) - score(0, 4)).abs() > 1e-3);
}

#[test]
fn patches_that_are_left_out_are_not_read() {
    for config in kinds()
        .into_iter()
        .filter(|config| config.positions != GridPositions::AlibiRaster && config.kind == BackboneKind::Dense)
    {
        let (encoder, pixels) = (encoder(&config), pixels(&config, 2));
        let all = Tensor::<1, Int>::arange(0..16, &Device::flex())
            .reshape([1, 16])
            .expand([2, 16]);
        let whole = last(&encoder, pixels.clone(), &Hidden::Nothing);
        assert!(
            off(last(&encoder, pixels.clone(), &Hidden::AllBut(all)), whole) < 1e-5,
            "{config:?}"
        );
        let kept = Tensor::<2, Int>::from_data([[3, 7], [15, 0]], &Device::flex());
        let few = last(&encoder, pixels.clone(), &Hidden::AllBut(kept.clone()));
        assert_eq!(few.dims()[2], 2 + config.first_tokens());
        if config.stem != StemKind::Conv {
            // Other pixels in patch 1, which nobody kept.
            let other = Tensor::cat(
                vec![
                    pixels.clone().narrow(2, 0, 4),
                    pixels.clone().narrow(2, 4, 4) * 0.5,
                    pixels.narrow(2, 8, 8),
                ],
                2,
            );
            let few_again = last(
                &encoder,
                other,
                &Hidden::AllBut(Tensor::from_data([[3, 7], [15, 0]], &Device::flex())),
            );
            assert_eq!(
                few.narrow(0, 1, 1).into_data(),
                few_again.narrow(0, 1, 1).into_data()
            );
        }
    }
}

#[test]
fn a_token_stands_in_place_of_a_hidden_patch() {
    let config = ModelConfig {
        stem: StemKind::Linear,
        ..config()
    };
    let (encoder, pixels) = (encoder(&config), pixels(&config, 1));
    let mask: Vec<f32> = (0..16).map(|place| f32::from(u8::from(place == 5))).collect();
    let mask = Tensor::<3>::from_data(TensorData::new(mask, [1, 16, 1]), &Device::flex());
    let token = Tensor::<2>::ones([1, 16], &Device::flex());
    let hidden = Hidden::Behind(mask, token);
    let first = encoder.embed(pixels.clone(), &hidden);
    // Patch 5: rows 4 to 7, columns 4 to 7.
    let row = pixels.clone().narrow(1, 4, 4);
    let row = Tensor::cat(
        vec![
            row.clone().narrow(2, 0, 4),
            row.clone().narrow(2, 4, 4) * 0.0,
            row.narrow(2, 8, 8),
        ],
        2,
    );
    let other = Tensor::cat(
        vec![pixels.clone().narrow(1, 0, 4), row, pixels.narrow(1, 8, 8)],
        1,
    );
    assert_eq!(first.into_data(), encoder.embed(other, &hidden).into_data());
}

#[test]
fn gradients_are_those_of_finite_differences() {
    for config in kinds() {
        let device = Device::flex().autodiff();
        let encoder = VisionEncoder::new(&config, 1, &device).unwrap();
        let pixels = pixels(&config, 2);
        let plain = |encoder: &VisionEncoder| {
            let stream = last(&encoder.clone().valid(), pixels.clone(), &Hidden::Nothing);
            stream.powf_scalar(3.0).sum().into_scalar::<f64>()
        };
        let loss = last(&encoder, pixels.clone().autodiff(), &Hidden::Nothing)
            .powf_scalar(3.0)
            .sum();
        let gradients = loss.backward();
        let (name, gradient) = match (&encoder.trunk, &encoder.pyramid, &encoder.convolutions) {
            (Some(trunk), ..) => (
                "decoder_x",
                trunk.decoder_x.val().grad(&gradients).unwrap().into_data(),
            ),
            (_, Some(pyramid), _) => (
                "pyramid.value",
                pyramid.value.val().grad(&gradients).unwrap().into_data(),
            ),
            (.., Some(blocks)) => (
                "convolutions.first.1",
                blocks.first[1].val().grad(&gradients).unwrap().into_data(),
            ),
            _ => unreachable!(),
        };
        let gradient: Vec<f64> = gradient.convert::<f64>().iter::<f64>().collect();
        let before = snapshot(&encoder)[name].clone();
        // Along one direction: signs by the index of the number.
        let sign = |index: usize| {
            if index.wrapping_mul(0x9E37_79B9) >> 7 & 1 == 0 {
                1.0
            } else {
                -1.0
            }
        };
        let moved = |by: f32| {
            let values = before.iter::<f32>().enumerate();
            let values: Vec<f32> = values
                .map(|(index, value)| value + by * sign(index) as f32)
                .collect();
            let data = TensorData::new(values, before.shape().to_vec());
            let moved = burn_dragon_core::api::expert::load(encoder.clone(), |found, _| {
                (found == name).then(|| data.clone())
            });
            plain(&moved)
        };
        let step = 1e-4;
        let expected = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        let found: f64 = gradient
            .iter()
            .enumerate()
            .map(|(index, value)| value * sign(index))
            .sum();
        assert!(
            (found - expected).abs() < 0.03 * expected.abs().max(5.0),
            "{config:?}: {found} {expected}"
        );
    }
}

#[test]
fn levels_without_gradients_are_constants() {
    let device = Device::flex().autodiff();
    let of = |backprop_levels| {
        let config = ModelConfig {
            backprop_levels,
            ..config()
        };
        let encoder = VisionEncoder::new(&config, 1, &device).unwrap();
        let stream = last(&encoder, pixels(&config, 1).autodiff(), &Hidden::Nothing);
        let value = stream.clone().inner().into_data();
        let gradients = stream.powf_scalar(3.0).sum().backward();
        let stem = encoder.stem.stages[0]
            .val()
            .grad(&gradients)
            .map(|gradient| gradient.abs().sum().into_scalar::<f32>());
        (value, stem)
    };
    let ((all, learnt), (last, cut)) = (of(None), of(Some(1)));
    assert_eq!(all, last);
    assert!(learnt.unwrap() > 0.0 && cut.is_none_or(|cut| cut == 0.0));
}

#[test]
fn shapes_that_no_encoder_can_have_are_refused_by_their_key() {
    let wrong = [
        (
            "model.patch_size",
            ModelConfig {
                patch_size: 5,
                ..config()
            },
        ),
        (
            "model.patch_size",
            ModelConfig {
                image_size: 18,
                patch_size: 6,
                ..config()
            },
        ),
        (
            "model.image_size",
            ModelConfig {
                image_size: 0,
                ..config()
            },
        ),
        (
            "model.d_model",
            ModelConfig {
                stem: StemKind::Identity,
                d_model: 20,
                ..config()
            },
        ),
        (
            "model.positions",
            ModelConfig {
                positions: GridPositions::AlibiRaster,
                ..config()
            },
        ),
        (
            "model.n_neurons",
            ModelConfig {
                positions: GridPositions::Rope2d,
                n_neurons: 36,
                ..config()
            },
        ),
        (
            "model.evaluation_levels",
            ModelConfig {
                evaluation_levels: Some(0),
                ..config()
            },
        ),
    ];
    for (key, config) in wrong {
        let error = config.validate().unwrap_err().to_string();
        assert!(error.starts_with(key), "{key}: {error}");
    }
}
