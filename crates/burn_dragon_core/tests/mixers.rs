//! Every sequence mixer: one function in all forms, gradients, memories, decoding.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Tensor};
use burn_dragon_core::api::{Credit, DragonConfig, Mixer, Pass, Positions, Trunk, TrunkConfig};
use subject::{TOKENS, decodes_as_a_window, in_parts, of, pass, same, slopes, stream};

/// Mixers and the positions that each is tried with.
const KINDS: [(&str, Positions); 9] = [
    (r#"{"type":"gated_delta"}"#, Positions::Rotary),
    (r#"{"type":"gated_delta","keeps":true}"#, Positions::None),
    (r#"{"type":"rwkv8"}"#, Positions::None),
    (r#"{"type":"mamba1","d_state":3}"#, Positions::None),
    (
        r#"{"type":"mamba1","d_state":2,"d_conv":1,"conv_bias":false,"dt_rank":2}"#,
        Positions::None,
    ),
    (
        r#"{"type":"mamba2","d_state":4,"headdim":4,"ngroups":2,"a_init_max":40.0}"#,
        Positions::None,
    ),
    (
        r#"{"type":"mamba2","d_state":2,"headdim":16,"d_conv":1,"conv_bias":false}"#,
        Positions::None,
    ),
    (r#"{"type":"mamba3","d_state":4,"headdim":8}"#, Positions::None),
    (
        r#"{"type":"mamba3","d_state":5,"headdim":4,"ngroups":2,"rope_fraction":1.0,"is_outproj_norm":true,"dt_max":2.0}"#,
        Positions::None,
    ),
];

fn kinds() -> impl Iterator<Item = DragonConfig> {
    KINDS.into_iter().map(|(mixer, positions)| DragonConfig {
        mixer: serde_json::from_str(mixer).unwrap(),
        positions,
        rope_theta: 100.0,
        ..subject::config()
    })
}

#[test]
fn any_split_of_a_stream_is_the_same_function_with_resets_too() {
    for config in kinds() {
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 2, 3);
        for resets in [vec![], vec![0], vec![4, 5, 11]] {
            let whole = trunk.forward(v.clone(), pass(&resets, 0, TOKENS, 2));
            let (one, state) = in_parts(&trunk, &v, &[1; TOKENS], &resets);
            let (parts, after) = in_parts(&trunk, &v, &[7, 1, 12], &resets);
            same(&of(whole.clone()), &of(one), 1e-10);
            same(&of(whole), &of(parts), 1e-10);
            for (a, b) in state.rho().iter().zip(after.rho()) {
                same(&of(a.clone()), &of(b.clone()), 1e-10);
            }
        }
    }
}

#[test]
fn after_a_reset_a_stream_is_as_one_that_begins() {
    for config in kinds() {
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 1, 3);
        let whole = trunk.forward(v.clone(), pass(&[6], 0, TOKENS, 1));
        let rest = v.narrow(2, 6, TOKENS - 6);
        if config.positions == Positions::None {
            let alone = trunk.forward(rest, Pass::default());
            same(&of(whole.narrow(2, 6, TOKENS - 6)), &of(alone), 1e-10);
        }
    }
}

#[test]
fn no_token_knows_a_later_one() {
    for config in kinds() {
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 1, 3);
        let other = stream(trunk.config(), 1, 5);
        let changed = Tensor::cat(vec![v.clone().narrow(2, 0, 9), other.narrow(2, 9, TOKENS - 9)], 2);
        let [a, b] = [v, changed].map(|v| of(trunk.forward(v, Pass::default()).narrow(2, 0, 9)));
        same(&a, &b, 0.0);
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for config in kinds() {
        let config = TrunkConfig {
            n_levels: 2,
            n_neurons: 24,
            d_model: 8,
            ..config.trunk()
        };
        let gradients = slopes(&format!("{:?}", config.read), &subject::trunk(&config), 6);
        for tensor in config.tensors() {
            let gradient = &gradients[&tensor.name];
            assert!(
                gradient.iter().any(|slope| slope.abs() > 1e-9),
                "{:?} {}",
                config.read,
                tensor.name
            );
        }
    }
}

#[test]
fn a_carried_memory_is_a_constant_in_training() {
    for config in kinds() {
        subject::carried_is_constant(&config.trunk());
    }
}

#[test]
fn without_credit_no_token_is_changed_for_later_reads_and_values_are_the_same() {
    for config in kinds() {
        let config = config.trunk();
        let trunk = Trunk::new(&config, 9, &Device::flex().autodiff()).unwrap();
        let of_credit = |credit| {
            let v = stream(&config, 1, 2).cast(DType::F32).autodiff().require_grad();
            let pass = Pass {
                credit,
                levels: Some(1),
                ..Pass::default()
            };
            let last = trunk.forward(v.clone(), pass).narrow(2, TOKENS - 1, 1);
            let loss = (last.clone() * stream(&config, 1, 5).cast(DType::F32).narrow(2, 0, 1)).sum();
            let gradient = v.grad(&loss.backward()).unwrap();
            let earlier = gradient.narrow(2, 0, TOKENS - 1).abs().max();
            (of(last), earlier.into_scalar::<f32>())
        };
        let (full, queries) = (of_credit(Credit::Full), of_credit(Credit::Queries));
        same(&full.0, &queries.0, 1e-5);
        assert!(full.1 > 1e-5, "{:?}: {}", config.read, full.1);
        assert_eq!(queries.1, 0.0, "{:?}", config.read);
    }
}

#[test]
fn f32_is_near_f64_in_long_windows() {
    for config in kinds() {
        let config = DragonConfig {
            n_levels: 1,
            ..config
        };
        let precise = subject::trunk(&config.trunk());
        let rough = Trunk::new(&config.trunk(), 9, &Device::flex()).unwrap();
        let parts: Vec<Tensor<4>> = (0..8).map(|seed| stream(precise.config(), 1, seed)).collect();
        let v = Tensor::cat(parts, 2); // 160 tokens
        let a = of(precise.forward(v.clone(), Pass::default()));
        let b = of(rough.forward(v.cast(DType::F32), Pass::default()));
        same(&a, &b, 2e-4);
    }
}

#[test]
fn a_decoder_gives_what_a_window_gives_and_a_rebased_memory_reads_the_same() {
    for config in kinds() {
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 1, 3);
        let (first, rest) = (v.clone().narrow(2, 0, 9), v.narrow(2, 9, 11));
        let (_, state) = trunk
            .forward_with_state(first, trunk.empty_state(1), Pass::default())
            .unwrap();
        let read = |state| {
            let (output, _) = trunk
                .forward_with_state(rest.clone(), state, Pass::default())
                .unwrap();
            of(output)
        };
        same(
            &read(state.clone().rebase(trunk.config()).unwrap()),
            &read(state),
            1e-10,
        );

        decodes_as_a_window(&config);
    }
}

#[test]
fn a_model_says_its_mixer_in_json_and_what_has_no_meaning_is_refused() {
    for config in kinds() {
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.contains(r#""mixer":{"type":"#), "{text}");
        assert_eq!(serde_json::from_str::<DragonConfig>(&text).unwrap(), config);
        let text = serde_json::to_string(&config.trunk()).unwrap();
        assert_eq!(
            serde_json::from_str::<TrunkConfig>(&text).unwrap(),
            config.trunk()
        );
        let decay = serde_json::from_str(r#"{"type":"standard"}"#).unwrap();
        let error = DragonConfig {
            decay: Some(decay),
            ..config
        }
        .validate()
        .unwrap_err()
        .to_string();
        assert!(
            error.contains("model.decay") && error.contains("model.mixer"),
            "{error}"
        );
    }
    let plain = DragonConfig {
        mixer: Mixer::Linear {},
        ..subject::config()
    };
    assert!(!serde_json::to_string(&plain).unwrap().contains("mixer"));
}
