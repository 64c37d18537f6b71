//! The one loop over the levels: the same function with and without a memory, with and without probes.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::module::{Module, Param};
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, Watch, load, named};
use burn_dragon_core::api::{
    Credit, DecayConfig, DensityProbe, Dragon, DragonConfig, DragonState, Pass, Precision, Resets,
    StateError, TensorShape, Trunk, TrunkConfig,
};
use burn_dragon_kernel::api::{LevelInput, LevelOutput, LevelWeights, Reach, Retention, join, level, norm};
use subject::{TOKENS, config, dragon, of, same, stream, trunk, values};

const LANES: usize = 2;

fn tokens(device: &Device) -> Tensor<2, Int> {
    let mut rng = Rng::new(3);
    let ids: Vec<i32> = (0..LANES * TOKENS).map(|_| rng.below(32) as i32).collect();
    Tensor::from_data(TensorData::new(ids, [LANES, TOKENS]), device)
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
#[derive(Clone, Default)]
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
