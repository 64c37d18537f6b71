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
        .refused(1, &["no document of the text (1 in all) has two tokens"]);
    place
        .dragon(&["eval", "run", "broken.txt.gz"])
        .refused(3, &["broken.txt.gz", "gzip"]);
}

/// `dragon eval ... --json`, done.
fn figures(place: &Place, arguments: &[&str]) -> Value {
    place
        .dragon(&[&["eval"], arguments, &["--json"]].concat())
        .done()
        .json()
}

#[test]
fn memory_that_is_reset_gives_the_plain_figures_and_memory_that_is_carried_those_of_one_long_window() {
    let place = Place::trained();
    let sentence = "The dragon went to the hill, and the hill went away. ";
    place.write("text.txt", sentence.repeat(12)); // 636 bytes
    let of = |arguments: &[&str]| figures(&place, &[&["run", "text.txt"], arguments].concat());
    let same = |a: &Value, b: &Value| {
        assert_eq!(a["tokens"], b["tokens"]);
        let [a, b] = [a, b].map(|figures| figures["loss"].as_f64().unwrap());
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    };
    let reset = of(&["--memory", "reset", "--block-size", "24"]);
    same(&reset, &of(&["--block-size", "24"]));
    assert_eq!(
        (&reset["memory"], &reset["block_size"]),
        (&"reset".into(), &24.into())
    );
    assert!(reset.get("by_position").is_none(), "{reset}");
    let whole = of(&["--block-size", "635"]);
    let carried = of(&["--memory", "carried", "--block-size", "24", "--by-position"]);
    same(&carried, &whole);
    assert_ne!(carried["loss"], reset["loss"]);
    let buckets: Vec<_> = carried["by_position"].as_array().unwrap().iter().collect();
    let counts: Vec<_> = buckets
        .iter()
        .map(|bucket| [&bucket["from"], &bucket["to"], &bucket["tokens"]].map(|n| n.as_u64().unwrap()))
        .collect();
    assert_eq!(counts, [[0, 255, 256], [256, 511, 256], [512, 1023, 123]]);
    // A window as long as the text never slides.
    let sliding = ["--memory", "sliding", "--block-size", "24", "--context-window"];
    let wide = of(&[&sliding[..], &["700"]].concat());
    same(&wide, &whole);
    assert_eq!(wide["context_window"], 700);
    let narrow = of(&[&sliding[..], &["16"]].concat());
    assert_ne!(narrow["loss"], wide["loss"]);
}

#[test]
fn documents_are_those_of_the_runs_own_text() {
    let place = Place::new();
    place.write(
        "text.txt",
        "One dragon went away.\n---\nTwo dragons stayed.\n---\n".repeat(30),
    );
    let separator = r#"dataset.document_separator="---\n""#;
    place.train_on("text.txt", &["--out", "run", separator]).done();
    place.write("other.txt", "One.\n---\nTwo.\n---\nThree.\n");
    let of = |model| {
        figures(
            &place,
            &[model, "other.txt", "--memory", "carried", "--block-size", "8"],
        )
    };
    let (split, model) = (of("run"), place.path("run/checkpoint/step-000012/model.bpk"));
    assert_eq!(split["documents"], 3);
    std::fs::copy(model, place.path("copy.bpk")).unwrap();
    assert_eq!(of("copy.bpk"), split); // the file says what separates documents
}

#[test]
fn the_recall_of_tales_read_in_windows_depends_on_their_memory() {
    let place = Place::trained();
    let whole = figures(&place, &["run", "--block-size", "300"]);
    let of = |memory| {
        figures(
            &place,
            &["run", "--memory", memory, "--block-size", "64", "--by-position"],
        )
    };
    let (carried, reset) = (of("carried"), of("reset"));
    // Carried, it is the recall of whole tales.
    assert_eq!(carried["recall"], whole["recall"]);
    assert_eq!(carried["documents"], 8);
    for distance in reset["recall"]["by_distance"].as_array().unwrap() {
        assert!(distance["count"].as_u64().unwrap() > 0, "{reset}");
    }
    assert_eq!(reset["by_position"].as_array().unwrap().len(), 1);
    let person = place
        .dragon(&["eval", "run", "--memory", "carried", "--by-position"])
        .done();
    for part in ["8 documents", "0-255", "by distance"] {
        assert!(
            person.stdout.contains(part),
            "`{part}` is not in: {}",
            person.stdout
        );
    }
}

#[test]
fn a_needle_is_asked_for_at_each_distance_with_any_memory() {
    let place = Place::trained();
    let asked = ["run", "--needle", "--distances", "100,700", "--cases", "3"];
    for memory in ["carried", "reset", "sliding"] {
        let score = figures(&place, &[&asked[..], &["--memory", memory]].concat());
        assert_eq!((&score["memory"], &score["facts"]), (&memory.into(), &2.into()));
        let points = score["by_distance"].as_array().unwrap();
        assert_eq!(
            (&points[0]["distance"], &points[1]["distance"]),
            (&100.into(), &700.into())
        );
        for point in points {
            assert_eq!(point["count"], 3);
            for (name, range) in [
                ("accuracy", 0.0..=1.0),
                ("chance", 0.1..=0.2),
                ("chance_among_stated", 0.1..=1.0),
            ] {
                assert!(range.contains(&point[name].as_f64().unwrap()), "{name}: {point}");
            }
        }
    }
    assert_eq!(figures(&place, &asked)["memory"], "carried");
    let person = place.dragon(&[&["eval"], &asked[..]].concat()).done();
    assert!(person.stdout.contains("700 bytes back"), "{}", person.stdout);
}

#[test]
fn needles_are_learnt_from_and_asked_for_as_the_run_says() {
    let place = Place::new();
    let dataset = [
        "dataset.type=needle",
        "dataset.train_bytes=30000",
        "dataset.validation_documents=6",
    ];
    let more = ["dataset.facts=3", "dataset.distance=[40, 300]"];
    let settings = [
        "train",
        "model.d_model=16",
        "model.n_neurons=64",
        "model.n_levels=2",
        "sequence.block_size=64",
    ];
    let steps = [
        "training.batch_size=2",
        "--max-steps",
        "3",
        "schedule.warmup_steps=1",
        "--out",
        "run",
        "--json",
    ];
    let summary = place
        .dragon(&[&settings[..], &dataset, &more, &steps].concat())
        .done()
        .json();
    assert!(summary["recall_chance"].as_f64().unwrap() > 0.05, "{summary}");
    let whole = figures(&place, &["run"]);
    assert_eq!(whole["recall"]["overall"]["accuracy"], summary["recall_accuracy"]);
    let score = figures(&place, &["run", "--needle", "--distances", "100", "--cases", "2"]);
    assert_eq!(score["facts"], 3);
    let carried = figures(&place, &["run", "--memory", "carried"]);
    assert_eq!(carried["recall"], whole["recall"]);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let place = Place::trained();
    place.write("text.txt", "A dragon.");
    let refused = |arguments: &[&str], says: &[&str]| {
        place
            .dragon(&[&["eval", "run"], arguments].concat())
            .refused(2, says);
    };
    refused(&["--context-window", "8"], &["--memory"]);
    refused(
        &["--memory", "reset", "--context-window", "8"],
        &["--context-window", "sliding"],
    );
    refused(&["--cases", "3"], &["--needle"]);
    refused(&["text.txt", "--needle"], &["--needle"]);
    let zero = ["eval", "run", "--memory", "carried", "--block-size", "0"];
    place.dragon(&zero).refused(2, &["window length", "0"]);
    let near = ["eval", "run", "--needle", "--distances", "20"];
    place.dragon(&near).refused(2, &["needle distances", "20", "85"]);
}
