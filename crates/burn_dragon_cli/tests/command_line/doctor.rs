//! `dragon doctor`.

use crate::support::Place;
use serde_json::Value;

fn finding(answer: &Value, about: &str) -> Value {
    let findings = answer["findings"].as_array().unwrap();
    findings
        .iter()
        .find(|finding| finding["about"] == about)
        .unwrap()
        .clone()
}

#[test]
fn a_sound_machine_is_said_to_be_so_and_nothing_is_left_behind() {
    let place = Place::new();
    let answer = place.dragon(&["doctor"]).done();
    for about in [
        "program",
        "processor",
        "speed",
        "memory",
        "cpu",
        "disk",
        "locks",
        "runs",
    ] {
        let line = answer
            .stdout
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(about));
        assert!(
            line.is_some_and(|line| !line.starts_with("PROBLEM")),
            "{about}: {}",
            answer.stdout
        );
    }
    let json = place.dragon(&["doctor", "--json"]).done().json();
    assert_eq!(json["sound"], true);
    assert!(
        finding(&json, "speed")["said"]
            .as_str()
            .unwrap()
            .contains("FLOP/s f32"),
        "{json}"
    );
    assert!(place.names().is_empty());
}

#[test]
fn runs_that_cannot_be_read_are_named() {
    let place = Place::new();
    place.train(&["--out", "runs/good"]).done();
    std::fs::create_dir(place.path("runs/bad")).unwrap();
    place.write("runs/bad/config.toml", "= 1");
    let json = place.dragon(&["doctor", "--json"]).done().json();
    let runs = finding(&json, "runs");
    let said = "2 in runs, the latest is runs/good; not readable: bad";
    assert_eq!((&runs["verdict"], &runs["said"]), (&"note".into(), &said.into()));
}

#[test]
fn a_folder_that_cannot_be_written_is_a_problem() {
    let place = Place::new();
    let json = place.dragon(&["doctor", "--runs", "/proc/self/task", "--json"]);
    assert_eq!(json.code, Some(1), "{}", json.stderr);
    let disk = finding(&json.json(), "disk");
    assert_eq!(disk["verdict"], "problem");
    assert!(disk["said"].as_str().unwrap().contains("--out"), "{disk}");
}

#[test]
fn an_environment_that_no_run_accepts_is_a_problem() {
    let place = Place::new();
    let mut command = place.program("dragon");
    let output = command
        .args(["doctor", "--json"])
        .env("BURN_DRAGON_INSTRUCTIONS", "abacus")
        .output()
        .unwrap();
    let answer = crate::support::Answer::read(&output);
    assert_eq!(answer.code, Some(1), "{}", answer.stderr);
    for about in ["cpu", "speed"] {
        let said = finding(&answer.json(), about)["said"].to_string();
        assert!(said.contains("abacus"), "{about}: {said}");
    }
}
