//! The chunked form against the parallel one and against the definition: any windows, any split, any start.

use super::cpu::Prepared;
use super::read::Read;
use super::retention_tests::evenness;
use super::rho::Rho;
use super::scratch::Scratch;
use super::tests::{
    Case, definition_with_memory, in_chunks, leaf, numbers, values, with_memory, with_memory_in_chunks,
};
use super::*;
use crate::backend::Operation;
use crate::backend::level::LevelOn;
use crate::causal_read::{causal_read, causal_read_with_memory};
use crate::norm::norm;
use crate::rotation::{Frequencies, Rotation};
use burn::backend::Flex;
use burn::tensor::{DType, Device, TensorData};

/// Of the norm of what is expected, for a form against f64; twice that for a form against another.
pub(super) const TOLERANCE: f64 = 1e-5;

/// Norm of the difference over the norm of what was expected.
#[track_caller]
pub(super) fn close(what: &str, case: &Case, given: &[f32], expected: &[f32], tolerance: f64) {
    assert_eq!(given.len(), expected.len());
    let norm =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let error = norm(&mut given.iter().zip(expected).map(|(a, b)| a - b));
    let size = norm(&mut expected.iter().copied());
    assert!(
        error <= tolerance * size + 1e-8,
        "{what} of {case:?}: off by {error:e} of {size:e}"
    );
}

/// Whether a neuron is so near its threshold that rounding decides whether it fires: there gradients jump. What is
/// exactly zero is so in any form: a token that reads an empty memory.
pub(super) fn is_on_an_edge(input: &LevelInput, rho: Option<&Tensor<4>>) -> bool {
    let near = |drive: Tensor<4>, counts: Tensor<4>| {
        let size = drive.clone().square().mean().sqrt().into_scalar::<f64>();
        let is_sure = counts.equal_scalar(0.0).bool_or(drive.clone().equal_scalar(0.0));
        let beside = drive.abs() + is_sure.float() * size;
        beside.min().into_scalar::<f64>() < 3e-6 * size
    };
    let drive = input
        .v
        .clone()
        .matmul(input.weights.decoder_x().clone().unsqueeze());
    let x = drive.clone().clamp_min(0.0);
    let (q, v) = (input.rotation.rotate(x.clone()), input.v.clone());
    let read = match rho {
        None => causal_read(q, v, &input.retention, input.credit),
        Some(rho) => causal_read_with_memory(q, v, rho.clone(), &input.retention, input.credit).0,
    };
    let gate = norm(read, input.eps).matmul(input.weights.decoder_y().clone().unsqueeze());
    near(drive, x.ones_like()) || near(gate, x)
}

/// Drawn cases away from edges, and without reads that are nearly the same in all columns.
fn cases(count: usize) -> impl Iterator<Item = Case> {
    let device = Device::flex();
    let fair = move |case: &Case| {
        let input = case.input(&device);
        let is_well = || evenness(&input, &memory_of(case, &device)) > 3e-2;
        case.tokens == 1 || !is_on_an_edge(&input, None) && is_well()
    };
    (1000..).map(Case::drawn).filter(fair).take(count)
}

/// Cases in which nothing fires would agree in any form.
#[test]
fn most_drawn_cases_have_something_to_compare() {
    let lively = |case: &Case| {
        let u = reference::level(case.input(&Device::flex())).u;
        values(u).iter().any(|entry| *entry != 0.0)
    };
    let count = cases(100).filter(lively).count();
    assert!(count >= 50, "{count} of 100");
}

/// Window lengths for a case: one token, odd ones, and longer than the stream.
fn lengths(case: &Case) -> [usize; 4] {
    [1 + case.neurons % 3, 7 + case.width % 29, 64, case.tokens + 1]
}

pub(super) fn memory_of(case: &Case, device: &Device) -> Tensor<4> {
    let Case {
        lanes,
        heads,
        neurons,
        width,
        ..
    } = *case;
    numbers([lanes, heads, neurons, width], 6, 3.0, device)
}

/// What is computed, and the gradient of each input: v, decoder_x, decoder_y, encoder, rho.
#[derive(Debug)]
struct Outcome {
    u: Vec<f32>,
    rho: Vec<f32>,
    gradients: Vec<(&'static str, Vec<f32>)>,
}

/// Runs a form on a case; the loss weighs every entry of u, and of the memory after, if `remember` says so.
fn outcome(
    case: &Case,
    remember: bool,
    form: impl Fn(LevelInput, Tensor<4>) -> (Tensor<4>, Option<Tensor<4>>),
) -> Outcome {
    let device = Device::flex().autodiff();
    let input = case.input(&device);
    let rho = leaf(memory_of(case, &device));
    let (u, after) = form(input.clone(), rho.clone());
    let mut loss = (u.clone() * numbers(u.dims(), 5, 2.0, &device)).sum();
    if let Some(after) = after.as_ref().filter(|_| remember) {
        loss = loss + (after.clone() * numbers(after.dims(), 7, 2.0, &device)).sum();
    }
    let found = loss.backward();
    let weights = &input.weights;
    let mut gradients = vec![
        ("dv", values(input.v.grad(&found).unwrap())),
        ("d decoder_x", values(weights.decoder_x().grad(&found).unwrap())),
        ("d decoder_y", values(weights.decoder_y().grad(&found).unwrap())),
        ("d encoder", values(weights.encoder().grad(&found).unwrap())),
    ];
    if after.is_some() {
        gradients.push(("d rho", values(rho.grad(&found).unwrap())));
    }
    Outcome {
        u: values(u),
        rho: after.map(values).unwrap_or_default(),
        gradients,
    }
}

#[track_caller]
fn same(case: &Case, given: &Outcome, expected: &Outcome, tolerance: f64) {
    close("u", case, &given.u, &expected.u, tolerance);
    close("rho", case, &given.rho, &expected.rho, tolerance);
    assert_eq!(given.gradients.len(), expected.gradients.len());
    for ((what, given), (_, expected)) in given.gradients.iter().zip(&expected.gradients) {
        close(what, case, given, expected, tolerance);
    }
}

#[test]
fn windows_of_any_length_equal_one_window() {
    for case in cases(100) {
        let whole = outcome(&case, false, |input, _| (in_chunks(input, case.tokens), None));
        let definition = outcome(&case, false, |input, _| (reference::level(input).u, None));
        for length in lengths(&case) {
            let windows = outcome(&case, false, |input, _| (in_chunks(input, length), None));
            same(&case, &windows, &whole, 2.0 * TOLERANCE);
            same(&case, &windows, &definition, 2.0 * TOLERANCE);
        }
    }
}

#[test]
fn a_carried_memory_is_read_and_extended_as_defined() {
    for (index, case) in cases(60).enumerate() {
        let remember = index % 2 == 0;
        let definition = outcome(&case, remember, |input, rho| {
            let (u, rho) = definition_with_memory(&input, rho);
            (u, Some(rho))
        });
        for length in lengths(&case) {
            let fused = outcome(&case, remember, |input, rho| {
                let (u, rho) = with_memory_in_chunks(input, rho, length);
                (u, Some(rho))
            });
            same(&case, &fused, &definition, 2.0 * TOLERANCE);
        }
    }
}

#[test]
fn without_autodiff_the_memory_is_the_same() {
    for case in cases(30) {
        let device = Device::flex();
        let input = case.input(&device);
        let (u, rho) = definition_with_memory(&input, memory_of(&case, &device));
        for length in lengths(&case) {
            let (fused, after) = with_memory_in_chunks(input.clone(), memory_of(&case, &device), length);
            close("u", &case, &values(fused), &values(u.clone()), 2.0 * TOLERANCE);
            close("rho", &case, &values(after), &values(rho.clone()), TOLERANCE);
        }
    }
}

pub(super) fn rotation(starts: &[u64], case: &Case, tokens: usize, device: &Device) -> Rotation {
    Frequencies::new(100.0, case.neurons).rotation(starts, tokens, DType::F32, device)
}

/// A case without dropout, whose mask depends on where a window begins.
pub(super) fn kept(case: Case) -> Case {
    Case {
        dropout: None,
        ..case
    }
}

/// The tokens of a stream in pieces of irregular lengths, with the memory carried from piece to piece.
fn in_pieces(case: &Case, input: &LevelInput, start: u64, device: &Device) -> (Tensor<4>, Tensor<4>) {
    let mut rho = Tensor::zeros([case.lanes, case.heads, case.neurons, case.width], device);
    let (mut parts, mut at) = (Vec::new(), 0);
    for length in [1, 2, 17, 1, 40, 5].into_iter().cycle() {
        let length = length.min(case.tokens - at);
        let piece = LevelInput {
            v: input.v.clone().narrow(2, at, length),
            rotation: rotation(&[start + at as u64], case, length, device),
            ..input.clone()
        };
        let (u, after) = with_memory(piece, rho);
        parts.push(u);
        (rho, at) = (after, at + length);
        if at == case.tokens {
            break;
        }
    }
    (Tensor::cat(parts, 2), rho)
}

#[test]
fn a_stream_in_pieces_is_the_whole_stream_values_and_gradients() {
    for (case, start) in cases(20)
        .map(kept)
        .zip([0, 3, 1_000, 1_000_000_000].into_iter().cycle())
    {
        let starting = |input: LevelInput, device: &Device| LevelInput {
            rotation: rotation(&[start], &case, case.tokens, device),
            ..input
        };
        let device = Device::flex();
        let input = starting(case.input(&device), &device);
        let (u, rho) = in_pieces(&case, &input, start, &device);
        let empty = Tensor::zeros(rho.dims(), &device);
        let (whole, after) = with_memory(input, empty);
        close("u", &case, &values(u), &values(whole), 3.0 * TOLERANCE);
        close("rho", &case, &values(rho), &values(after), TOLERANCE);

        let pieces = outcome(&case, false, |input, _| {
            let device = Device::flex().autodiff();
            (
                in_pieces(&case, &starting(input, &device), start, &device).0,
                None,
            )
        });
        let whole = outcome(&case, false, |input, _| {
            (level(starting(input, &Device::flex().autodiff())).u, None)
        });
        same(&case, &pieces, &whole, 3.0 * TOLERANCE);
    }
}

#[test]
fn only_differences_of_positions_matter_far_away_too() {
    let device = Device::flex();
    for case in cases(12).map(kept) {
        let at = |start: u64| {
            let starts: Vec<u64> = (0..case.lanes as u64).map(|lane| start + lane % 2).collect();
            let input = LevelInput {
                rotation: rotation(&starts, &case, case.tokens, &device),
                ..case.input(&device)
            };
            values(in_chunks(input, 9))
        };
        let here = at(0);
        close("u", &case, &at(12_345), &here, 2e-5);
        // The phase is exact to 1e-7 of a turn there.
        close("u", &case, &at(1_000_000_000), &here, 1e-4);
    }
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let case = Case {
        lanes: 3,
        heads: 3,
        tokens: 100,
        neurons: 130,
        width: 16,
        ..Case::drawn(1)
    };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            outcome(&case, true, |input, rho| {
                let (u, rho) = with_memory_in_chunks(input, rho, 24);
                (u, Some(rho))
            })
        })
    };
    let (one, two) = (run(1), run(2));
    assert_eq!(one.u, two.u);
    assert_eq!(one.rho, two.rho);
    assert_eq!(one.gradients, two.gradients);
}

#[test]
fn a_memory_of_one_owner_is_extended_in_place_and_a_shared_one_is_not_touched() {
    let device = Device::flex();
    let case = Case::drawn(1);
    let place = |rho: &Tensor<4>| crate::testing::memory(rho.clone()).storage::<f32>().as_ptr();
    let rho = memory_of(&case, &device);
    let (before, shared) = (values(rho.clone()), rho.clone());
    let (_, copied) = with_memory(case.input(&device), rho);
    assert_ne!(place(&copied), place(&shared));
    assert_eq!(values(shared), before);
    let owned = memory_of(&case, &device);
    let place_before = place(&owned);
    let (_, after) = with_memory(case.input(&device), owned);
    assert_eq!(place(&after), place_before);
    assert_eq!(values(after), values(copied));
}

/// `K[i, j] = ((3 i + 2 j) mod 5) / 4` and `V[i, j] = (((i + 1)(j + 2)) mod 7 - 3) / 2` for five tokens, four neurons
/// and two columns, with reads and memory from a sum by hand.
#[test]
fn five_tokens_by_hand_in_windows_of_two() {
    const O: [[f32; 2]; 5] = [
        [0.0, 0.0],
        [-0.375, 0.0],
        [0.09375, 1.03125],
        [0.78125, 1.46875],
        [1.09375, 2.1875],
    ];
    const S: [[f32; 2]; 4] = [[-0.25, 1.5], [0.625, -1.125], [-1.0, 1.25], [1.125, 0.5]];
    // Beside V the stream has one column a token, through which decoder_x makes any K of it, and one column of zeros.
    const WIDTH: usize = 8;
    let (mut v, mut decoder_x) = (vec![0.0f32; 5 * WIDTH], vec![0.0f32; WIDTH * 4]);
    for i in 0..5 {
        (0..2).for_each(|j| v[i * WIDTH + j] = (((i + 1) * (j + 2)) % 7) as f32 / 2.0 - 1.5);
        v[i * WIDTH + 2 + i] = 1.0;
        (0..4).for_each(|j| decoder_x[(2 + i) * 4 + j] = ((3 * i + 2 * j) % 5) as f32 / 4.0);
    }
    let device = Device::flex();
    let decoder_x = Tensor::<3>::from_data(TensorData::new(decoder_x, [1, WIDTH, 4]), &device);
    let input = LevelInput {
        v: Tensor::from_data(TensorData::new(v, [1, 1, 5, WIDTH]), &device),
        weights: LevelWeights::new(decoder_x.clone(), decoder_x, Tensor::zeros([4, WIDTH], &device)),
        rotation: Frequencies::from_turns(vec![0.0; 2]).rotation(&[0], 5, DType::F32, &device),
        eps: 1e-5,
        dropout: None,
        precision: Precision::F32,
        retention: Retention::default(),
        credit: Credit::Full,
        reach: Reach::Causal,
        memory: None,
        chunk: None,
        count: false,
    };
    let half = graph::half::<Flex>(Operation::Level, &input.v, &input.weights, input.precision, None);
    let place = |table: Tensor<4>| crate::testing::memory(table);
    let level = LevelOn {
        half: half.unwrap().0,
        angles: [place(input.rotation.cos), place(input.rotation.sin)],
        eps: input.eps,
        dropout: None,
        slopes: None,
        learns_slopes: false,
        resets: input.retention.resets,
        credit: Credit::Full,
        reach: Reach::Causal,
        chunk: Some(2),
        count: false,
    };
    let prepared = Prepared::level(level, true);
    let (operands, mut rows) = (prepared.operands(), vec![f32::NAN; 4 * WIDTH]);
    let head = operands.head(0, 0);
    let mut rho = Rho::empty(&mut rows);
    for window in operands.windows(0) {
        let mut read = Read::default();
        head.window(&window.tokens)
            .first_half(&mut Scratch::default(), &mut read, &mut rho, true);
        for (t, token) in window.tokens.clone().enumerate() {
            let row = &read.a[t * WIDTH..(t + 1) * WIDTH];
            for j in 0..2 {
                // The column of zeros tells what the norm subtracted.
                let unnormed = (row[j] - row[WIDTH - 1]) / read.scale[t];
                assert!((unnormed - O[token][j]).abs() < 1e-5, "token {token}: {unnormed}");
            }
        }
    }
    for (row, expected) in rows.chunks(WIDTH).zip(S) {
        assert_eq!(row[..2], expected);
    }
}

#[test]
fn a_stream_is_cut_where_that_is_less_work_into_windows_of_about_one_length() {
    for width in [1, 7, 64, 256] {
        let mut last = 0;
        for tokens in 1..6 * 256 {
            let chunk = chunk_length(tokens, width, false);
            let carried = chunk_length(tokens, width, true);
            assert!((1..=tokens).contains(&carried) && carried <= chunk && chunk <= tokens);
            let windows = tokens.div_ceil(chunk);
            assert!(
                windows * chunk < tokens + windows,
                "{tokens} tokens in windows of {chunk}"
            );
            assert!(windows >= last, "more tokens are not fewer windows");
            last = windows;
        }
    }
    assert_eq!(chunk_length(512, 256, false), 512);
    assert_eq!(chunk_length(512, 256, true), 256);
    assert!(chunk_length(8192, 128, false) < 512);
}
