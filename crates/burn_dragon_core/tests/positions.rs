//! Polar positions: one function in all forms, gradients, memories, rebase, decoding.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn_dragon_core::api::{
    DecayConfig, DragonConfig, Magnitude, Pass, PhaseStart, PopeConfig, Positions, Read, TrunkConfig,
};
use subject::{TOKENS, decodes_as_a_window, in_parts, of, pass, same, slopes, stream};

fn pope(magnitude: Magnitude) -> Positions {
    Positions::Pope(PopeConfig {
        magnitude,
        phase: PhaseStart::Uniform,
    })
}

fn kinds() -> [Positions; 4] {
    [
        pope(Magnitude::Identity),
        pope(Magnitude::Softplus),
        pope(Magnitude::ShiftedSoftplus),
        Positions::PopeUpstream,
    ]
}

fn config(positions: Positions) -> DragonConfig {
    DragonConfig {
        positions,
        rope_theta: 100.0,
        ..subject::config()
    }
}

#[test]
fn any_split_of_a_stream_is_the_same_function_with_decay_and_resets_too() {
    for positions in kinds() {
        for decay in [None, Some(DecayConfig::Standard { learnable: true })] {
            let config = TrunkConfig {
                decay,
                ..config(positions).trunk()
            };
            let trunk = subject::trunk(&config);
            assert_eq!(trunk.empty_state(1).into_parts().0[0].dims()[2], 64); // 32 neurons a head
            let v = stream(&config, 2, 3);
            for resets in [vec![], vec![4, 11]] {
                let whole = of(trunk.forward(v.clone(), pass(&resets, 0, TOKENS, 2)));
                for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
                    same(&whole, &of(in_parts(&trunk, &v, &sizes, &resets).0), 1e-10);
                }
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for positions in kinds() {
        let config = TrunkConfig {
            n_levels: 2,
            n_neurons: 24,
            d_model: 8,
            ..config(positions).trunk()
        };
        let gradients = slopes(&format!("{positions:?}"), &subject::trunk(&config), 6);
        assert_eq!(
            gradients.contains_key("phase"),
            positions != Positions::PopeUpstream
        );
        assert!(gradients.contains_key("decoder_x") && gradients.contains_key("decoder_y"));
        for (parameter, gradient) in gradients {
            assert!(
                gradient.iter().any(|slope| slope.abs() > 1e-6),
                "{positions:?} {parameter}"
            );
        }
    }
}

#[test]
fn a_carried_memory_is_a_constant_in_training() {
    for positions in kinds() {
        subject::carried_is_constant(&config(positions).trunk());
    }
}

#[test]
fn a_rebased_memory_reads_the_same_and_a_decoder_gives_what_a_window_gives() {
    for positions in kinds() {
        let config = config(positions);
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 1, 3);
        let (first, rest) = (v.clone().narrow(2, 0, 9), v.narrow(2, 9, 11));
        let (_, state) = trunk
            .forward_with_state(first, trunk.empty_state(1), Pass::default())
            .unwrap();
        let rebased = state.clone().rebase(trunk.config()).unwrap();
        assert_eq!(rebased.positions(), [0]);
        let read = |state| {
            let (output, _) = trunk
                .forward_with_state(rest.clone(), state, Pass::default())
                .unwrap();
            of(output)
        };
        same(&read(rebased), &read(state), 1e-10);

        decodes_as_a_window(&config);
    }
}

/// Where nothing is further apart than the phases are wide, positions matter; a phase of 0 makes keys of queries.
#[test]
fn positions_and_phases_matter() {
    let of_config = |positions: Positions, theta: f64| {
        let config = DragonConfig {
            rope_theta: theta,
            ..config(positions)
        };
        let trunk = subject::trunk(&config.trunk());
        let v = stream(trunk.config(), 1, 3);
        of(trunk.forward(v, Pass::default()))
    };
    let apart = |a: &[f64], b: &[f64]| subject::apart(a, b) > 1e-3;
    let zero = Positions::Pope(PopeConfig::default());
    assert!(apart(&of_config(zero, 100.0), &of_config(zero, 10.0)));
    assert!(apart(
        &of_config(zero, 100.0),
        &of_config(pope(Magnitude::Identity), 100.0)
    ));
    assert!(apart(
        &of_config(zero, 100.0),
        &of_config(Positions::Rotary, 100.0)
    ));
    let upstream = of_config(Positions::PopeUpstream, 100.0);
    let softplus = of_config(
        Positions::Pope(PopeConfig {
            magnitude: Magnitude::Softplus,
            phase: PhaseStart::Zero,
        }),
        100.0,
    );
    same(&upstream, &softplus, 1e-12);
}

#[test]
fn a_full_read_with_polar_keys_is_refused() {
    let config = TrunkConfig {
        read: Read::Full,
        ..config(pope(Magnitude::Identity)).trunk()
    };
    let error = config.validate().unwrap_err().to_string();
    assert!(
        error.contains("model.positions") && error.contains("model.read"),
        "{error}"
    );
}
