//! `dragon eval --suite`, and the progress of an evaluation.

use crate::support::Place;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

/// A small suite: two distances, few cases.
const SMALL: &[&str] = &["eval", "run", "--suite", "--distances", "100,200", "--cases", "4"];

fn suite(place: &Place, more: &[&str]) -> Value {
    place.dragon(&[SMALL, &["--json"], more].concat()).done().json()
}

fn texts(place: &Place) {
    place.write(
        "a.txt",
        "The dragon went to the hill, and the hill went away. ".repeat(6),
    );
    place.write("b.txt", "Mira hid the red key under the mill. ".repeat(4));
}

/// Without the time that it took.
fn timeless(mut figures: Value) -> Value {
    figures.as_object_mut().unwrap().remove("seconds").unwrap();
    figures
}

#[test]
fn the_suite_has_the_figures_of_each_evaluation_by_itself() {
    let place = Place::trained();
    texts(&place);
    let given = suite(&place, &["--text", "a.txt", "--text", "b.txt"]);
    for (at, text) in ["a.txt", "b.txt"].into_iter().enumerate() {
        let alone = place.dragon(&["eval", "run", text, "--json"]).done().json();
        let row = &given["texts"][at];
        assert_eq!(row["text"], text);
        assert_eq!(
            (&row["bits_per_byte"]["value"], &row["bytes"]),
            (&alone["bits_per_byte"], &alone["bytes"])
        );
        assert!(
            row["bits_per_byte"]["standard_error"].as_f64().unwrap() > 0.0,
            "{row}"
        );
    }
    assert_eq!(given["texts"][0]["bits_per_byte"]["n"], 53usize * 6 / 32 + 1); // windows of 32 tokens
    let recall = place.dragon(&["eval", "run", "--json"]).done().json()["recall"]["overall"].clone();
    assert_eq!(
        (&given["recall"]["accuracy"]["value"], &given["recall"]["words"]),
        (&recall["accuracy"], &recall["count"])
    );
    assert_eq!(given["recall"]["accuracy"]["n"], 8); // the tales of the small run
    let needle = [
        "eval",
        "run",
        "--needle",
        "--distances",
        "100,200",
        "--cases",
        "4",
        "--json",
    ];
    let needle = place.dragon(&needle).done().json();
    for (at, point) in needle["by_distance"].as_array().unwrap().iter().enumerate() {
        assert_eq!(given["needles"][at]["accuracy"]["value"], point["accuracy"]);
        assert_eq!(given["needles"][at]["accuracy"]["n"], 4);
    }
    let letters = &given["predictability"];
    assert_eq!(
        (&letters["periods"], &letters["readings"]),
        (&192.into(), &192.into())
    );
    assert_eq!(letters["levels"].as_array().unwrap().len(), 2);
    assert_eq!(letters["levels"][1]["by_period"].as_array().unwrap().len(), 8);
    assert_eq!(letters["y_density_by_letter"][1].as_array().unwrap().len(), 77);
    // Again, the same figures.
    assert_eq!(
        timeless(suite(&place, &["--text", "a.txt", "--text", "b.txt"])),
        timeless(given)
    );
}

#[test]
fn a_person_reads_a_table_and_the_cost_before_it() {
    let place = Place::trained();
    texts(&place);
    let answer = place
        .dragon(&[SMALL, &["--text", "a.txt", "--text", "b.txt"]].concat())
        .done();
    assert!(
        answer.stderr.contains("suite: about ") && answer.stderr.contains(" tokens a second"),
        "{}",
        answer.stderr
    );
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(
        lines[0].starts_with("figure") && lines[0].contains("s.e.  n"),
        "{}",
        answer.stdout
    );
    for start in [
        "bits per byte             a.txt",
        "bits per byte             b.txt",
        "recall                    tales",
        "needle                    100 bytes back",
        "letters right             repeats",
        "active y                  level 2, first occurrence",
        "y with cost, correlation  level 1",
        "first / repeats           level 2, periods 70-128",
        "texts and recall: read in windows of 32 tokens, memory emptied before each",
        "needles: read in windows of 32 tokens, memory carried",
        "letters: read in windows of 77 tokens, memory emptied before each",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(start)),
            "`{start}`: {}",
            answer.stdout
        );
    }
    assert!(!place.path("run/eval_suite.json").exists());
}

#[test]
fn the_figures_are_written_only_where_asked_to() {
    let place = Place::trained();
    texts(&place);
    let printed = suite(&place, &["--text", "a.txt", "--out"]);
    let written =
        |file: &str| -> Value { serde_json::from_slice(&std::fs::read(place.path(file)).unwrap()).unwrap() };
    assert_eq!(written("run/eval_suite.json"), printed);
    let copy = place.path("run/checkpoint/step-000012/model.bpk");
    std::fs::copy(copy, place.path("copy.bpk")).unwrap();
    let of_copy = |more: &[&str]| {
        let words = [
            "eval",
            "copy.bpk",
            "--suite",
            "--distances",
            "100",
            "--cases",
            "2",
        ];
        place.dragon(&[&words[..], more].concat())
    };
    of_copy(&["--out"]).refused(2, &["--out FILE"]);
    of_copy(&["--text", "a.txt", "--out", "figures.json"]).done();
    let figures = written("figures.json");
    assert_eq!(figures["texts"], printed["texts"]);
    // Without a text there is none, and the probes are those of any model.
    let bare = of_copy(&["--json"]).done().json();
    assert_eq!(bare["texts"].as_array().unwrap().len(), 0);
    assert_eq!(bare["predictability"], printed["predictability"]);
    assert_eq!(bare["recall"]["accuracy"]["n"], 300);
}

#[test]
fn a_run_without_a_text_is_measured_on_its_validation_data() {
    let place = Place::trained();
    let given = suite(&place, &[]);
    let alone = place.dragon(&["eval", "run", "--json"]).done().json();
    assert_eq!(
        given["texts"][0]["bits_per_byte"]["value"],
        alone["bits_per_byte"]
    );
    assert_eq!(given["texts"].as_array().unwrap().len(), 1);
}

#[test]
fn a_text_that_the_tokenizer_cannot_encode_is_refused_by_name() {
    let place = Place::new();
    place.write("text.txt", "0123456789 ".repeat(400));
    let digits = [
        "dataset.tokenizer.type=char",
        "generation.prompt=\"0\"",
        "--out",
        "run",
    ];
    place.train_on("text.txt", &digits).done();
    place.write("letters.txt", "0123 abc 4567 ".repeat(20));
    place
        .dragon(&[SMALL, &["--text", "text.txt", "--text", "letters.txt"]].concat())
        .refused(1, &["letters.txt", "does not know", "at token 5"]);
    // A model without letters has no figures of them, and says so.
    let figures = suite(&place, &["--text", "text.txt"]);
    for part in ["predictability", "recall", "needles"] {
        let absent = figures[part]["absent"].as_str().unwrap();
        assert!(absent.contains("not single known letters"), "{part}: {figures}");
    }
    let shown = place
        .dragon(&[SMALL, &["--text", "text.txt"]].concat())
        .done()
        .stdout;
    assert!(shown.contains("not single known letters"), "{shown}");
    place
        .dragon(&[SMALL, &["--text", "no.txt"]].concat())
        .refused(1, &["--text no.txt"]);
}

#[test]
fn what_does_not_go_with_a_suite_is_refused() {
    let place = Place::trained();
    texts(&place);
    for (words, says) in [
        (&["eval", "run", "a.txt", "--suite"][..], "--suite"),
        (&["eval", "run", "--needle", "--suite"], "--suite"),
        (&["eval", "run", "--text", "a.txt"], "--suite"),
        (&["eval", "run", "--out"], "--suite"),
    ] {
        place.dragon(words).refused(2, &[says]);
    }
}

#[test]
fn an_evaluation_of_more_than_three_seconds_tells_tokens_and_time_left() {
    let place = Place::trained();
    place.write("long.txt", "The dragon went to the hill. ".repeat(600_000));
    let mut command = place.program("dragon");
    command
        .args(["eval", "run", "long.txt"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let said = lines
        .map_while(Result::ok)
        .find(|line| line.starts_with("evaluating: "));
    child.kill().unwrap();
    child.wait().unwrap();
    let said = said.unwrap();
    assert!(
        said.contains(" of 17,399,999 tokens, ") && said.ends_with(" left"),
        "{said}"
    );
}
