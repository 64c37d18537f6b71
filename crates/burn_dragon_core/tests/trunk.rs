//! The one loop over the levels: the same function with and without a memory, with and without something that looks at it,
//! and with each kind of part.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

mod subject;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, Watch, initial, load, named};
use burn_dragon_core::api::{
    Credit, DecayConfig, Decoder, DensityProbe, Dragon, DragonConfig, DragonState, Pass, Positions,
    Precision, Read, Resets, StateError, TensorShape, Trunk, TrunkConfig,
};
use burn_dragon_kernel::api::{LevelInput, LevelOutput, LevelWeights, Reach, Retention, join, level, norm};
use subject::{config, dragon, values};

const TOKENS: usize = 20;
const LANES: usize = 2;

fn tokens(device: &Device) -> Tensor<2, Int> {
    let mut rng = Rng::new(3);
    let ids: Vec<i32> = (0..LANES * TOKENS).map(|_| rng.below(32) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [LANES, TOKENS]), device)
}

/// A stream as one that enters a trunk.
fn stream(config: &TrunkConfig, lanes: usize, seed: u64) -> Tensor<4> {
    let mut rng = Rng::new(seed);
    let shape = [lanes, 1, TOKENS, config.d_model];
    let numbers: Vec<f64> = (0..shape.iter().product()).map(|_| rng.normal()).collect();
    let v = Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F64));
    norm(v, config.norm_eps)
}

fn trunk(config: &TrunkConfig) -> Trunk {
    let trunk = Trunk::new(config, 9, &Device::flex()).unwrap();
    let mut found = std::collections::BTreeMap::new();
    named(&trunk, |name, _, data| {
        found.insert(name.to_string(), data.convert_dtype(DType::F64));
    });
    load(trunk, |name, _| found.remove(name))
}

fn of(tensor: Tensor<4>) -> Vec<f64> {
    values(tensor.into_data())
}

fn apart(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[track_caller]
fn same(a: &[f64], b: &[f64], tolerance: f64) {
    let apart = apart(a, b);
    assert!(apart <= tolerance, "differ by {apart:e}, tolerance {tolerance:e}");
}

/// What a level of a model is computed from.
fn input(dragon: &Dragon, weights: &LevelWeights, v: Tensor<4>, start: u64) -> LevelInput {
    let rotation = dragon
        .config()
        .frequencies()
        .rotation(&[start], v.dims()[2], v.dtype(), &v.device());
    LevelInput {
        v,
        weights: weights.clone(),
        rotation,
        eps: dragon.config().norm_eps,
        dropout: None,
        precision: Precision::F32,
        retention: Retention::default(),
        credit: Credit::Full,
        reach: Reach::Causal,
        memory: None,
        chunk: None,
        count: false,
    }
}

fn weights(dragon: &Dragon) -> LevelWeights {
    let Trunk {
        decoder_x,
        decoder_y,
        encoder,
        ..
    } = &dragon.trunk;
    LevelWeights::new(decoder_x.val(), decoder_y.val(), encoder.val())
}

fn embedded(dragon: &Dragon, tokens: Tensor<2, Int>) -> Tensor<4> {
    let ([lanes, length], config) = (tokens.dims(), dragon.config());
    let rows = dragon.embed.val().select(0, tokens.reshape([lanes * length]));
    norm(rows, config.norm_eps).reshape([lanes, 1, length, config.d_model])
}

fn read_out(dragon: &Dragon, v: Tensor<4>) -> TensorData {
    let [lanes, _, length, width] = v.dims();
    let rows: Tensor<2> = v.reshape([lanes * length, width]);
    rows.matmul(dragon.lm_head.val()).into_data()
}

#[test]
fn a_plain_pass_is_level_and_join_bit_for_bit() {
    let dragon = dragon(&config(), DType::F32, &Device::flex());
    let (tokens, weights, eps) = (tokens(&Device::flex()), weights(&dragon), config().norm_eps);
    let mut v = embedded(&dragon, tokens.clone());
    for _ in 0..config().n_levels {
        let u = level(input(&dragon, &weights, v.clone(), 0)).u;
        v = join(v, u, eps);
    }
    let expected = values(read_out(&dragon, v));
    assert_eq!(values(dragon.forward(tokens.clone()).into_data()), expected);

    let (mut state, mut rho) = (
        dragon.empty_state(LANES),
        dragon.empty_state(LANES).into_parts().0,
    );
    for (start, length) in [(0, 7), (7, 1), (8, 12)] {
        let piece = tokens.clone().narrow(1, start, length);
        let (logits, after) = dragon.forward_with_state(piece.clone(), state).unwrap();
        let mut v = embedded(&dragon, piece);
        for rho in &mut rho {
            let LevelOutput { u, memory, .. } = level(LevelInput {
                memory: Some(rho.clone()),
                ..input(&dragon, &weights, v.clone(), start as u64)
            });
            (v, *rho) = (join(v, u, eps), memory.unwrap());
        }
        assert_eq!(values(logits.into_data()), values(read_out(&dragon, v)));
        for (given, expected) in after.rho().iter().zip(&rho) {
            assert_eq!(of(given.clone()), of(expected.clone()));
        }
        state = after;
    }
}

/// Keeps what it sees.
#[derive(Default)]
struct Album(Vec<[Tensor<4>; 2]>);

impl Watch for Album {
    fn level(&mut self, level: usize, x: &Tensor<4>, y: &Tensor<4>) {
        assert_eq!(level, self.0.len());
        self.0.push([x.clone(), y.clone()]);
    }
}

#[test]
fn what_is_watched_with_a_carried_memory_is_what_is_watched_of_the_whole() {
    let fading = DragonConfig {
        decay: Some(DecayConfig::Standard { learnable: false }),
        ..config()
    };
    for config in [config(), fading] {
        let dragon = dragon(&config, DType::F64, &Device::flex());
        let tokens = tokens(&Device::flex());
        let resets = Resets::new(vec![vec![], vec![3, 9]]);
        let mut whole = Album::default();
        let pass = Pass {
            resets: resets.clone(),
            watch: Some(&mut whole),
            ..Pass::default()
        };
        let logits = values(dragon.forward_pass(tokens.clone(), pass).into_data());
        let (mut state, mut albums, mut parts) = (dragon.empty_state(LANES), Vec::new(), Vec::new());
        for (start, length) in [(0, 5), (5, 1), (6, 14)] {
            let mut album = Album::default();
            let pass = Pass {
                resets: resets.window(start..start + length),
                watch: Some(&mut album),
                ..Pass::default()
            };
            let piece = tokens.clone().narrow(1, start, length);
            let (part, next) = dragon.forward_pass_with_state(piece, state, pass).unwrap();
            (state, parts, albums) = (next, [parts, vec![part]].concat(), [albums, vec![album]].concat());
        }
        same(&values(Tensor::cat(parts, 1).into_data()), &logits, 1e-11);
        for (level, watched) in whole.0.iter().enumerate() {
            for (which, expected) in watched.iter().enumerate() {
                let pieces = albums.iter().map(|album| album.0[level][which].clone());
                let pieces = of(Tensor::cat(pieces.collect(), 2));
                same(&pieces, &of(expected.clone()), 1e-11);
                assert!(pieces.iter().any(|&activity| activity > 0.0));
            }
        }
    }
}

impl Clone for Album {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[test]
fn what_is_counted_with_a_carried_memory_is_what_is_counted_of_the_whole() {
    let dragon = dragon(&config(), DType::F32, &Device::flex());
    let tokens = tokens(&Device::flex());
    let mut whole = DensityProbe::default();
    let pass = Pass {
        density: Some(&mut whole),
        ..Pass::default()
    };
    dragon.forward_pass(tokens.clone(), pass);
    let (mut state, mut pieces, mut watched) = (
        dragon.empty_state(LANES),
        DensityProbe::default(),
        DensityProbe::default(),
    );
    for (start, length) in [(0, 5), (5, 1), (6, 14)] {
        let piece = tokens.clone().narrow(1, start, length);
        let counted = Pass {
            density: Some(&mut pieces),
            ..Pass::default()
        };
        let (logits, _) = dragon
            .forward_pass_with_state(piece.clone(), state.clone(), counted)
            .unwrap();
        let (plain, next) = dragon.forward_with_state(piece, state).unwrap();
        same(&values(logits.into_data()), &values(plain.into_data()), 1e-4);
        state = next;
    }
    // Who counts and who watches see the same, together in one pass too.
    let mut both = DensityProbe::default();
    let pass = Pass {
        density: Some(&mut both),
        watch: Some(&mut watched),
        ..Pass::default()
    };
    dragon.forward_pass(tokens, pass);
    let whole = whole.density();
    assert!(whole.mean_x() > 0.2 && whole.mean_y() > 0.05, "{whole:?}");
    for probe in [pieces, both, watched] {
        let density = probe.density();
        same(&density.x, &whole.x, 2e-3);
        same(&density.y, &whole.y, 2e-3);
    }
}

#[test]
fn the_streams_between_levels_are_those_of_a_model_with_fewer_levels() {
    let config = config().trunk();
    let (trunk, v) = (trunk(&config), stream(&config, LANES, 1));
    let mut streams = Vec::new();
    let pass = Pass {
        streams: Some(&mut streams),
        ..Pass::default()
    };
    let last = of(trunk.forward(v.clone(), pass));
    assert_eq!(streams.len(), config.n_levels);
    for (l, stream) in streams.into_iter().enumerate() {
        let pass = Pass {
            levels: Some(l + 1),
            ..Pass::default()
        };
        let fewer = of(trunk.forward(v.clone(), pass));
        assert_eq!(of(stream), fewer);
        assert_eq!(fewer == last, l + 1 == config.n_levels);
    }
}

#[test]
fn a_state_has_a_memory_for_each_level_that_is_passed() {
    let config = config().trunk();
    let (trunk, v) = (trunk(&config), stream(&config, LANES, 1));
    let pass = || Pass {
        levels: Some(5),
        ..Pass::default()
    };
    let error = trunk
        .forward_with_state(v.clone(), trunk.empty_state(LANES), pass())
        .unwrap_err();
    assert_eq!(error, StateError::Levels { state: 3, model: 5 });
    let deeper = TrunkConfig {
        n_levels: 5,
        ..config
    };
    let state = DragonState::new(&deeper, LANES, &Device::flex()).cast(DType::F64);
    let (given, state) = trunk.forward_with_state(v.clone(), state, pass()).unwrap();
    assert_eq!(state.rho().len(), 5);
    same(&of(given), &of(trunk.forward(v, pass())), 1e-11);
}

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

/// A model of some family.
#[derive(Module, Debug)]
struct Family {
    patches: Param<Tensor<2>>,
    trunk: Trunk,
}

/// A module's parameters, in its order.
fn listed<M: Module>(module: &M) -> Vec<TensorShape> {
    let mut tensors = Vec::new();
    named(module, |name, shape, _| {
        tensors.push(TensorShape::new(name, shape));
    });
    tensors
}

#[test]
fn a_model_has_the_tensors_that_its_configuration_lists_by_their_plain_names() {
    let config = DragonConfig {
        decay: Some(DecayConfig::Standard { learnable: true }),
        ..config()
    };
    let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
    let given = listed(&dragon);
    assert_eq!(given, config.tensors());
    let numbers: u64 = given.iter().map(|tensor| tensor.numbers().0).sum();
    assert_eq!(numbers, config.cost().parameters());
    let family = Family {
        patches: Param::from_tensor(Tensor::zeros([2, 3], &Device::flex())),
        trunk: dragon.trunk,
    };
    let given = listed(&family);
    let mut expected = vec![TensorShape::new("patches", [2, 3])];
    expected.extend(config.trunk().tensors());
    assert_eq!(given, expected);
    // And they are reached by these names.
    let zeroed = load(family, |name, shape| {
        (name == "encoder").then(|| TensorData::zeros::<f32, _>(shape.to_vec()))
    });
    assert_eq!(values(zeroed.trunk.encoder.val().abs().sum().into_data()), [0.0]);
    assert!(values(zeroed.trunk.decoder_x.val().abs().sum().into_data())[0] > 1.0);
}

#[test]
fn a_trunk_alone_begins_with_the_weights_that_it_has_in_a_model() {
    let dragon = Dragon::new(&config(), 5, &Device::flex()).unwrap();
    let trunk = Trunk::new(&config().trunk(), 5, &Device::flex()).unwrap();
    assert_eq!(
        trunk.decoder_y.val().to_data(),
        dragon.trunk.decoder_y.val().to_data()
    );
    assert_eq!(
        trunk.encoder.val().to_data(),
        dragon.trunk.encoder.val().to_data()
    );
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
