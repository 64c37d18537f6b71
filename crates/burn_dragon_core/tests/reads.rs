//! Kinds of reads and of positions: full reads, and tokens without positions.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{initial, norm};
use burn_dragon_core::api::{
    Credit, Decoder, DragonConfig, DragonState, Pass, Positions, Read, Resets, Trunk, TrunkConfig,
};
use subject::{TOKENS, apart, config, dragon, of, same, stream, trunk, values};

const LANES: usize = 2;

/// One level of a full read with scores of all pairs of tokens.
fn full_by_scores(trunk: &Trunk, v: &Tensor<4>) -> Tensor<4> {
    let (config, rows) = (trunk.config(), v.dims()[2]);
    let [heads, width, neurons] = trunk.decoder_x.val().dims();
    let x = v
        .clone()
        .matmul(trunk.decoder_x.val().reshape([1, heads, width, neurons]));
    let x: Tensor<4> = x.clamp_min(0.0);
    let rotation = config.frequencies().rotation(&[0], rows, v.dtype(), &v.device());
    let q = rotation.rotate(x.clone());
    let scores = q.clone().matmul(q.swap_dims(2, 3)); // [B, H, T, T]: no mask, no scale
    let a = norm(scores.matmul(v.clone()), config.norm_eps);
    let y = a.matmul(trunk.decoder_y.val().reshape([1, heads, width, neurons]));
    let y: Tensor<4> = y.clamp_min(0.0) * x;
    let encoder: Tensor<4> = trunk.encoder.val().reshape([1, heads, neurons, width]);
    let u = y.matmul(encoder).sum_dim(1);
    norm(v.clone() + norm(u, config.norm_eps), config.norm_eps)
}

fn full(positions: Positions) -> TrunkConfig {
    TrunkConfig {
        read: Read::Full,
        positions,
        ..config().trunk()
    }
}

#[test]
fn a_full_read_is_the_scores_of_all_pairs_of_tokens() {
    for positions in [Positions::None, Positions::Rotary] {
        let config = full(positions);
        let (trunk, v) = (trunk(&config), stream(&config, LANES, 4));
        let mut expected = v.clone();
        for _ in 0..config.n_levels {
            expected = full_by_scores(&trunk, &expected);
        }
        let given = of(trunk.forward(v.clone(), Pass::default()));
        same(&given, &of(expected), 1e-10);
        let causal = Trunk::from_weights(
            &TrunkConfig {
                read: Read::Causal,
                ..config.clone()
            },
            &Device::flex(),
            initial(&config, 9),
        );
        let causal = causal.unwrap().forward(v.cast(DType::F32), Pass::default());
        assert!(apart(&of(causal), &given) > 0.1, "the read makes no difference");
    }
}

/// The tokens of a stream in another order.
fn reordered(v: &Tensor<4>, order: &[i64]) -> Tensor<4> {
    let order = Tensor::<1, Int>::from_data(TensorData::new(order.to_vec(), [order.len()]), &v.device());
    v.clone().select(2, order)
}

#[test]
fn tokens_of_a_full_read_without_positions_have_no_order() {
    let order: Vec<i64> = (0..TOKENS as i64)
        .map(|token| token * 7 % TOKENS as i64)
        .collect();
    let difference = |config: TrunkConfig| {
        let (trunk, v) = (trunk(&config), stream(&config, LANES, 5));
        let after = trunk.forward(reordered(&v, &order), Pass::default());
        let before = reordered(&trunk.forward(v, Pass::default()), &order);
        apart(&of(after), &of(before))
    };
    assert!(difference(full(Positions::None)) < 1e-10);
    assert!(difference(full(Positions::Rotary)) > 1e-3);
    let causal = TrunkConfig {
        read: Read::Causal,
        ..full(Positions::None)
    };
    assert!(difference(causal) > 1e-3);
}

#[test]
fn without_positions_a_causal_read_is_the_same_wherever_it_stands_and_whatever_came_first() {
    let config = TrunkConfig {
        positions: Positions::None,
        n_levels: 1, // with more, what a token adds depends on what it has read itself
        ..config().trunk()
    };
    let (trunk, v) = (trunk(&config), stream(&config, 1, 6));
    let base = of(trunk.forward(v.clone(), Pass::default()));
    let (rho, _) = trunk.empty_state(1).into_parts();
    let state = DragonState::from_parts(rho, vec![1_000_003]);
    let (shifted, _) = trunk
        .forward_with_state(v.clone(), state, Pass::default())
        .unwrap();
    same(&of(shifted), &base, 1e-12);
    let last = TOKENS as i64 - 1;
    let order: Vec<i64> = (0..last).rev().chain([last]).collect();
    let turned = of(trunk.forward(reordered(&v, &order), Pass::default()));
    let end = (TOKENS - 1) * config.d_model;
    same(&turned[end..], &base[end..], 1e-10);
}

#[test]
fn a_full_read_reads_what_was_carried_and_all_of_its_window() {
    let config = full(Positions::None);
    let trunk = trunk(&config);
    let (first, second) = (stream(&config, LANES, 7), stream(&config, LANES, 8));
    let (_, between) = trunk
        .forward_with_state(first.clone(), trunk.empty_state(LANES), Pass::default())
        .unwrap();
    let (given, after) = trunk
        .forward_with_state(second.clone(), between.clone(), Pass::default())
        .unwrap();
    // With an empty memory: as without one.
    let (alone, _) = trunk
        .forward_with_state(first.clone(), trunk.empty_state(LANES), Pass::default())
        .unwrap();
    same(
        &of(alone),
        &of(trunk.forward(first.clone(), Pass::default())),
        1e-11,
    );
    let forgetful = of(trunk.forward(second.clone(), Pass::default()));
    assert!(
        apart(&of(given), &forgetful) > 1e-2,
        "what was carried makes no difference"
    );
    // At the first level what is written depends on the tokens alone, so that memories add.
    let (_, both) = trunk
        .forward_with_state(
            Tensor::cat(vec![first, second], 2),
            trunk.empty_state(LANES),
            Pass::default(),
        )
        .unwrap();
    same(&of(after.rho()[0].clone()), &of(both.rho()[0].clone()), 1e-10);
    assert!(apart(&of(after.rho()[0].clone()), &of(between.rho()[0].clone())) > 1e-2);
    assert_eq!(after.positions(), [2 * TOKENS as u64; LANES]);
}

#[test]
fn credit_of_a_full_read_stops_at_what_others_wrote() {
    let config = full(Positions::None);
    let device = Device::flex().autodiff();
    let trunk = Trunk::from_weights(&config, &device, initial(&config, 9)).unwrap();
    let of_credit = |credit| {
        let v = stream(&config, 1, 2).cast(DType::F32).autodiff().require_grad();
        let pass = Pass {
            credit,
            levels: Some(1),
            ..Pass::default()
        };
        let out = trunk.forward(v.clone(), pass).narrow(2, 0, 1);
        let weights = Tensor::<1, Int>::arange(0..config.d_model as i64, &device).float();
        let loss = (out.reshape([config.d_model]) * weights).sum();
        let gradient = v.grad(&loss.backward()).unwrap();
        let [own, others] =
            [(0, 1), (1, TOKENS - 1)].map(|(start, length)| of(gradient.clone().narrow(2, start, length)));
        let size = |values: Vec<f64>| values.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        (loss.into_scalar::<f32>(), size(own), size(others))
    };
    let (full, queries) = (of_credit(Credit::Full), of_credit(Credit::Queries));
    assert_eq!(full.0, queries.0);
    assert!(
        full.1 > 1e-3 && queries.1 > 1e-3 && full.2 > 1e-3,
        "{full:?} {queries:?}"
    );
    assert_eq!(queries.2, 0.0);
}

#[test]
#[should_panic(expected = "a read without order cannot empty memory within a window")]
fn a_full_read_refuses_resets() {
    let config = full(Positions::None);
    let pass = Pass {
        resets: Resets::new(vec![vec![3]]),
        ..Pass::default()
    };
    trunk(&config).forward(stream(&config, 1, 2), pass);
}

#[test]
fn a_decoder_speaks_without_positions_as_the_model_does() {
    let config = DragonConfig {
        positions: Positions::None,
        ..config()
    };
    let rotary = dragon(&subject::config(), DType::F32, &Device::flex());
    let dragon = dragon(&config, DType::F32, &Device::flex());
    let ids: Vec<u32> = vec![3, 1, 4, 1, 5, 9, 2, 6];
    let window = TensorData::new(ids.iter().map(|&id| id as i32).collect(), [1, ids.len()]);
    let window = Tensor::<2, Int>::from_data(window, &Device::flex());
    let last = |logits: Tensor<3>| values(logits.narrow(1, ids.len() - 1, 1).into_data());
    let expected = last(dragon.forward(window.clone()));
    let mut decoder = Decoder::new(&dragon, 1);
    for &id in &ids {
        decoder.step(&[id]).unwrap();
    }
    let given: Vec<f64> = decoder.logits().iter().copied().map(f64::from).collect();
    same(&given, &expected, 2e-4);
    assert!(apart(&last(rotary.forward(window)), &expected) > 1e-2);
}
