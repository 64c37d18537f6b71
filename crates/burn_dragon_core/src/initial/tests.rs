//! Initial weights: sizes, orthonormality, gains, communities; and that the default is what it always was.

use super::*;
use crate::config::DragonConfig;
use crate::dragon::Dragon;
use crate::parameters::snapshot;
use burn::tensor::Device;

const SEED: u64 = 3;

fn config(init: InitConfig) -> TrunkConfig {
    DragonConfig {
        d_model: 96,
        n_heads: 2,
        n_neurons: 512,
        n_levels: 4,
        init,
        ..DragonConfig::tiny()
    }
    .trunk()
}

/// A tensor of the trunk as `[H][D][N]`.
fn matrix(config: &TrunkConfig, name: &str) -> Vec<Vec<Vec<f64>>> {
    let (heads, width, neurons) = (config.n_heads, config.d_model, config.neurons_per_head());
    let shape: &[usize] = match name {
        "encoder" => &[heads * neurons, width],
        _ => &[heads, width, neurons],
    };
    let values = values(config, name, shape);
    let entry = |head: usize, d: usize, neuron: usize| match name {
        "encoder" => values[(head * neurons + neuron) * width + d],
        _ => values[(head * width + d) * neurons + neuron],
    };
    (0..heads)
        .map(|head| {
            (0..width)
                .map(|d| (0..neurons).map(|neuron| entry(head, d, neuron)).collect())
                .collect()
        })
        .collect()
}

fn values(config: &TrunkConfig, name: &str, shape: &[usize]) -> Vec<f64> {
    initial(config, SEED)(name, shape).iter::<f64>().collect()
}

fn size(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), value| {
        (sum + value * value, count + 1.0)
    });
    (sum / count).sqrt()
}

fn size_of(config: &TrunkConfig, name: &str) -> f64 {
    size(matrix(config, name).into_iter().flatten().flatten())
}

const MATRICES: [&str; 3] = ["decoder_x", "decoder_y", "encoder"];

#[test]
fn sizes_are_those_of_the_kinds() {
    let (d, n, v) = (96.0f64, 512.0f64, 40.0f64);
    for (kind, decoder, encoder, embed, lm_head) in [
        (InitKind::Normal, 0.02, 0.02, 0.02, 0.02),
        (InitKind::SemiOrthogonal, 0.02, 0.02, 0.02, 0.02),
        (
            InitKind::HeGlorot,
            (2.0 / d).sqrt(),
            (2.0 / (d + n)).sqrt(),
            0.02,
            (2.0 / (d + v)).sqrt(),
        ),
    ] {
        for (residual, factor) in [(Residual::None, 1.0), (Residual::DepthScaled, 0.5)] {
            let config = config(InitConfig {
                kind,
                residual,
                ..InitConfig::default()
            });
            for (name, size) in MATRICES.into_iter().zip([decoder, decoder, encoder]) {
                let found = size_of(&config, name);
                assert!(
                    (found / (size * factor) - 1.0).abs() < 0.02,
                    "{kind:?} {name}: {found}"
                );
            }
            for (name, shape, size_of) in [("embed", [40, 96], embed), ("lm_head", [96, 40], lm_head)] {
                let found = size(values(&config, name, &shape));
                assert!((found / size_of - 1.0).abs() < 0.05, "{kind:?} {name}: {found}");
            }
        }
    }
}

/// With a wide `init_std`, which caps it, `near_critical` has the sizes of the shapes.
#[test]
fn near_critical_sizes_are_those_of_the_shapes_and_at_most_init_std() {
    let init = InitConfig {
        kind: InitKind::NearCritical,
        ..InitConfig::default()
    };
    let wide = TrunkConfig {
        init_std: 1.0,
        ..config(init)
    };
    for (name, expected) in [("decoder_x", 608.0f64), ("encoder", 608.0)] {
        let found = size_of(&wide, name) * expected.sqrt();
        assert!((found - 1.0).abs() < 0.02, "{name}: {found}");
    }
    for (name, shape, expected) in [("embed", [40, 96], 96.0f64), ("lm_head", [96, 40], 136.0)] {
        let found = size(values(&wide, name, &shape)) * expected.sqrt();
        assert!((found - 1.0).abs() < 0.05, "{name}: {found}");
    }
    let capped = config(init);
    assert!((size_of(&capped, "decoder_x") / 0.02 - 1.0).abs() < 0.02);
}

/// D below N and above it.
#[test]
fn blocks_of_heads_are_orthonormal_times_their_scale() {
    for neurons in [512, 64] {
        let config = TrunkConfig {
            n_neurons: neurons,
            ..config(InitConfig {
                kind: InitKind::SemiOrthogonal,
                ..InitConfig::default()
            })
        };
        let longest = config.d_model.max(config.neurons_per_head()) as f64;
        let square = (0.02 * longest.sqrt()).powi(2);
        for name in MATRICES {
            for block in matrix(&config, name) {
                let columns = block[0].len();
                let vectors: Vec<Vec<f64>> = match config.d_model <= columns {
                    true => block,
                    false => (0..columns)
                        .map(|column| block.iter().map(|row| row[column]).collect())
                        .collect(),
                };
                for (i, a) in vectors.iter().enumerate() {
                    for (j, b) in vectors.iter().enumerate() {
                        let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
                        let expected = f64::from(u8::from(i == j));
                        let error = (product / square - expected).abs();
                        assert!(error < 1e-6, "{name} {i} {j}: {error:e}"); // values are f32
                    }
                }
            }
        }
        let [a, b] = ["decoder_x", "decoder_y"].map(|name| matrix(&config, name));
        assert_ne!(a, b);
    }
}

#[test]
fn gains_have_the_size_one_and_a_cap_and_differ_from_matrix_to_matrix() {
    let gains = LogNormal::default();
    let drawn = gains.drawn(5, 20_000);
    assert!((size(drawn.clone()) - 1.0).abs() < 1e-12);
    let logarithms: Vec<f64> = drawn.iter().map(|gain| gain.ln()).collect();
    let largest = logarithms.iter().copied().fold(f64::MIN, f64::max);
    let mut sorted = logarithms.clone();
    sorted.sort_by(f64::total_cmp);
    // The median is exp(0) before the division; the largest is the cap, which 3 % of the gains exceed.
    let median = sorted[sorted.len() / 2];
    assert!(
        (largest - median - 4.0f64.ln()).abs() < 0.02,
        "{largest} {median}"
    );
    let capped = logarithms.iter().filter(|&&gain| gain == largest).count() as f64 / 20_000.0;
    assert!((capped - 0.0323).abs() < 0.005, "{capped}"); // 1 - Phi(ln 4 / 0.75)
    // A tenth from below: -1.2816 sigma.
    let tenth = sorted[sorted.len() / 10] - median;
    assert!((tenth + 0.961).abs() < 0.04, "{tenth}");

    let plain = config(InitConfig::default());
    let scaled = config(InitConfig {
        gains: Some(Gains::LogNormal(gains)),
        ..InitConfig::default()
    });
    let of = |name: &str| -> Vec<f64> {
        let (plain, scaled) = (matrix(&plain, name), matrix(&scaled, name));
        let gains = (0..2).flat_map(|head| (0..256).map(move |neuron| (head, neuron)));
        gains
            .map(|(head, neuron)| {
                let gain = scaled[head][0][neuron] / plain[head][0][neuron];
                for d in 0..96 {
                    let other = scaled[head][d][neuron] / plain[head][d][neuron];
                    assert!((other / gain - 1.0).abs() < 1e-6, "{name}: a gain is of a neuron");
                }
                gain
            })
            .collect()
    };
    let all = MATRICES.map(of);
    for gains in &all {
        assert!((size(gains.clone()) - 1.0).abs() < 1e-6);
    }
    for [a, b] in [[0, 1], [1, 2], [2, 0]] {
        let apart = all[a].iter().zip(&all[b]).map(|(a, b)| a - b);
        assert!(size(apart) > 0.5, "{a} {b}");
    }
}

#[test]
fn communities_have_their_factors_and_bridges_their_share() {
    let modular = Modular {
        communities: 5, // divides neither 96 nor 256
        bridge_fraction: 0.1,
        within: 1.5,
        between: 0.5,
        bridge: 0.75,
    };
    let plain = config(InitConfig::default());
    let formed = config(InitConfig {
        topology: Some(Topology::Modular(modular)),
        ..InitConfig::default()
    });
    let mut bridges_of = Vec::new();
    for name in MATRICES {
        let (plain, found) = (matrix(&plain, name), matrix(&formed, name));
        let mut bridges = Vec::new();
        for head in 0..2 {
            for neuron in 0..256 {
                let factors: Vec<f64> = (0..96)
                    .map(|d| found[head][d][neuron] / plain[head][d][neuron])
                    .collect();
                let is_bridge = factors.iter().all(|factor| (factor - 0.75).abs() < 1e-6);
                bridges.push(is_bridge);
                for (d, factor) in factors.into_iter().enumerate() {
                    let expected = match d * 5 / 96 == neuron * 5 / 256 {
                        _ if is_bridge => 0.75,
                        true => 1.5,
                        false => 0.5,
                    };
                    assert!(
                        (factor - expected).abs() < 1e-6,
                        "{name} {head} {d} {neuron}: {factor}"
                    );
                }
            }
        }
        for head in bridges.chunks(256) {
            assert_eq!(head.iter().filter(|&&bridge| bridge).count(), 26); // 0.1 of 256
        }
        bridges_of.push(bridges);
    }
    assert!(bridges_of[0] == bridges_of[1] && bridges_of[1] == bridges_of[2]);
    assert_ne!(bridges_of[0][..256], bridges_of[0][256..]);
    // The size that thresholds are made of.
    let expected = Matrix::decoder(&formed).size(&formed);
    let found = size_of(&formed, "decoder_x");
    assert!((found / expected - 1.0).abs() < 0.02, "{found} {expected}");
}

/// Streams of the mean square 1 make this share of the neurons active.
#[test]
fn thresholds_leave_the_shares_of_the_configuration() {
    let modular = Topology::Modular(Modular::default());
    for (kind, topology) in [
        (InitKind::Normal, None),
        (InitKind::HeGlorot, Some(modular)),
        (InitKind::SemiOrthogonal, None),
    ] {
        let shares = FiringShares { x: 0.15, y: 0.6 };
        let config = config(InitConfig {
            kind,
            topology,
            residual: Residual::DepthScaled,
            firing: Some(Firing::Gaussian(shares)),
            ..InitConfig::default()
        });
        let thresholds = config.thresholds().expect("they are set");
        assert!(thresholds.x > 0.0 && thresholds.y < 0.0);
        for (name, threshold, share) in [
            ("decoder_x", thresholds.x, shares.x),
            ("decoder_y", thresholds.y, shares.y),
        ] {
            let matrix = matrix(&config, name);
            let mut rng = Rng::new(11);
            let (mut above, mut all) = (0, 0);
            for _ in 0..40 {
                let row: Vec<f64> = (0..96).map(|_| rng.normal()).collect();
                let size = size(row.clone());
                for head in &matrix {
                    let drive =
                        |neuron: usize| -> f64 { (0..96).map(|d| row[d] / size * head[d][neuron]).sum() };
                    above += (0..256).filter(|&neuron| drive(neuron) > threshold).count();
                    all += 256;
                }
            }
            let found = above as f64 / f64::from(all);
            assert!((found - share).abs() < 0.015, "{kind:?} {name}: {found}");
        }
    }
}

/// What `[model.init]` adds must leave models alone that lack it: the draws are those of the seed, one after another.
#[test]
fn the_default_is_the_normal_draw_of_the_name() {
    let config = config(InitConfig::default());
    for (name, shape) in [
        ("embed", vec![40, 96]),
        ("decoder_x", vec![2, 96, 256]),
        ("encoder", vec![512, 96]),
        ("head.weight", vec![7]),
    ] {
        let mut rng = Rng::new(derive(SEED, name, 0, 0));
        let count = shape.iter().product();
        let expected: Vec<f32> = (0..count).map(|_| (rng.normal() * 0.02) as f32).collect();
        let found = initial(&config, SEED)(name, &shape);
        assert_eq!(found.try_to_vec::<f32>().unwrap(), expected, "{name}");
    }
}

/// What is drawn is a function of seed and name, whatever the other tensors are.
#[test]
fn kinds_of_weights_make_models_that_run() {
    for kind in [
        InitKind::NearCritical,
        InitKind::HeGlorot,
        InitKind::SemiOrthogonal,
    ] {
        let topology = (kind != InitKind::SemiOrthogonal).then(|| Topology::Modular(Modular::default()));
        let config = DragonConfig {
            init: InitConfig {
                kind,
                topology,
                ..InitConfig::default()
            },
            ..DragonConfig::tiny()
        };
        let [a, b] = [(); 2].map(|()| snapshot(&Dragon::new(&config, 9, &Device::flex()).unwrap()));
        assert_eq!(a, b);
        let other = snapshot(&Dragon::new(&config, 10, &Device::flex()).unwrap());
        for (name, value) in a {
            assert_ne!(value, other[&name], "{name}");
        }
    }
}
