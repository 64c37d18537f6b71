//! Quantisers by known values, by plain definitions, and their gradients.

use super::config::{ActFormat, ActGrouping, WeightFormat, WeightGrouping};
use super::groups::Statistic;
use super::hadamard::Hadamard;
use super::rules::LowBit;
use super::weights::{Codes, Neurons};
use super::{Protocol, QuantConfig, Quantisers, Target};
use crate::seed::Rng;
use burn::tensor::{DType, Device, Tensor, TensorData};

fn tensor<const R: usize>(numbers: &[f64], shape: [usize; R], dtype: DType) -> Tensor<R> {
    let data = TensorData::new(numbers.to_vec(), shape).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex(), dtype))
}

fn drawn<const R: usize>(shape: [usize; R], seed: u64) -> Tensor<R> {
    let mut rng = Rng::new(seed);
    let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    tensor(&numbers, shape, DType::F64)
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec::<f64>().unwrap()
}

#[track_caller]
fn near(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "{found} {expected}");
    }
}

/// What is quantised, with all targets.
fn low_bit(change: impl FnOnce(&mut QuantConfig)) -> LowBit {
    let mut config = QuantConfig {
        protocol: Protocol::BitnetB158,
        target_modules: Target::ALL.to_vec(),
        ..QuantConfig::default()
    };
    change(&mut config);
    LowBit::of(&config, 4).unwrap()
}

fn quantisers(dtype: DType, change: impl FnOnce(&mut QuantConfig)) -> Quantisers {
    Quantisers::new(Some(low_bit(change)), 4, dtype, &Device::flex())
}

const MATRIX: [f64; 8] = [0.3, -0.05, 0.8, -1.2, 0.0, 0.6, -0.4, 0.1];
const VECTOR: [f64; 4] = [0.5, -1.0, 0.25, 0.9];

/// Known values of methods of language models, section e.7: computed by hand.
#[test]
fn weights_have_the_known_values() {
    for dtype in [DType::F32, DType::F64] {
        let w = tensor(&MATRIX, [1, 2, 4], dtype);
        let codes = |format: WeightFormat| {
            let codes = format.codes(w.clone(), Neurons::Columns, WeightGrouping::PerTensor);
            let Codes { numbers, unit } = codes.unwrap();
            (values(numbers), values(unit)[0])
        };
        for format in [WeightFormat::Ternary158, WeightFormat::Packed2] {
            let (numbers, unit) = codes(format);
            assert_eq!(numbers, [1.0, 0.0, 1.0, -1.0, 0.0, 1.0, -1.0, 0.0]);
            near(&[unit], &[0.43125], 1e-7);
        }
        let (signs, unit) = codes(WeightFormat::Sign1);
        assert_eq!(signs, [1.0, -1.0, 1.0, -1.0, -1.0, 1.0, -1.0, 1.0]);
        near(&[unit], &[0.43125], 1e-7);
        let (numbers, unit) = codes(WeightFormat::Int8);
        assert_eq!(numbers, [32.0, -5.0, 85.0, -127.0, 0.0, 64.0, -42.0, 11.0]); // 63.5 to 64
        near(&[unit], &[1.2 / 127.0], 1e-8);
    }
    // A sign of 0 is -1: the mean is 0.
    let w = tensor(&[1.0, 0.0, -1.0, 0.0], [1, 1, 4], DType::F64);
    let codes = WeightFormat::Sign1.codes(w, Neurons::Columns, WeightGrouping::PerTensor);
    assert_eq!(values(codes.unwrap().numbers), [1.0, -1.0, -1.0, -1.0]);
}

#[test]
fn activities_have_the_known_values_and_products_those_of_integers() {
    let of = |format| move |config: &mut QuantConfig| config.act_format = Some(format);
    for dtype in [DType::F32, DType::F64] {
        let x: Tensor<4> = tensor(&VECTOR, [1, 1, 1, 4], dtype);
        let int8 = values(quantisers(dtype, of(ActFormat::Int8)).v(x.clone()));
        near(&int8, &[0.503_937, -1.0, 0.251_968_5, 0.897_637_8], 1e-6);
        // 63.5 is rounded to the even 64.
        let codes: Vec<f64> = int8.iter().map(|value| (value * 127.0).round()).collect();
        assert_eq!(codes, [64.0, -127.0, 32.0, 114.0]);
        let int4 = values(quantisers(dtype, of(ActFormat::Int4Exp)).v(x.clone()));
        near(
            &int4,
            &[0.500_802_9, -1.001_605_9, 0.250_401_5, 1.001_605_9],
            1e-6,
        );

        // The product with the ternary matrix: its sums of integers are -18 and -159.
        let w = tensor(&MATRIX, [1, 2, 4], dtype);
        let codes = WeightFormat::Ternary158.codes(w, Neurons::Columns, WeightGrouping::PerTensor);
        let Codes { numbers, unit } = codes.unwrap();
        let x = tensor(&int8, [1, 4, 1], dtype);
        near(
            &values((numbers * unit).matmul(x)),
            &[-0.061_122, -0.539_911_4],
            1e-6,
        );

        // y, which is not negative: 127 levels, or 255.
        let y: Tensor<4> = tensor(&[0.0, 1.0, 0.25, 0.9], [1, 1, 1, 4], dtype);
        let levels = |protocol, levels: f64| {
            let of = |config: &mut QuantConfig| config.protocol = protocol;
            let values = values(quantisers(dtype, of).y(y.clone()));
            let codes: Vec<f64> = values.iter().map(|value| value * levels).collect();
            near(
                &codes,
                &[
                    0.0,
                    levels,
                    (levels / 4.0).round(),
                    (levels * 0.9).round_ties_even(),
                ],
                1e-4,
            );
        };
        levels(Protocol::BitnetB158, 127.0);
        levels(Protocol::BitnetA48Exp, 255.0); // 229.5 is rounded to the even 230
    }
}

#[test]
fn a_turn_has_the_known_values_is_its_own_inverse_and_its_gradient_a_turn() {
    let turn = |x: Tensor<4>| Hadamard::new(x.dims()[3], x.dtype(), &Device::flex()).turn(x);
    for (x, expected) in [
        ([4.0, 0.0, 0.0, 0.0], [2.0, 2.0, 2.0, 2.0]),
        ([1.0, 2.0, 3.0, 4.0], [5.0, -1.0, -2.0, 0.0]),
        ([10.0, 0.1, -0.1, 0.2], [5.1, 4.8, 5.0, 5.1]),
    ] {
        near(
            &values(turn(tensor(&x, [1, 1, 1, 4], DType::F64))),
            &expected,
            1e-14,
        );
        near(
            &values(turn(tensor(&x, [1, 1, 1, 4], DType::F32))),
            &expected,
            1e-6,
        );
    }
    let x: Tensor<4> = drawn([2, 3, 5, 32], 1);
    near(&values(turn(turn(x.clone()))), &values(x.clone()), 1e-13);
    // The fast transform, butterfly by butterfly.
    for (row, turned) in values(x.clone())
        .chunks(32)
        .zip(values(turn(x.clone())).chunks(32))
    {
        let mut row = row.to_vec();
        for half in [1, 2, 4, 8, 16] {
            for first in (0..32).filter(|index| index & half == 0) {
                let (a, b) = (row[first], row[first + half]);
                (row[first], row[first + half]) = (a + b, a - b);
            }
        }
        let row: Vec<f64> = row.iter().map(|value| value / 32f64.sqrt()).collect();
        near(turned, &row, 1e-13);
    }
    let (tracked, d) = (x.autodiff().require_grad(), drawn([2, 3, 5, 32], 2));
    let loss = (turn(tracked.clone()) * d.clone().autodiff()).sum();
    let gradient = tracked.grad(&loss.backward()).unwrap();
    near(&values(gradient), &values(turn(d)), 1e-13);
}

/// Straight through: the gradient of `sum of d Q(x)` is d, also where x is clipped, and the value is that without autodiff.
#[test]
fn gradients_go_straight_through() {
    let d: Tensor<4> = drawn([2, 2, 3, 4], 3);
    let x: Tensor<4> = drawn([2, 2, 3, 4], 4).abs();
    let checked = |quantised: &dyn Fn(Tensor<4>) -> Tensor<4>, expected: &[f64]| {
        let tracked = x.clone().autodiff().require_grad();
        let value = quantised(tracked.clone());
        assert_eq!(values(value.clone()), values(quantised(x.clone())));
        let gradient = tracked
            .grad(&(value * d.clone().autodiff()).sum().backward())
            .unwrap();
        near(&values(gradient), expected, 1e-14);
    };
    for format in [ActFormat::Int8, ActFormat::Int4Exp] {
        for grouping in [
            ActGrouping::PerToken,
            ActGrouping::PerGroup,
            ActGrouping::PerHeadGroup,
        ] {
            let of = |config: &mut QuantConfig| {
                (config.act_format, config.act_grouping) = (Some(format), grouping);
            };
            let quantisers = quantisers(DType::F64, of);
            let straight = values(d.clone());
            checked(&|x| quantisers.v(x), &straight);
            checked(&|x| quantisers.a(x), &straight);
            checked(&|x| quantisers.y(x), &straight);
        }
    }
    // Through a turn the gradient is turned: what is quantised is the turned vector.
    let turned = quantisers(DType::F64, |config| config.protocol = Protocol::BitnetV2Exp);
    let of_d = Hadamard::new(4, DType::F64, &Device::flex()).turn(d.clone());
    checked(&|x| turned.v(x), &values(of_d));
    checked(&|x| turned.y(x), &values(d.clone()));

    let all = [WeightFormat::Int8, WeightFormat::Sign1, WeightFormat::Ternary158];
    for format in all {
        let low_bit = low_bit(|config| {
            if format == WeightFormat::Sign1 {
                config.protocol = Protocol::BitnetB1;
            }
            config.weight_format = Some(format);
        });
        let decoders = [5, 6].map(|seed| drawn([2, 4, 3], seed).autodiff().require_grad());
        let encoder = drawn([6, 4], 7).autodiff().require_grad();
        let [decoder_x, decoder_y] = decoders.clone();
        let weights = low_bit.weights(decoder_x, decoder_y, encoder.clone());
        let d: Tensor<3> = drawn([2, 4, 3], 8);
        let of_d = d.clone().autodiff();
        let sum = weights.decoder_x().clone() * of_d.clone() + weights.decoder_y().clone() * of_d * 2.0;
        let of_encoder: Tensor<2> = drawn([6, 4], 9);
        let loss = sum.sum() + (weights.encoder().clone() * of_encoder.clone().autodiff()).sum();
        let gradients = loss.backward();
        let d = values(d);
        near(&values(decoders[0].grad(&gradients).unwrap()), &d, 1e-14);
        let twice: Vec<f64> = d.iter().map(|d| 2.0 * d).collect();
        near(&values(decoders[1].grad(&gradients).unwrap()), &twice, 1e-14);
        near(
            &values(encoder.grad(&gradients).unwrap()),
            &values(of_encoder),
            1e-14,
        );
    }
}

/// Scales are of what the groupings say: compared with loops over the entries.
#[test]
fn groups_share_a_scale() {
    let (heads, width, neurons) = (2, 3, 150); // groups of 64, 64 and 22
    let w: Tensor<3> = drawn([heads, width, neurons], 1);
    let numbers = values(w.clone());
    let at = |head: usize, row: usize, column: usize| numbers[(head * width + row) * neurons + column];
    for grouping in [
        WeightGrouping::PerTensor,
        WeightGrouping::PerHeadGroup,
        WeightGrouping::PerGroup,
    ] {
        let shared = |head: usize, column: usize| -> Vec<(usize, usize)> {
            let all = |head| (0..neurons).map(move |column| (head, column));
            match grouping {
                WeightGrouping::PerTensor => (0..heads).flat_map(all).collect(),
                WeightGrouping::PerHeadGroup => all(head).collect(),
                WeightGrouping::PerGroup => {
                    all(head).filter(|(_, other)| other / 64 == column / 64).collect()
                }
            }
        };
        let expected = |head: usize, row: usize, column: usize| {
            let shared = shared(head, column);
            let each = shared
                .iter()
                .flat_map(|&(head, column)| (0..width).map(move |row| at(head, row, column).abs()));
            let gamma = each.sum::<f64>() / (shared.len() * width) as f64;
            gamma * (at(head, row, column) / gamma).round_ties_even().clamp(-1.0, 1.0)
        };
        let low_bit = low_bit(|config| config.weight_grouping = grouping);
        let encoder = w.clone().swap_dims(1, 2).reshape([heads * neurons, width]);
        let weights = low_bit.weights(w.clone(), w.clone(), encoder);
        let (decoder, encoder) = (
            values(weights.decoder_x().clone()),
            values(weights.encoder().clone()),
        );
        for head in 0..heads {
            for row in 0..width {
                for column in 0..neurons {
                    let expected = expected(head, row, column);
                    let found = [
                        decoder[(head * width + row) * neurons + column],
                        encoder[(head * neurons + column) * width + row],
                    ];
                    near(&found, &[expected; 2], 1e-13);
                }
            }
        }
    }

    // The largest neuron of a token, of a head, and of a group, in 127 levels.
    let y: Tensor<4> = drawn([1, 2, 2, 150], 2).abs();
    let numbers = values(y.clone());
    for grouping in [
        ActGrouping::PerToken,
        ActGrouping::PerHeadGroup,
        ActGrouping::PerGroup,
    ] {
        let quantisers = quantisers(DType::F64, |config| config.act_grouping = grouping);
        let found = values(quantisers.y(y.clone()));
        for (index, found) in found.iter().enumerate() {
            let place = |index: usize| (index / 300, index / 150 % 2, index % 150 / 64); // head, token, group
            let is_shared = |other: usize| {
                let ((head, token, group), (h, t, g)) = (place(index), place(other));
                token == t
                    && match grouping {
                        ActGrouping::PerToken => true,
                        ActGrouping::PerHeadGroup => head == h,
                        ActGrouping::PerGroup => (head, group) == (h, g),
                    }
            };
            let shared = (0..numbers.len()).filter(|&other| is_shared(other));
            let most = shared.map(|other| numbers[other]).fold(0.0, f64::max);
            let expected = (numbers[index] * 127.0 / most).round_ties_even() * most / 127.0;
            near(&[*found], &[expected], 1e-13);
        }
    }
}

/// Nothing divides by a scale of 0.
#[test]
fn zeros_stay_zeros() {
    let zeros: Tensor<4> = Tensor::zeros([1, 2, 3, 4], &Device::flex());
    for protocol in [
        Protocol::BitnetB158,
        Protocol::BitnetA48Exp,
        Protocol::BitnetV2Exp,
    ] {
        let quantisers = quantisers(DType::F32, |config| config.protocol = protocol);
        for quantised in [
            quantisers.v(zeros.clone()),
            quantisers.a(zeros.clone()),
            quantisers.y(zeros.clone()),
        ] {
            assert_eq!(values(quantised), [0.0; 24]);
        }
    }
    let w: Tensor<3> = Tensor::zeros([1, 2, 4], &Device::flex());
    for format in [WeightFormat::Ternary158, WeightFormat::Int8, WeightFormat::Sign1] {
        let codes = format.codes(w.clone(), Neurons::Columns, WeightGrouping::PerTensor);
        let Codes { numbers, unit } = codes.unwrap();
        assert_eq!(values((numbers * unit).abs()), [0.0; 8], "{format:?}");
    }
}

#[test]
fn a_statistic_of_groups_stands_at_each_of_their_numbers() {
    let x: Tensor<2> = tensor(
        &[1.0, 5.0, 2.0, 4.0, 3.0, 0.0, 1.0, 1.0, 2.0, 7.0],
        [2, 5],
        DType::F64,
    );
    let largest = Statistic::Largest.of_groups(x.clone(), 2);
    assert_eq!(
        values(largest),
        [5.0, 5.0, 4.0, 4.0, 3.0, 1.0, 1.0, 2.0, 2.0, 7.0]
    );
    let mean = Statistic::Mean.of_groups(x, 4);
    assert_eq!(values(mean), [3.0, 3.0, 3.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0, 7.0]);
}
