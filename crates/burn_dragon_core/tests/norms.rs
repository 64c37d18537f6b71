//! Every norm, and thresholds of neurons: one function in all forms, gradients, memories, decoding.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use burn_dragon_core::api::expert::{Rng, derive, load, snapshot};
use burn_dragon_core::api::{
    Connector, DensityProbe, DragonConfig, Firing, FiringShares, HyperCoefficients, HyperConfig, InitConfig,
    NormConfig, NormKind, Pass, Read, Trunk, TrunkConfig,
};
use subject::{TOKENS, decodes_as_a_window, in_parts, of, pass, same, slopes, stream, values};

const KINDS: [NormKind; 4] = [
    NormKind::Layer,
    NormKind::Rms,
    NormKind::DynamicTanh,
    NormKind::Derf,
];

/// All norms but the plain one, and all with thresholds.
fn wirings() -> Vec<(NormConfig, Option<Firing>)> {
    let norms = KINDS
        .into_iter()
        .flat_map(|kind| [false, true].map(|affine| NormConfig { kind, affine }));
    let firing = Firing::Explicit { x: 0.1, y: 0.05 };
    norms
        .flat_map(|norm| [(norm, None), (norm, Some(firing))])
        .filter(|&(norm, firing)| !norm.is_plain() || firing.is_some())
        .collect()
}

fn config((norm, firing): (NormConfig, Option<Firing>)) -> DragonConfig {
    DragonConfig {
        norm,
        init: InitConfig {
            firing,
            ..InitConfig::default()
        },
        ..subject::config()
    }
}

/// A trunk whose norm is far from where it starts, so that all it learns matters.
fn trunk(config: &TrunkConfig) -> Trunk {
    let trunk = subject::trunk(config);
    let initial = snapshot(&trunk);
    load(trunk, |name, shape| {
        let moved = |by: f64| {
            let mut rng = Rng::new(derive(5, name, 0, 0));
            let numbers = initial[name].iter::<f64>();
            let numbers: Vec<f64> = numbers.map(|value| value + by * rng.normal()).collect();
            TensorData::new(numbers, shape.to_vec())
        };
        name.starts_with("norm.").then(|| moved(0.3))
    })
}

#[test]
fn any_split_of_a_stream_is_the_same_function() {
    for wiring in wirings() {
        let config = config(wiring).trunk();
        let trunk = trunk(&config);
        let v = stream(&config, 2, 3);
        for resets in [vec![], vec![4, 11]] {
            let whole = of(trunk.forward(v.clone(), pass(&resets, 0, TOKENS, 2)));
            for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
                same(&whole, &of(in_parts(&trunk, &v, &sizes, &resets).0), 1e-10);
            }
        }
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    for wiring in wirings() {
        let config = TrunkConfig {
            n_levels: 2,
            n_neurons: 24,
            d_model: 8,
            ..config(wiring).trunk()
        };
        let gradients = slopes(&format!("{wiring:?}"), &trunk(&config), 5);
        let learnt: Vec<&str> = gradients
            .keys()
            .filter_map(|name| name.strip_prefix("norm."))
            .collect();
        let affine: &[&str] = if wiring.0.affine { &["bias", "gain"] } else { &[] };
        let own: &[&str] = match wiring.0.kind {
            NormKind::Layer | NormKind::Rms => &[],
            NormKind::DynamicTanh => &["alpha"],
            NormKind::Derf => &["alpha", "shift"],
        };
        let mut expected = [affine, own].concat();
        expected.sort_unstable();
        assert_eq!(learnt, expected, "{wiring:?}");
        assert!(gradients.contains_key("decoder_x") && gradients.contains_key("decoder_y"));
    }
}

/// In f32, by the kernel's halves, values and gradients are those of f64, by the definitions.
#[test]
fn in_f32_it_is_the_same_function() {
    for wiring in wirings() {
        let config = config(wiring).trunk();
        let trunk = trunk(&config);
        let numbers = snapshot(&trunk);
        let of_type = |dtype: DType| {
            let device = Device::flex().autodiff();
            let trunk = load(Trunk::new(&config, 9, &device).unwrap(), |name, _| {
                Some(numbers[name].clone().convert_dtype(dtype))
            });
            let v = stream(&config, 2, 3).cast(dtype).autodiff();
            let weights = stream(&config, 2, 8).cast(dtype).autodiff();
            let output = trunk.forward(v, Pass::default());
            let found = (output.clone() * weights).sum().backward();
            let gradient = trunk.decoder_x.val().grad(&found).unwrap();
            (of(output.inner()), values(gradient.into_data()))
        };
        let ((fast, of_fast), (exact, of_exact)) = (of_type(DType::F32), of_type(DType::F64));
        same(&fast, &exact, 1e-4);
        let largest = of_exact
            .iter()
            .fold(0.0f64, |largest, slope| largest.max(slope.abs()));
        same(&of_fast, &of_exact, 1e-3 * largest.max(1.0));
    }
}

#[test]
fn a_decoder_gives_what_a_window_gives_and_goes_on_from_its_state() {
    for wiring in wirings() {
        let config = config(wiring);
        decodes_as_a_window(&config);
    }
}

/// The whole trunk of one level, from the equations, with the tensor library's own functions alone.
#[test]
fn a_level_is_that_of_the_equations() {
    for wiring in wirings() {
        let config = TrunkConfig {
            n_levels: 1,
            ..config(wiring).trunk()
        };
        let trunk = trunk(&config);
        let v = stream(&config, 1, 3);
        let norm = |z: Tensor<4>| {
            let numbers = trunk.norm.as_ref();
            let of =
                |param: Option<&burn::module::Param<Tensor<1>>>| param.map(|param| param.val().unsqueeze());
            let [alpha, shift, gain, bias]: [Option<Tensor<4>>; 4] = [
                of(numbers.and_then(|norm| norm.alpha.as_ref())),
                of(numbers.and_then(|norm| norm.shift.as_ref())),
                of(numbers.and_then(|norm| norm.gain.as_ref())),
                of(numbers.and_then(|norm| norm.bias.as_ref())),
            ];
            let (mean, squares) = (z.clone().mean_dim(3), z.clone().square().mean_dim(3));
            let n = match wiring.0.kind {
                NormKind::Layer => (z - mean.clone()) / (squares - mean.square() + 1e-5).sqrt(),
                NormKind::Rms => z / (squares + 1e-5).sqrt(),
                NormKind::DynamicTanh => (z * alpha.unwrap()).tanh(),
                NormKind::Derf => (z * alpha.unwrap() + shift.unwrap()).erf(),
            };
            match gain {
                Some(gain) => n * gain + bias.unwrap(),
                None => n,
            }
        };
        let thresholds = config.thresholds();
        let [of_x, of_y] = [thresholds.map_or(0.0, |t| t.x), thresholds.map_or(0.0, |t| t.y)];
        let x = activation::relu(v.clone().matmul(trunk.decoder_x.val().unsqueeze()) - of_x);
        let rotation = config
            .frequencies()
            .rotation(&[0], TOKENS, DType::F64, &Device::flex());
        let q = rotation.rotate(x.clone());
        let scores = q.clone().matmul(q.transpose()).tril(-1);
        let a = norm(scores.matmul(v.clone()));
        let y = activation::relu(a.matmul(trunk.decoder_y.val().unsqueeze()) - of_y) * x;
        let rows = y.swap_dims(1, 2).reshape([1, 1, TOKENS, 64]);
        let u = rows.matmul(trunk.encoder.val().unsqueeze());
        let expected = norm(v.clone() + norm(u));
        same(&of(trunk.forward(v, Pass::default())), &of(expected), 1e-10);
    }
}

/// Connectors norm with the trunk's norm: where that is far from a layer norm, outputs differ.
#[test]
fn connectors_and_other_reads_have_the_norm_of_the_trunk() {
    let hyper = |coefficients| {
        Connector::Mhc(HyperConfig {
            streams: 2,
            coefficients,
        })
    };
    for connector in [
        Connector::AttentionResidual {},
        hyper(HyperCoefficients::Paper),
        hyper(HyperCoefficients::Static),
        Connector::AttentionResidualUpstream {
            n_heads: 2,
            recency_bias: 2.0,
        },
    ] {
        let outputs: Vec<Vec<f64>> = [NormKind::Layer, NormKind::Derf]
            .into_iter()
            .map(|kind| {
                let norm = NormConfig { kind, affine: true };
                let config = TrunkConfig {
                    connector: connector.clone(),
                    ..config((norm, None)).trunk()
                };
                let trunk = trunk(&config);
                let v = stream(&config, 1, 3);
                let output = of(trunk.forward(v.clone(), Pass::default()));
                // An output is `gain n + bias`, and |n| is below 1 with erf.
                if kind == NormKind::Derf {
                    let norm = trunk.norm.as_ref().unwrap();
                    let of = |param: &Option<burn::module::Param<Tensor<1>>>| {
                        values(param.as_ref().unwrap().val().into_data())
                    };
                    let (gain, bias) = (of(&norm.gain), of(&norm.bias));
                    for (index, value) in output.iter().enumerate() {
                        let n = (value - bias[index % 16]) / gain[index % 16];
                        assert!(n.abs() <= 1.0 + 1e-12, "{connector:?}: {n}");
                    }
                }
                output
            })
            .collect();
        assert!(subject::apart(&outputs[0], &outputs[1]) > 0.1, "{connector:?}");
    }
    // A full read by halves: every token reads every token, so that their order does not matter.
    for firing in [None, Some(Firing::Explicit { x: 0.1, y: 0.0 })] {
        let norm = NormConfig {
            kind: NormKind::Rms,
            affine: false,
        };
        let config = TrunkConfig {
            read: Read::Full,
            positions: burn_dragon_core::api::Positions::None,
            ..config((norm, firing)).trunk()
        };
        let trunk = trunk(&config);
        let v = stream(&config, 1, 3);
        let flipped = trunk.forward(v.clone().flip([2]), Pass::default()).flip([2]);
        same(&of(flipped), &of(trunk.forward(v, Pass::default())), 1e-10);
    }
}

#[test]
fn thresholds_of_zero_change_nothing_and_a_probe_counts_what_they_leave() {
    let of_firing = |firing| config((NormConfig::default(), firing)).trunk();
    let zero = of_firing(Some(Firing::Explicit { x: 0.0, y: 0.0 }));
    let v = stream(&zero, 1, 3);
    let plain = trunk(&of_firing(None)).forward(v.clone(), Pass::default());
    same(
        &of(trunk(&zero).forward(v.clone(), Pass::default())),
        &of(plain),
        1e-12,
    );

    let shares = FiringShares { x: 0.15, y: 0.3 };
    let config = TrunkConfig {
        d_model: 64,
        n_neurons: 512,
        n_levels: 1,
        ..of_firing(Some(Firing::Gaussian(shares)))
    };
    let trunk = trunk(&config);
    let v = stream(&config, 4, 3);
    let mut density = DensityProbe::default();
    let counted = Pass {
        density: Some(&mut density),
        ..Pass::default()
    };
    let output = trunk.forward(v.clone(), counted);
    same(&of(output), &of(trunk.forward(v, Pass::default())), 0.0);
    let found = density.density();
    assert!((found.x[0] - 0.15).abs() < 0.02, "{found:?}");
    assert!((found.y[0] - 0.15 * 0.3).abs() < 0.02, "{found:?}");
}

#[test]
fn a_model_without_them_has_the_json_that_it_had_and_wrong_keys_are_named() {
    let usual = serde_json::to_string(&subject::config()).unwrap();
    assert!(!usual.contains("norm\"") && !usual.contains("init\""), "{usual}");
    let text = usual.replace(
        '}',
        r#","norm":{"type":"derf","affine":true},"init":{"type":"near_critical","residual":"depth_scaled","gains":{"type":"log_normal","sigma":0.75,"most":4.0},"topology":{"type":"modular","communities":4,"bridge_fraction":0.05,"within":1.5,"between":0.5,"bridge":1.0},"firing":{"type":"explicit","x":0.1,"y":0.2}}}"#,
    );
    let config: DragonConfig = serde_json::from_str(&text).unwrap();
    config.validate().unwrap();
    assert_eq!(serde_json::to_string(&config).unwrap(), text);

    let refused = |part: &str| {
        let text = usual.replace('}', &format!(",{part}}}"));
        let config: Result<DragonConfig, _> = serde_json::from_str(&text);
        match config {
            Err(error) => error.to_string(),
            Ok(config) => config.validate().unwrap_err().to_string(),
        }
    };
    for (part, says) in [
        (r#""norm":{"type":"batch"}"#, "`dynamic_tanh`"),
        (r#""norm":{"type":"rms","gain":1}"#, "gain"),
        (r#""init":{"type":"uniform"}"#, "`semi_orthogonal`"),
        (
            r#""init":{"gains":{"type":"log_normal","sigma":4.0}}"#,
            "model.init.gains.sigma = 4",
        ),
        (
            r#""init":{"gains":{"type":"log_normal","most":0.5}}"#,
            "model.init.gains.most = 0.5",
        ),
        (
            r#""init":{"topology":{"type":"modular","communities":17}}"#,
            "model.init.topology.communities = 17",
        ),
        (
            r#""init":{"topology":{"type":"modular","bridge_fraction":1.5}}"#,
            "model.init.topology.bridge_fraction = 1.5",
        ),
        (
            r#""init":{"topology":{"type":"modular","within":-1.0}}"#,
            "model.init.topology.within = -1",
        ),
        (
            r#""init":{"firing":{"type":"gaussian","x":0.0}}"#,
            "model.init.firing.x = 0",
        ),
        (
            r#""init":{"firing":{"type":"explicit","x":0.0,"y":1001.0}}"#,
            "model.init.firing.y = 1001",
        ),
        (
            r#""init":{"type":"semi_orthogonal","topology":{"type":"modular"}}"#,
            "model.init.topology",
        ),
        (
            r#""init":{"type":"semi_orthogonal","gains":{"type":"log_normal"}}"#,
            "model.init.gains",
        ),
        (
            r#""norm":{"type":"derf"},"init":{"firing":{"type":"gaussian"}}"#,
            "model.norm.type = \"derf\"",
        ),
    ] {
        let error = refused(part);
        assert!(error.contains(says), "{part}: {error}");
    }
}
