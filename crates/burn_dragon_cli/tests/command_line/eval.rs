//! `dragon eval`: the figures of a model.

use crate::support::{Place, losses};
use serde_json::Value;

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

#[test]
fn the_figures_of_a_run_are_those_its_training_ended_with() {
    let place = Place::new();
    let summary = place.train(&["--out", "run", "--json"]).done().json();
    let figures = place
        .dragon(&["eval", "run", "--step", "12", "--json"])
        .done()
        .json();
    for (trained, evaluated) in [
        ("val_loss", &figures["loss"]),
        ("val_bits_per_byte", &figures["bits_per_byte"]),
        ("recall_accuracy", &figures["recall"]["overall"]["accuracy"]),
        ("recall_chance", &figures["recall"]["overall"]["chance"]),
    ] {
        let difference = summary[trained].as_f64().unwrap() - evaluated.as_f64().unwrap();
        assert!(difference.abs() < 1e-6, "{trained}: {summary} {figures}");
    }
}

#[test]
fn density_is_told_level_by_level() {
    let place = Place::new();
    place.train(&["model.n_levels=3", "--out", "run"]).done();
    let figures = place.dragon(&["eval", "run", "--json"]).done().json();
    for name in ["x_density", "y_density"] {
        let shares = numbers(&figures[name]);
        assert_eq!(shares.len(), 3, "{figures}");
        assert!(
            shares.iter().all(|share| (0.05..0.95).contains(share)),
            "{figures}"
        );
    }
}

#[test]
fn the_step_asked_for_is_the_one_that_is_evaluated() {
    let place = Place::trained();
    let loss = |arguments: &[&str]| {
        let answer = place.dragon(&[&["eval", "run", "--json"], arguments].concat());
        answer.done().json()["loss"].as_f64().unwrap()
    };
    let (early, late) = (loss(&["--step", "10"]), loss(&["--step", "12"]));
    assert!(late < early, "{early} {late}");
    assert_eq!(loss(&[]), late); // the best is the last
    let missing = place.dragon(&["eval", "run", "--step", "3"]);
    missing.refused(1, &["step 3", "10, 12"]);
}

#[test]
fn a_text_is_evaluated_token_by_token_whatever_the_window() {
    let place = Place::trained();
    place.write(
        "text.txt",
        "The dragon went to the hill, and the hill went away. ".repeat(4),
    );
    let figures = place.dragon(&["eval", "run", "text.txt", "--json"]).done().json();
    assert_eq!(figures["tokens"], 53 * 4 - 1); // all but the first are predicted
    let bits = figures["loss"].as_f64().unwrap() / std::f64::consts::LN_2;
    assert!(
        (bits - figures["bits_per_byte"].as_f64().unwrap()).abs() < 1e-9,
        "{figures}"
    );
    assert!(figures.get("recall").is_none(), "{figures}");
    let narrow = place
        .dragon(&["eval", "run", "text.txt", "--block-size", "8", "--json"])
        .done()
        .json();
    assert_eq!(narrow["tokens"], figures["tokens"]);
    assert_ne!(narrow["loss"], figures["loss"]); // each window starts from an empty memory
}

#[test]
fn a_text_is_as_many_bits_to_a_copy_of_the_model_outside_its_run() {
    let place = Place::trained();
    place.write("text.txt", "The dragon went to the hill. ".repeat(8));
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("copy.bpk"),
    )
    .unwrap();
    let figures = |model| {
        let arguments = ["eval", model, "text.txt", "--block-size", "32", "--json"];
        place.dragon(&arguments).done().json()
    };
    assert_eq!(figures("copy.bpk"), figures("run"));
}

#[test]
fn a_person_reads_the_same_figures() {
    let place = Place::trained();
    let loss = losses(&place.path("run"), "final")[0].1;
    let answer = place.dragon(&["eval", "run"]).done();
    for part in [
        format!("loss           {loss:.4}"),
        "bits per byte".into(),
        "level by level".into(),
        "recall".into(),
    ] {
        assert!(
            answer.stdout.contains(&part),
            "`{part}` is not in: {}",
            answer.stdout
        );
    }
}

#[test]
fn a_model_outside_a_run_needs_a_text() {
    let place = Place::trained();
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("copy.bpk"),
    )
    .unwrap();
    place.dragon(&["eval", "copy.bpk"]).refused(2, &["DATA"]);
}

#[test]
fn a_text_that_is_missing_or_too_short_is_refused_by_name() {
    let place = Place::trained();
    place.write("one.txt", "x");
    place.write("broken.txt.gz", "this is not gzip");
    place
        .dragon(&["eval", "run", "on.txt"])
        .refused(1, &["on.txt", "did you mean one.txt"]);
    place
        .dragon(&["eval", "run", "one.txt"])
        .refused(1, &["1 tokens", "2"]);
    place
        .dragon(&["eval", "run", "broken.txt.gz"])
        .refused(3, &["broken.txt.gz", "gzip"]);
}
