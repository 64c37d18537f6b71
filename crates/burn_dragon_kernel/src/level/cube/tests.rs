//! The level on a GPU against its definition on the processor: values, gradients, memory, activity, dropout, types.

use super::activity::gate;
use super::forward::level_in;
use super::*;
use crate::backend::level::MemoryOn;
use crate::backend::{DragonBackend, Operation};
use crate::causal_read::Credit;
use crate::gpu::tests::{device, near};
use crate::level::chunked_tests::memory_of;
use crate::level::retention_tests::{self, Carried, Outcome, SLOPES, in_f64, outcome, slow};
use crate::level::tests::{Case, leaf, numbers, values};
use crate::level::{
    LevelInput, LevelOutput, LevelWeights, SpeakInput, graph, level, perceive, reference, speak,
};
use crate::retention::Retention;
use burn::tensor::{Device, Tensor};

/// Of the norm of what is expected, which is computed in f64.
const TOLERANCE: f64 = 3e-5;

/// The level on the GPU, which has to take it.
fn fast(mut input: LevelInput) -> LevelOutput {
    graph::level::<CubeBackend>(&mut input).expect("the GPU takes f32")
}

fn in_windows(
    chunk: Option<usize>,
) -> impl Fn(LevelInput, Option<Tensor<4>>) -> (Tensor<4>, Option<Tensor<4>>) {
    move |input, memory| {
        let output = fast(LevelInput {
            memory,
            chunk,
            ..input
        });
        (output.u, output.memory)
    }
}

#[track_caller]
fn same(case: &Case, found: &Outcome, expected: &Outcome, tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for ((what, found), (_, expected)) in found.iter().zip(expected) {
        let times = if *what == "d slopes" { SLOPES } else { 1.0 };
        near(&format!("{what} of {case:?}"), found, expected, times * tolerance);
    }
}

/// Decay, resets, both or neither; queries or all credited; no memory, a carried one, a constant one; one token and
/// more; windows of one token, of an odd number, of all.
#[test]
fn values_and_gradients_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    let (here, there) = (device.autodiff(), Device::flex().autodiff());
    for memory in [Carried::None, Carried::Tracked, Carried::Constant] {
        for (seed, case) in retention_tests::cases(6, memory != Carried::None) {
            let input = |device: &Device| LevelInput {
                credit: [Credit::Full, Credit::Queries][(seed % 2) as usize],
                ..retention_tests::input(seed, &case, device)
            };
            let expected = outcome(in_f64(&input(&there)), memory, &case, slow);
            for chunk in [Some(1 + case.tokens / 3), Some(7 + case.width % 29), None] {
                let found = outcome(input(&here), memory, &case, in_windows(chunk));
                same(&case, &found, &expected, TOLERANCE);
            }
        }
    }
}

/// Blocks of scores above the diagonal are not computed, in windows that have some; the last window has fewer tokens.
#[test]
fn long_windows_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    let case = Case {
        lanes: 2,
        heads: 2,
        tokens: 400,
        neurons: 24,
        width: 8,
        dropout: None,
        apart: true,
        quiet: 0.1,
    };
    let input = |device: &Device| retention_tests::input(5, &case, &device.clone().autodiff());
    let expected = outcome(in_f64(&input(&Device::flex())), Carried::Tracked, &case, slow);
    for chunk in [400, 320, 299] {
        let found = outcome(input(&device), Carried::Tracked, &case, in_windows(Some(chunk)));
        same(&case, &found, &expected, 10.0 * TOLERANCE);
    }
}

#[test]
fn windows_of_one_token_are_the_recurrent_form() {
    let Some(device) = device() else { return };
    for (seed, case) in retention_tests::cases(40, true)
        .filter(|(_, case)| case.tokens < 20)
        .take(2)
    {
        let input = |device: &Device| retention_tests::input(seed, &case, &device.clone().autodiff());
        let expected = outcome(in_f64(&input(&Device::flex())), Carried::Tracked, &case, slow);
        let found = outcome(input(&device), Carried::Tracked, &case, in_windows(Some(1)));
        same(&case, &found, &expected, TOLERANCE);
    }
}

/// Values and gradients of the read of a whole window, with a memory and without.
#[test]
fn a_read_of_the_whole_window_is_that_of_the_definition() {
    let Some(device) = device() else { return };
    let (here, there) = (device.autodiff(), Device::flex().autodiff());
    for (index, case) in crate::level::full_tests::cases(8).enumerate() {
        let memory = [Carried::None, Carried::Tracked, Carried::Constant][index % 3];
        for credit in [Credit::Full, Credit::Queries] {
            let input = |device: &Device| LevelInput {
                reach: Reach::Full,
                credit,
                ..case.input(device)
            };
            let expected = outcome(in_f64(&input(&there)), memory, &case, slow);
            let found = outcome(input(&here), memory, &case, in_windows(None));
            same(&case, &found, &expected, 5.0 * TOLERANCE);
        }
    }
}

#[test]
fn active_neurons_are_counted_where_asked() {
    let Some(device) = device() else { return };
    for (_, case) in retention_tests::cases(6, false) {
        let defined = reference::level(case.input(&Device::flex()));
        let expected = reference::activity(&defined.x, &defined.y);
        for chunk in [None, Some(9)] {
            let output = fast(LevelInput {
                count: true,
                chunk,
                ..case.input(&device)
            });
            near("u", &values(output.u), &values(defined.u.clone()), TOLERANCE);
            let found = output.activity.unwrap();
            assert_eq!(
                (found.x, found.entries),
                (expected.x, expected.entries),
                "{case:?}"
            );
            assert!(
                found.y.abs_diff(expected.y) <= 1 + expected.entries / 1000,
                "{case:?}"
            );
        }
        assert_eq!(fast(case.input(&device)).activity, None);
    }
}

#[test]
fn a_memory_without_gradients_is_extended_and_one_that_others_hold_is_not_touched() {
    let Some(device) = device() else { return };
    for (seed, case) in retention_tests::cases(4, true) {
        let input = retention_tests::input(seed, &case, &device);
        let rho = memory_of(&case, &device);
        let before = values(rho.clone());
        let shared = rho.clone();
        let output = fast(LevelInput {
            memory: Some(rho),
            ..input
        });
        assert_eq!(values(shared), before);
        let defined = reference::level(LevelInput {
            memory: Some(memory_of(&case, &Device::flex())),
            ..retention_tests::input(seed, &case, &Device::flex())
        });
        near("u", &values(output.u), &values(defined.u), TOLERANCE);
        near(
            "rho",
            &values(output.memory.unwrap()),
            &values(defined.memory.unwrap()),
            TOLERANCE,
        );
    }
}

#[test]
fn the_halves_are_those_of_the_definition() {
    let Some(device) = device() else { return };
    for case in crate::level::halves_tests::cases(8) {
        let shape = [case.lanes, case.heads, case.tokens, case.width];
        let outcome = |device: &Device, fast: bool, norm: Option<f64>| {
            let device = device.clone().autodiff();
            let input = case.input(&device);
            let read = leaf(numbers(shape, 9, 3.0, &device));
            let (x, u) = if fast {
                let x = perceive(input.v.clone(), &input.weights, Precision::F32);
                let output = speak(SpeakInput {
                    read: read.clone(),
                    v: input.v.clone(),
                    weights: input.weights.clone(),
                    norm,
                    levels: None,
                    dropout: input.dropout,
                    precision: Precision::F32,
                    count: true,
                });
                assert!(output.activity.is_some());
                (x, output.u)
            } else {
                let x = reference::perceive(input.v.clone(), &input.weights);
                let (read, dropout) = (read.clone(), input.dropout.as_ref());
                let spoken = match norm {
                    Some(eps) => reference::speak(read, x.clone(), &input.weights, eps, dropout),
                    None => reference::speak_normed(read, x.clone(), &input.weights, dropout),
                };
                (x, spoken.0)
            };
            let weigh = |tensor: &Tensor<4>, seed| {
                (tensor.clone() * numbers(tensor.dims(), seed, 2.0, &device)).reshape([-1])
            };
            // The loss is the sum of the terms: each has the gradient 1.
            let found = Tensor::<1>::cat(vec![weigh(&x, 7), weigh(&u, 5)], 0).backward();
            let weights = &input.weights;
            [
                values(x),
                values(u),
                values(read.grad(&found).unwrap()),
                values(input.v.grad(&found).unwrap()),
                values(weights.decoder_x().grad(&found).unwrap()),
                values(weights.decoder_y().grad(&found).unwrap()),
                values(weights.encoder().grad(&found).unwrap()),
            ]
        };
        for norm in [Some(1e-5), None] {
            let (found, expected) = (
                outcome(&device, true, norm),
                outcome(&Device::flex(), false, norm),
            );
            for (index, (found, expected)) in found.iter().zip(&expected).enumerate() {
                // Where a neuron of a gate is near its threshold, rounding decides: few of them.
                let tolerance = if index < 2 { TOLERANCE } else { 1e-3 };
                near(
                    &format!("output {index} of {case:?}, norm {norm:?}"),
                    found,
                    expected,
                    tolerance,
                );
            }
        }
    }
}

/// The mask is that of the processor, bit for bit: any seed, any place of a window in its stream.
#[test]
fn dropout_is_the_function_of_seed_and_index() {
    let Some(device) = device() else { return };
    let sizes = Sizes {
        lanes: 2,
        heads: 3,
        tokens: 11,
        neurons: 14,
        width: 4,
    };
    for (seed, probability) in [(0, 0.5), (7, 0.1), (u64::MAX, 0.9), (0x0123_4567_89AB_CDEF, 0.0)] {
        let mask = DropoutMask::new(seed, probability);
        for tokens in [0..11, 3..8] {
            let place = Place {
                sizes,
                tokens: tokens.clone(),
            };
            let ones = |_| {
                let ones = Tensor::<3>::ones([3, 2 * tokens.len(), 14], &device);
                CubeBackend::take(ones).unwrap().numbers
            };
            let [drive, open] = [0, 1].map(ones);
            let y = gate(&drive, open, Some(&mask), &place);
            let y = values(CubeBackend::give::<2>(y)); // [B C, H N]
            for (index, y) in y.into_iter().enumerate() {
                let (row, column) = (index / 42, index % 42);
                let (lane, token) = (row / tokens.len(), tokens.start + row % tokens.len());
                let entry = ((lane * 3 + column / 14) * 11 + token) * 14 + column % 14;
                assert_eq!(y, mask.factor(entry as u64) as f32, "{mask:?}, entry {entry}");
            }
        }
    }
}

/// The path of narrow factors, with the type that a software device has in place of bf16.
#[test]
fn factors_of_fewer_bits_give_about_the_same() {
    let Some(device) = device() else { return };
    if !device.supports_dtype(DType::F16) {
        println!("skipped: the device has no f16");
        return;
    }
    for (seed, case) in retention_tests::cases(6, true)
        .filter(|(_, case)| case.neurons > 8)
        .take(4)
    {
        let outcome = |dtype: DType| {
            let mut input = retention_tests::input(seed, &case, &device);
            input.chunk = Some(1 + case.tokens / 2);
            // Scores within the range of f16.
            input.weights = LevelWeights::new(
                input.weights.decoder_x().clone() * 0.1,
                input.weights.decoder_y().clone() * 0.1,
                input.weights.encoder().clone(),
            );
            let (half, _) =
                graph::half::<CubeBackend>(Operation::Level, &input.v, &input.weights, Precision::Bf16, None)
                    .unwrap();
            let take = |tensor: Tensor<4>| CubeBackend::take(tensor).unwrap().numbers;
            let slopes = input.retention.decay.clone();
            let on = crate::backend::level::LevelOn {
                half,
                angles: [take(input.rotation.cos), take(input.rotation.sin)],
                eps: input.eps,
                dropout: input.dropout,
                slopes: slopes.map(|decay| decay.numbers().to_vec()),
                learns_slopes: false,
                resets: input.retention.resets,
                credit: Credit::Full,
                reach: Reach::Causal,
                chunk: input.chunk,
                count: false,
            };
            let rho = take(memory_of(&case, &device) * 0.1);
            let run = level_in(dtype, on, MemoryOn::Constant(rho), true);
            let d = take(numbers([case.lanes, 1, case.tokens, case.width], 5, 0.1, &device));
            let gradients = super::level_back(&run.kept.unwrap(), d);
            let mut all = vec![run.u, run.memory.unwrap()];
            all.extend(gradients.into_iter().take(4));
            all.into_iter().map(flat).collect::<Vec<_>>()
        };
        let (narrow, wide) = (outcome(DType::F16), outcome(DType::F32));
        for (index, (narrow, wide)) in narrow.iter().zip(&wide).enumerate() {
            assert_ne!(narrow, wide, "rounding shows");
            near(&format!("output {index} of {case:?}"), narrow, wide, 0.05);
        }
    }
}

fn flat(tensor: CubeTensor) -> Vec<f32> {
    let count = crate::gpu::array::entries(&tensor);
    values(CubeBackend::give::<1>(shaped(contiguous(tensor), [count])))
}

#[test]
fn the_same_input_gives_the_same_bits() {
    let Some(device) = device() else { return };
    let device = device.autodiff();
    let case = Case {
        lanes: 2,
        heads: 2,
        tokens: 70,
        neurons: 130,
        width: 24,
        ..Case::drawn(2)
    };
    let once = || {
        let input = LevelInput {
            retention: Retention::default(),
            ..case.input(&device)
        };
        let u = level(input.clone()).u;
        let gradients = u.clone().backward();
        (
            values(u),
            values(input.weights.decoder_x().grad(&gradients).unwrap()),
        )
    };
    assert_eq!(once(), once());
}

#[test]
fn a_stream_is_cut_where_memories_between_windows_are_less_work() {
    let of = |tokens, width, chunk| {
        let sizes = Sizes {
            lanes: 1,
            heads: 1,
            tokens,
            neurons: 2,
            width,
        };
        window_length(sizes, chunk)
    };
    assert_eq!(of(512, 64, None), 512);
    assert_eq!(of(1024, 256, None), 1024);
    assert_eq!(of(1025, 256, None), 342);
    assert_eq!(of(8192, 256, None), 512);
    assert_eq!(of(100, 256, Some(7)), 7);
    assert_eq!(of(5, 256, Some(70)), 5);
}

#[test]
fn a_level_of_more_entries_than_kernels_count_is_left_to_its_definition() {
    let fits = |lanes, tokens, chunk| {
        let sizes = Sizes {
            lanes,
            heads: 4,
            tokens,
            neurons: 8192,
            width: 256,
        };
        CubeBackend::fits(&sizes, chunk)
    };
    assert!(fits(32, 512, None) && fits(255, 512, None) && fits(1, 100_000, None));
    assert!(!fits(256, 512, None) && !fits(1, 100_000, Some(100_000)));
}
