//! How a run ended: `run.json`, `runs/latest`, elapsed time.

use crate::support::{Answer, Place, Running, metrics, text};
use burn_dragon::api::expert::train::MetricsLog;
use serde_json::Value;
use std::path::Path;

/// Settings of a run that does not end by itself and saves nothing before it is stopped.
const ENDLESS: &[&str] = &[
    "training.max_steps=1000000",
    "training.log_every=1",
    "evaluation.every=1000000",
    "checkpoint.every=1000000",
];

fn description(run: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap()
}

/// Seconds of each line, in the order of the file.
fn seconds(run: &Path) -> Vec<f64> {
    let lines = MetricsLog::read(run.join("metrics.jsonl")).unwrap();
    lines
        .iter()
        .map(|line| line["time"]["seconds"].as_f64().unwrap())
        .collect()
}

/// A run in `run` with these settings, stopped by SIGINT when it has taken a few steps.
#[cfg(unix)]
fn stopped(place: &Place, run: &str, more: &[&str]) -> Answer {
    let mut command = place.program("dragon");
    command.args(Place::training(&[ENDLESS, more].concat()));
    let mut running = Running::start(&mut command);
    let lines = place.path(run).join("metrics.jsonl");
    running.until("three lines", || {
        std::fs::read_to_string(&lines).is_ok_and(|text| text.lines().count() > 3)
    });
    running.signal("-INT");
    running.answer()
}

#[test]
fn run_json_says_how_the_run_ended_and_of_which_commit_the_program_is() {
    let place = Place::trained();
    let info = description(&place.path("run"));
    let outcome = &info["outcome"];
    assert_eq!(outcome["state"], "complete");
    assert_eq!(
        (&outcome["step"], &outcome["total_steps"]),
        (&12.into(), &12.into())
    );
    assert!(outcome["seconds"].as_f64().unwrap() > 0.0, "{outcome}");
    assert!(
        outcome["ended"].as_str().unwrap() >= info["started"].as_str().unwrap(),
        "{info}"
    );
    assert_eq!(info["unit"], "tokens");
    // The tests run in the repository, so the program knows its commit.
    let commit = info["commit"].as_str().unwrap().trim_end_matches("+changes");
    assert!(
        commit.len() == 40 && commit.chars().all(|c| c.is_ascii_hexdigit()),
        "{commit}"
    );
}

#[cfg(unix)]
#[test]
fn a_run_that_was_stopped_before_a_useful_checkpoint_does_not_take_runs_latest() {
    let place = Place::new();
    let good = place.train(&["--json"]).done().json();
    let named = || std::fs::canonicalize(place.path("runs/latest")).unwrap();
    let before = named();
    let answer = stopped(&place, "runs/mine", &["--out", "runs/mine"]);
    assert_eq!(answer.code, Some(130), "{}", answer.stderr);
    assert!(
        answer
            .stdout
            .contains("go on with\n  dragon train --resume runs/mine"),
        "{}",
        answer.stdout
    );
    assert_eq!(named(), before);
    assert!(text(before).ends_with(good["run_dir"].as_str().unwrap().strip_prefix("runs/").unwrap()));
    let outcome = &description(&place.path("runs/mine"))["outcome"];
    assert_eq!(outcome["state"], "stopped");
    assert!(outcome["step"].as_u64().unwrap() >= 1, "{outcome}");

    // It goes on, saves a checkpoint that is due, and is the latest one.
    let longer = (outcome["step"].as_u64().unwrap() + 2).to_string();
    let resumed = place.dragon(&["train", "--resume", "runs/mine", "--max-steps", &longer]);
    resumed.done();
    assert_eq!(named(), std::fs::canonicalize(place.path("runs/mine")).unwrap());
}

#[cfg(unix)]
#[test]
fn elapsed_time_goes_on_where_the_run_was_stopped() {
    let place = Place::new();
    stopped(&place, "run", &["--out", "run"]);
    let run = place.path("run");
    let before = seconds(&run);
    let first = &description(&run)["outcome"];
    let step = first["step"].as_u64().unwrap();
    let longer = (step + 3).to_string();
    let answer = place.dragon(&["train", "--resume", "run", "--max-steps", &longer, "--json"]);
    let summary = answer.done().json();
    let all = seconds(&run);
    assert!(all.is_sorted() && all.starts_with(&before), "{all:?}");
    assert!(all[before.len()] > first["seconds"].as_f64().unwrap(), "{all:?}");
    let (session, total) = (
        summary["seconds"].as_f64().unwrap(),
        summary["total_seconds"].as_f64().unwrap(),
    );
    assert!(total > session + before.last().unwrap(), "{session} {total}");
    assert_eq!(description(&run)["outcome"]["seconds"].as_f64(), Some(total));
}

#[test]
fn a_run_that_failed_says_why_in_run_json() {
    let place = Place::new();
    let answer = place.train(&[
        "optimizer.learning_rate=1e30",
        "training.max_steps=200",
        "--out",
        "run",
    ]);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    let outcome = &description(&place.path("run"))["outcome"];
    assert_eq!(outcome["state"], "failed");
    let error = outcome["error"].as_str().unwrap();
    assert!(error.contains("nothing was saved after it"), "{error}");
    assert!(answer.stderr.contains(error), "{}", answer.stderr);
}

#[test]
fn a_run_that_the_clock_ended_has_the_outcome_time_limit() {
    let place = Place::new();
    let words = [
        "training.max_steps=1000000",
        "training.max_minutes=0.02",
        "--out",
        "run",
    ];
    place.train(&words).done();
    assert_eq!(description(&place.path("run"))["outcome"]["state"], "time_limit");
}

#[test]
fn a_finished_run_that_is_resumed_says_that_it_is_finished() {
    let place = Place::trained();
    let before = description(&place.path("run"));
    let answer = place.dragon(&["train", "--resume", "run"]).done();
    for part in [
        "the run is finished: all 12 steps",
        "--max-steps above 12",
        "s of training",
    ] {
        assert!(
            answer.stdout.contains(part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
    for part in ["of them now", "a second"] {
        assert!(!answer.stdout.contains(part), "`{part}` is in: {}", answer.stdout);
    }
    assert_eq!(description(&place.path("run")), before);
    assert_eq!(metrics(&place.path("run")).last().unwrap()["kind"], "final");
}

#[test]
fn a_sample_is_kept_as_a_text_of_its_step() {
    let place = Place::new();
    let answer = place.train(&["evaluation.sample_every=5", "--out", "run"]).done();
    for step in ["000005", "000010", "000012"] {
        let path = place.path(format!("run/samples/step-{step}/sample.txt"));
        let sample = std::fs::read_to_string(path).unwrap();
        assert!(!sample.is_empty(), "{step}");
    }
    assert!(!answer.stdout.contains("sample.txt"), "{}", answer.stdout);
}
