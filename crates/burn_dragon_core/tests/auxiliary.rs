//! Auxiliary recurrences: one function in all forms, by their equations, causal, with gradients.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::Tensor;
use burn_dragon_core::api::expert::Watch;
use burn_dragon_core::api::{
    DragonState, NeuronRecurrence, Pass, PhaseStart, PopeConfig, Positions, SummaryMemory, Trunk, TrunkConfig,
};
use subject::{TOKENS, in_parts, of, pass, same, slopes, stream};

fn summary() -> SummaryMemory {
    SummaryMemory {
        chunk_tokens: 4,
        ..SummaryMemory::default()
    }
}

fn neurons() -> NeuronRecurrence {
    NeuronRecurrence {
        chunk_tokens: 3,
        carry_in: 0.5,
        most: 0.3,
        ..NeuronRecurrence::default()
    }
}

fn trunks() -> Vec<TrunkConfig> {
    let pope = Positions::Pope(PopeConfig {
        phase: PhaseStart::Uniform,
        ..PopeConfig::default()
    });
    let of = |summary, neurons, positions| TrunkConfig {
        summary_memory: summary,
        neuron_recurrence: neurons,
        positions,
        ..subject::config().trunk()
    };
    vec![
        of(Some(summary()), None, Positions::Rotary),
        of(None, Some(neurons()), Positions::Rotary),
        of(Some(summary()), Some(neurons()), Positions::None),
        of(Some(summary()), Some(neurons()), pope),
    ]
}

#[test]
fn any_split_of_a_stream_is_the_same_function_with_resets_too() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        for resets in [vec![], vec![0, 5, 8]] {
            let whole = of(trunk.forward(v.clone(), pass(&resets, 0, TOKENS, 2)));
            for sizes in [vec![1; TOKENS], vec![7, 1, 12], vec![4, 16]] {
                same(&whole, &of(in_parts(&trunk, &v, &sizes, &resets).0), 1e-10);
            }
        }
    }
}

#[test]
fn after_a_reset_a_stream_is_as_one_that_begins_there() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        let whole = trunk.forward(v.clone(), pass(&[7], 0, TOKENS, 2));
        let (empty, _) = trunk.empty_state(1).into_parts();
        let rest = v.narrow(0, 0, 1).narrow(2, 7, TOKENS - 7);
        let begun = DragonState::from_parts(empty, vec![7]);
        let (alone, _) = trunk.forward_with_state(rest, begun, Pass::default()).unwrap();
        let after = whole.narrow(0, 0, 1).narrow(2, 7, TOKENS - 7);
        same(&of(after), &of(alone), 1e-10);
    }
}

#[test]
fn lanes_at_different_positions_are_each_as_alone() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        let lane = |lane| v.clone().narrow(0, lane, 1);
        let read = |v: Tensor<4>, state| trunk.forward_with_state(v, state, Pass::default()).unwrap();
        let (_, ahead) = read(lane(0).narrow(2, 0, 5), trunk.empty_state(1));
        let (_, behind) = read(lane(1).narrow(2, 0, 2), trunk.empty_state(1));
        let rest = |lane: Tensor<4>, first| lane.narrow(2, first, 9);
        let (a, _) = read(rest(lane(0), 5), ahead.clone());
        let (b, _) = read(rest(lane(1), 2), behind.clone());
        let merged = DragonState::merge(vec![ahead, behind]).unwrap();
        let both = Tensor::cat(vec![rest(lane(0), 5), rest(lane(1), 2)], 0);
        let (together, _) = read(both, merged);
        same(&of(together), &of(Tensor::cat(vec![a, b], 0)), 1e-10);
    }
}

#[test]
fn no_token_knows_a_later_one_and_what_is_carried_matters() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let [v, other] = [3, 5].map(|seed| stream(&config, 1, seed));
        let mixed = |at| {
            Tensor::cat(
                vec![
                    v.clone().narrow(2, 0, at),
                    other.clone().narrow(2, at, TOKENS - at),
                ],
                2,
            )
        };
        let first = |v: Tensor<4>| of(trunk.forward(v, Pass::default()).narrow(2, 0, 10));
        same(&first(mixed(10)), &first(v.clone()), 0.0);
        let plain = subject::trunk(&TrunkConfig {
            summary_memory: None,
            neuron_recurrence: None,
            ..config.clone()
        });
        let without = of(plain.forward(v.clone(), Pass::default()));
        assert!(subject::apart(&of(trunk.forward(v.clone(), Pass::default())), &without) > 1e-4);
    }
}

/// The equations, token by token, for one level.
#[test]
fn a_summary_is_the_fading_mean_of_earlier_chunks() {
    let config = TrunkConfig {
        n_levels: 1,
        summary_memory: Some(summary()),
        ..subject::config().trunk()
    };
    let trunk = subject::trunk(&config);
    let plain = subject::trunk(&TrunkConfig {
        summary_memory: None,
        ..config.clone()
    });
    let v = stream(&config, 1, 3);
    let SummaryMemory {
        chunk_tokens,
        scale,
        decay,
        update,
    } = summary();
    let (mut carry, mut added) = (Tensor::zeros_like(&v.clone().narrow(2, 0, 1)), Vec::new());
    for chunk in 0..TOKENS / chunk_tokens {
        added.push((carry.clone() * scale).repeat_dim(2, chunk_tokens));
        let mean = v
            .clone()
            .narrow(2, chunk * chunk_tokens, chunk_tokens)
            .mean_dim(2);
        carry = carry * decay + mean * update;
    }
    // The level sees the sum, the stream does not have it: activities are compared.
    let seen = v.clone() + Tensor::cat(added, 2);
    let activities = |trunk: &Trunk, v: Tensor<4>| {
        let mut watched = Watched(Vec::new());
        trunk.forward(
            v,
            Pass {
                watch: Some(&mut watched),
                ..Pass::default()
            },
        );
        watched.0
    };
    same(&activities(&trunk, v), &activities(&plain, seen), 1e-12);
}

/// The equations for one level whose chunks have one token.
#[test]
fn neurons_leave_their_activity_to_the_next_chunk() {
    let recurrence = NeuronRecurrence {
        chunk_tokens: 1,
        ..neurons()
    };
    let config = TrunkConfig {
        n_levels: 1,
        neuron_recurrence: Some(recurrence.clone()),
        ..subject::config().trunk()
    };
    let v = stream(&config, 1, 3);
    let activities = |config: &TrunkConfig| {
        let mut watched = Both(Vec::new());
        subject::trunk(config).forward(
            v.clone(),
            Pass {
                watch: Some(&mut watched),
                ..Pass::default()
            },
        );
        watched.0.pop().unwrap()
    };
    let [x, y] = activities(&config);
    let [driven, _] = activities(&TrunkConfig {
        neuron_recurrence: None,
        ..config.clone()
    });
    let at = |tensor: &Tensor<4>, t| tensor.clone().narrow(2, t, 1);
    let mut s = Tensor::zeros_like(&at(&x, 0));
    for t in 0..TOKENS {
        same(
            &of(at(&x, t)),
            &of(at(&driven, t) + s.clone() * recurrence.carry_in),
            1e-12,
        );
        let next = s * recurrence.decay + at(&y, t) * recurrence.update;
        let rms = next.clone().square().mean_dim(3).sqrt();
        s = next / (rms / recurrence.most).clamp_min(1.0);
    }
}

/// x and y of each level.
struct Both(Vec<[Tensor<4>; 2]>);

impl Watch for Both {
    fn level(&mut self, _level: usize, x: &Tensor<4>, y: &Tensor<4>) {
        self.0.push([x.clone(), y.clone()]);
    }
}

/// x of each level.
struct Watched(Vec<f64>);

impl Watch for Watched {
    fn level(&mut self, _level: usize, x: &Tensor<4>, _y: &Tensor<4>) {
        self.0.extend(of(x.clone()));
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for config in trunks() {
        let config = TrunkConfig {
            n_levels: 2,
            n_neurons: 24,
            d_model: 8,
            ..config
        };
        slopes(&format!("{:?}", config.positions), &subject::trunk(&config), 9);
    }
}

#[test]
fn a_carried_memory_is_a_constant_in_training() {
    for config in trunks() {
        subject::carried_is_constant(&config);
    }
}

#[test]
fn a_rebased_memory_reads_the_same() {
    for config in trunks() {
        let trunk = subject::trunk(&config);
        let v = stream(&config, 1, 3);
        let (first, rest) = (v.clone().narrow(2, 0, 13), v.narrow(2, 13, 7));
        let read = |v: &Tensor<4>, state| {
            trunk
                .forward_with_state(v.clone(), state, Pass::default())
                .unwrap()
        };
        let (_, state) = read(&first, trunk.empty_state(1));
        let rebased = state.clone().rebase(&config).unwrap();
        assert!(rebased.positions()[0] <= 1, "{:?}", rebased.positions()); // 13 = 12 + 1 = 4 * 3 + 1
        same(&of(read(&rest, rebased).0), &of(read(&rest, state).0), 1e-10);
    }
}
