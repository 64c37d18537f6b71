//! Invariants of carried memory, decay and resets, by the numbers of `docs/invariants.md`: by the definition in f64,
//! and with the fast kernels in f32.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

mod subject;

use burn::module::Module;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, load, named};
use burn_dragon_core::api::{
    Credit, DecayConfig, Decoder, Dragon, DragonConfig, DragonState, Pass, Resets, token_losses,
};
use std::collections::BTreeMap;
use subject::dragon;

const TOKENS: usize = 40;
const LANES: usize = 3;

/// The precision of a test and what differences it allows.
#[derive(Clone, Copy, Debug)]
struct Exactness {
    dtype: DType,
    relative: f64,
}

const BOTH: [Exactness; 2] = [
    Exactness {
        dtype: DType::F64,
        relative: 1e-9,
    },
    Exactness {
        dtype: DType::F32,
        relative: 2e-4,
    },
];

fn config(decay: Option<DecayConfig>) -> DragonConfig {
    DragonConfig {
        decay,
        ..subject::config()
    }
}

fn learnable() -> Option<DecayConfig> {
    Some(DecayConfig::Custom {
        slopes: vec![0.03, 0.4],
        learnable: true,
    })
}

fn tokens(lanes: usize, seed: u64, device: &Device) -> Tensor<2, Int> {
    let mut rng = Rng::new(seed);
    let ids: Vec<i32> = (0..lanes * TOKENS).map(|_| rng.below(32) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [lanes, TOKENS]), device)
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f64> {
    subject::values(tensor.into_data())
}

#[track_caller]
fn assert_close(what: &str, a: &[f64], b: &[f64], relative: f64) {
    assert_eq!(a.len(), b.len(), "{what}");
    let largest = b.iter().fold(0.0f64, |most, b| most.max(b.abs()));
    let apart = a
        .iter()
        .zip(b)
        .fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(
        apart <= relative * largest.max(1e-9),
        "{what}: {apart} of {largest}"
    );
}

fn resets() -> Resets {
    Resets::new(vec![vec![], vec![7, 8, 30], vec![0, 21]])
}

/// Reads in pieces with carried memory.
fn in_pieces(
    dragon: &Dragon,
    tokens: &Tensor<2, Int>,
    lengths: &[usize],
    resets: &Resets,
    state: DragonState,
) -> (Tensor<3>, DragonState) {
    let (mut state, mut start, mut logits) = (state, 0, Vec::new());
    for &length in lengths {
        let pass = Pass {
            resets: resets.window(start..start + length),
            ..Pass::default()
        };
        let piece = tokens.clone().narrow(1, start, length);
        let (out, next) = dragon.forward_pass_with_state(piece, state, pass).unwrap();
        logits.push(out);
        state = next;
        start += length;
    }
    (Tensor::cat(logits, 1), state)
}

/// Parameters' gradients of a loss that weighs every logit differently.
fn gradients(dragon: &Dragon, logits: Tensor<3>) -> BTreeMap<String, Vec<f64>> {
    let shape = logits.dims();
    let count = shape.iter().product::<usize>();
    let weights: Vec<f64> = (0..count).map(|i| (i * 37 % 11) as f64 / 11.0 - 0.4).collect();
    let data = TensorData::new(weights, shape).convert_dtype(logits.dtype());
    let weights = Tensor::from_data(data, (&dragon.device(), logits.dtype()));
    let loss = (logits * weights).sum();
    of_loss(dragon, &loss)
}

fn of_loss(dragon: &Dragon, loss: &Tensor<1>) -> BTreeMap<String, Vec<f64>> {
    let gradients = loss.backward();
    let mut found = BTreeMap::new();
    let mut keep = |name: &str, gradient: Option<Vec<f64>>| {
        found.insert(name.to_string(), gradient.unwrap_or_default());
    };
    keep("embed", dragon.embed.val().grad(&gradients).map(values));
    keep(
        "decoder_x",
        dragon.trunk.decoder_x.val().grad(&gradients).map(values),
    );
    keep(
        "decoder_y",
        dragon.trunk.decoder_y.val().grad(&gradients).map(values),
    );
    keep("encoder", dragon.trunk.encoder.val().grad(&gradients).map(values));
    keep("lm_head", dragon.lm_head.val().grad(&gradients).map(values));
    if let Some(decay) = &dragon.trunk.decay {
        keep("decay", decay.val().grad(&gradients).map(values));
    }
    found
}

#[track_caller]
fn assert_same_gradients(a: &BTreeMap<String, Vec<f64>>, b: &BTreeMap<String, Vec<f64>>, relative: f64) {
    for (name, values) in a {
        assert!(!values.is_empty(), "{name} has no gradient");
        assert_close(name, values, &b[name], relative);
    }
}

#[test]
fn invariant_2_and_9_packed_documents_in_any_pieces_are_separate_documents() {
    let device = Device::flex();
    for decay in [None, learnable()] {
        for Exactness { dtype, relative } in BOTH {
            let dragon = dragon(&config(decay.clone()), dtype, &device);
            let tokens = tokens(LANES, 5, &device);
            let pass = Pass {
                resets: resets(),
                ..Pass::default()
            };
            let packed = dragon.forward_pass(tokens.clone(), pass);
            for lengths in [&[40][..], &[1, 6, 1, 13, 9, 10], &[7, 1, 22, 10]] {
                let state = dragon.empty_state(LANES);
                let (pieces, _) = in_pieces(&dragon, &tokens, lengths, &resets(), state);
                assert_close("pieces", &values(pieces), &values(packed.clone()), relative);
            }
            for lane in 0..LANES {
                let mut edges: Vec<usize> = resets().of_lane(lane).to_vec();
                edges.retain(|&edge| edge > 0);
                let starts = std::iter::once(0).chain(edges.clone());
                for (start, end) in starts.zip(edges.iter().copied().chain([TOKENS])) {
                    let document = tokens.clone().slice([lane..lane + 1, start..end]);
                    let alone = values(dragon.forward(document));
                    let within = packed.clone().slice([lane..lane + 1, start..end]);
                    assert_close("document", &values(within), &alone, relative);
                }
            }
        }
    }
}

#[test]
fn invariant_9_a_carried_memory_of_noise_is_gone_after_a_reset() {
    let device = Device::flex();
    for Exactness { dtype, relative } in BOTH {
        let dragon = dragon(&config(None), dtype, &device);
        let tokens = tokens(LANES, 5, &device);
        let (_, noise) = dragon
            .forward_with_state(tokens.clone().flip([1]), dragon.empty_state(LANES))
            .unwrap();
        let at_once = Resets::new(vec![vec![0]; LANES]);
        let (after, _) = in_pieces(&dragon, &tokens, &[20, 20], &at_once, noise);
        assert_close("after", &values(after), &values(dragon.forward(tokens)), relative);
    }
}

#[test]
fn invariant_35_with_credit_for_queries_alone_nothing_reaches_what_was_written() {
    let device = Device::flex().autodiff();
    // Slopes that are not learnt: what a carried memory forgot is constant too, so in pieces learnt ones feel less.
    let decay = DecayConfig::Standard { learnable: false };
    for Exactness { dtype, relative } in BOTH {
        let dragon = dragon(&config(Some(decay.clone())), dtype, &device);
        let tokens = tokens(1, 6, &device);
        let queries = || Pass {
            credit: Credit::Queries,
            ..Pass::default()
        };
        let (full, detached) = (
            dragon.forward(tokens.clone()),
            dragon.forward_pass(tokens.clone(), queries()),
        );
        assert_eq!(
            values(full),
            values(detached.clone()),
            "the forward pass is the same"
        );
        // The loss of the last token alone: rows of the embedding that only earlier tokens use feel nothing.
        let last = detached.narrow(1, TOKENS - 1, 1).sum();
        let ids = tokens
            .clone()
            .into_data()
            .convert::<i32>()
            .try_to_vec::<i32>()
            .unwrap();
        let felt = dragon.embed.val().grad(&last.backward()).map(values).unwrap();
        for token in 0..32 {
            let row: f64 = felt[token * 16..][..16].iter().map(|g| g.abs()).sum();
            assert_eq!(row > 0.0, token as i32 == ids[TOKENS - 1], "token {token}: {row}");
        }
        // In pieces with a carried memory, detached or not, it is the same function with the same gradients.
        let (pieces, _) = {
            let (first, state) = dragon
                .forward_pass_with_state(tokens.clone().narrow(1, 0, 17), dragon.empty_state(1), queries())
                .unwrap();
            let (second, state) = dragon
                .forward_pass_with_state(tokens.clone().narrow(1, 17, TOKENS - 17), state, queries())
                .unwrap();
            (Tensor::cat(vec![first, second], 1), state)
        };
        let whole = gradients(&dragon, dragon.forward_pass(tokens, queries()));
        assert_same_gradients(&whole, &gradients(&dragon, pieces), 10.0 * relative);
    }
}

#[test]
fn invariant_36_two_pieces_without_detaching_are_one_long_sequence_and_with_it_are_truncated() {
    let device = Device::flex().autodiff();
    for decay in [None, learnable()] {
        for Exactness { dtype, relative } in BOTH {
            let dragon = dragon(&config(decay.clone()), dtype, &device);
            let tokens = tokens(LANES, 7, &device);
            let pass = Pass {
                resets: resets(),
                ..Pass::default()
            };
            let whole = gradients(&dragon, dragon.forward_pass(tokens.clone(), pass));
            let through = dragon.empty_state(LANES).autodiff();
            let (logits, _) = in_pieces(&dragon, &tokens, &[11, 29], &resets(), through);
            assert_same_gradients(&whole, &gradients(&dragon, logits), 10.0 * relative);

            let constant = dragon.empty_state(LANES);
            let (logits, state) = in_pieces(&dragon, &tokens, &[11, 29], &resets(), constant);
            assert!(!state.rho()[0].is_autodiff());
            let truncated = gradients(&dragon, logits);
            let pieces = [(0, 11), (11, 29)].map(|(start, length)| {
                let (_, before) = in_pieces(
                    &dragon,
                    &tokens,
                    &[start.max(1)],
                    &resets(),
                    dragon.empty_state(LANES),
                );
                let before = if start == 0 {
                    dragon.empty_state(LANES)
                } else {
                    before
                };
                (start, length, before.detach())
            });
            let mut sum: BTreeMap<String, Vec<f64>> = BTreeMap::new();
            let count = LANES * TOKENS * 32;
            let weights: Vec<f64> = (0..count).map(|i| (i * 37 % 11) as f64 / 11.0 - 0.4).collect();
            let data = TensorData::new(weights, [LANES, TOKENS, 32]).convert_dtype(dtype);
            let weights = Tensor::<3>::from_data(data, (&device, dtype));
            for (start, length, before) in pieces {
                let pass = Pass {
                    resets: resets().window(start..start + length),
                    ..Pass::default()
                };
                let (logits, _) = dragon
                    .forward_pass_with_state(tokens.clone().narrow(1, start, length), before, pass)
                    .unwrap();
                let loss = (logits * weights.clone().narrow(1, start, length)).sum();
                for (name, gradient) in of_loss(&dragon, &loss) {
                    let total = sum.entry(name).or_insert_with(|| vec![0.0; gradient.len()]);
                    total
                        .iter_mut()
                        .zip(gradient)
                        .for_each(|(total, more)| *total += more);
                }
            }
            assert_same_gradients(&sum, &truncated, 10.0 * relative);
            assert_ne!(truncated["decoder_x"], whole["decoder_x"]);
        }
    }
}

#[test]
fn invariant_41_decay_is_one_function_in_all_three_forms_and_slopes_of_zero_are_none() {
    let device = Device::flex();
    for Exactness { dtype, relative } in BOTH {
        let none = dragon(&config(None), dtype, &device);
        let zero = DecayConfig::Custom {
            slopes: vec![0.0; 2],
            learnable: false,
        };
        let zero = dragon(&config(Some(zero)), dtype, &device);
        let tokens = tokens(1, 8, &device);
        let plain = values(none.forward(tokens.clone()));
        assert_close(
            "slopes of zero",
            &values(zero.forward(tokens.clone())),
            &plain,
            relative,
        );

        let fading = dragon(&config(learnable()), dtype, &device);
        let parallel = values(fading.forward(tokens.clone()));
        let lengths = [1; TOKENS];
        for lengths in [&lengths[..], &[5, 1, 30, 4]] {
            let (pieces, _) = in_pieces(
                &fading,
                &tokens,
                lengths,
                &Resets::default(),
                fading.empty_state(1),
            );
            assert_close("recurrent", &values(pieces), &parallel, relative);
        }
        let apart = parallel.iter().zip(&plain).map(|(a, b)| (a - b).abs());
        assert!(apart.fold(0.0, f64::max) > 1e-3, "decay does something");
        if dtype == DType::F32 {
            let mut decoder = Decoder::new(&fading, 1);
            let ids: Vec<i32> = tokens.into_data().convert::<i32>().try_to_vec().unwrap();
            let stepped: Vec<f64> = ids
                .iter()
                .flat_map(|&id| decoder.step(&[id as u32]).unwrap().to_vec())
                .map(f64::from)
                .collect();
            assert_close("decoder", &stepped, &parallel, relative);
        }
    }
}

#[test]
fn the_gradient_of_learnt_slopes_is_that_of_finite_differences() {
    let device = Device::flex();
    let training = device.clone().autodiff();
    let loss = |dragon: &Dragon, device: &Device| {
        let tokens = tokens(LANES, 11, device);
        let targets = tokens.clone().flip([1]);
        let pass = Pass {
            resets: resets(),
            ..Pass::default()
        };
        token_losses(dragon.forward_pass(tokens, pass), targets).mean()
    };
    let exact = dragon(&config(learnable()), DType::F64, &training);
    let analytic = of_loss(&exact, &loss(&exact, &training))["decay"].clone();
    let fast = dragon(&config(learnable()), DType::F32, &training);
    let in_f32 = of_loss(&fast, &loss(&fast, &training))["decay"].clone();
    let shifted = |head: usize, by: f64| {
        let dragon = load(exact.valid(), |name, shape| {
            (name == "decay").then(|| {
                let mut slopes: Vec<f64> = exact.slopes().into_iter().map(f64::ln).collect();
                slopes[head] += by;
                TensorData::new(slopes, shape.to_vec())
            })
        });
        loss(&dragon, &device).into_scalar::<f64>()
    };
    let numeric: Vec<f64> = (0..2)
        .map(|head| (shifted(head, 1e-5) - shifted(head, -1e-5)) / 2e-5)
        .collect();
    assert_close("f64", &analytic, &numeric, 1e-6);
    assert_close("f32", &in_f32, &numeric, 1e-3);
    named(&exact, |name, shape, _| {
        if name == "decay" {
            assert_eq!(shape, [2]);
        }
    });
}
