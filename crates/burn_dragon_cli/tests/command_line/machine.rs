//! What a machine is too small for is refused before any of it is made, by every verb.

use crate::support::{Answer, Place, fixtures, text};
use burn::tensor::TensorData;
use burn_dragon::api::checkpoint::{ModelFile, ModelInfo};
use burn_dragon::api::core::DragonConfig;
use std::io::Write;

/// Address space for a program and its threads, and little for what it makes: 2 GiB, in KiB.
const LITTLE: &str = "2097152";

/// `dragon` in a shell that allows little memory.
fn with_little_memory(place: &Place, arguments: &[&str]) -> Answer {
    let mut command = place.program("dragon");
    let dragon = text(command.get_program());
    command = std::process::Command::new("bash");
    command
        .current_dir(place.path(""))
        .args([
            "-c",
            &format!("ulimit -v {LITTLE}; exec \"$@\""),
            "dragon",
            &dragon,
        ])
        .args(arguments);
    Answer::of(&mut command)
}

/// The number behind a key in a message.
fn said(answer: &Answer, key: &str) -> u64 {
    let (_, rest) = answer.stderr.split_once(&format!("{key} = ")).unwrap();
    rest.split(|c: char| !c.is_ascii_digit())
        .next()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn a_model_too_large_is_refused_before_the_first_allocation_and_what_fits_is_said() {
    let place = Place::new();
    for mode in [&[][..], &["--dry-run"]] {
        let answer = place.train(&[&["model.d_model=100000000"], mode].concat());
        let fits = said(&answer, "model.d_model");
        assert!((16..100_000_000).contains(&fits), "{fits}");
        answer.refused(
            1,
            &[
                "a training step",
                "weights, moments and gradients",
                "GiB",
                "available",
            ],
        );
    }
    let answer = place.train(&["model.n_neurons=268435456", "model.d_model=8192", "--dry-run"]);
    answer.refused(1, &["GiB", "available", "model.n_neurons = "]);
    assert!(
        !place.path("runs").exists(),
        "nothing is left of a run that never was"
    );
}

#[test]
fn what_is_said_to_fit_fits() {
    let place = Place::new();
    let batch = |size: u64| {
        let batch = format!("training.batch_size={size}");
        let arguments =
            Place::training(&["sequence.block_size=256", "model.d_model=64", &batch, "--dry-run"]);
        with_little_memory(&place, &arguments)
    };
    let answer = batch(100_000);
    let fits = said(&answer, "training.batch_size");
    answer.refused(1, &["available", "training.accumulate"]);
    assert!(fits > 8, "{fits}");
    batch(fits + fits / 2).refused(1, &["training.batch_size"]);
    batch(8).done();
}

#[test]
fn a_size_that_no_product_of_can_be_counted_is_refused_by_its_key() {
    let place = Place::new();
    for (setting, says) in [
        (
            "model.d_model=1099511627776",
            "model.d_model = 1099511627776 is too large",
        ),
        (
            "model.n_levels=4611686018427387904",
            "model.n_levels = 4611686018427387904 is too large",
        ),
        (
            "model.n_heads=9223372036854775807",
            "model.n_heads = 9223372036854775807 is too large",
        ),
        (
            "training.batch_size=9223372036854775807",
            "training.batch_size = 9223372036854775807",
        ),
        (
            "sequence.block_size=9223372036854775807",
            "sequence.block_size = 9223372036854775807",
        ),
        ("training.batch_size=1000000000000000", "2^48"),
    ] {
        place.train(&[setting, "--dry-run"]).refused(2, &[says]);
    }
    // More steps than can ever be taken are somebody's will.
    place
        .train(&[
            "training.max_steps=9223372036854775807",
            "training.accumulate=3",
            "--dry-run",
        ])
        .done();
}

#[test]
fn a_dataset_too_large_is_refused_before_it_is_made() {
    let place = Place::new();
    for (setting, says) in [
        ("dataset.train_bytes=1000000000000000", "dataset.train_bytes"),
        (
            "dataset.validation_tales=1000000000000000",
            "dataset.validation_tales",
        ),
    ] {
        place
            .train(&[setting, "--dry-run"])
            .refused(1, &["GiB", "available", says]);
    }
    let needle = [
        "train",
        "dataset.type=needle",
        "dataset.distance=[40, 4000000000000000]",
        "--dry-run",
    ];
    place
        .dragon(&needle)
        .refused(1, &["available", "dataset.train_bytes"]);
}

#[test]
fn evaluation_of_any_window_ends_in_figures_or_a_refusal() {
    let place = Place::trained();
    place.write("long.txt", "a mill and a key. ".repeat(200));
    for size in ["100000000", "18446744073709551615"] {
        for data in [&[][..], &["long.txt"], &["long.txt", "--memory", "carried"]] {
            let answer = place.dragon(&[&["eval", "run", "--block-size", size], data].concat());
            assert!(
                matches!(answer.code, Some(0..=2)),
                "{size} {data:?}: {}",
                answer.stderr
            );
        }
    }
    let arguments = [
        "eval",
        "run",
        "--needle",
        "--cases",
        "1000000000000",
        "--distances",
        "100,1000",
    ];
    place.dragon(&arguments).refused(1, &["available", "fewer cases"]);
    let arguments = [
        "eval",
        "run",
        "--needle",
        "--cases",
        "2",
        "--distances",
        "1000000000000000",
    ];
    place
        .dragon(&arguments)
        .refused(1, &["available", "shorter distances"]);
}

#[test]
fn windows_too_long_for_memory_are_refused_with_those_that_fit() {
    let place = Place::trained();
    place.write("long.txt", "a mill and a key. ".repeat(100_000));
    let arguments = ["eval", "run", "long.txt", "--block-size", "1000000"];
    let answer = with_little_memory(&place, &arguments);
    assert!(answer.stderr.contains("windows of "), "{}", answer.stderr);
    answer.refused(1, &["the evaluation", "available", "--block-size"]);
}

/// A small file of a model whose memory is a thousand times as large: 1,024 levels share its weights.
fn forgetful(place: &Place) {
    let config = DragonConfig {
        n_levels: 1024,
        d_model: 32,
        n_neurons: 1 << 15,
        n_heads: 2,
        ..DragonConfig::tiny()
    };
    let (n, d, v) = (config.n_neurons, config.d_model, config.vocab_size);
    let zeros = |shape: &[usize]| TensorData::new(vec![0f32; shape.iter().product()], shape);
    let tensors = [
        ("embed", zeros(&[v, d])),
        ("decoder_x", zeros(&[2, d, n / 2])),
        ("decoder_y", zeros(&[2, d, n / 2])),
        ("encoder", zeros(&[n, d])),
        ("lm_head", zeros(&[d, v])),
    ];
    let tensors = tensors.map(|(name, data)| (name.to_string(), data)).into();
    let model = ModelFile::new("language", &config, ModelInfo::default(), tensors).unwrap();
    model.write(&place.path("large.bpk")).unwrap();
}

#[test]
fn what_a_model_remembers_is_asked_for_before_it_is_made() {
    let place = Place::new();
    forgetful(&place); // its memory: 1024 x 2^20 x 4 bytes
    for arguments in [
        &["generate", "large.bpk", "--prompt", "a", "--max-tokens", "1"][..],
        &["chat", "large.bpk"],
        &[
            "infer",
            "--checkpoint",
            "large.bpk",
            "--prompt",
            "a",
            "--max-tokens",
            "1",
        ],
    ] {
        let answer = with_little_memory(&place, arguments);
        answer.refused(
            1,
            &["generation needs about 4.0 GiB", "memories 4.0 GiB", "available"],
        );
    }
    place.write("text.txt", "one two three four");
    let arguments = ["eval", "large.bpk", "text.txt", "--memory", "carried"];
    with_little_memory(&place, &arguments).refused(1, &["the evaluation", "memories 8.0 GiB", "available"]);
    // What needs no memory of the text works.
    with_little_memory(&place, &["info", "large.bpk"]).done();
    let arguments = ["bench", "decode", "--weights", "large.bpk", "--tokens", "1"];
    with_little_memory(&place, &arguments).refused(1, &["the benchmark", "available", "--batch"]);
}

#[test]
fn a_bench_of_any_size_ends_in_figures_or_a_refusal() {
    let place = Place::new();
    let bench = |arguments: &[&str]| place.dragon(&[&["bench"], arguments].concat());
    bench(&["train", "--d-model", "100000000"]).refused(1, &["the benchmark", "available", "smaller model"]);
    let small = ["--levels", "1", "--d-model", "16", "--neurons", "64"];
    for (verb, flags) in [
        ("train", ["--batch", "1000000", "--time", "1000000"]),
        ("kernels", ["--batch", "1000000", "--time", "1000000"]),
        ("prefill", ["--batch", "1000000", "--tokens", "1000000"]),
        ("decode", ["--batch", "1000000000", "--tokens", "1000000"]),
    ] {
        bench(&[&[verb], &small[..], &flags].concat()).refused(1, &["the benchmark", "available", "--batch"]);
    }
    // Before weights are drawn that would have no memory beside them.
    let large = [
        "prefill",
        "--levels",
        "1024",
        "--neurons",
        "16777216",
        "--d-model",
        "64",
        "--tokens",
        "4",
    ];
    bench(&large).refused(1, &["the benchmark", "available"]);
    bench(&["train", "--batch", "18446744073709551615"]).refused(2, &[]);
    bench(&["decode", "--context", "18446744073709551615"]).refused(2, &[]);
}

#[test]
fn a_file_that_says_it_is_large_and_is_hollow_takes_no_memory() {
    let place = Place::new();
    let header =
        r#"{"embed.weight":{"dtype":"F32","shape":[268435456,1024],"data_offsets":[0,1099511627776]}}"#;
    let mut file = std::fs::File::create(place.path("hollow.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes()).unwrap();
    file.write_all(header.as_bytes()).unwrap();
    if file.set_len(8 + header.len() as u64 + (1 << 40)).is_err() {
        println!("skipped: the file system has no hollow files of this size");
        return;
    }
    let answer = place.dragon(&["inspect", "hollow.safetensors"]);
    answer.refused(1, &["hollow.safetensors", "1024.0 GiB", "available"]);
}

/// A batch of tokens whose logits are more than there is room for.
#[test]
fn logits_that_have_no_room_are_refused() {
    let Some(folder) = fixtures("small") else { return };
    let place = Place::new();
    let (lanes, length) = (100, 20_000);
    crate::support::write_i32(
        &place.path("tokens.safetensors"),
        "tokens",
        &vec![0; lanes * length],
        [lanes, length],
    );
    let weights = text(folder.join("weights.safetensors"));
    let config = text(folder.join("meta.json"));
    let arguments = [
        "forward",
        &weights,
        "--model-config",
        &config,
        "tokens.safetensors",
        "--out",
        "logits.safetensors",
    ];
    with_little_memory(&place, &arguments)
        .refused(1, &["forward pass", "logits", "available", "100 x 20000"]);
    assert!(!place.path("logits.safetensors").exists());
}
