//! Every connector: one function in all forms, gradients, memories, decoding.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive, load, named_shapes, snapshot};
use burn_dragon_core::api::{
    Connector, DragonConfig, HyperCoefficients, HyperConfig, Pass, Trunk, TrunkConfig,
};
use subject::{TOKENS, apart, decodes_as_a_window, of, same, slopes, stream, values};

const NAMES: [&str; 9] = [
    "attention_residual",
    "block_attention_residual",
    "blocks that do not divide the levels",
    "mhc paper",
    "mhc lite",
    "mhc tilekernels",
    "mhc static",
    "attention_residual_upstream",
    "block_upstream",
];

fn connector(name: &str) -> Connector {
    let mhc = |coefficients| {
        Connector::Mhc(HyperConfig {
            streams: 3,
            coefficients,
        })
    };
    match name {
        "attention_residual" => Connector::AttentionResidual {},
        "block_attention_residual" => Connector::BlockAttentionResidual { levels_per_block: 3 },
        "blocks that do not divide the levels" => Connector::BlockAttentionResidual { levels_per_block: 2 },
        "mhc paper" => mhc(HyperCoefficients::Paper),
        "mhc lite" => mhc(HyperCoefficients::Lite),
        "mhc tilekernels" => mhc(HyperCoefficients::Tilekernels),
        "mhc static" => mhc(HyperCoefficients::Static),
        "attention_residual_upstream" => Connector::AttentionResidualUpstream {
            n_heads: 2,
            recency_bias: 2.0,
        },
        _ => Connector::BlockUpstream {
            levels_per_block: 2,
            n_heads: 4,
            recency_bias: 0.5,
        },
    }
}

fn config(name: &str) -> DragonConfig {
    DragonConfig {
        connector: connector(name),
        n_levels: 5,
        ..subject::config()
    }
}

/// Weights of a connector far from where they start, so that all of them matter.
fn moved(name: &str, shape: &[usize], initial: &TensorData) -> TensorData {
    let initial = initial.clone().convert::<f64>();
    let size = if name == "connector.projection" { 0.3 } else { 0.4 };
    let mut rng = Rng::new(derive(5, name, 0, 0));
    let numbers: Vec<f64> = initial
        .iter::<f64>()
        .map(|value| value + size * rng.normal())
        .collect();
    TensorData::new(numbers, shape.to_vec())
}

fn trunk(config: &TrunkConfig) -> Trunk {
    let trunk = subject::trunk(config);
    let initial = snapshot(&trunk);
    load(trunk, |name, shape| {
        name.starts_with("connector.")
            .then(|| moved(name, shape, &initial[name]))
    })
}

#[test]
fn any_split_of_a_stream_is_the_same_function() {
    for name in NAMES {
        let config = config(name).trunk();
        let trunk = trunk(&config);
        let v = stream(&config, 2, 3);
        let whole = of(trunk.forward(v.clone(), Pass::default()));
        for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
            let (mut state, mut first, mut parts) = (trunk.empty_state(2), 0, Vec::new());
            for size in sizes {
                let part = v.clone().narrow(2, first, size);
                let (output, next) = trunk.forward_with_state(part, state, Pass::default()).unwrap();
                (state, first) = (next, first + size);
                parts.push(output);
            }
            let split = of(Tensor::cat(parts, 2));
            let apart = apart(&whole, &split);
            assert!(apart < 1e-10, "{name}: {apart:e}");
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for name in NAMES {
        let config = TrunkConfig {
            n_levels: 3,
            n_neurons: 24,
            d_model: 8,
            ..config(name).trunk()
        };
        let trunk = trunk(&config);
        let gradients = slopes(name, &trunk, 5);
        let learnt = named_shapes(&trunk)
            .into_keys()
            .filter(|name| name.starts_with("connector."));
        let learnt: Vec<String> = learnt.collect();
        assert!(!learnt.is_empty(), "{name}");
        for parameter in learnt {
            assert!(gradients.contains_key(&parameter), "{name} {parameter}");
        }
        assert!(gradients.contains_key("decoder_x"), "{name}");
    }
}

#[test]
fn a_decoder_gives_what_a_window_gives() {
    for name in NAMES {
        let config = config(name);
        decodes_as_a_window(&config);
    }
}

#[test]
fn a_pass_may_have_more_or_fewer_levels_than_in_training() {
    for name in NAMES {
        let config = config(name).trunk();
        let trunk = trunk(&config);
        let v = stream(&config, 1, 3);
        for levels in [1, 2, 4, 9] {
            let pass = || Pass {
                levels: Some(levels),
                ..Pass::default()
            };
            let whole = of(trunk.forward(v.clone(), pass()));
            assert!(whole.iter().all(|number| number.is_finite()));
            let mut streams = Vec::new();
            let watched = Pass {
                streams: Some(&mut streams),
                ..pass()
            };
            same(&of(trunk.forward(v.clone(), watched)), &whole, 0.0);
            assert_eq!(streams.len(), levels);
            same(&of(streams.pop().unwrap()), &whole, 0.0);
        }
    }
}

/// Streams that start alike must part, or a model of several is one of one.
#[test]
fn streams_of_hyper_connections_part_from_the_first_level_on() {
    for coefficients in [
        HyperCoefficients::Paper,
        HyperCoefficients::Lite,
        HyperCoefficients::Tilekernels,
    ] {
        let of_streams = |streams| {
            let config = DragonConfig {
                connector: Connector::Mhc(HyperConfig {
                    streams,
                    coefficients,
                }),
                ..subject::config()
            };
            Trunk::new(&config.trunk(), 9, &Device::flex()).unwrap()
        };
        let trunk = of_streams(3);
        let bias = values(
            trunk
                .connector
                .as_ref()
                .unwrap()
                .bias
                .as_ref()
                .unwrap()
                .val()
                .into_data(),
        );
        let logits = bias.len() / 3;
        for level in 0..3 {
            let (read, written) = (&bias[level * logits..][..3], &bias[level * logits + 3..][..3]);
            for stream in 0..3 {
                assert_eq!(read[stream] > 0.0, stream == level);
                assert_eq!(written[stream] > 0.0, stream == level);
            }
        }
        let v = stream(trunk.config(), 1, 3).cast(DType::F32);
        let two = of_streams(2).forward(v.clone(), Pass::default());
        let three = trunk.forward(v, Pass::default());
        let difference = (two - three).abs().max().into_scalar::<f64>();
        assert!(difference > 0.05, "{coefficients:?}: {difference}");
    }
}

#[test]
fn queries_of_zero_are_means_and_gates_of_zero_leave_the_stream_alone() {
    let of_connector = |connector| {
        let config = DragonConfig {
            connector,
            n_levels: 2,
            ..subject::config()
        };
        subject::trunk(&config.trunk())
    };
    let full = of_connector(Connector::AttentionResidual {});
    let blocks = of_connector(Connector::BlockAttentionResidual { levels_per_block: 1 });
    let v = stream(full.config(), 1, 3);
    same(
        &of(full.forward(v.clone(), Pass::default())),
        &of(blocks.forward(v.clone(), Pass::default())),
        0.0,
    );
    let [a, b] = [2.0, 50.0].map(|recency_bias| {
        let trunk = of_connector(Connector::AttentionResidualUpstream {
            n_heads: 2,
            recency_bias,
        });
        of(trunk.forward(v.clone(), Pass::default()))
    });
    same(&a, &b, 0.0); // the gate is closed at the start
}

#[test]
fn what_cannot_be_is_refused_by_its_key() {
    let refused = |text: &str| {
        let connector: Connector = serde_json::from_str(text).unwrap();
        let config = DragonConfig {
            connector,
            ..subject::config()
        };
        config.validate().unwrap_err().to_string()
    };
    for (text, key) in [
        (
            r#"{"type":"block_attention_residual","levels_per_block":4}"#,
            "model.connector.levels_per_block = 4",
        ),
        (
            r#"{"type":"block_attention_residual","levels_per_block":0}"#,
            "model.connector.levels_per_block = 0",
        ),
        (r#"{"type":"mhc","streams":1}"#, "model.connector.streams = 1"),
        (
            r#"{"type":"mhc","streams":5,"coefficients":"lite"}"#,
            "model.connector.streams = 5",
        ),
        (
            r#"{"type":"attention_residual_upstream","n_heads":3}"#,
            "model.connector.n_heads = 3",
        ),
        (
            r#"{"type":"block_upstream","recency_bias":-1.0}"#,
            "model.connector.recency_bias = -1",
        ),
    ] {
        let error = refused(text);
        assert!(error.contains(key), "{text}: {error}");
    }
    for text in [
        r#"{"type":"plain","x":1}"#,
        r#"{"type":"attention_residual","x":1}"#,
        r#"{"type":"hyper"}"#,
        r#"{"type":"mhc","stream":4}"#,
    ] {
        assert!(serde_json::from_str::<Connector>(text).is_err(), "{text}");
    }
}
