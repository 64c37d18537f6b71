//! Language models of other positions, mixers, connectors, norms, thresholds and levels: one life from the first step to a memory in a file.

use crate::support::{Place, assert_same_run, checkpoint, flip_a_byte, weights};

/// Settings, and what `dragon info` says of them.
const WIRINGS: [(&[&str], &str); 14] = [
    (&["model.connector.type=attention_residual"], "connector"),
    (
        &["model.connector={ type = \"mhc\", streams = 2, coefficients = \"lite\" }"],
        "connector",
    ),
    (
        &["model.connector={ type = \"block_upstream\", levels_per_block = 1, n_heads = 2 }"],
        "connector",
    ),
    (
        &[
            "model.positions={ type = \"pope\", phase = \"uniform\" }",
            "model.decay.type=upstream",
        ],
        "positions",
    ),
    (&["model.positions=none"], "positions"),
    (
        &["model.norm={ type = \"derf\", affine = true }"],
        "derf with gain and bias; levels run by halves",
    ),
    (
        &[
            "model.init={ type = \"he_glorot\", firing = { type = \"gaussian\" } }",
            "model.norm.type=rms",
        ],
        "levels run in plain tensor operations",
    ),
    (&["model.mixer.type=gated_delta"], "mixer"),
    (&["model.mixer.type=rwkv8", "model.positions=none"], "mixer"),
    (
        &[
            "model.mixer={ type = \"mamba2\", headdim = 16, d_state = 4 }",
            "model.positions=none",
        ],
        "mixer",
    ),
    (
        &[
            "model.mixer={ type = \"mamba3\", headdim = 16, d_state = 4 }",
            "model.positions=none",
        ],
        "mixer",
    ),
    (
        &[
            "model.summary_memory.chunk_tokens=4",
            "model.neuron_recurrence.chunk_tokens=8",
        ],
        "neuron recurrence",
    ),
    (
        &[
            "model.quant={ protocol = \"bitnet_b158\", target_modules = [\"decoder_x\", \"decoder_y\", \"encoder\"] }",
            "schedule={ type = \"bitnet\", warmup_steps = 2 }",
        ],
        "y in 127 levels; levels run by halves",
    ),
    (
        &["model.rho={ compression = \"int8_block_exp\", compression_interval = \"step\" }"],
        "9.00 bits a number",
    ),
];

#[test]
fn a_run_is_resumed_bit_for_bit_and_its_model_verified_exported_and_continued() {
    for (wiring, told) in WIRINGS {
        let place = Place::new();
        let train = |out| {
            let more = [
                wiring,
                &["training.max_steps=12", "checkpoint.every=4", "--out", out],
            ]
            .concat();
            place.train(&more).done();
        };
        train("whole");
        train("run");
        let (whole, run) = (place.path("whole"), place.path("run"));
        flip_a_byte(&checkpoint(&run, 12).join("model.bpk"));
        place.dragon(&["train", "--resume", "run"]).done();
        assert_same_run(&whole, &run, 12);
        let learnt = weights(&run, 12);
        let parts = ["connector.", "norm.", "mixer.", "phase"];
        let own = learnt
            .keys()
            .any(|name| parts.iter().any(|part| name.starts_with(part)));
        let learns = ![
            "model.positions=none",
            "model.init",
            "model.summary_memory",
            "model.quant",
            "model.rho",
        ]
        .iter()
        .any(|nothing| wiring[0].starts_with(nothing));
        assert_eq!(own, learns, "{:?}", learnt.keys());

        place.dragon(&["verify", "run"]).done();
        let info = place.dragon(&["info", "run"]).done();
        assert!(info.stdout.contains(told), "{}", info.stdout);
        place.dragon(&["export", "run", "--output", "model.bpk"]).done();
        place.dragon(&["verify", "--deep", "model.bpk"]).done();
        let says = |model: &str, more: &[&str]| {
            let words = [
                "generate",
                model,
                "--temperature",
                "0",
                "--max-tokens",
                "4",
                "--json",
            ];
            place.dragon(&[&words[..], more].concat()).done().json()["text"].clone()
        };
        // A text at once, or its halves with a memory between them.
        let at_once = says("model.bpk", &["--prompt", "the red key"]);
        let read = [
            "generate",
            "run",
            "--json",
            "--prompt",
            "the red",
            "--max-tokens",
            "0",
        ];
        place
            .dragon(&[&read[..], &["--state-out", "half.state"]].concat())
            .done();
        let resumed = says("run", &["--prompt", " key", "--state-in", "half.state"]);
        assert!(at_once.is_string(), "{at_once}");
        assert_eq!(at_once, resumed, "{wiring:?}");
    }
}

#[test]
fn levels_can_be_left_out_and_added_where_a_model_is_used() {
    let place = Place::new();
    let train = |more: &[&str]| {
        let more = [more, &["training.max_steps=8", "--out", "run"]].concat();
        place.train(&more).done();
    };
    train(&["model.n_levels=3"]);
    let says = |more: &[&str]| {
        let words = [
            "generate",
            "run",
            "--temperature",
            "0",
            "--max-tokens",
            "4",
            "--json",
        ];
        place
            .dragon(&[&words[..], &["--prompt", "the red"], more].concat())
            .done()
            .json()
    };
    let whole = says(&[]);
    assert!(whole["levels_per_token"].is_null(), "{whole}");
    assert_eq!(says(&["--levels", "3"])["text"], whole["text"]);
    let sure = says(&["--exit-confidence", "1"]);
    assert_eq!(
        (&sure["levels_per_token"], &sure["text"]),
        (&3.0.into(), &whole["text"])
    );
    assert_eq!(says(&["--exit-confidence", "1e-6"])["levels_per_token"], 1.0);
    let loss = |more: &[&str]| {
        let words = [&["eval", "run", "--json"], more].concat();
        place.dragon(&words).done().json()
    };
    let one = loss(&["--levels", "1"])["loss"].as_f64();
    assert!(one.is_some() && one != loss(&[])["loss"].as_f64());
    let exits = loss(&["--exit-confidence", "1e-6", "1", "--exit-windows", "1"]);
    assert_eq!(exits["levels"], 3, "{exits}");
    let levels = |at: usize| exits["exits"][at]["levels"].as_f64();
    assert_eq!((levels(0), levels(1)), (Some(1.0), Some(3.0)), "{exits}");

    let refused = |words: &[&str], says: &str| place.dragon(words).refused(2, &[says]);
    refused(
        &["eval", "run", "--exit-confidence", "2"],
        "expected a number above 0",
    );
    let none = place.dragon(&["eval", "run", "--levels", "0"]);
    assert_ne!(none.code, Some(0));
    assert!(none.stderr.contains("n_levels"), "{}", none.stderr);
    place
        .train(&[
            "model.n_levels=3",
            "model.fanout={ type = \"geometric\", least = 16 }",
            "training.max_steps=2",
            "--out",
            "fan",
        ])
        .done();
    let fan = place.dragon(&["eval", "fan", "--levels", "2"]);
    assert!(
        fan.code != Some(0) && fan.stderr.contains("model.fanout"),
        "{}",
        fan.stderr
    );
    assert!(place.dragon(&["info", "fan"]).done().stdout.contains("fanout"));
}

#[test]
fn what_no_wiring_has_is_refused_by_its_key() {
    let place = Place::new();
    for (setting, says) in [
        (
            "model.connector={ type = \"mhc\", streams = 9 }",
            "model.connector.streams = 9",
        ),
        (
            "model.connector={ type = \"attention_residual\", streams = 2 }",
            "streams",
        ),
        ("model.connector.type=hyper", "block_attention_residual"),
        ("model.positions=spiral", "pope_upstream"),
        ("model.mixer.type=mamba4", "did you mean `mamba1`"),
        ("model.mixer.type=rwkv8", "model.positions = \"none\""),
        ("model.summary_memory.decay=2", "model.summary_memory.decay"),
        ("model.neuron_recurrence.most=0", "model.neuron_recurrence.most"),
        ("model.norm.type=batch", "dynamic_tanh"),
        (
            "model.init={ type = \"semi_orthogonal\", gains = { type = \"log_normal\" } }",
            "model.init.gains",
        ),
        ("model.positions={ type = \"pope\", lengths = 1 }", "lengths"),
        (
            "model.quant.target_modules=[\"encoder\"]",
            "model.quant.protocol is required",
        ),
        ("model.quant.protocol=bitnet_b2", "did you mean `bitnet_b1`"),
        (
            "model.rho={ precision = \"fp8_exp\", compression = \"fp8_block_exp\" }",
            "fp8 twice",
        ),
    ] {
        place.train(&[setting, "--out", "run"]).refused(2, &[says]);
    }
    let official = place.dragon(&["convert", "run", "--output", "model.safetensors"]);
    assert_ne!(official.code, Some(0), "{}", official.stdout);
}
