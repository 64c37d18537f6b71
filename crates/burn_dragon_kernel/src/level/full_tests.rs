//! Reads of the whole window against their definition: values, gradients, odd shapes, finite differences.

use super::chunked_tests::{close, memory_of};
use super::tests::{Case, fast, leaf, numbers, values};
use super::*;
use crate::full_read::full_read;
use crate::mix::mix;
use crate::norm::norm;
use crate::retention::{Decay, Resets};
use burn::tensor::{DType, Device, TensorData};

/// Of the norm of what is expected.
const TOLERANCE: f64 = 2e-5;

fn input(case: &Case, device: &Device) -> LevelInput {
    LevelInput {
        reach: Reach::Full,
        ..case.input(device)
    }
}

/// Drawn cases in which no neuron is so near its threshold that rounding decides whether it fires, and no read nearly
/// the same in all columns, where the norm shows what rounding left.
pub(super) fn cases(count: usize) -> impl Iterator<Item = Case> {
    let device = Device::flex();
    let fair = move |case: &Case| {
        let input = input(case, &device);
        let weights = &input.weights;
        let drive = input.v.clone().matmul(weights.decoder_x().clone().unsqueeze());
        let x = drive.clone().clamp_min(0.0);
        let read = full_read(input.rotation.rotate(x.clone()), input.v.clone(), Credit::Full);
        let size = read.clone().square().mean_dim(3);
        let spread = (read.clone() - read.clone().mean_dim(3)).square().mean_dim(3);
        let silent = size.clone().equal_scalar(0.0).float();
        let even = (spread / (size + silent.clone()) + silent)
            .min()
            .into_scalar::<f64>()
            .sqrt();
        let gate = norm(read, input.eps).matmul(weights.decoder_y().clone().unsqueeze());
        let near = |drive: Tensor<4>, counts: Tensor<4>| {
            let size = drive.clone().square().mean().sqrt().into_scalar::<f64>();
            let sure = counts.equal_scalar(0.0).bool_or(drive.clone().equal_scalar(0.0));
            (drive.abs() + sure.float() * size).min().into_scalar::<f64>() < 3e-6 * size
        };
        even > 3e-2 && !near(drive, x.ones_like()) && !near(gate, x)
    };
    (3000..).map(Case::drawn).filter(fair).take(count)
}

fn gradients(
    case: &Case,
    credit: Credit,
    level: impl Fn(LevelInput) -> Tensor<4>,
) -> [(&'static str, Vec<f32>); 5] {
    let device = Device::flex().autodiff();
    let input = LevelInput {
        credit,
        ..input(case, &device)
    };
    let u = level(input.clone());
    let found = (u.clone() * numbers(u.dims(), 5, 2.0, &device)).sum().backward();
    let weights = &input.weights;
    [
        ("u", values(u)),
        ("dv", values(input.v.grad(&found).unwrap())),
        ("d decoder_x", values(weights.decoder_x().grad(&found).unwrap())),
        ("d decoder_y", values(weights.decoder_y().grad(&found).unwrap())),
        ("d encoder", values(weights.encoder().grad(&found).unwrap())),
    ]
}

#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let mut lively = 0;
    for case in cases(60) {
        for credit in [Credit::Full, Credit::Queries] {
            let found = gradients(&case, credit, |input| fast(input).u);
            let expected = gradients(&case, credit, |input| reference::level(input).u);
            lively += usize::from(expected[1].1.iter().any(|entry| *entry != 0.0));
            for ((what, found), (_, expected)) in found.iter().zip(&expected) {
                close(what, &case, found, expected, TOLERANCE);
            }
        }
    }
    assert!(lively > 60, "{lively} of 120 have gradients");
}

#[test]
fn without_autodiff_and_in_whatever_windows_values_are_the_same() {
    for case in cases(30) {
        let input = input(&case, &Device::flex());
        let expected = values(reference::level(input.clone()).u);
        for chunk in [None, Some(1), Some(7)] {
            let output = fast(LevelInput {
                chunk,
                count: true,
                ..input.clone()
            });
            close("u", &case, &values(output.u), &expected, TOLERANCE);
            assert!(output.memory.is_none());
            assert_eq!(
                output.activity.unwrap().entries,
                case.lanes * case.heads * case.tokens * case.neurons
            );
        }
    }
}

/// A memory is written and then read; of the loss of u and of the memory after it, where gradients pass that.
#[test]
fn a_memory_is_written_then_read_as_defined() {
    let device = Device::flex().autodiff();
    for (index, case) in cases(60).enumerate() {
        let credit = [Credit::Full, Credit::Queries][index % 2];
        let passes = index % 3 != 0;
        let outcome = |level: &dyn Fn(LevelInput) -> (Tensor<4>, Option<Tensor<4>>)| {
            let rho = leaf(memory_of(&case, &device));
            let memory = if passes { rho.clone() } else { rho.clone().inner() };
            let input = LevelInput {
                credit,
                memory: Some(memory),
                ..input(&case, &device)
            };
            let (u, after) = level(input.clone());
            let after = after.unwrap();
            assert_eq!(after.is_autodiff(), passes);
            let mut loss = (u.clone() * numbers(u.dims(), 5, 2.0, &device)).sum();
            if passes && credit == Credit::Full {
                loss = loss + (after.clone() * numbers(after.dims(), 7, 2.0, &device)).sum();
            }
            let found = loss.backward();
            let of_rho = rho.grad(&found).map(values).unwrap_or_default();
            [
                values(u),
                values(after),
                of_rho,
                values(input.v.grad(&found).unwrap()),
                values(input.weights.decoder_x().grad(&found).unwrap()),
            ]
        };
        let found = outcome(&|input| {
            let output = fast(input);
            (output.u, output.memory)
        });
        let expected = outcome(&|input| {
            let defined = reference::level(input);
            (defined.u, defined.memory)
        });
        for (found, expected) in found.iter().zip(&expected) {
            close("an output", &case, found, expected, 5.0 * TOLERANCE);
        }
    }
}

#[test]
fn a_memory_of_one_owner_is_extended_in_place() {
    let (case, device) = (Case::drawn(1), Device::flex());
    let place = |rho: &Tensor<4>| crate::testing::memory(rho.clone()).storage::<f32>().as_ptr();
    let rho = memory_of(&case, &device);
    let before = place(&rho);
    let output = level(LevelInput {
        memory: Some(rho),
        ..input(&case, &device)
    });
    assert_eq!(place(&output.memory.unwrap()), before);
}

/// Without positions the tokens are a set: exchange them, and what each reads and says goes with it.
#[test]
fn without_positions_tokens_may_change_places() {
    for case in cases(20).filter(|case| case.tokens > 1) {
        let device = Device::flex();
        let still = crate::rotation::Frequencies::from_turns(vec![0.0; case.neurons / 2]);
        let input = LevelInput {
            rotation: still.rotation(&[0], case.tokens, DType::F32, &device),
            dropout: None,
            ..input(&case, &device)
        };
        let order: Vec<i64> = (0..case.tokens as i64).rev().collect();
        let order = Tensor::<1, burn::tensor::Int>::from_data(TensorData::new(order, [case.tokens]), &device);
        let turned = LevelInput {
            v: input.v.clone().select(2, order.clone()),
            ..input.clone()
        };
        let expected = level(input).u.select(2, order);
        close("u", &case, &values(level(turned).u), &values(expected), TOLERANCE);
    }
}

/// The definition in f64, along a direction drawn for each input.
#[test]
fn gradients_of_the_definition_are_differences_of_its_values() {
    let device = Device::flex().autodiff();
    let draws = |shape: [usize; 4], seed: u64| {
        let draw = |index: u64| mix(mix(seed) ^ index) as f64 / u64::MAX as f64 - 0.4;
        let count = shape.iter().product::<usize>() as u64;
        let data = TensorData::new((0..count).map(draw).collect::<Vec<_>>(), shape);
        Tensor::<4>::from_data(data, (&device, DType::F64))
    };
    let (lanes, heads, tokens, neurons, width) = (2, 3, 9, 6, 5);
    let shapes = [[lanes, 1, tokens, width], [1, heads, width, neurons]];
    let at = |index: usize, by: f64| {
        draws(shapes[index], index as u64) + draws(shapes[index], 50 + index as u64) * by
    };
    let loss = |[v, decoder_x]: &[Tensor<4>; 2]| {
        let block = |seed| draws([1, heads, width, neurons], seed);
        let case = Case::drawn(1);
        let input = LevelInput {
            v: v.clone(),
            weights: LevelWeights::new(
                decoder_x.clone().squeeze_dim::<3>(0),
                block(30).squeeze_dim::<3>(0),
                block(31).reshape([heads * neurons, width]),
            ),
            rotation: crate::rotation::Frequencies::new(100.0, neurons).rotation(
                &[3],
                tokens,
                DType::F64,
                &device,
            ),
            dropout: None,
            ..input(&case, &device)
        };
        let u = level(input).u;
        (u.clone() * draws(u.dims(), 40)).sum()
    };
    let inputs = [0, 1].map(|index| leaf(at(index, 0.0)));
    let gradients = loss(&inputs).backward();
    for index in 0..2 {
        let direction = draws(shapes[index], 50 + index as u64).inner();
        let along = (inputs[index].grad(&gradients).unwrap() * direction)
            .sum()
            .into_scalar::<f64>();
        let moved = |by| {
            let mut inputs = inputs.clone();
            inputs[index] = at(index, by);
            loss(&inputs).into_scalar::<f64>()
        };
        let step = 1e-5;
        let difference = (moved(step) - moved(-step)) / (2.0 * step);
        assert!(
            (along - difference).abs() < 1e-7 * (1.0 + along.abs()),
            "input {index}: {along} is not {difference}"
        );
    }
}

fn refused(with: impl Fn(LevelInput) -> LevelInput) {
    let case = Case::drawn(1);
    level(with(input(&case, &Device::flex())));
}

#[test]
#[should_panic(expected = "have no order for decay or resets")]
fn decay_is_refused() {
    refused(|input| LevelInput {
        retention: Retention {
            decay: Some(Decay::new(Tensor::ones([Case::drawn(1).heads], &Device::flex()))),
            resets: Resets::default(),
        },
        ..input
    });
}

#[test]
#[should_panic(expected = "have no order for decay or resets")]
fn resets_are_refused() {
    refused(|input| LevelInput {
        retention: Retention {
            decay: None,
            resets: Resets::new(vec![vec![0]; Case::drawn(1).lanes]),
        },
        ..input
    });
}
