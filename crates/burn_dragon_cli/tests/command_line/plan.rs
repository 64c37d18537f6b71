//! `dragon plan`: a run before it starts, and what is refused before data is read.

use crate::support::{Answer, Place, checkpoint};
use serde_json::Value;
use std::path::Path;

fn plan(place: &Place, more: &[&str]) -> Answer {
    let mut words = Place::training(more);
    words[0] = "plan";
    place.dragon(&words)
}

fn bytes_of(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn a_plan_has_the_exact_numbers_of_the_run_and_writes_nothing() {
    let place = Place::new();
    let plan = plan(&place, &["--json", "--backend", "cpu"]).done().json();
    assert_eq!(place.names(), [""; 0], "nothing was written");
    assert_eq!(
        (plan["parameters"].as_u64(), plan["steps"].as_u64()),
        (Some(11_264), Some(12))
    );
    assert_eq!(plan["units"], 12 * 64);
    // Evaluations before, at 5 and 10, and after; checkpoints at 4 and 8, two that may be the best, and the last.
    assert_eq!(
        (plan["evaluations"].as_u64(), plan["checkpoints"].as_u64()),
        (Some(4), Some(5))
    );
    let backend = &plan["backends"][0];
    assert_eq!(
        (&backend["backend"], &backend["precision"]),
        (&"cpu".into(), &"f32".into())
    );
    let memory = &backend["memory"];
    assert!(
        number(&memory["peak_bytes"]) > number(&memory["data_bytes"]),
        "{memory}"
    );
    assert!(number(&memory["largest_batch_size"]) > 2.0, "{memory}");
    let time = &backend["time"];
    assert!(
        number(&time["seconds"]) > number(&time["seconds_per_step"]),
        "{time}"
    );
    assert_eq!(time["slice"], time["whole"], "a small model is its own slice");

    place.train(&["--out", "run"]).done();
    let measured = bytes_of(&checkpoint(&place.path("run"), 12)) as f64;
    let planned = number(&plan["disk"]["checkpoint_bytes"]);
    assert!((planned / measured - 1.0).abs() < 0.1, "{planned} {measured}");
}

#[test]
fn a_checkpoint_is_as_large_as_planned_for_each_method() {
    for method in ["sgd", "muon", "lion", "schedule_free_adamw"] {
        let place = Place::new();
        let settings = ["model.n_neurons=512", "ema.decay=0.9"];
        let method = format!("optimizer={{ method = \"{method}\" }}");
        let settings = [&settings[..], &[method.as_str()]].concat();
        let planned = plan(&place, &[&settings[..], &["--json"]].concat()).done().json();
        place.train(&[&settings[..], &["--out", "run"]].concat()).done();
        let measured = bytes_of(&checkpoint(&place.path("run"), 12)) as f64;
        let planned = number(&planned["disk"]["checkpoint_bytes"]);
        assert!(
            (planned / measured - 1.0).abs() < 0.05,
            "{method}: {planned} {measured}"
        );
    }
}

#[test]
fn a_person_reads_short_numbers() {
    let place = Place::new();
    let told = plan(&place, &[]).done();
    for part in [
        "11,264 parameters",
        "12 steps: 768 tokens",
        "a checkpoint",
        "at the peak",
        "is the largest that fits",
        "12 steps of",
        "measured now, on steps of the whole model",
    ] {
        assert!(told.stdout.contains(part), "{part}: {}", told.stdout);
    }
}

#[test]
fn a_large_model_is_planned_by_a_slice_of_it() {
    let place = Place::new();
    let settings = [
        "model.d_model=128",
        "model.n_heads=4",
        "model.n_neurons=16384",
        "model.n_levels=4",
        "sequence.block_size=256",
        "training.batch_size=8",
        "--json",
    ];
    let plan = plan(&place, &settings).done().json();
    let time = &plan["backends"][0]["time"];
    assert_eq!(
        time["whole"],
        serde_json::json!({ "heads": 4, "levels": 4, "lanes": 8 })
    );
    assert!(
        number(&time["slice"]["heads"]) < 4.0 && number(&time["slice"]["levels"]) < 4.0,
        "{time}"
    );
    assert!(
        number(&time["levels_per_step"]) < number(&time["seconds_per_step"]),
        "{time}"
    );
}

#[test]
fn the_rest_of_a_run_is_planned() {
    let place = Place::trained();
    let before = place.names();
    let plan = place
        .dragon(&["plan", "--resume", "run", "--max-steps", "20", "--json"])
        .done()
        .json();
    assert_eq!(
        (plan["steps"].as_u64(), plan["steps_done"].as_u64()),
        (Some(20), Some(12))
    );
    assert_eq!(plan["units"], 8 * 64);
    assert_eq!(place.names(), before);
}

#[test]
fn puzzles_are_planned_too() {
    let place = Place::new();
    let settings = [
        "dataset.puzzles=50",
        "dataset.validation_puzzles=9",
        "training.max_steps=3",
    ];
    let words = [&["plan", "sudoku", "--json"], &settings[..]].concat();
    let plan = place.dragon(&words).done().json();
    assert_eq!(
        (plan["family"].as_str(), plan["steps"].as_u64()),
        (Some("sudoku"), Some(3))
    );
    assert!(number(&plan["backends"][0]["time"]["seconds"]) > 0.0);
}

#[test]
fn words_are_those_of_train_and_so_are_refusals() {
    let place = Place::new();
    for (words, says) in [
        (&["model.d_modle=3"][..], "d_model"),
        (&["nonsense"], "unknown family"),
        (
            &["training.max_steps=3", "training.epochs=2"],
            "leave one of them out",
        ),
    ] {
        let answers =
            ["plan", "train"].map(|verb| place.dragon(&[&[verb], words].concat()).refused(2, &[says]));
        let [plan, train] = answers.map(|answer| answer.stderr.lines().last().map(String::from));
        assert_eq!(plan, train);
    }
}

/// Data that is not there stands for data that takes long to read: nothing of it may be touched.
const NO_DATA: [&str; 2] = ["dataset.type=text", "dataset.paths=[\"none.txt\"]"];

fn refused_before_data(settings: &[&str], code: i32, says: &[&str]) {
    let place = Place::new();
    for words in [&["plan"][..], &["train"], &["train", "--dry-run"]] {
        let answer = place
            .dragon(&[words, &NO_DATA, settings].concat())
            .refused(code, says);
        assert!(!answer.stderr.contains("none.txt"), "{}", answer.stderr);
        assert_eq!(place.names(), [""; 0]);
    }
}

#[test]
fn a_model_beyond_the_memory_is_refused_before_data_is_read() {
    let settings = [
        "model.d_model=65536",
        "model.n_heads=4",
        "model.n_neurons=67108864",
    ];
    refused_before_data(
        &settings,
        1,
        &["a training step needs about", "available", "fits"],
    );
}

#[test]
fn checkpoints_beyond_the_disk_are_refused_before_data_is_read() {
    let settings = [
        "training.max_steps=1000000000",
        "checkpoint.every=1",
        "checkpoint.keep=999999999",
    ];
    refused_before_data(
        &settings,
        1,
        &["for its checkpoints", "are free", "checkpoint.keep"],
    );
}

#[test]
fn a_run_of_no_steps_is_refused_before_data_is_read() {
    refused_before_data(
        &["training.max_steps=0"],
        2,
        &["training.max_steps = 0", "at least 1"],
    );
    refused_before_data(&["training.batch_size=0"], 2, &["training.batch_size = 0"]);
    let place = Place::new();
    for verb in ["plan", "train"] {
        let answer = place.dragon(&[verb, "--max-steps", "0"]);
        assert_eq!(answer.code, Some(2), "{}", answer.stderr);
        assert!(answer.stderr.contains("--max-steps"), "{}", answer.stderr);
    }
}

#[test]
fn a_precision_of_auto_says_its_choice_in_one_line() {
    let place = Place::new();
    for words in [Place::training(&["--dry-run", "training.precision=auto"]), {
        let mut words = Place::training(&["training.precision=auto"]);
        words[0] = "plan";
        words
    }] {
        let told = place.dragon(&words).done().stderr;
        let lines = told
            .lines()
            .filter(|line| line.starts_with("precision ") && line.contains("(auto: "));
        assert_eq!(lines.count(), 1, "{told}");
    }
}
