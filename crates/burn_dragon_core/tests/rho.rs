//! Carried memory in fewer bits: where it acts, gradients, other parts, and what a table may say.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

mod subject;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{load, snapshot};
use burn_dragon_core::api::low_bit::{RhoCompression, RhoInterval, RhoPrecision};
use burn_dragon_core::api::{
    Decoder, Dragon, DragonConfig, DragonState, NeuronRecurrence, Pass, RhoConfig, RhoProbe, SummaryMemory,
    Trunk, TrunkConfig,
};
use subject::{TOKENS, apart, in_parts, of, pass, same, stream, values};

const PRECISIONS: [RhoPrecision; 6] = [
    RhoPrecision::Fp32,
    RhoPrecision::Bf16,
    RhoPrecision::Fp8Exp,
    RhoPrecision::Int8BlockExp,
    RhoPrecision::Blockfp8Exp,
    RhoPrecision::SparseTileExp,
];

const COMPRESSIONS: [RhoCompression; 8] = [
    RhoCompression::None,
    RhoCompression::Fp8BlockExp,
    RhoCompression::Int8BlockExp,
    RhoCompression::TernaryBlockExp,
    RhoCompression::BinaryBlockExp,
    RhoCompression::BlockfpExp,
    RhoCompression::SparsePositiveExp,
    RhoCompression::LowrankDeltaExp,
];

fn rho(precision: RhoPrecision, compression: RhoCompression) -> RhoConfig {
    RhoConfig {
        precision,
        compression,
        ..RhoConfig::default()
    }
}

/// Every precision, and every compression, that changes memory.
fn tables() -> Vec<RhoConfig> {
    let precisions = PRECISIONS.map(|precision| rho(precision, RhoCompression::None));
    let compressions = COMPRESSIONS.map(|compression| rho(RhoPrecision::Fp32, compression));
    let all = precisions.into_iter().chain(compressions);
    all.filter(RhoConfig::changes).collect()
}

fn config(rho: RhoConfig) -> TrunkConfig {
    TrunkConfig {
        rho: Some(rho),
        ..subject::config().trunk()
    }
}

fn plain(config: &TrunkConfig) -> TrunkConfig {
    TrunkConfig {
        rho: None,
        ..config.clone()
    }
}

fn run(trunk: &Trunk, v: Tensor<4>, state: DragonState) -> (Tensor<4>, DragonState) {
    trunk.forward_with_state(v, state, Pass::default()).unwrap()
}

/// Within a window memory is as it was; at its end it is what the code stands for, and near what it was.
#[test]
fn memory_changes_at_the_end_of_a_window_alone() {
    for rho in tables() {
        let config = config(rho);
        let (trunk, other) = (subject::trunk(&config), subject::trunk(&plain(&config)));
        let v = stream(&config, 2, 3);
        let (output, state) = run(&trunk, v.clone(), trunk.empty_state(2));
        let (expected, exact) = run(&other, v.clone(), other.empty_state(2));
        same(&of(output), &of(expected), 1e-10);
        let distances: Vec<f64> = state.distances(&exact).unwrap().concat();
        let most = match (rho.precision, rho.compression) {
            (RhoPrecision::Bf16, _) => 4e-3,
            (RhoPrecision::SparseTileExp, _) => 0.8,
            (RhoPrecision::Fp32, RhoCompression::TernaryBlockExp | RhoCompression::BinaryBlockExp) => 0.9,
            (RhoPrecision::Fp32, RhoCompression::SparsePositiveExp | RhoCompression::LowrankDeltaExp) => 0.9,
            _ => 0.05,
        };
        for distance in distances {
            assert!(distance > 1e-5 && distance < most, "{rho:?}: {distance}");
        }
        // A second window reads what the first left.
        let windowed = in_parts(&trunk, &v, &[12, 8], &[]).0;
        assert!(
            apart(&of(windowed), &of(trunk.forward(v, Pass::default()))) > 1e-6,
            "{rho:?}"
        );
    }
}

/// The numbers of bf16, in every level.
#[test]
fn memory_of_bf16_has_eight_significant_bits() {
    let config = config(rho(RhoPrecision::Bf16, RhoCompression::None));
    let trunk = subject::trunk(&config);
    let (_, state) = run(&trunk, stream(&config, 1, 3), trunk.empty_state(1));
    for level in state.rho() {
        let numbers = of(level.clone());
        assert!(numbers.iter().any(|x| *x != 0.0));
        for x in numbers {
            assert_eq!((x as f32).to_bits() & 0xFFFF, 0, "{x}");
            assert_eq!(f64::from(x as f32), x);
        }
    }
}

/// Token by token, any split of a stream is the same function again.
#[test]
fn the_interval_of_steps_is_the_same_function_in_any_split() {
    for table in tables() {
        let table = RhoConfig {
            compression_interval: RhoInterval::Step,
            ..table
        };
        let config = config(table);
        let trunk = subject::trunk(&config);
        let v = stream(&config, 2, 3);
        for resets in [vec![], vec![4, 11]] {
            let (whole, after) = in_parts(&trunk, &v, &[TOKENS], &resets);
            for sizes in [vec![1; TOKENS], vec![7, 1, 12]] {
                let (parts, state) = in_parts(&trunk, &v, &sizes, &resets);
                same(&of(parts), &of(whole.clone()), 1e-10);
                assert!(
                    state
                        .distances(&after)
                        .unwrap()
                        .concat()
                        .iter()
                        .all(|x| *x < 1e-9)
                );
            }
        }
        // With chunks, the tokens of a window see an exact memory.
        let chunk = TrunkConfig {
            rho: Some(RhoConfig {
                compression_interval: RhoInterval::Chunk,
                ..table
            }),
            ..config
        };
        let (other, _) = in_parts(&subject::trunk(&chunk), &v, &[1; TOKENS], &[]);
        let (whole, _) = in_parts(&trunk, &v, &[TOKENS], &[]);
        same(&of(other), &of(whole), 1e-10);
    }
}

#[test]
fn probes_see_every_token_of_a_step() {
    let table = RhoConfig {
        compression_interval: RhoInterval::Step,
        ..RhoConfig::default()
    };
    let config = config(table);
    let trunk = subject::trunk(&config);
    let v = stream(&config, 2, 3);
    let (mut streams, mut probe) = (Vec::new(), RhoProbe::default());
    let mut density = burn_dragon_core::api::DensityProbe::default();
    let watched = Pass {
        streams: Some(&mut streams),
        memory: Some(&mut probe),
        density: Some(&mut density),
        ..Pass::default()
    };
    let (output, _) = trunk
        .forward_with_state(v, trunk.empty_state(2), watched)
        .unwrap();
    assert_eq!(streams.len(), 3);
    assert_eq!(streams[2].dims(), [2, 1, TOKENS, 16]);
    same(&of(streams[2].clone()), &of(output), 0.0);
    assert_eq!(probe.edges(), 3 * TOKENS as u64);
    assert!(probe.relative_error() > 1e-4 && probe.relative_error() < 3e-3);
    assert!(probe.norm() > 0.0 && probe.largest_error() > 0.0);
    assert_eq!(density.density().x.len(), 3);
}

/// Gradients go straight through an edge: they are those of a memory to which a constant is added.
#[test]
fn gradients_go_straight_through_the_edges() {
    for table in tables() {
        let config = config(table);
        let (numbers, v) = (snapshot(&subject::trunk(&config)), stream(&config, 1, 3));
        let tracked = |config: &TrunkConfig| {
            let device = Device::flex().autodiff();
            load(Trunk::new(config, 9, &device).unwrap(), |name, _| {
                Some(numbers[name].clone())
            })
        };
        let (first, rest) = (
            v.clone().narrow(2, 0, 9).autodiff(),
            v.narrow(2, 9, 11).autodiff(),
        );
        let gradients = |trunk: &Trunk, change: &dyn Fn(DragonState) -> DragonState| {
            let state = trunk.empty_state(1).autodiff();
            let (_, state) = run(trunk, first.clone(), state);
            let state = change(state);
            let rho: Vec<Vec<f64>> = state.rho().iter().map(|rho| of(rho.clone().inner())).collect();
            let (output, _) = run(trunk, rest.clone(), state);
            let found = output.square().sum().backward();
            let of_x = values(trunk.decoder_x.val().grad(&found).unwrap().into_data());
            (of_x, rho)
        };
        let (found, carried) = gradients(&tracked(&config), &|state| state);
        let (expected, _) = gradients(&tracked(&plain(&config)), &|state| {
            let (rho, positions) = state.into_parts();
            let moved = rho.into_iter().zip(&carried).map(|(rho, carried)| {
                let data = TensorData::new(carried.clone(), rho.dims());
                let carried: Tensor<4> = Tensor::from_data(data, (&Device::flex(), DType::F64));
                let by = (carried - rho.clone().inner()).autodiff();
                rho + by
            });
            DragonState::from_parts(moved.collect(), positions)
        });
        let largest = expected.iter().fold(1.0f64, |most, x| most.max(x.abs()));
        same(&found, &expected, 1e-9 * largest);
    }
}

/// With `eval_only` training carries memory as it is.
#[test]
fn training_may_carry_memory_as_it_is() {
    let table = RhoConfig {
        compression_interval: RhoInterval::EvalOnly,
        ..rho(RhoPrecision::Fp32, RhoCompression::TernaryBlockExp)
    };
    let config = config(table);
    let trunk = subject::trunk(&config);
    let numbers = snapshot(&trunk);
    let tracked = load(
        Trunk::new(&config, 9, &Device::flex().autodiff()).unwrap(),
        |name, _| Some(numbers[name].clone()),
    );
    let v = stream(&config, 1, 3);
    let other = subject::trunk(&plain(&config));
    let (_, exact) = run(&other, v.clone(), other.empty_state(1));
    let (_, training) = run(&tracked, v.clone().autodiff(), trunk.empty_state(1));
    let (_, evaluation) = run(&trunk, v, trunk.empty_state(1));
    let distance = |state: &DragonState| state.distances(&exact).unwrap().concat()[0];
    assert!(distance(&training.inner()) < 1e-12 && distance(&evaluation) > 0.1);
}

/// What auxiliary recurrences carry in a memory stays as it is.
#[test]
fn margins_of_a_memory_stay_exact() {
    let config = TrunkConfig {
        summary_memory: Some(SummaryMemory::default()),
        neuron_recurrence: Some(NeuronRecurrence {
            chunk_tokens: 5,
            ..NeuronRecurrence::default()
        }),
        n_levels: 1,
        ..config(rho(RhoPrecision::Bf16, RhoCompression::TernaryBlockExp))
    };
    let (trunk, other) = (subject::trunk(&config), subject::trunk(&plain(&config)));
    let v = stream(&config, 1, 3);
    let (_, state) = run(&trunk, v.clone(), trunk.empty_state(1));
    let (_, exact) = run(&other, v, other.empty_state(1));
    let (keys, width) = (32, 16);
    let [found, expected] = [state, exact].map(|state| state.rho()[0].clone());
    let part = |rho: &Tensor<4>, row: usize, column: usize| {
        let [_, _, rows, columns] = rho.dims();
        of(rho
            .clone()
            .narrow(2, row, rows - row)
            .narrow(3, column, columns - column))
    };
    same(&part(&found, keys, 0), &part(&expected, keys, 0), 1e-12);
    same(&part(&found, 0, width), &part(&expected, 0, width), 1e-12);
    assert!(apart(&of(found), &of(expected)) > 1e-3);
}

#[test]
fn a_decoder_carries_the_memory_of_windows_of_one_token() {
    for table in tables() {
        let config = DragonConfig {
            rho: Some(table),
            ..subject::config()
        };
        let dragon = Dragon::new(&config, 9, &Device::flex()).unwrap();
        let tokens: Vec<u32> = (0..TOKENS as u32).map(|t| t * 7 % 32).collect();
        let (mut decoder, mut state) = (Decoder::new(&dragon, 1), dragon.empty_state(1));
        for &token in &tokens {
            let id = Tensor::<2, Int>::from_data([[token as i32]], &Device::flex());
            let (expected, after) = dragon.forward_with_state(id, state).unwrap();
            state = after;
            let logits: Vec<f64> = decoder
                .step(&[token])
                .unwrap()
                .iter()
                .map(|x| f64::from(*x))
                .collect();
            same(&logits, &values(expected.into_data()), 1e-5);
        }
    }
}

#[test]
fn a_model_without_it_has_the_json_that_it_had_and_tables_without_meaning_are_refused() {
    let usual = serde_json::to_string(&subject::config()).unwrap();
    assert!(!usual.contains("rho"), "{usual}");
    let read = |table: &str| -> Result<DragonConfig, String> {
        let text = usual.replace('}', &format!(r#","rho":{table}}}"#));
        let config: DragonConfig = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    };
    assert_eq!(read("{}").unwrap().rho, Some(RhoConfig::default()));
    let names = [
        [
            "fp32",
            "bf16",
            "fp8_exp",
            "int8_block_exp",
            "blockfp8_exp",
            "sparse_tile_exp",
        ]
        .as_slice(),
        &[
            "none",
            "fp8_block_exp",
            "int8_block_exp",
            "ternary_block_exp",
            "binary_block_exp",
            "blockfp_exp",
            "sparse_positive_exp",
            "lowrank_delta_exp",
        ],
        &["step", "chunk", "eval_only"],
    ];
    for (key, names) in ["precision", "compression", "compression_interval"]
        .iter()
        .zip(names)
    {
        for name in names {
            let table = format!(
                r#"{{"{key}":"{name}","carry_across_tbptt":false,"detach_between_windows":false,"stats_monitoring":false}}"#
            );
            let config = read(&table).unwrap();
            let text = serde_json::to_string(&config).unwrap();
            assert!(text.contains(&format!(r#""{key}":"{name}""#)), "{text}");
            assert!(config.rho.unwrap().bits() > 0.0);
        }
    }
    for (table, says) in [
        (
            r#"{"precision":"fp8_exp","compression":"fp8_block_exp"}"#,
            "fp8 twice",
        ),
        (
            r#"{"precision":"blockfp8_exp","compression":"fp8_block_exp"}"#,
            "fp8 twice",
        ),
        (
            r#"{"precision":"int8_block_exp","compression":"int8_block_exp"}"#,
            "int8 twice",
        ),
        (r#"{"precision":"fp16"}"#, "`bf16`"),
        (r#"{"block":32}"#, "block"),
    ] {
        let error = read(table).unwrap_err();
        assert!(error.contains(says), "{table}: {error}");
    }
    let mixed = DragonConfig {
        rho: Some(RhoConfig::default()),
        mixer: burn_dragon_core::api::Mixer::GatedDelta(Default::default()),
        positions: burn_dragon_core::api::Positions::None,
        ..subject::config()
    };
    let error = mixed.validate().unwrap_err().to_string();
    assert!(error.contains("model.mixer.type = \"gated_delta\""), "{error}");
}

/// A reset empties a memory that was carried in a code, too.
#[test]
fn a_reset_forgets_what_was_carried() {
    for table in tables() {
        let config = config(table);
        let trunk = subject::trunk(&config);
        let v = stream(&config, 1, 3);
        let (first, rest) = (v.clone().narrow(2, 0, 9), v.narrow(2, 9, 11));
        let (_, carried) = run(&trunk, first, trunk.empty_state(1));
        let (positions, rho) = (carried.positions().to_vec(), carried.rho().to_vec());
        let fresh = DragonState::from_parts(rho.iter().map(Tensor::zeros_like).collect(), positions);
        let after = |state| {
            let read = trunk.forward_with_state(rest.clone(), state, pass(&[0], 0, 11, 1));
            of(read.unwrap().0)
        };
        same(&after(carried), &after(fresh), 1e-10);
    }
}

/// What the edge of a window takes beside the window, of 8 lanes and a level of D128, n4096:
/// `cargo test -p burn_dragon_core --test rho -- --ignored --nocapture`
#[test]
#[ignore = "a measurement"]
fn what_an_edge_takes() {
    let v: Tensor<4> = Tensor::random(
        [8, 1, 256, 128],
        burn::tensor::Distribution::Normal(0.0, 1.0),
        &Device::flex(),
    );
    for table in [None].into_iter().chain(tables().into_iter().map(Some)) {
        let config = TrunkConfig {
            n_levels: 1,
            rho: table,
            ..DragonConfig::small().trunk()
        };
        let trunk = Trunk::new(&config, 9, &Device::flex()).unwrap();
        let mut state = trunk.empty_state(8);
        let mut times: Vec<f64> = (0..5)
            .map(|_| {
                let start = std::time::Instant::now();
                (_, state) = run(&trunk, v.clone(), state.take());
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let what = table.map_or("as it is".into(), |table| table.in_words());
        println!("{what}: {:.0} ms, best {:.0}", 1e3 * times[2], 1e3 * times[0]);
    }
}
