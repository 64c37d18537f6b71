//! `dragon runs`, `compare`, `sweep` and `report`, for language and sudoku alike.

use crate::support::{Answer, Place, Running, names, text};
use serde_json::Value;

/// `dragon sweep` of the small model, into the folder `sweep`.
fn sweeping<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut words = Place::training(more);
    words[0] = "sweep";
    words.extend(["--out", "sweep"]);
    words
}

/// `dragon train sudoku` of a small model, into a folder.
fn sudoku(place: &Place, out: &str) -> Answer {
    let words = [
        "train",
        "sudoku",
        "dataset.puzzles=40",
        "dataset.validation_puzzles=10",
        "dataset.givens=[60, 70]",
        "model.d_model=16",
        "model.n_neurons=32",
        "model.n_levels=2",
        "training.batch_size=4",
        "training.max_steps=12",
        "schedule.warmup_steps=2",
        "evaluation.every=5",
        "evaluation.batches=1",
        "--out",
        out,
    ];
    place.dragon(&words)
}

fn row<'a>(answer: &'a Answer, name: &str) -> Vec<&'a str> {
    let line = answer
        .stdout
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    line.unwrap_or_else(|| panic!("no row {name} in: {}", answer.stdout))
        .split_whitespace()
        .collect()
}

#[test]
fn runs_are_listed_with_their_outcome_and_those_without_steps_are_flagged() {
    let place = Place::new();
    let none = place.dragon(&["runs"]).done();
    assert!(
        none.stdout
            .contains("no runs in runs; make one with `dragon train`"),
        "{}",
        none.stdout
    );
    place.train(&["--out", "runs/whole"]).done();
    sudoku(&place, "runs/puzzles").done();
    place
        .train(&[
            "optimizer.learning_rate=1e30",
            "training.max_steps=200",
            "--out",
            "runs/broken",
        ])
        .refused(1, &["nothing was saved after it"]);
    std::fs::create_dir(place.path("runs/begun")).unwrap();
    std::fs::copy(
        place.path("runs/whole/config.toml"),
        place.path("runs/begun/config.toml"),
    )
    .unwrap();

    let answer = place.dragon(&["runs"]).done();
    let whole = row(&answer, "whole");
    assert!(
        whole[1] == "language" && whole.contains(&"complete") && whole.contains(&"12/12"),
        "{whole:?}"
    );
    assert!(
        row(&answer, "puzzles").contains(&"(latest)") && answer.stdout.contains("sudoku"),
        "{}",
        answer.stdout
    );
    assert!(row(&answer, "broken").contains(&"failed"), "{}", answer.stdout);
    assert!(answer.stdout.contains("not known, no steps"), "{}", answer.stdout);

    let listed = place.dragon(&["runs", "--json"]).done().json();
    let of = |name: &str| -> Value {
        let runs = listed["runs"].as_array().unwrap();
        runs.iter().find(|run| run["name"] == name).unwrap().clone()
    };
    assert_eq!(
        (&of("whole")["outcome"], &of("whole")["steps"]),
        (&"complete".into(), &12.into())
    );
    assert!(of("whole")["figures"]["bits_per_byte"].as_f64().unwrap() > 0.0);
    assert!(
        of("broken")["error"]
            .as_str()
            .unwrap()
            .contains("nothing was saved")
    );
    assert_eq!(
        (&of("begun")["trained"], &of("begun")["latest"]),
        (&false.into(), &false.into())
    );
}

#[test]
fn a_killed_run_is_listed_as_killed_and_a_running_one_as_running() {
    let place = Place::new();
    let mut command = place.program("dragon");
    command.args(Place::training(&[
        "training.max_steps=1000000",
        "training.log_every=1",
        "evaluation.every=1000000",
        "checkpoint.every=1000000",
        "--out",
        "runs/a",
    ]));
    let mut running = Running::start(&mut command);
    let metrics = place.path("runs/a/metrics.jsonl");
    running.until("three lines", || {
        std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 3)
    });
    let outcome = || place.dragon(&["runs", "--json"]).done().json()["runs"][0]["outcome"].clone();
    assert_eq!(outcome(), "running");
    running.0.kill().unwrap();
    running.answer();
    assert_eq!(outcome(), "killed");
}

#[test]
fn runs_of_several_seeds_are_compared_with_mean_and_deviation() {
    let place = Place::new();
    for (seed, out) in [("training.seed=1", "a"), ("training.seed=2", "b")] {
        place.train(&[seed, "--out", out]).done();
    }
    place
        .train(&["model.n_neurons=32", "training.seed=1", "--out", "c"])
        .done();
    let compared = place.dragon(&["compare", "a", "b", "c", "--json"]).done().json();
    assert_eq!(
        compared["differences"]["training.seed"],
        serde_json::json!([1, 2, 1])
    );
    assert_eq!(
        compared["differences"]["model.n_neurons"],
        serde_json::json!([64, 64, 32])
    );
    let loss = |run: usize| compared["runs"][run]["figures"]["loss"].as_f64().unwrap();
    let spread = &compared["groups"][0]["figures"]["loss"];
    assert_eq!(compared["groups"][0]["runs"], serde_json::json!([0, 1]));
    assert!((spread["mean"].as_f64().unwrap() - (loss(0) + loss(1)) / 2.0).abs() < 1e-12);
    let deviation = (loss(0) - loss(1)).abs() / 2.0_f64.sqrt();
    assert!((spread["deviation"].as_f64().unwrap() - deviation).abs() < 1e-12);
    let answer = place.dragon(&["compare", "a", "b", "c"]).done();
    assert!(
        answer.stdout.contains("over 2 seeds (runs 1, 2)"),
        "{}",
        answer.stdout
    );
    assert_eq!(place.dragon(&["compare", "a"]).code, Some(2));
    place
        .dragon(&["compare", "a", "nowhere"])
        .refused(1, &["nowhere is not a run folder"]);
}

#[test]
fn a_sweep_trains_each_combination_and_shows_the_run_that_failed() {
    let place = Place::new();
    let words = sweeping(&[
        "optimizer.learning_rate=0.001,-1",
        "training.seed=1,2",
        "training.max_steps=4",
    ]);
    let answer = place.dragon(&words);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    assert_eq!(
        names(&place.path("sweep")),
        [
            "01-learning_rate-0.001-seed-1",
            "02-learning_rate-0.001-seed-2",
            "sweep.json"
        ]
    );
    let rows: Vec<Vec<&str>> = answer
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(
        rows[0],
        ["run", "learning_rate", "seed", "outcome", "steps", "loss", "time"]
    );
    assert_eq!((rows[1][3], rows[3][3]), ("complete", "failed"));
    let said = "03-learning_rate--1-seed-1 failed: optimizer.learning_rate";
    assert!(
        answer.stdout.contains(said) && answer.stdout.contains("over seeds"),
        "{}",
        answer.stdout
    );

    // Nothing is trained again, and the table is the same.
    let before = std::fs::read(place.path("sweep/01-learning_rate-0.001-seed-1/run.json")).unwrap();
    let again = place.dragon(&words);
    assert_eq!(again.stdout, answer.stdout);
    assert!(!again.stderr.contains("begins"), "{}", again.stderr);
    let after = std::fs::read(place.path("sweep/01-learning_rate-0.001-seed-1/run.json")).unwrap();
    assert!(before == after);
    let json = place.dragon(&[&words[..], &["--json"]].concat()).json();
    assert_eq!(json["runs"][2]["outcome"], "failed");
    assert_eq!(json["over_seeds"][0]["loss"]["count"], 2);

    place
        .dragon(&["sweep", "training.seed=1,2", "--out", "sweep"])
        .refused(2, &["another sweep", "--out"]);
    place
        .dragon(&["sweep", "training.seed=1"])
        .refused(2, &["nothing varies"]);
    place
        .dragon(&["sweep", "language", "other", "a=1,2"])
        .refused(2, &["`other` is not a setting"]);
    place
        .dragon(&["sweep", "painting", "a=1,2"])
        .refused(2, &["unknown family `painting`"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_sweep_goes_on_and_ends_as_one_that_was_not_interrupted() {
    let place = Place::new();
    let settings = [
        "training.seed=1,2",
        "training.max_steps=300",
        "training.log_every=1",
        "checkpoint.every=50",
    ];
    let mut command = place.program("dragon");
    command.args(sweeping(&settings));
    let mut running = Running::start(&mut command);
    let metrics = place.path("sweep/01-seed-1/metrics.jsonl");
    running.until("ten lines", || {
        std::fs::read_to_string(&metrics).is_ok_and(|text| text.lines().count() > 10)
    });
    running.signal("-INT");
    let answer = running.answer();
    assert_eq!(answer.code, Some(130), "{}", answer.stderr);
    assert!(
        answer.stdout.contains("stopped") && answer.stdout.contains("not begun"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stderr.contains("the same command goes on"),
        "{}",
        answer.stderr
    );

    let answer = place.dragon(&sweeping(&settings)).done();
    assert!(
        answer.stderr.contains("run 1 of 2, 01-seed-1, goes on"),
        "{}",
        answer.stderr
    );
    let json = place
        .dragon(&[&sweeping(&settings)[..], &["--json"]].concat())
        .done()
        .json();
    let alone = place
        .train(&[&settings[1..], &["training.seed=1", "--json"]].concat())
        .done()
        .json();
    assert_eq!(json["runs"][0]["figures"]["loss"], alone["val_loss"]);
    assert_eq!(json["runs"][1]["outcome"], "complete");
}

#[test]
fn a_report_is_one_page_with_the_curves_of_its_runs() {
    let place = Place::new();
    let sampled = ["evaluation.sample_every=5", "--out", "a"];
    place.train(&sampled).done();
    sudoku(&place, "b").done();
    let answer = place.dragon(&["report", "a"]).done();
    assert_eq!(answer.stdout, "a/report.html\n");
    let page = std::fs::read_to_string(place.path("a/report.html")).unwrap();
    for part in [
        "<!doctype html>",
        ">Loss</h3>",
        "share of active neurons",
        ">Recall accuracy</h3>",
        "Recall by distance",
        "Density of x by level",
        ">encoder</h3>",
        "2 earlier samples",
        "n_neurons = 64",
        "dragon eval a",
    ] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
    place.dragon(&["report", "b", "--out", "b.html"]).done();
    let page = std::fs::read_to_string(place.path("b.html")).unwrap();
    for part in [
        "sudoku, complete",
        "Held-out figures by level",
        ">Cell accuracy</h3>",
    ] {
        assert!(page.contains(part), "`{part}` is not in the page");
    }
    let several = place.dragon(&["report", "a", "b", "--json"]).done().json();
    assert_eq!(several["report"], "report.html");
    let page = std::fs::read_to_string(place.path("report.html")).unwrap();
    assert!(page.contains("2 runs") && page.contains("setting that differs"));
    place
        .dragon(&["report", &text(place.path("none"))])
        .refused(1, &["is not a run folder"]);
}

#[test]
fn a_report_does_not_disturb_the_run() {
    let place = Place::trained();
    place.dragon(&["report", "run"]).done();
    place.dragon(&["verify", "run", "--strict"]).done();
    place
        .dragon(&["train", "--resume", "run", "--max-steps", "14"])
        .done();
}
