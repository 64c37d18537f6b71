//! Runs that were stopped, killed, finished or damaged, and what `--resume` makes of them.

use crate::support::{
    Place, Running, assert_same_run, checkpoint, flip_a_byte, losses, metrics, names, weights,
};
use std::path::Path;
use std::process::Command;

/// Long enough to be stopped in the middle; dropout and accumulation draw from many streams.
const LONG: &[&str] = &[
    "training.max_steps=600",
    "training.accumulate=2",
    "model.dropout=0.1",
    "evaluation.every=150",
    "checkpoint.every=40",
];
const STEPS: u64 = 600;

/// Lines that a run has written.
fn lines(run: &Path) -> usize {
    std::fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count())
}

/// The uninterrupted run, in the folder `whole`, and one that was started in the folder `run`.
fn whole_and_running(more: &[&str]) -> (Place, Running) {
    let place = Place::new();
    let words = [LONG, more].concat();
    place.train(&[&words[..], &["--out", "whole"]].concat()).done();
    let mut command = place.program("dragon");
    command.args(Place::training(
        &[&words[..], &["--out", "run", "--json"]].concat(),
    ));
    let running = Running::start(&mut command);
    (place, running)
}

#[cfg(unix)]
#[test]
fn sigterm_saves_and_a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    let (place, mut running) = whole_and_running(&[]);
    let (whole, run) = (place.path("whole"), place.path("run"));
    running.until("ten lines", || lines(&run) > 10);
    let id = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    let answer = running.answer();
    assert_eq!(answer.code, Some(130), "{}", answer.stderr);
    let summary = answer.json();
    assert_eq!(summary["ending"], "interrupted");
    assert!(summary["val_loss"].is_null(), "{summary}");
    let stopped = summary["steps"].as_u64().unwrap();
    assert!(
        (10..STEPS).contains(&stopped) && checkpoint(&run, stopped).is_dir(),
        "{stopped}"
    );
    assert!(
        answer.stderr.contains("dragon train --resume run"),
        "{}",
        answer.stderr
    );

    let resumed = place
        .dragon(&["train", "--resume", "run", "--json"])
        .done()
        .json();
    assert_eq!(resumed["steps"], STEPS);
    assert_eq!(resumed["tokens"], STEPS * 128);
    assert_same_run(&whole, &run, STEPS);
    let info = std::fs::read_to_string(run.join("run.json")).unwrap();
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(info["resumed_at"][0]["step"], stopped);
}

#[test]
fn a_run_on_streams_that_was_killed_goes_on_with_its_memory_bit_for_bit() {
    let streams = [
        "sequence.streams.persistent=0.5",
        "sequence.streams.max_context=100",
        "sequence.streams.unroll=2",
        "sequence.streams.scales=[{ block_size = 16, weight = 1 }, { block_size = 32, weight = 2 }]",
        "model.decay={ type = \"standard\", learnable = true }",
    ];
    let (place, mut running) = whole_and_running(&streams);
    let (whole, run) = (place.path("whole"), place.path("run"));
    running.until("a checkpoint", || checkpoint(&run, 80).is_dir());
    running.0.kill().unwrap();
    running.answer();
    let newest = std::fs::read_dir(run.join("checkpoint")).unwrap();
    assert!(
        newest
            .flatten()
            .any(|step| step.path().join("streams.bpk").is_file())
    );
    place.dragon(&["train", "--resume", "run"]).done();
    assert_same_run(&whole, &run, STEPS);
}

#[test]
fn a_guarded_run_that_was_killed_goes_on_with_its_window_bit_for_bit() {
    let guard = "training.guard={ window = 16, loss_z = 1.5, norm_z = 1.5, patience = 200 }";
    let (place, mut running) = whole_and_running(&[guard, "sequence.streams={}"]);
    let (whole, run) = (place.path("whole"), place.path("run"));
    running.until("a checkpoint", || checkpoint(&run, 80).is_dir());
    running.0.kill().unwrap();
    running.answer();
    let resumed = place.dragon(&["train", "--resume", "run", "--json"]).done();
    assert!(resumed.json()["skipped"].as_u64().unwrap() > 1);
    assert_same_run(&whole, &run, STEPS);
}

#[test]
fn settings_that_a_run_on_streams_cannot_go_on_with_are_refused_and_leave_it_as_it_was() {
    let place = Place::new();
    place
        .train(&["sequence.streams.persistent=1.0", "--out", "run"])
        .done();
    let config = std::fs::read(place.path("run/config.toml")).unwrap();
    for (setting, says) in [
        ("training.batch_size=4", "training.batch_size = 4 instead of 2"),
        (
            "sequence.streams.order=in_order",
            "sequence.streams.order = \"in_order\" instead of \"shuffled\"",
        ),
        (
            "sequence.streams.unroll=2",
            "sequence.streams.unroll = 2 instead of 1",
        ),
        ("training.seed=7", "training.seed = 7 instead of 1337"),
    ] {
        let answer = place.dragon(&["train", "--resume", "run", "--max-steps", "16", setting]);
        answer.refused(2, &[says]);
        assert_eq!(std::fs::read(place.path("run/config.toml")).unwrap(), config);
    }
    let more = ["training.accumulate=2", "--max-steps", "16", "--json"];
    let answer = place.dragon(&[&["train", "--resume", "run"], &more[..]].concat());
    assert_eq!(answer.done().json()["tokens"], 12 * 64 + 4 * 128);
}

#[test]
fn a_run_on_windows_does_not_go_on_with_streams() {
    let place = Place::trained();
    let answer = place.dragon(&[
        "train",
        "--resume",
        "run",
        "--max-steps",
        "16",
        "sequence.streams={}",
    ]);
    answer.refused(
        2,
        &["sequence.streams.persistent = 1.0, which the run does not have"],
    );
}

/// `nohup` and the `&` of a script start a program with signals ignored.
#[cfg(unix)]
#[test]
fn a_run_that_was_started_with_signals_ignored_trains_and_stops_like_any_other() {
    let place = Place::new();
    let words = [LONG, &["training.max_steps=1000000", "--out", "run"]].concat();
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap '' INT HUP; exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_dragon"),
    ]);
    command.args(Place::training(&words)).current_dir(place.path("."));
    let mut running = Running::start(&mut command);
    running.until("ten lines", || lines(&place.path("run")) > 10);
    let id = running.0.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &id])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(running.answer().code, Some(130));
}

#[test]
fn a_run_that_was_killed_goes_on_from_its_last_checkpoint_bit_for_bit() {
    let (place, mut running) = whole_and_running(&[]);
    let (whole, run) = (place.path("whole"), place.path("run"));
    // Lines beyond the first checkpoint: what is written after a checkpoint must be forgotten.
    running.until("lines after a checkpoint", || {
        run.join("checkpoint/last").exists() && lines(&run) > 30
    });
    running.0.kill().unwrap();
    running.answer();
    assert!(!checkpoint(&run, STEPS).exists());
    place.dragon(&["train", "--resume", "run"]).done();
    assert_same_run(&whole, &run, STEPS);
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_starts_again() {
    let (place, mut running) = whole_and_running(&["checkpoint.every=100000", "evaluation.every=100000"]);
    let (whole, run) = (place.path("whole"), place.path("run"));
    running.until("ten lines", || lines(&run) > 10);
    running.0.kill().unwrap();
    running.answer();
    assert!(!run.join("checkpoint").exists());
    place.dragon(&["train", "--resume", "run"]).done();
    assert_same_run(&whole, &run, STEPS);
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let place = Place::new();
    let first = place.train(&["--out", "run", "--json"]).done().json();
    let run = place.path("run");
    let written = [
        "metrics.jsonl",
        "config.toml",
        "checkpoint/step-000012/manifest.json",
    ];
    let read = || written.map(|name| std::fs::read_to_string(run.join(name)).unwrap());
    let before = read();
    let again = place
        .dragon(&["train", "--resume", "run", "--json"])
        .done()
        .json();
    assert_eq!(read(), before);
    for figure in [
        "ending",
        "steps",
        "tokens",
        "train_loss",
        "val_loss",
        "recall_accuracy",
    ] {
        assert_eq!(again[figure], first[figure], "{figure}");
    }
}

#[test]
fn a_finished_run_can_be_given_more_steps() {
    let place = Place::new();
    // The same learning rate and the same windows whatever the length.
    let constant = [
        "schedule.type=constant",
        "schedule.warmup_steps=2",
        "dataset.windows=document",
    ];
    place.train(&[&constant[..], &["--out", "run"]].concat()).done();
    let longer = place.dragon(&["train", "--resume", "run", "--max-steps", "20", "--json"]);
    assert_eq!(longer.done().json()["steps"], 20);
    place
        .train(&[&constant[..], &["training.max_steps=20", "--out", "whole"]].concat())
        .done();
    assert_eq!(weights(&place.path("run"), 20), weights(&place.path("whole"), 20));
}

#[test]
fn runs_latest_can_be_resumed_by_its_name() {
    let place = Place::new();
    let first = place.train(&["--json"]).done().json();
    let again = place.dragon(&["train", "--resume", "runs/latest", "--max-steps", "14", "--json"]);
    let again = again.done().json();
    assert_eq!(
        (&again["run_dir"], &again["steps"]),
        (&first["run_dir"], &14.into())
    );
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_said_so() {
    let place = Place::trained();
    let run = place.path("run");
    let (weights_before, metrics_before) = (weights(&run, 12), metrics(&run));
    flip_a_byte(&checkpoint(&run, 12).join("optimizer.bpk"));
    let answer = place.dragon(&["train", "--resume", "run"]).done();
    assert!(answer.stderr.contains("passed over"), "{}", answer.stderr);
    assert!(
        answer.stderr.contains("step-000012/optimizer.bpk"),
        "{}",
        answer.stderr
    );
    assert_eq!(weights(&run, 12), weights_before);
    assert_eq!(metrics(&run), metrics_before);
    place.dragon(&["eval", "run"]).done();
}

#[test]
fn a_run_that_died_before_it_named_its_best_checkpoint_names_it_when_it_goes_on() {
    let place = Place::trained();
    place.write("run/checkpoint/best", "step-000010\n");
    place.dragon(&["train", "--resume", "run"]).done();
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 12);
}

#[test]
fn a_run_without_one_sound_checkpoint_is_refused_and_left_alone() {
    let place = Place::trained();
    let run = place.path("run");
    for step in [10, 12] {
        flip_a_byte(&checkpoint(&run, step).join("model.bpk"));
    }
    let before = std::fs::read(run.join("metrics.jsonl")).unwrap();
    place
        .dragon(&["train", "--resume", "run"])
        .refused(3, &["run/checkpoint", "none", "start a new run"]);
    assert_eq!(std::fs::read(run.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn a_run_keeps_its_model_whatever_is_typed() {
    let place = Place::trained();
    let other = place.dragon(&[
        "train",
        "--resume",
        "run",
        "model.d_model=32",
        "--max-steps",
        "14",
    ]);
    other.refused(2, &["keeps its model", "model.d_model = 32 instead of 16"]);
    let answer = place.dragon(&["train", "--resume", "run", "--max-steps", "14", "--json"]);
    assert_eq!(answer.done().json()["steps"], 14);
}

#[test]
fn a_run_keeps_its_tokenizer_though_its_text_has_changed() {
    let place = Place::new();
    let text = "all work and no play makes a dull dragon\n".repeat(100);
    place.write("text.txt", &text);
    let char = [
        "dataset.tokenizer.type=char",
        "generation.prompt=dragon",
        "--out",
        "run",
    ];
    place.train_on("text.txt", &char).done();
    let before = std::fs::read(place.path("run/tokenizer.json")).unwrap();
    let turned: String = text.chars().rev().collect(); // the same characters, first seen in another order
    place.write("text.txt", turned);
    place
        .dragon(&[
            "train",
            "--resume",
            "run",
            "--max-steps",
            "14",
            "--accept-changed-data",
        ])
        .done();
    assert_eq!(std::fs::read(place.path("run/tokenizer.json")).unwrap(), before);
    let trained = losses(&place.path("run"), "final").last().unwrap().1;
    let figures = place
        .dragon(&["eval", "run", "--step", "14", "--json"])
        .done()
        .json();
    assert!((figures["loss"].as_f64().unwrap() - trained).abs() < 1e-6);
}

#[test]
fn a_folder_that_is_no_run_is_refused_with_what_it_lacks() {
    let place = Place::new();
    std::fs::create_dir(place.path("empty")).unwrap();
    place
        .dragon(&["train", "--resume", "nowhere"])
        .refused(1, &["nowhere is not a run folder", "no folder"]);
    place
        .dragon(&["train", "--resume", "empty"])
        .refused(1, &["empty is not a run folder", "config.toml"]);
    place
        .dragon(&["train", "--resume", "empty", "--out", "x"])
        .refused(2, &["--resume", "--out"]);
}

#[cfg(unix)]
#[test]
fn a_run_that_another_process_trains_is_left_alone() {
    let place = Place::trained();
    let before = names(&place.path("run/checkpoint"));
    let other = std::fs::File::open(place.path("run")).unwrap();
    other.lock().unwrap();
    let resume = ["train", "--resume", "run", "--max-steps", "20"];
    place.dragon(&resume).refused(1, &["another process", "run"]);
    assert_eq!(names(&place.path("run/checkpoint")), before);
    drop(other);
    place.dragon(&resume).done();
}

#[test]
fn a_run_whose_checkpoints_are_gone_is_not_begun_again_in_silence() {
    let place = Place::trained();
    let metrics = std::fs::read(place.path("run/metrics.jsonl")).unwrap();
    for step in ["step-000010", "step-000012"] {
        let _ = std::fs::remove_dir_all(place.path("run/checkpoint").join(step));
    }
    place
        .dragon(&["train", "--resume", "run", "--max-steps", "20"])
        .refused(3, &["checkpoint/last", "names no checkpoint"]);
    assert_eq!(std::fs::read(place.path("run/metrics.jsonl")).unwrap(), metrics);
}

#[test]
fn the_newest_checkpoint_is_meant_though_it_was_not_pointed_at_yet() {
    let place = Place::trained();
    place.write("run/checkpoint/last", "step-000010\n");
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 12);
}
