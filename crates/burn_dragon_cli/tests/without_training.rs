//! A program that was built without training: it uses models, and says what it lacks.
//!
//! `cargo test -p burn_dragon_cli --no-default-features --features rayon,x86-v4 --test without_training`

#![cfg(not(feature = "train"))]
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::process::{Command, Output};

fn dragon(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dragon"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn training_is_refused_with_the_feature_that_it_needs() {
    for arguments in [
        &["train"][..],
        &["train", "language", "--max-steps", "1"],
        &["bench", "train"],
    ] {
        let output = dragon(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("--features train"), "{said}");
    }
}

#[test]
fn verbs_that_are_not_here_are_not_offered() {
    for arguments in [&["--help"][..], &["bench", "--help"]] {
        let help = String::from_utf8(dragon(arguments).stdout).unwrap();
        assert!(!help.contains("  train"), "{help}");
    }
}

#[test]
fn a_model_is_used() {
    let small = [
        "--levels",
        "1",
        "--d-model",
        "16",
        "--heads",
        "1",
        "--neurons",
        "64",
    ];
    let decode = ["bench", "decode", "--context", "8", "--tokens", "4", "--json"];
    let output = dragon(&[&decode[..], &small].concat());
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && said.contains("\"tokens_per_second\""),
        "{said}"
    );
}
