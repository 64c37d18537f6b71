//! Low-bit trunks: one function in all forms, gradients, decoding, and what a table may say.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use burn_dragon_core::api::expert::{load, norm, snapshot};
use burn_dragon_core::api::low_bit::{ActGrouping, InferenceMode, Protocol, Target, WeightGrouping};
use burn_dragon_core::api::{
    Connector, Decoder, DensityProbe, Dragon, DragonConfig, Firing, InitConfig, Mixer, NormConfig, NormKind,
    Pass, PopeConfig, Positions, QuantConfig, Trunk, TrunkConfig,
};
use subject::{TOKENS, apart, decodes_as_a_window, in_parts, of, pass, same, slopes, stream, values};

/// A table with all targets, after a change.
fn table(protocol: Protocol, change: impl FnOnce(&mut QuantConfig)) -> QuantConfig {
    let mut quant = QuantConfig {
        protocol,
        target_modules: Target::ALL.to_vec(),
        ..QuantConfig::default()
    };
    change(&mut quant);
    quant
}

const PROTOCOLS: [Protocol; 4] = [
    Protocol::BitnetB1,
    Protocol::BitnetB158,
    Protocol::BitnetA48Exp,
    Protocol::BitnetV2Exp,
];

/// Every protocol, groupings, and subsets of the targets.
///
/// a4.8 is without the encoder: codes of 4 bits are so small that a y of exactly half the largest is common, which is in the
/// middle of two of 255 levels. There the last bit of a sum decides, and forms that sum in another order differ by a level.
fn tables() -> Vec<QuantConfig> {
    let exact = PROTOCOLS
        .into_iter()
        .filter(|protocol| *protocol != Protocol::BitnetA48Exp);
    let mut tables: Vec<QuantConfig> = exact.map(|protocol| table(protocol, |_| ())).collect();
    let groupings = [
        (ActGrouping::PerGroup, WeightGrouping::PerGroup),
        (ActGrouping::PerHeadGroup, WeightGrouping::PerHeadGroup),
    ];
    tables.extend(groupings.map(|(act_grouping, weight_grouping)| QuantConfig {
        act_grouping,
        weight_grouping,
        ..table(Protocol::BitnetB158, |_| ())
    }));
    let decoders = |quant: &mut QuantConfig| quant.target_modules = Target::ALL[..2].to_vec();
    tables.push(table(Protocol::BitnetA48Exp, decoders));
    tables.push(table(Protocol::BitnetV2Exp, decoders));
    tables.push(table(Protocol::BitnetB158, |quant| {
        quant.act_format = Some(burn_dragon_core::api::low_bit::ActFormat::Fp16);
    }));
    tables
}

fn config(quant: QuantConfig) -> DragonConfig {
    DragonConfig {
        quant: Some(quant),
        ..subject::config()
    }
}

/// Rows of `width`, each after a change.
fn by_rows(tensor: &Tensor<4>, width: usize, change: impl Fn(&mut [f64])) -> Tensor<4> {
    let (shape, mut numbers) = (tensor.dims(), of(tensor.clone()));
    numbers.chunks_mut(width).for_each(change);
    Tensor::from_data(TensorData::new(numbers, shape), (&Device::flex(), DType::F64))
}

fn int8(row: &mut [f64]) {
    let most = row.iter().fold(1e-5f64, |most, x| most.max(x.abs()));
    for x in row {
        *x = (*x * 127.0 / most).round_ties_even().clamp(-128.0, 127.0) * most / 127.0;
    }
}

fn int4(row: &mut [f64]) {
    let mean = row.iter().map(|x| x.abs()).sum::<f64>() / row.len() as f64;
    for x in row {
        *x = (7f64.sqrt() * *x / mean).round_ties_even().clamp(-8.0, 7.0) * mean / 7f64.sqrt();
    }
}

fn turned(row: &mut [f64]) {
    let width = row.len();
    for half in (0..width.ilog2()).map(|bit| 1 << bit) {
        for first in (0..width).filter(|index| index & half == 0) {
            let (a, b) = (row[first], row[first + half]);
            (row[first], row[first + half]) = (a + b, a - b);
        }
    }
    row.iter_mut().for_each(|x| *x /= (width as f64).sqrt());
}

/// A matrix after quantisation with one scale.
fn weight(protocol: Protocol, w: &Tensor<4>) -> Tensor<4> {
    let numbers = of(w.clone());
    let count = numbers.len() as f64;
    let (mean, size) = (
        numbers.iter().sum::<f64>() / count,
        numbers.iter().map(|x| x.abs()).sum::<f64>() / count,
    );
    let signs = protocol == Protocol::BitnetB1;
    by_rows(w, numbers.len(), |row| {
        for x in row {
            *x = size
                * match signs {
                    true if *x > mean => 1.0,
                    true => -1.0,
                    false => (*x / size).round_ties_even().clamp(-1.0, 1.0),
                };
        }
    })
}

/// A trunk of one level from the equations, with loops over the numbers.
#[test]
fn a_level_is_that_of_the_equations() {
    for protocol in PROTOCOLS {
        let quant = table(protocol, |_| ());
        let config = TrunkConfig {
            n_levels: 1,
            ..config(quant).trunk()
        };
        let trunk = subject::trunk(&config);
        let v = stream(&config, 1, 3);
        let acts = |x: &Tensor<4>| match protocol {
            Protocol::BitnetA48Exp => by_rows(x, 16, int4),
            Protocol::BitnetV2Exp => by_rows(&by_rows(x, 16, turned), 16, int8),
            _ => by_rows(x, 16, int8),
        };
        let [decoder_x, decoder_y] =
            [&trunk.decoder_x, &trunk.decoder_y].map(|decoder| weight(protocol, &decoder.val().unsqueeze()));
        let encoder = weight(protocol, &trunk.encoder.val().unsqueeze());
        let x = activation::relu(acts(&v).matmul(decoder_x));
        let rotation = config
            .frequencies()
            .rotation(&[0], TOKENS, DType::F64, &Device::flex());
        let q = rotation.rotate(x.clone());
        let scores = q.clone().matmul(q.transpose()).tril(-1);
        let a = norm(scores.matmul(v.clone()), config.norm_eps);
        let y = activation::relu(acts(&a).matmul(decoder_y)) * x;
        let rows = y.swap_dims(1, 2).reshape([1, 1, TOKENS, 64]);
        let levels = if protocol == Protocol::BitnetA48Exp {
            255.0
        } else {
            127.0
        };
        let rows = by_rows(&rows, 64, |row| {
            let most = row.iter().fold(1e-5f64, |most, y| most.max(*y));
            row.iter_mut()
                .for_each(|y| *y = (*y * levels / most).round_ties_even() * most / levels);
        });
        let u = norm(rows.matmul(encoder), config.norm_eps);
        let expected = norm(v.clone() + u, config.norm_eps);
        same(&of(trunk.forward(v, Pass::default())), &of(expected), 1e-10);
    }
}

#[test]
fn any_split_of_a_stream_is_the_same_function() {
    for quant in tables() {
        let config = config(quant).trunk();
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        for resets in [vec![], vec![4, 11]] {
            let whole = of(trunk.forward(v.clone(), pass(&resets, 0, TOKENS, 2)));
            for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
                same(&whole, &of(in_parts(&trunk, &v, &sizes, &resets).0), 1e-10);
            }
        }
    }
}

/// Straight through, the gradient at W is that of a trunk whose weights are what W stands for.
#[test]
fn gradients_of_quantised_weights_are_those_at_what_they_stand_for() {
    for protocol in [Protocol::BitnetB1, Protocol::BitnetB158] {
        let quant = table(protocol, |quant| {
            quant.act_format = Some(burn_dragon_core::api::low_bit::ActFormat::Fp16);
        });
        let config = TrunkConfig {
            n_neurons: 24,
            d_model: 8,
            ..config(quant).trunk()
        };
        let plain = TrunkConfig {
            quant: None,
            ..config.clone()
        };
        let trunk = subject::trunk(&config);
        let mut stands_for = snapshot(&trunk);
        let weights = trunk.weights();
        for (name, data) in [
            ("decoder_x", weights.decoder_x().to_data()),
            ("decoder_y", weights.decoder_y().to_data()),
            ("encoder", weights.encoder().to_data()),
        ] {
            stands_for.insert(name.into(), data);
        }
        let rounded = load(subject::trunk(&plain), |name, _| stands_for.remove(name));
        let expected = slopes("plain", &rounded, 5); // finite differences of a plain trunk
        let numbers = snapshot(&trunk);
        let tracked = load(
            Trunk::new(&config, 9, &Device::flex().autodiff()).unwrap(),
            |name, _| Some(numbers[name].clone()),
        );
        let v = stream(&config, 1, 4).narrow(2, 0, 5).autodiff();
        let of_outputs = stream(&config, 1, 8).narrow(2, 0, 5).autodiff();
        let loss = (tracked.forward(v, Pass::default()) * of_outputs).sum();
        let gradients = loss.backward();
        let found = [
            ("decoder_x", tracked.decoder_x.val().grad(&gradients).unwrap()),
            ("decoder_y", tracked.decoder_y.val().grad(&gradients).unwrap()),
        ];
        for (name, gradient) in found {
            same(&values(gradient.into_data()), &expected[name], 1e-10);
        }
        let gradient = tracked.encoder.val().grad(&gradients).unwrap();
        same(&values(gradient.into_data()), &expected["encoder"], 1e-10);
    }
}

/// With what rounding adds to v, a and y frozen, the function has slopes, and these are the gradients.
#[test]
fn gradients_through_quantised_activities_are_slopes_with_the_rounding_frozen() {
    let quant = table(Protocol::BitnetB158, |quant| {
        quant.weight_format = Some(burn_dragon_core::api::low_bit::WeightFormat::Fp16);
    });
    let config = TrunkConfig {
        n_levels: 1,
        n_neurons: 24,
        d_model: 8,
        ..config(quant).trunk()
    };
    let trunk = subject::trunk(&config);
    let (v, of_outputs) = (stream(&config, 1, 4), stream(&config, 1, 8));
    let rotation = config
        .frequencies()
        .rotation(&[0], TOKENS, DType::F64, &Device::flex());
    // The loss, with what rounding adds; the first pass finds it.
    let loss = |decoders: [&Tensor<4>; 2], encoder: &Tensor<4>, added: &mut Vec<Tensor<4>>| {
        let is_first = added.is_empty();
        let mut rounded = |index: usize, x: Tensor<4>, change: &dyn Fn(&Tensor<4>) -> Tensor<4>| {
            if is_first {
                added.push(change(&x) - x.clone());
            }
            x + added[index].clone()
        };
        let of_width = |x: &Tensor<4>| by_rows(x, 8, int8);
        let x = activation::relu(rounded(0, v.clone(), &of_width).matmul(decoders[0].clone()));
        let q = rotation.rotate(x.clone());
        let read = q.clone().matmul(q.transpose()).tril(-1).matmul(v.clone());
        let a = rounded(1, norm(read, config.norm_eps), &of_width);
        let y = activation::relu(a.matmul(decoders[1].clone())) * x;
        let rows = y.swap_dims(1, 2).reshape([1, 1, TOKENS, 24]);
        let of_neurons = |y: &Tensor<4>| {
            by_rows(y, 24, |row| {
                let most = row.iter().fold(1e-5f64, |most, y| most.max(*y));
                row.iter_mut()
                    .for_each(|y| *y = (*y * 127.0 / most).round_ties_even() * most / 127.0);
            })
        };
        let u = rounded(2, rows, &of_neurons).matmul(encoder.clone());
        let output = norm(v.clone() + norm(u, config.norm_eps), config.norm_eps);
        (output * of_outputs.clone()).sum().into_scalar::<f64>()
    };
    let matrices: [Tensor<4>; 3] = [
        trunk.decoder_x.val().unsqueeze(),
        trunk.decoder_y.val().unsqueeze(),
        trunk.encoder.val().unsqueeze(),
    ];
    let mut added = Vec::new();
    let at = loss([&matrices[0], &matrices[1]], &matrices[2], &mut added);

    let numbers = snapshot(&trunk);
    let tracked = load(
        Trunk::new(&config, 9, &Device::flex().autodiff()).unwrap(),
        |name, _| Some(numbers[name].clone()),
    );
    let output = tracked.forward(v.clone().autodiff(), Pass::default());
    let found = (output * of_outputs.clone().autodiff()).sum();
    assert!((found.clone().into_scalar::<f64>() - at).abs() < 1e-10);
    let gradients = found.backward();
    let gradients = [
        values(tracked.decoder_x.val().grad(&gradients).unwrap().into_data()),
        values(tracked.decoder_y.val().grad(&gradients).unwrap().into_data()),
        values(tracked.encoder.val().grad(&gradients).unwrap().into_data()),
    ];
    for (matrix, gradient) in gradients.iter().enumerate() {
        for index in (0..gradient.len()).step_by(11) {
            let mut moved = |by: f64| {
                let mut changed = matrices.clone();
                let (shape, mut numbers) = (changed[matrix].dims(), of(changed[matrix].clone()));
                numbers[index] += by;
                let data = TensorData::new(numbers, shape);
                changed[matrix] = Tensor::from_data(data, (&Device::flex(), DType::F64));
                loss([&changed[0], &changed[1]], &changed[2], &mut added)
            };
            let slope = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let error = (slope - gradient[index]).abs();
            assert!(
                error < 2e-6 * slope.abs().max(1.0),
                "matrix {matrix}, {index}: {slope} {}",
                gradient[index]
            );
        }
    }
}

/// In f32, by the kernels, values and gradients are those of f64, by the definitions.
///
/// Sums of whole numbers are often exactly 0, where the last bit decides whether a neuron passes a gradient. So with quantised
/// activities the gradient of the encoder alone is compared, which no such bit changes.
#[test]
fn in_f32_it_is_the_same_function() {
    for quant in tables() {
        let config = TrunkConfig {
            n_levels: 1,
            ..config(quant).trunk()
        };
        let has_activities = config.low_bit().unwrap().has_activities();
        let trunk = subject::trunk(&config);
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
            let mut gradients = vec![values(trunk.encoder.val().grad(&found).unwrap().into_data())];
            for decoder in [&trunk.decoder_x, &trunk.decoder_y] {
                gradients.extend(
                    (!has_activities).then(|| values(decoder.val().grad(&found).unwrap().into_data())),
                );
            }
            (of(output.inner()), gradients.concat())
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
    for quant in tables() {
        for inference_mode in [InferenceMode::OfflinePack, InferenceMode::RuntimeFakeQuant] {
            decodes_as_a_window(&config(QuantConfig {
                inference_mode,
                ..quant.clone()
            }));
        }
    }
}

/// Packed rows are for single tokens; with activities that are rounded as it runs, a decoder works on tensors.
#[test]
fn a_decoder_computes_with_packed_rows_unless_it_is_told_not_to() {
    for (inference_mode, packed) in [
        (InferenceMode::OfflinePack, true),
        (InferenceMode::RuntimeFakeQuant, false),
    ] {
        let quant = table(Protocol::BitnetB158, |quant| {
            quant.inference_mode = inference_mode;
        });
        let dragon = Dragon::new(&config(quant), 9, &Device::flex()).unwrap();
        let mut decoder = Decoder::new(&dragon, 1);
        decoder.step(&[1]).unwrap();
        assert_eq!(decoder.density().is_some(), packed);
    }
}

/// Every other part of a trunk goes with low bits: any split is the same function.
#[test]
fn other_parts_go_with_it() {
    let quant = || table(Protocol::BitnetB158, |_| ());
    let plain = || config(quant());
    for config in [
        DragonConfig {
            connector: Connector::AttentionResidual {},
            ..plain()
        },
        DragonConfig {
            norm: NormConfig {
                kind: NormKind::Rms,
                affine: true,
            },
            ..plain()
        },
        DragonConfig {
            init: InitConfig {
                firing: Some(Firing::Explicit { x: 0.1, y: 0.05 }),
                ..InitConfig::default()
            },
            ..plain()
        },
        DragonConfig {
            positions: Positions::Pope(PopeConfig::default()),
            ..plain()
        },
        DragonConfig {
            positions: Positions::None,
            mixer: Mixer::GatedDelta(Default::default()),
            ..plain()
        },
        DragonConfig {
            fanout: Some(burn_dragon_core::api::Fanout::Late {
                base: 32,
                last_levels: 1,
            }),
            ..plain()
        },
    ] {
        let config = config.trunk();
        config.validate().unwrap();
        let trunk = subject::trunk(&config);
        let v = stream(&config, 1, 3);
        let whole = of(trunk.forward(v.clone(), Pass::default()));
        same(&whole, &of(in_parts(&trunk, &v, &[7, 1, 12], &[]).0), 1e-10);
        let plain = TrunkConfig {
            quant: None,
            ..config
        };
        let other = of(subject::trunk(&plain).forward(v, Pass::default()));
        assert!(apart(&whole, &other) > 1e-3);
    }
}

#[test]
fn a_probe_counts_the_neurons_of_a_low_bit_level() {
    let config = config(table(Protocol::BitnetB158, |_| ())).trunk();
    let trunk = subject::trunk(&config);
    let v = stream(&config, 1, 3);
    let mut density = DensityProbe::default();
    let counted = Pass {
        density: Some(&mut density),
        ..Pass::default()
    };
    let output = of(trunk.forward(v.clone(), counted));
    same(&output, &of(trunk.forward(v, Pass::default())), 0.0);
    let found = density.density();
    assert!(found.x.len() == 3 && found.mean_x() > found.mean_y() && found.mean_y() > 0.0);
}

#[test]
fn a_model_without_it_has_the_json_that_it_had_and_tables_without_meaning_are_refused() {
    let usual = serde_json::to_string(&subject::config()).unwrap();
    assert!(!usual.contains("quant"), "{usual}");
    let read = |table: &str| -> Result<DragonConfig, String> {
        let text = usual.replace('}', &format!(r#","quant":{table}}}"#));
        let config: DragonConfig = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    };
    let targets = r#""target_modules":["decoder_x","decoder_y","encoder"]"#;
    for protocol in ["bitnet_b1", "bitnet_b158", "bitnet_a48_exp", "bitnet_v2_exp"] {
        let config = read(&format!(r#"{{"protocol":"{protocol}",{targets}}}"#)).unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(
            serde_json::from_str::<DragonConfig>(&text).unwrap(),
            config,
            "{text}"
        );
    }
    // All names of the public implementation's table.
    let all = format!(
        r#"{{"enable":true,"protocol":"bitnet_b158","training_mode":"train_kernel_exp","inference_mode":"runtime_fake_quant",
        "weight_format":"packed2","act_format":"int8","saved_activations":{{"mode":"quantized_cache_recompute_exp","format":"int4"}},
        {targets},"decoder_x_mode":"int8","encoder_mode":"fp16","act_grouping":"per_head_group","weight_grouping":"per_group",
        "strict_bitnet_reference":false}}"#
    );
    let config = read(&all).unwrap();
    assert_eq!(
        config.trunk().low_bit().unwrap().in_words(),
        "decoder_x int8, decoder_y packed2, v int8, a int8, y in 127 levels; levels run by halves"
    );
    // A table that is switched off means nothing, whatever it says.
    let off = read(r#"{"enable":false}"#).unwrap();
    assert_eq!(off.trunk().low_bit(), None);

    for (table, says) in [
        (format!("{{{targets}}}"), "model.quant.protocol is required"),
        (r#"{"protocol":"bitnet_b158"}"#.into(), "quantises nothing"),
        (
            format!(r#"{{"protocol":"bitnet_b158",{targets},"weight_format":"fp16","act_format":"fp16"}}"#),
            "quantises nothing",
        ),
        (
            r#"{"protocol":"bitnet_b158","strict_bitnet_reference":true}"#.into(),
            "needs model.quant.target_modules",
        ),
        (
            format!(
                r#"{{"protocol":"bitnet_b158",{targets},"strict_bitnet_reference":true,"weight_grouping":"per_group"}}"#
            ),
            "model.quant.weight_grouping departs",
        ),
        (
            r#"{"protocol":"bitnet_b158","target_modules":["encoder"],"strict_bitnet_reference":true}"#
                .into(),
            "model.quant.target_modules departs",
        ),
        (
            format!(r#"{{"protocol":"bitnet_b158",{targets},"act_format":"uint8_pos_exp"}}"#),
            "no negative numbers",
        ),
        (
            format!(
                r#"{{"protocol":"bitnet_b158",{targets},"saved_activations":{{"mode":"quantized_cache_exp"}}}}"#
            ),
            "training_mode = \"train_kernel_exp\"",
        ),
        (
            format!(r#"{{"protocol":"bitnet_b1",{targets},"weight_format":"ternary158"}}"#),
            "weight_format = \"ternary158\" is no format of model.quant.protocol = \"bitnet_b1\"; use \"sign1\"",
        ),
        (
            format!(r#"{{"protocol":"bitnet_a48_exp",{targets},"act_format":"int8"}}"#),
            "act_format = \"int8\" is no format",
        ),
        (
            format!(r#"{{"protocol":"bitnet_v2_exp",{targets},"encoder_mode":"sign1"}}"#),
            "encoder_mode = \"sign1\" is no format",
        ),
        (
            r#"{"protocol":"bitnet_v2_exp","target_modules":["encoder"]}"#.into(),
            "turns v and a",
        ),
        (r#"{"protocol":"bitnet_b2"}"#.into(), "`bitnet_b158`"),
        (r#"{"protocol":"bitnet_b1","bits":1}"#.into(), "bits"),
    ] {
        let error = read(&table).unwrap_err();
        assert!(error.contains(says), "{table}: {error}");
    }
    let uneven = DragonConfig {
        d_model: 24,
        ..config_of(Protocol::BitnetV2Exp)
    };
    let error = uneven.validate().unwrap_err().to_string();
    assert!(error.contains("model.d_model = 24"), "{error}");
}

fn config_of(protocol: Protocol) -> DragonConfig {
    config(table(protocol, |_| ()))
}

/// What the gradient of a trunk of 4 levels, D128, n4096 takes on 8 x 256 tokens:
/// `cargo test -p burn_dragon_core --test low_bit -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_a_gradient_takes() {
    use burn_dragon_core::api::Precision;
    use burn_dragon_core::api::low_bit::ActFormat;
    let weights_alone = table(Protocol::BitnetB158, |quant| {
        quant.act_format = Some(ActFormat::Fp16);
    });
    let decoders = table(Protocol::BitnetB158, |quant| {
        quant.target_modules = Target::ALL[..2].to_vec();
    });
    let heads = table(Protocol::BitnetB158, |quant| {
        quant.act_grouping = ActGrouping::PerHeadGroup;
    });
    let rms = NormConfig {
        kind: NormKind::Rms,
        affine: false,
    };
    let cases = [
        ("plain", None, NormConfig::default()),
        ("plain, rms norm", None, rms),
        ("b1.58, weights alone", Some(weights_alone), NormConfig::default()),
        ("b1.58, decoders alone", Some(decoders), NormConfig::default()),
        ("b1.58, y by head", Some(heads), NormConfig::default()),
        (
            "b1.58",
            Some(table(Protocol::BitnetB158, |_| ())),
            NormConfig::default(),
        ),
        (
            "v2",
            Some(table(Protocol::BitnetV2Exp, |_| ())),
            NormConfig::default(),
        ),
    ];
    for precision in [Precision::F32, Precision::Bf16] {
        for (what, quant, norm) in &cases {
            let config = DragonConfig {
                quant: quant.clone(),
                norm: *norm,
                ..DragonConfig::small()
            };
            let config = config.trunk();
            let trunk = Trunk::new(&config, 9, &Device::flex().autodiff()).unwrap();
            let v: Tensor<4> = Tensor::random(
                [8, 1, 256, 128],
                burn::tensor::Distribution::Normal(0.0, 1.0),
                &Device::flex(),
            );
            let mut times: Vec<f64> = (0..5)
                .map(|_| {
                    let pass = Pass {
                        precision,
                        dropout_seed: Some(1),
                        ..Pass::default()
                    };
                    let start = std::time::Instant::now();
                    let output = trunk.forward(v.clone().autodiff(), pass);
                    let gradients = output.square().sum().backward();
                    assert!(trunk.encoder.val().grad(&gradients).is_some());
                    start.elapsed().as_secs_f64()
                })
                .collect();
            times.sort_by(f64::total_cmp);
            println!(
                "{precision:?} {what}: {:.0} ms, best {:.0}",
                1e3 * times[2],
                1e3 * times[0]
            );
        }
    }
}
