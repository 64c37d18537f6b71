//! Results that do not arrive: on a full disk that is an error, with a closed pipe it is the reader's choice.

use crate::support::{Answer, Place};
use std::fs::OpenOptions;
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs a program whose standard output is a disk without room.
fn into_full_disk(command: &mut Command, input: &[u8]) -> Answer {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    command.stdin(Stdio::piped()).stdout(full).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(input); // not every verb reads it
    Answer::read(&child.wait_with_output().unwrap())
}

fn dragon(place: &Place, arguments: &[&str]) -> Answer {
    into_full_disk(place.program("dragon").args(arguments), b"Hugo\nMira\n")
}

const SAYS: &[&str] = &["standard output", "No space left"];

#[test]
fn no_verb_ends_well_on_a_full_disk() {
    let place = Place::trained();
    let keep = ["generate", "run", "--max-tokens", "0", "--state-out", "a.state"];
    place.dragon(&keep).done();
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["generate", "--help"],
        &["train", "--print-config"],
        &["eval", "run"],
        &["eval", "run", "--json"],
        &["generate", "run"],
        &["generate", "run", "--streaming"],
        &["generate", "run", "--json"],
        &["chat", "run"],
        &["infer", "--checkpoint", "run"],
        &["infer", "--checkpoint", "run", "--streaming"],
        &["state", "info", "a.state"],
        &["state", "info", "a.state", "--json"],
        &["state", "diff", "a.state", "a.state"],
        &["info", "run"],
        &["info", "run", "--json"],
        &["export", "run", "--output", "a.bpk"],
        &["export", "run", "--output", "b.bpk", "--json"],
        &["convert", "run", "a.safetensors"],
        &["inspect", "run"],
        &["inspect", "run", "--json"],
        &["verify", "run"],
        &["verify", "run", "--json"],
        &["diff", "run", "run"],
        &[
            "bench",
            "decode",
            "--levels",
            "1",
            "--d-model",
            "16",
            "--heads",
            "1",
            "--neurons",
            "16",
            "--tokens",
            "2",
        ],
    ] {
        let answer = dragon(&place, arguments);
        assert_eq!(answer.code, Some(1), "{arguments:?}: {}", answer.stderr);
        answer.refused(1, SAYS);
    }
    // Text without an end ends there.
    let endless = ["--checkpoint", "run", "--max-tokens", "-1"];
    into_full_disk(place.program("infer").args(endless), b"").refused(1, SAYS);
}

#[test]
fn what_was_read_is_kept_though_nothing_can_be_shown() {
    let place = Place::trained();
    for (name, arguments) in [
        (
            "a.state",
            &["generate", "run", "--prompt", "Hugo", "--max-tokens", "4"][..],
        ),
        (
            "b.state",
            &[
                "generate",
                "run",
                "--prompt",
                "Hugo",
                "--max-tokens",
                "4",
                "--json",
            ],
        ),
        (
            "c.state",
            &[
                "generate",
                "run",
                "--prompt",
                "Hugo",
                "--max-tokens",
                "4",
                "--streaming",
            ],
        ),
        ("d.state", &["chat", "run", "--max-tokens", "4"]),
    ] {
        dragon(&place, &[arguments, &["--state-out", name]].concat()).refused(1, SAYS);
        let info = place.dragon(&["state", "info", name, "--json"]).done().json();
        assert!(info["tokens"].as_u64().unwrap() >= 4, "{info}");
    }
}

#[test]
fn a_training_goes_on_to_its_end_and_then_says_that_its_results_are_lost() {
    let place = Place::new();
    let answer = dragon(&place, &Place::training(&["--out", "run"]));
    answer.refused(1, SAYS);
    place.dragon(&["verify", "run"]).done();
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 12, "{info}");
    for more in [
        &["--out", "json", "--json"][..],
        &["--dry-run"],
        &["--dry-run", "--json"],
    ] {
        dragon(&place, &Place::training(more)).refused(1, SAYS);
    }
}

#[test]
fn progress_that_nobody_can_see_kills_nothing() {
    let place = Place::new();
    for (arguments, input) in [
        (Place::training(&["--out", "run"]), &b""[..]),
        (vec!["generate", "run"], b""),
        (vec!["chat", "run"], b"Hugo\n/help\n/sing\n"),
        (vec!["eval", "run"], b""),
    ] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut command = place.program("dragon");
        command
            .args(&arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(full);
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && !output.stdout.is_empty(),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_closed_pipe_is_quiet_and_changes_no_verdict() {
    let place = Place::trained();
    place.train(&["training.seed=7", "--out", "other"]).done();
    place.write("damaged.bpk", "this is no model");
    for (arguments, code) in [
        (&["info", "run"][..], 0),
        (&["generate", "run", "--streaming", "--state-out", "a.state"], 0),
        (&["generate", "run", "--state-out", "b.state"], 0),
        (&["--help"], 0),
        (&["verify", "damaged.bpk"], 3),
        (&["diff", "run", "other"], 1),
    ] {
        let mut command = place.program("dragon");
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take()); // before there is anything to read
        let answer = Answer::read(&child.wait_with_output().unwrap());
        assert_eq!(answer.code, Some(code), "{arguments:?}: {}", answer.stderr);
        assert!(!answer.stderr.contains("standard output"), "{}", answer.stderr);
    }
    assert!(place.path("a.state").exists() && place.path("b.state").exists());
}
