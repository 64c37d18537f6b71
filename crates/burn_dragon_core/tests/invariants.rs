//! Invariants of the model for any weights, by the numbers of `docs/invariants.md`. They are tested in f64, so that
//! rounding hides no error.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

mod subject;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Keys, Level, Norm, Quantisers, Reader, Rng, View, load, snapshot};
use burn_dragon_core::api::{DensityProbe, Dragon, DragonConfig, DragonState, Pass};
use burn_dragon_kernel::api::{Credit, Frequencies, LevelWeights, Precision, Retention, join, norm};
use subject::values;

const TOKENS: usize = 24;

/// With norms that divide by the deviation and nothing else.
fn config() -> DragonConfig {
    DragonConfig {
        norm_eps: 1e-30,
        ..subject::config()
    }
}

fn dragon64(config: &DragonConfig) -> Dragon {
    subject::dragon(config, DType::F64, &Device::flex())
}

/// Replaces one parameter by `change` of its values.
fn with(dragon: &Dragon, name: &str, change: impl Fn(&mut [f64], &[usize])) -> Dragon {
    load(dragon.clone(), |parameter, shape| {
        (parameter == name).then(|| {
            let mut values = values(snapshot(dragon)[name].clone());
            change(&mut values, shape);
            TensorData::new(values, shape.to_vec())
        })
    })
}

fn tokens(lanes: usize, seed: u64) -> Vec<Vec<i32>> {
    let mut rng = Rng::new(seed);
    (0..lanes)
        .map(|_| (0..TOKENS).map(|_| rng.below(32) as i32).collect())
        .collect()
}

fn batch(rows: &[Vec<i32>]) -> Tensor<2, Int> {
    let flat: Vec<i32> = rows.iter().flatten().copied().collect();
    Tensor::from_data(
        TensorData::new(flat, [rows.len(), rows[0].len()]),
        &Device::flex(),
    )
}

fn logits(dragon: &Dragon, rows: &[Vec<i32>]) -> Vec<f64> {
    values(dragon.forward(batch(rows)).into_data())
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

#[track_caller]
fn same(a: &[f64], b: &[f64], tolerance: f64) {
    let distance = distance(a, b);
    assert!(
        distance <= tolerance,
        "differ by {distance:e}, tolerance {tolerance:e}"
    );
}

#[test]
fn invariants_1_and_2_any_split_of_a_stream_is_the_same_function() {
    let dragon = dragon64(&config());
    let rows = tokens(2, 1);
    let whole = dragon.forward(batch(&rows));
    for split in [vec![1; TOKENS], vec![7, 1, 16], vec![TOKENS], vec![1, TOKENS - 1]] {
        let (mut state, mut parts, mut start) = (dragon.empty_state(2), Vec::new(), 0);
        for length in split {
            let part = batch(&rows).narrow(1, start, length);
            let (logits, next) = dragon.forward_with_state(part, state).unwrap();
            (state, start) = (next, start + length);
            parts.push(logits);
        }
        same(
            &values(Tensor::cat(parts, 1).into_data()),
            &values(whole.clone().into_data()),
            1e-11,
        );
        assert_eq!(state.positions(), [TOKENS as u64; 2]);
    }
}

#[test]
fn a_prompt_longer_than_a_block_reads_the_same_in_blocks() {
    let dragon = dragon64(&config());
    let mut rng = Rng::new(5);
    let rows = vec![(0..600).map(|_| rng.below(32) as i32).collect::<Vec<_>>()];
    let (stepped, _) = dragon
        .forward_with_state(batch(&rows), dragon.empty_state(1))
        .unwrap();
    same(&values(stepped.into_data()), &logits(&dragon, &rows), 1e-9);
}

#[test]
fn invariant_5_nothing_later_changes_what_came_before() {
    let dragon = dragon64(&config());
    let (rows, k, vocab) = (tokens(1, 2), 11, 32);
    let mut changed = rows.clone();
    for token in &mut changed[0][k + 1..] {
        *token = (*token + 13) % 32;
    }
    let (before, after) = (logits(&dragon, &rows), logits(&dragon, &changed));
    assert_eq!(before[..(k + 1) * vocab], after[..(k + 1) * vocab]);
    assert!(distance(&before, &after) > 1e-3);
}

#[test]
fn invariant_6_the_first_token_reads_nothing() {
    let (config, dragon) = (config(), dragon64(&config()));
    let rows = tokens(1, 3);
    let mut v: Tensor<2> = dragon
        .embed
        .val()
        .select(0, batch(&rows).narrow(1, 0, 1).reshape([1]));
    for _ in 0..=config.n_levels {
        v = norm(v, config.norm_eps);
    }
    let expected = values(v.matmul(dragon.lm_head.val()).into_data());
    same(&logits(&dragon, &rows)[..32], &expected, 1e-12);
}

#[test]
fn invariant_7_only_differences_of_positions_matter() {
    let dragon = dragon64(&config());
    let rows = tokens(2, 4);
    let base = logits(&dragon, &rows);
    for (start, tolerance) in [(17, 1e-11), (100_000, 1e-8), (1_000_000_000, 1e-4)] {
        // Also each lane at its own position.
        for starts in [[start, start], [start, 3]] {
            let (rho, _) = dragon.empty_state(2).into_parts();
            let state = DragonState::from_parts(rho, starts.to_vec());
            let (shifted, _) = dragon.forward_with_state(batch(&rows), state).unwrap();
            same(&values(shifted.into_data()), &base, tolerance);
        }
    }
}

#[test]
fn invariant_9_lanes_are_independent() {
    let dragon = dragon64(&config());
    let rows = tokens(3, 5);
    let together = logits(&dragon, &rows);
    for (lane, row) in rows.iter().enumerate() {
        let alone = logits(&dragon, std::slice::from_ref(row));
        same(
            &together[lane * alone.len()..(lane + 1) * alone.len()],
            &alone,
            1e-12,
        );
    }
}

#[test]
fn invariant_10_a_forked_state_goes_its_own_way() {
    let dragon = dragon64(&config());
    let rows = tokens(1, 6);
    let (_, state) = dragon
        .forward_with_state(batch(&rows), dragon.empty_state(1))
        .unwrap();
    let go = |state: DragonState, token: i32| {
        let (logits, state) = dragon.forward_with_state(batch(&[vec![token]]), state).unwrap();
        (values(logits.into_data()), state)
    };
    let (first, _) = go(state.clone(), 3);
    let (_, _) = go(state.clone(), 30);
    let (again, _) = go(state, 3);
    assert_eq!(first, again);
}

/// The model's equations with frequencies of the caller's choice.
fn logits_with(dragon: &Dragon, turns: &[f64], rows: &[Vec<i32>]) -> Vec<f64> {
    let (config, device) = (dragon.config(), Device::flex());
    let weights = LevelWeights::new(
        dragon.trunk.decoder_x.val(),
        dragon.trunk.decoder_y.val(),
        dragon.trunk.encoder.val(),
    );
    let rotation = Frequencies::from_turns(turns.to_vec()).rotation(&[0], TOKENS, DType::F64, &device);
    let level = Level {
        weights,
        rotation,
        keys: Keys::default(),
        read: Reader::causal(),
        norm: Norm::layer(config.norm_eps),
        thresholds: None,
        quantisers: Quantisers::default(),
        precision: Precision::F32,
        retention: Retention::default(),
        credit: Credit::Full,
    };
    let rows = batch(rows).reshape([TOKENS]);
    let v: Tensor<2> = norm(dragon.embed.val().select(0, rows), config.norm_eps);
    let mut v = v.reshape([1, 1, TOKENS, config.d_model]);
    for _ in 0..config.n_levels {
        let u = level.run(v.clone(), None, None, View::Nothing).u;
        v = join(v, u, config.norm_eps);
    }
    let v: Tensor<2> = v.reshape([TOKENS, config.d_model]);
    values(v.matmul(dragon.lm_head.val()).into_data())
}

/// Reorders the neurons of every head: position `i` takes what was at `order[i]`.
fn reorder_neurons(dragon: &Dragon, order: &[usize]) -> Dragon {
    let n = order.len();
    let columns = |values: &mut [f64], _: &[usize]| {
        for row in values.chunks_mut(n) {
            let old = row.to_vec();
            order
                .iter()
                .enumerate()
                .for_each(|(to, &from)| row[to] = old[from]);
        }
    };
    let rows = |values: &mut [f64], shape: &[usize]| {
        let d = shape[1];
        for head in values.chunks_mut(n * d) {
            let old = head.to_vec();
            for (to, &from) in order.iter().enumerate() {
                head[to * d..(to + 1) * d].copy_from_slice(&old[from * d..(from + 1) * d]);
            }
        }
    };
    with(
        &with(&with(dragon, "decoder_x", columns), "decoder_y", columns),
        "encoder",
        rows,
    )
}

#[test]
fn invariant_12_pairs_may_be_permuted_with_their_frequencies_and_not_otherwise() {
    let dragon = dragon64(&config());
    let rows = tokens(1, 7);
    let n = dragon.config().neurons_per_head();
    let turns = dragon.config().frequencies().turns().to_vec();
    let base = logits(&dragon, &rows);
    same(&logits_with(&dragon, &turns, &rows), &base, 1e-12);

    let pairs: Vec<usize> = (0..n / 2).map(|pair| (pair + 5) % (n / 2)).collect();
    let order: Vec<usize> = pairs.iter().flat_map(|&pair| [2 * pair, 2 * pair + 1]).collect();
    let moved: Vec<f64> = pairs.iter().map(|&pair| turns[pair]).collect();
    let permuted = reorder_neurons(&dragon, &order);
    same(&logits_with(&permuted, &moved, &rows), &base, 1e-11);
    assert!(
        distance(&logits_with(&permuted, &turns, &rows), &base) > 0.1,
        "frequencies must move too"
    );

    let swapped: Vec<usize> = (0..n).map(|i| i ^ 1).collect();
    assert!(
        distance(&logits(&reorder_neurons(&dragon, &swapped), &rows), &base) > 1e-5,
        "a pair has an orientation"
    );
}

#[test]
fn invariant_13_heads_may_be_permuted() {
    let dragon = dragon64(&config());
    let rows = tokens(2, 8);
    let swap = |values: &mut [f64], _: &[usize]| {
        let half = values.len() / 2;
        values.rotate_left(half);
    };
    let permuted = with(
        &with(&with(&dragon, "decoder_x", swap), "decoder_y", swap),
        "encoder",
        swap,
    );
    same(&logits(&permuted, &rows), &logits(&dragon, &rows), 1e-11);
}

#[test]
fn invariant_14_a_constant_along_the_width_changes_nothing() {
    let dragon = dragon64(&config());
    let rows = tokens(1, 9);
    let base = logits(&dragon, &rows);
    // Columns of decoder_x, decoder_y ([H, D, N]) and lm_head ([D, V]): the width is the second last axis.
    for name in ["decoder_x", "decoder_y", "lm_head"] {
        let changed = with(&dragon, name, |values, shape| {
            let (d, n) = (shape[shape.len() - 2], shape[shape.len() - 1]);
            for head in values.chunks_mut(d * n) {
                (0..d).for_each(|row| head[row * n + 3] += 0.7);
            }
        });
        same(&logits(&changed, &rows), &base, 1e-10);
    }
    // Rows of encoder and of the embedding.
    for name in ["encoder", "embed"] {
        let changed = with(&dragon, name, |values, shape| {
            let row = rows[0][2] as usize;
            values[row * shape[1]..(row + 1) * shape[1]]
                .iter_mut()
                .for_each(|value| *value += 0.7);
        });
        same(&logits(&changed, &rows), &base, 1e-10);
    }
}

#[test]
fn invariant_15_a_neuron_may_be_louder_in_and_quieter_out() {
    let dragon = dragon64(&config());
    let rows = tokens(1, 10);
    let (n, neuron, c) = (dragon.config().neurons_per_head(), 5, 3.7);
    let louder = with(&dragon, "decoder_y", |values, shape| {
        let (d, n) = (shape[1], shape[2]);
        (0..d).for_each(|row| values[d * n + row * n + neuron] *= c); // head 1
    });
    let balanced = with(&louder, "encoder", |values, shape| {
        let d = shape[1];
        let row = n + neuron; // head 1
        values[row * d..(row + 1) * d]
            .iter_mut()
            .for_each(|value| *value /= c);
    });
    same(&logits(&balanced, &rows), &logits(&dragon, &rows), 1e-11);
    assert!(distance(&logits(&louder, &rows), &logits(&dragon, &rows)) > 1e-4);
}

#[test]
fn invariant_28_activity_is_non_negative_and_y_lives_within_x() {
    struct Check;
    impl burn_dragon_core::api::expert::Watch for Check {
        fn level(&mut self, _level: usize, x: &Tensor<4>, y: &Tensor<4>) {
            let (x, y) = (values(x.to_data()), values(y.to_data()));
            assert!(x.iter().chain(&y).all(|&activity| activity >= 0.0));
            assert!(x.iter().zip(&y).all(|(&x, &y)| x > 0.0 || y == 0.0));
        }
    }
    let dragon = dragon64(&config());
    let mut check = Check;
    dragon.forward_pass(
        batch(&tokens(2, 11)),
        Pass {
            watch: Some(&mut check),
            ..Pass::default()
        },
    );
}

#[test]
fn invariant_29_a_new_model_has_half_of_x_and_a_quarter_of_y_active() {
    let config = DragonConfig {
        n_neurons: 4096,
        d_model: 64,
        n_levels: 3,
        ..config()
    };
    let mut probe = DensityProbe::default();
    let pass = Pass {
        watch: Some(&mut probe),
        ..Pass::default()
    };
    dragon64(&config).forward_pass(batch(&tokens(2, 12)), pass);
    let density = probe.density();
    for level in 0..config.n_levels {
        assert!((density.x[level] - 0.5).abs() < 0.03, "{density:?}");
        assert!((density.y[level] - 0.25).abs() < 0.03, "{density:?}");
    }
}

#[test]
fn invariant_31_the_stream_has_mean_zero_and_variance_one_after_every_level() {
    let dragon = dragon64(&config());
    let config = dragon.config();
    let weights = LevelWeights::new(
        dragon.trunk.decoder_x.val(),
        dragon.trunk.decoder_y.val(),
        dragon.trunk.encoder.val(),
    );
    let rotation = config
        .frequencies()
        .rotation(&[0], TOKENS, DType::F64, &Device::flex());
    let level = Level {
        weights,
        rotation,
        keys: Keys::default(),
        read: Reader::causal(),
        norm: Norm::layer(config.norm_eps),
        thresholds: None,
        quantisers: Quantisers::default(),
        precision: Precision::F32,
        retention: Retention::default(),
        credit: Credit::Full,
    };
    let rows: Tensor<2> = dragon
        .embed
        .val()
        .select(0, batch(&tokens(1, 13)).reshape([TOKENS]));
    let mut v = norm(rows, config.norm_eps).reshape([1, 1, TOKENS, config.d_model]);
    for _ in 0..config.n_levels {
        let u = level.run(v.clone(), None, None, View::Nothing).u;
        v = join(v, u, config.norm_eps);
        for row in values(v.to_data()).chunks(config.d_model) {
            let mean = row.iter().sum::<f64>() / row.len() as f64;
            let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / row.len() as f64;
            assert!(
                mean.abs() < 1e-12 && (variance - 1.0).abs() < 1e-9,
                "mean {mean}, variance {variance}"
            );
        }
    }
}

#[test]
fn invariant_37_a_new_model_knows_about_as_little_as_chance() {
    let config = DragonConfig {
        n_levels: 4,
        ..DragonConfig::tiny()
    };
    let dragon = Dragon::new(&config, 1, &Device::flex()).unwrap();
    let mut rng = Rng::new(14);
    let row: Vec<i32> = (0..129).map(|_| rng.below(256) as i32).collect();
    let logits = logits(&dragon, &[row[..128].to_vec()]);
    let loss = logits.chunks(256).zip(&row[1..]).map(|(logits, &target)| {
        let peak = logits.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - peak).exp()).sum();
        peak + sum.ln() - logits[target as usize]
    });
    let loss = loss.sum::<f64>() / 128.0;
    assert!((loss - 256f64.ln()).abs() < 0.15, "{loss}");
}

#[test]
fn a_state_of_another_shape_is_refused_with_both_shapes() {
    let dragon = dragon64(&config());
    let other = DragonConfig {
        d_model: 8,
        ..config()
    };
    let state = DragonState::new(&other, 1, &Device::flex());
    let error = dragon
        .forward_with_state(batch(&tokens(1, 1)), state)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("[1, 2, 32, 8]") && error.contains("[1, 2, 32, 16]"),
        "{error}"
    );
    let error = dragon
        .forward_with_state(batch(&tokens(2, 1)), dragon.empty_state(1))
        .unwrap_err()
        .to_string();
    assert!(error.contains("1 lanes") && error.contains("2 lanes"), "{error}");
    let fewer = DragonConfig {
        n_levels: 2,
        ..config()
    };
    let state = DragonState::new(&fewer, 1, &Device::flex());
    assert!(dragon.forward_with_state(batch(&tokens(1, 1)), state).is_err());
}
