//! `export_burnpack`: a checkpoint's model as one file.

use crate::support::{Answer, Place, flip_a_byte};

fn export(place: &Place, arguments: &[&str]) -> Answer {
    Answer::of(place.program("export_burnpack").args(arguments))
}

/// What the model at this place writes, without its settings.
fn text_of(place: &Place, model: &str) -> String {
    let arguments = [
        "generate",
        model,
        "--prompt",
        "Hugo",
        "--temperature",
        "0",
        "--max-tokens",
        "30",
    ];
    place.dragon(&arguments).done().stdout
}

#[test]
fn the_file_alone_writes_what_the_run_writes() {
    let place = Place::trained();
    export(
        &place,
        &[
            "--family",
            "language",
            "--checkpoint",
            "run",
            "--output",
            "out/model.bpk",
        ],
    )
    .done();
    let text = text_of(&place, "run");
    std::fs::rename(place.path("out/model.bpk"), place.path("alone.bpk")).unwrap();
    std::fs::remove_dir_all(place.path("run")).unwrap();
    assert_eq!(text_of(&place, "alone.bpk"), text);
    let info = place.dragon(&["info", "alone.bpk", "--json"]).done().json();
    assert_eq!(
        (&info["parameters"], &info["info"]["step"]),
        (&11264.into(), &12.into())
    );
}

#[test]
fn without_an_output_the_file_goes_into_the_run() {
    let place = Place::new();
    place.train(&[]).done();
    let answer = export(&place, &[]).done();
    assert!(
        answer.stdout.contains("runs/latest/deploy/model.bpk"),
        "{}",
        answer.stdout
    );
    assert!(
        answer.stdout.contains("step 12, 11264 parameters"),
        "{}",
        answer.stdout
    );
    place.dragon(&["info", "runs/latest/deploy/model.bpk"]).done();
}

#[test]
fn the_step_asked_for_is_the_one_that_is_written() {
    let place = Place::trained();
    export(
        &place,
        &["--checkpoint", "run", "--epoch", "10", "--output", "early.bpk"],
    )
    .done();
    let info = place.dragon(&["info", "early.bpk", "--json"]).done().json();
    assert_eq!(info["info"]["step"], 10);
}

#[test]
fn a_damaged_checkpoint_is_not_exported() {
    let place = Place::trained();
    flip_a_byte(&place.path("run/checkpoint/step-000012/model.bpk"));
    export(&place, &["--checkpoint", "run", "--output", "out.bpk"]).refused(3, &["model.bpk", "sha256"]);
    assert!(!place.path("out.bpk").exists());
}

#[test]
fn a_model_outside_a_run_needs_an_output() {
    let place = Place::trained();
    std::fs::copy(
        place.path("run/checkpoint/step-000012/model.bpk"),
        place.path("copy.bpk"),
    )
    .unwrap();
    export(&place, &["--checkpoint", "copy.bpk"]).refused(2, &["--output FILE"]);
}

#[test]
fn a_family_that_does_not_exist_is_refused_with_those_that_do() {
    let place = Place::new();
    let answer = export(&place, &["--family", "poetry"]).refused(2, &["poetry", "language"]);
    assert!(!answer.stderr.contains("export-burnpack"), "{}", answer.stderr);
}
