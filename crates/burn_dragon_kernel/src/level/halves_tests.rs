//! A level is perceive, read, speak: values, gradients, odd shapes, dropout, in f32 and in bf16; and each half by itself
//! against its definition.

use super::chunked_tests::close;
use super::tests::{Case, leaf, numbers, values};
use super::*;
use crate::causal_read::causal_read;
use crate::full_read::full_read;
use burn::tensor::{DType, Device};

/// Of the norm of what is expected, in f32.
const TOLERANCE: f64 = 2e-5;

/// Drawn cases in which no neuron is near its threshold, as of causal reads.
pub(super) fn cases(count: usize) -> impl Iterator<Item = Case> {
    let device = Device::flex();
    let fair = move |case: &Case| {
        let input = case.input(&device);
        let rho = super::chunked_tests::memory_of(case, &device);
        case.tokens > 1
            && !super::chunked_tests::is_on_an_edge(&input, None)
            && super::retention_tests::evenness(&input, &rho) > 3e-2
    };
    (7000..).map(Case::drawn).filter(fair).take(count)
}

/// The level by its halves, with one of our reads between them.
fn by_halves(input: LevelInput) -> LevelOutput {
    let x = perceive(input.v.clone(), &input.weights, input.precision);
    let (q, v) = (input.rotation.rotate(x), input.v.clone());
    let read = match input.reach {
        Reach::Causal => causal_read(q, v, &input.retention, input.credit),
        Reach::Full => full_read(q, v, input.credit),
    };
    speak(SpeakInput {
        read,
        v: input.v,
        weights: input.weights,
        norm: Some(input.eps),
        levels: None,
        dropout: input.dropout,
        precision: input.precision,
        count: input.count,
    })
}

/// What is computed, and the gradients of all inputs.
fn outcome(input: &LevelInput, form: impl Fn(LevelInput) -> LevelOutput) -> Vec<(&'static str, Vec<f32>)> {
    let output = form(input.clone());
    let (u, device) = (output.u, Device::flex().autodiff());
    let weights = &input.weights;
    let loss = (u.clone() * numbers(u.dims(), 5, 2.0, &device).cast(u.dtype())).sum();
    let found = loss.backward();
    let entries = |tensor: Tensor<4>| tensor.into_data().convert::<f32>().try_to_vec().unwrap();
    let of = |weight: &Tensor<3>| entries(weight.grad(&found).unwrap().unsqueeze());
    vec![
        ("u", entries(u)),
        ("dv", entries(input.v.grad(&found).unwrap())),
        ("d decoder_x", of(weights.decoder_x())),
        ("d decoder_y", of(weights.decoder_y())),
        (
            "d encoder",
            entries(weights.encoder().grad(&found).unwrap().unsqueeze()),
        ),
    ]
}

#[track_caller]
fn same(case: &Case, found: &[(&str, Vec<f32>)], expected: &[(&str, Vec<f32>)], tolerance: f64) {
    for ((what, found), (_, expected)) in found.iter().zip(expected) {
        close(what, case, found, expected, tolerance);
    }
}

#[test]
fn a_level_is_perceive_read_speak() {
    let device = Device::flex().autodiff();
    for case in cases(60) {
        for credit in [Credit::Full, Credit::Queries] {
            let input = LevelInput {
                credit,
                ..case.input(&device)
            };
            let expected = outcome(&input, level);
            same(&case, &outcome(&input, by_halves), &expected, TOLERANCE);
        }
    }
}

#[test]
fn without_autodiff_and_counted_it_is_too() {
    for case in cases(40) {
        let input = LevelInput {
            count: true,
            ..case.input(&Device::flex())
        };
        let (found, expected) = (by_halves(input.clone()), level(input));
        close("u", &case, &values(found.u), &values(expected.u), TOLERANCE);
        let [found, expected] = [found.activity, expected.activity].map(Option::unwrap);
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
}

#[test]
fn long_streams_and_many_neurons_have_windows_and_tiles() {
    let device = Device::flex().autodiff();
    let case = Case {
        lanes: 2,
        heads: 2,
        tokens: 401,
        neurons: 1030,
        width: 48,
        dropout: Some(0.2),
        apart: false,
        quiet: 0.2,
    };
    let f64 = |input: &LevelInput| super::retention_tests::in_f64(input);
    let input = case.input(&device);
    let expected = outcome(&f64(&input), in_reference);
    for (what, found) in outcome(&input, by_halves) {
        let (_, expected) = expected.iter().find(|(name, _)| *name == what).unwrap();
        close(what, &case, &found, expected, 2e-3);
    }
}

/// Another read than ours: what it makes of x and v goes through both halves. Here each token reads the one before it.
#[test]
fn any_read_can_stand_between_the_halves() {
    let device = Device::flex().autodiff();
    let shifted = |x: &Tensor<4>, v: &Tensor<4>| {
        let [lanes, heads, tokens, _] = x.dims();
        let weight = x.clone().mean_dim(3); // [B, H, T, 1]
        let read = weight * v.clone(); // [B, H, T, D]
        let before = read.clone().narrow(2, 0, tokens - 1);
        let none = Tensor::zeros([lanes, heads, 1, v.dims()[3]], (&read.device(), read.dtype()));
        Tensor::cat(vec![none, before], 2)
    };
    for case in cases(30) {
        let input = case.input(&device);
        let fused = |input: LevelInput| {
            let x = perceive(input.v.clone(), &input.weights, Precision::F32);
            speak(SpeakInput {
                read: shifted(&x, &input.v),
                v: input.v,
                weights: input.weights,
                norm: Some(input.eps),
                levels: None,
                dropout: input.dropout,
                precision: Precision::F32,
                count: false,
            })
        };
        let defined = |input: LevelInput| {
            let x = reference::perceive(input.v.clone(), &input.weights);
            let read = shifted(&x, &input.v);
            let dropout = input.dropout.as_ref();
            let (u, _) = reference::speak(read, x, &input.weights, input.eps, dropout);
            LevelOutput {
                u,
                memory: None,
                activity: None,
            }
        };
        same(
            &case,
            &outcome(&input, fused),
            &outcome(&input, defined),
            5.0 * TOLERANCE,
        );
    }
}

/// Of a read that is a leaf of its own, too.
#[test]
fn the_gradient_of_what_was_read_is_that_of_the_definition() {
    let device = Device::flex().autodiff();
    for case in cases(40) {
        let input = case.input(&device);
        let shape = [case.lanes, case.heads, case.tokens, case.width];
        let of = |fused: bool, norm: Option<f64>| {
            let read = leaf(numbers(shape, 9, 3.0, &device));
            let u = if fused {
                speak(SpeakInput {
                    read: read.clone(),
                    v: input.v.clone(),
                    weights: input.weights.clone(),
                    norm,
                    levels: None,
                    dropout: input.dropout,
                    precision: Precision::F32,
                    count: false,
                })
                .u
            } else {
                let x = reference::perceive(input.v.clone(), &input.weights);
                let dropout = input.dropout.as_ref();
                match norm {
                    Some(eps) => reference::speak(read.clone(), x, &input.weights, eps, dropout).0,
                    None => reference::speak_normed(read.clone(), x, &input.weights, dropout).0,
                }
            };
            let found = (u.clone() * numbers(u.dims(), 5, 2.0, &device)).sum().backward();
            [values(u), values(read.grad(&found).unwrap())]
        };
        for norm in [Some(input.eps), None] {
            let (found, expected) = (of(true, norm), of(false, norm));
            close("u", &case, &found[0], &expected[0], TOLERANCE);
            // Where a neuron of a gate is near its threshold, rounding decides: few of them.
            close("d read", &case, &found[1], &expected[1], 1e-3);
        }
    }
}

/// y rounded to levels between the products, in windows and tiles too.
#[test]
fn what_is_spoken_in_levels_is_that_of_the_definition() {
    let device = Device::flex().autodiff();
    let long = Case {
        lanes: 2,
        heads: 2,
        tokens: 401,
        neurons: 1030,
        width: 48,
        dropout: Some(0.2),
        apart: false,
        quiet: 0.2,
    };
    for (index, case) in cases(30).chain([long]).enumerate() {
        let input = case.input(&device);
        let read = leaf(numbers(
            [case.lanes, case.heads, case.tokens, case.width],
            9,
            3.0,
            &device,
        ));
        let shared = [SharedScale::Token, SharedScale::Head, SharedScale::Group][index % 3];
        let levels = Some(Levels {
            count: [7, 127, 255][index / 3 % 3],
            shared,
        });
        let spoken = |levels| SpeakInput {
            read: read.clone(),
            v: input.v.clone(),
            weights: input.weights.clone(),
            norm: Some(input.eps),
            levels,
            dropout: input.dropout,
            precision: Precision::F32,
            count: true,
        };
        let outcome = |output: LevelOutput| {
            let u = output.u;
            let found = (u.clone() * numbers(u.dims(), 5, 2.0, &device)).sum().backward();
            let (weights, rows) = (&input.weights, |tensor: Option<Tensor<3>>| {
                values(tensor.unwrap())
            });
            (
                vec![
                    values(u.inner()),
                    values(read.grad(&found).unwrap()),
                    values(input.v.grad(&found).unwrap()),
                    rows(weights.decoder_x().grad(&found)),
                    rows(weights.decoder_y().grad(&found)),
                    values(weights.encoder().grad(&found).unwrap()),
                ],
                output.activity.unwrap(),
            )
        };
        let (found, counted) = outcome(speak(spoken(levels)));
        let (expected, _) = outcome(in_levels(spoken(levels)));
        let (plain, counted_plain) = outcome(speak(spoken(None)));
        assert_eq!(counted, counted_plain, "counts are of y before it is rounded");
        // One sum in a thousand million is in the middle of two levels, and one gate at its threshold.
        let tolerance = if case.tokens == 401 { 3e-3 } else { 1e-3 };
        for (found, expected) in found.iter().zip(&expected) {
            close("spoken in levels", &case, found, expected, tolerance);
        }
        if levels.is_some_and(|levels| levels.count == 7) && plain[0].iter().any(|u| *u != 0.0) {
            let apart = found[0].iter().zip(&plain[0]).any(|(a, b)| (a - b).abs() > 1e-4);
            assert!(apart, "{case:?}: seven levels are not many");
        }
    }
}

/// [`speak`] by its definition.
fn in_levels(input: SpeakInput) -> LevelOutput {
    let x = reference::perceive(input.v, &input.weights);
    let a = crate::norm::norm(input.read, input.norm.unwrap());
    let y = crate::gated_projection::gated_projection(a, input.weights.decoder_y().clone(), x.clone());
    let activity = reference::activity(&x, &y);
    let y = input.levels.unwrap().round(y);
    LevelOutput {
        u: reference::contribution(y, &input.weights, input.dropout.as_ref()),
        memory: None,
        activity: Some(activity),
    }
}

/// In bf16 the halves round the factors that the level rounds.
#[test]
fn in_bf16_the_halves_of_a_whole_read_are_near_the_level() {
    let device = Device::flex().autodiff();
    for case in cases(12) {
        let input = LevelInput {
            precision: Precision::Bf16,
            reach: Reach::Full,
            ..case.input(&device)
        };
        let exact = LevelInput {
            precision: Precision::F32,
            ..input.clone()
        };
        let (halves, whole) = (outcome(&input, by_halves), outcome(&input, level));
        let exact = outcome(&exact, level);
        close("u", &case, &halves[0].1, &exact[0].1, 0.06);
        close("u", &case, &whole[0].1, &exact[0].1, 0.06);
    }
}

#[test]
fn other_precisions_take_the_definition() {
    let device = Device::flex().autodiff();
    let case = Case::drawn(3);
    let input = super::retention_tests::in_f64(&case.input(&device));
    let x = perceive(input.v.clone(), &input.weights, Precision::F32);
    assert_eq!(x.dtype(), DType::F64);
    assert_eq!(by_halves(input).u.dtype(), DType::F64);
}
