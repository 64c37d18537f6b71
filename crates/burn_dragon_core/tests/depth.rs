//! Levels that are not all alike: fewer neurons in some, more or fewer levels than in training, a pass that ends early.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Tensor};
use burn_dragon_core::api::{
    Dragon, DragonConfig, Fanout, Pass, PhaseStart, PopeConfig, Positions, Trunk, TrunkConfig,
};
use subject::{TOKENS, in_parts, of, same, slopes, stream};

fn fanouts() -> [Fanout; 2] {
    [
        Fanout::Geometric { least: 16 },
        Fanout::Late {
            base: 24,
            last_levels: 2,
        },
    ]
}

fn trunks() -> impl Iterator<Item = TrunkConfig> {
    let pope = Positions::Pope(PopeConfig {
        phase: PhaseStart::Uniform,
        ..PopeConfig::default()
    });
    let positions = [Positions::Rotary, pope];
    let of = |positions| fanouts().map(move |fanout| (fanout, positions));
    positions
        .into_iter()
        .flat_map(of)
        .map(|(fanout, positions)| TrunkConfig {
            fanout: Some(fanout),
            positions,
            ..subject::config().trunk()
        })
}

#[test]
fn with_fewer_neurons_a_level_is_that_of_a_trunk_which_has_no_others() {
    let config = TrunkConfig {
        n_levels: 1,
        fanout: Some(Fanout::Late {
            base: 24,
            last_levels: 1,
        }),
        ..subject::config().trunk()
    };
    assert_eq!(config.neurons_at(0), 32);
    let two = subject::trunk(&TrunkConfig {
        n_levels: 2,
        ..config.clone()
    });
    // The same heads with 12 of their 32 neurons, at the frequencies that these have among 32.
    let v = stream(&config, 1, 3);
    let mut streams = Vec::new();
    two.forward(
        v.clone(),
        Pass {
            streams: Some(&mut streams),
            ..Pass::default()
        },
    );
    let mut trunk = two.clone();
    let mask = |matrix: Tensor<3>| {
        let [heads, width, _] = matrix.dims();
        let kept = matrix.clone().narrow(2, 0, 12);
        let silent = Tensor::zeros([heads, width, 20], (&matrix.device(), DType::F64));
        Tensor::cat(vec![kept, silent], 2)
    };
    trunk.decoder_x = trunk.decoder_x.map(mask); // neurons that are never active have no part in anything
    let mut masked = Vec::new();
    trunk.forward(
        v,
        Pass {
            streams: Some(&mut masked),
            ..Pass::default()
        },
    );
    same(&of(streams[0].clone()), &of(masked[0].clone()), 1e-12);
}

#[test]
fn any_split_of_a_stream_is_the_same_function() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        let whole = of(trunk.forward(v.clone(), Pass::default()));
        for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
            same(&whole, &of(in_parts(&trunk, &v, &sizes, &[]).0), 1e-10);
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for config in trunks() {
        let config = TrunkConfig {
            n_neurons: 24,
            d_model: 8,
            fanout: Some(Fanout::Geometric { least: 8 }),
            ..config
        };
        slopes(&format!("{:?}", config.positions), &subject::trunk(&config), 6);
    }
}

#[test]
fn a_pass_that_ends_early_is_one_of_fewer_levels_and_leaves_later_memories_alone() {
    let config = subject::config().trunk();
    let trunk = subject::trunk(&config);
    let v = stream(&config, 1, 3);
    let (first, rest) = (v.clone().narrow(2, 0, 9), v.narrow(2, 9, 11));
    let read =
        |v: &Tensor<4>, state, pass: Pass<'_>| trunk.forward_with_state(v.clone(), state, pass).unwrap();
    let (_, state) = read(&first, trunk.empty_state(1), Pass::default());
    let mut asked = Vec::new();
    let mut exit = |level, output: Tensor<4>| {
        asked.push(of(output));
        level == 1
    };
    let (output, after) = read(
        &rest,
        state.clone(),
        Pass {
            exit: Some(&mut exit),
            ..Pass::default()
        },
    );
    assert_eq!(asked.len(), 2);
    same(&asked[1], &of(output), 0.0);
    let mut streams = Vec::new();
    let (_, whole) = read(
        &rest,
        state.clone(),
        Pass {
            streams: Some(&mut streams),
            ..Pass::default()
        },
    );
    for (asked, stream) in asked.iter().zip(&streams) {
        same(asked, &of(stream.clone()), 0.0);
    }
    let same_memory = |a: &Tensor<4>, b: &Tensor<4>| same(&of(a.clone()), &of(b.clone()), 0.0);
    for level in 0..2 {
        same_memory(&after.rho()[level], &whole.rho()[level]);
    }
    same_memory(&after.rho()[2], &state.rho()[2]);
    assert_eq!(after.positions(), whole.positions());
}

#[test]
fn a_model_with_other_levels_is_one_that_was_made_so() {
    let dragon = Dragon::new(&subject::config(), 9, &Device::flex()).unwrap();
    for levels in [1, 5] {
        let other = dragon.clone().with_levels(levels).unwrap();
        assert_eq!(other.config().n_levels, levels);
        assert_eq!(other.empty_state(1).rho().len(), levels);
        let made = DragonConfig {
            n_levels: levels,
            ..subject::config()
        };
        let made = Trunk::new(&made.trunk(), 9, &Device::flex()).unwrap();
        let v = stream(made.config(), 1, 3).cast(DType::F32);
        let [a, b] = [&made, &other.trunk].map(|trunk| of(trunk.forward(v.clone(), Pass::default())));
        same(&a, &b, 0.0);
    }
    let connectors = [
        r#"{"type":"attention_residual"}"#,
        r#"{"type":"block_attention_residual"}"#,
        r#"{"type":"mhc"}"#,
        r#"{"type":"block_upstream"}"#,
    ];
    for connector in connectors.map(|text| serde_json::from_str(text).unwrap()) {
        let config = DragonConfig {
            connector,
            ..subject::config()
        };
        let dragon = Dragon::new(&config, 9, &Device::flex()).unwrap();
        let v = stream(dragon.trunk.config(), 1, 3).cast(DType::F32);
        let expected = of(dragon.trunk.forward(
            v.clone(),
            Pass {
                levels: Some(6),
                ..Pass::default()
            },
        ));
        let more = dragon.with_levels(6).unwrap();
        same(&of(more.trunk.forward(v, Pass::default())), &expected, 0.0);
    }
    assert!(
        dragon
            .with_levels(0)
            .unwrap_err()
            .to_string()
            .contains("n_levels")
    );
}
