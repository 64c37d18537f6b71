//! Language models of other positions, connectors, norms and thresholds: one life from the first step to a memory in a file.

use crate::support::{Place, assert_same_run, checkpoint, flip_a_byte, weights};

/// Settings, and what `dragon info` says of them.
const WIRINGS: [(&[&str], &str); 7] = [
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
        let own = learnt
            .keys()
            .any(|name| name.starts_with("connector.") || name.starts_with("norm.") || name == "phase");
        let learns = !["model.positions=none", "model.init"]
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
        ("model.norm.type=batch", "dynamic_tanh"),
        (
            "model.init={ type = \"semi_orthogonal\", gains = { type = \"log_normal\" } }",
            "model.init.gains",
        ),
        ("model.positions={ type = \"pope\", lengths = 1 }", "lengths"),
    ] {
        place.train(&[setting, "--out", "run"]).refused(2, &[says]);
    }
    let official = place.dragon(&["convert", "run", "--output", "model.safetensors"]);
    assert_ne!(official.code, Some(0), "{}", official.stdout);
}
