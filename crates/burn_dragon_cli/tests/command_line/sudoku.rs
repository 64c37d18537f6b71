//! The sudoku family through every verb, on a model that trains in a second.

use crate::support::{Answer, Place, assert_same_run, checkpoint, flip_a_byte, losses, weights};
use serde_json::Value;
use std::path::Path;

/// 2,272 parameters, 12 steps of 4 puzzles with few empty cells.
const SMALL: &[&str] = &[
    "train",
    "sudoku",
    "dataset.puzzles=40",
    "dataset.validation_puzzles=10",
    "dataset.givens=[60, 70]",
    "model.type=dense",
    "model.tokens=cells",
    "model.places=embedded",
    "model.evaluation_levels=2",
    "loss.free_levels=0",
    "model.n_heads=4",
    "model.d_model=16",
    "model.n_neurons=32",
    "model.n_levels=2",
    "training.batch_size=4",
    "training.max_steps=12",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=5",
    "evaluation.batches=1",
    "checkpoint.every=4",
];

const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
const SOLUTION: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn train(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[SMALL, more].concat())
}

fn trained() -> Place {
    let place = Place::new();
    train(&place, &["--out", "run"]).done();
    place
}

#[test]
fn a_run_starts_from_the_weights_of_a_model_and_freezes_by_name() {
    let place = trained();
    let evaluations = |run: &str| losses(&place.path(run), "evaluation");
    let last = evaluations("run").last().unwrap().1;
    // The family is that of the model.
    let settings = SMALL
        .iter()
        .filter(|word| **word != "sudoku" && !word.starts_with("model."));
    let mut words: Vec<&str> = settings.copied().collect();
    words.extend([
        "--init-from",
        "run",
        "--out",
        "second",
        "training.freeze=[\"decoder_*\"]",
    ]);
    place.dragon(&words).done();
    assert_eq!(evaluations("second")[0], (0, last));
    let (before, after) = (
        weights(&place.path("run"), 12),
        weights(&place.path("second"), 12),
    );
    for (name, bits) in &before {
        assert_eq!(after[name] == *bits, name.starts_with("decoder_"), "{name}");
    }
    train(&place, &["--init-from", "run", "model.n_levels=3"])
        .refused(2, &["model.n_levels is 3", "run has 2"]);
    place
        .dragon(&["train", "language", "--init-from", "run"])
        .refused(2, &["family is language", "run has sudoku"]);
}

fn shares(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|share| share.as_f64().unwrap())
        .collect()
}

#[test]
fn a_run_says_what_it_learnt_beside_its_controls() {
    let place = Place::new();
    let answer = train(&place, &["--out", "run", "--json"]).done();
    let json = answer.json();
    assert_eq!(json["family"], "sudoku");
    assert_eq!((&json["steps"], &json["units"]), (&12.into(), &48.into()));
    assert_eq!(
        (&json["train_puzzles"], &json["validation_puzzles"]),
        (&40.into(), &10.into())
    );
    for key in [
        "train_loss",
        "val_loss",
        "score",
        "seconds",
        "units_per_second",
        "cell_accuracy",
    ] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    // Recurrent in depth: twice as many levels are run as were trained.
    let (cells, solved) = (
        shares(&json["cell_accuracy_by_levels"]),
        shares(&json["solved_by_levels"]),
    );
    assert_eq!((cells.len(), solved.len()), (4, 4));
    assert_eq!(
        (json["cell_accuracy"].as_f64(), json["solved"].as_f64()),
        (Some(cells[1]), Some(solved[1]))
    );
    assert!(
        (json["score"].as_f64().unwrap() - (1.0 - cells[1])).abs() < 1e-12,
        "{json}"
    );
    let controls = &json["controls"];
    assert_eq!(controls["singles_solved"], 1.0);
    let chance = controls["chance_cell_accuracy"].as_f64().unwrap();
    assert!((chance - 1.0 / 9.0).abs() < 1e-12);
    assert!(controls["candidates_cell_accuracy"].as_f64().unwrap() > chance);

    let said = answer.stdout + &answer.stderr;
    for words in [
        "40 puzzles for training",
        "naked singles to the end",
        "levels run (trained with 2)",
        "predict run",
    ] {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    assert!(config.contains("family = \"sudoku\""), "{config}");
    let info = std::fs::read_to_string(place.path("run/run.json")).unwrap();
    assert!(info.contains("\"sudoku\""), "{info}");
}

#[test]
fn two_puzzles_are_learnt_by_heart() {
    let place = Place::new();
    let more = [
        "dataset.puzzles=2",
        "dataset.augment=none",
        "model.d_model=32",
        "model.n_neurons=64",
        "training.batch_size=2",
        "training.max_steps=60",
        "optimizer.learning_rate=0.01",
        "--json",
    ];
    let json = train(&place, &more).done().json();
    let loss = json["train_loss"].as_f64().unwrap();
    assert!(loss < 0.2, "{loss} nats a cell, of 2.2 before");
}

/// Copies a folder with everything in it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    let place = Place::new();
    train(
        &place,
        &["model.dropout=0.1", "training.accumulate=2", "--out", "whole"],
    )
    .done();
    let (whole, run) = (place.path("whole"), place.path("run"));
    copy(&whole, &run);
    flip_a_byte(&checkpoint(&run, 12).join("model.bpk"));
    let answer = place.dragon(&["train", "--resume", "run"]).done();
    assert!(answer.stderr.contains("passed over"), "{}", answer.stderr);
    assert_same_run(&whole, &run, 12);
}

/// Like [`SMALL`], with the recursion of a TRM model: a puzzle stays in its lane for three steps.
const TRM: &[&str] = &[
    "model.type=trm",
    "model.evaluation_levels=3",
    "model.trm={ reads = \"dense\", reasoning_updates = 2, cycles = 2, supervision_steps = 3 }",
];

#[test]
fn a_trm_run_goes_on_with_its_lanes_and_its_model_goes_through_every_verb() {
    let place = Place::new();
    let more = ["training.accumulate=2", "--out", "whole", "--json"];
    let json = train(&place, &[TRM, &more].concat()).done().json();
    assert!(json["supervision_steps"].is_number(), "{json}");
    let (whole, run) = (place.path("whole"), place.path("run"));
    copy(&whole, &run);
    flip_a_byte(&checkpoint(&run, 12).join("lanes.bpk"));
    let answer = place.dragon(&["train", "--resume", "run"]).done();
    assert!(answer.stderr.contains("passed over"), "{}", answer.stderr);
    assert_same_run(&whole, &run, 12);
    let lanes = |run: &Path| std::fs::read(checkpoint(run, 12).join("lanes.bpk")).unwrap();
    assert!(lanes(&whole) == lanes(&run));
    let resume = ["train", "--resume", "run", "--max-steps", "14"];
    let fewer = [&resume[..], &["training.batch_size=2"]].concat();
    place.dragon(&fewer).refused(2, &["training.batch_size", "lanes"]);

    place.dragon(&["verify", "run", "--deep"]).done();
    let info = place.dragon(&["info", "run", "--json"]).done().json();
    assert_eq!(info["family"], "sudoku");
    assert_eq!(info["config"]["trm"]["supervision_steps"], 3);
    let solved = place.dragon(&["solve", "run", PUZZLE, "--json"]).done().json();
    assert_eq!(solved["solutions"][0]["steps"], 3);
    place.dragon(&["export", "run", "--output", "out.bpk"]).done();
    let exported = place
        .dragon(&["solve", "out.bpk", PUZZLE, "--json"])
        .done()
        .json();
    assert_eq!(exported["solutions"], solved["solutions"]);
    train(&place, &[TRM, &["loss.levels=last"]].concat()).refused(2, &["loss.levels"]);
}

#[test]
fn a_run_that_goes_on_keeps_its_puzzles_and_its_model() {
    let place = trained();
    let resume = |setting: &str| place.dragon(&["train", "--resume", "run", "--max-steps", "14", setting]);
    resume("model.d_model=32").refused(2, &["model.d_model = 32 instead of 16"]);
    resume("loss.levels=last").refused(2, &["loss.levels"]);
    resume("dataset.seed=1").refused(2, &["training data", "40 puzzles", "--accept-changed-data"]);
    resume("training.batch_size=2").done();
}

#[test]
fn settings_that_no_run_can_have_are_refused_by_their_key() {
    let place = Place::new();
    for (setting, says) in [
        ("dataset.givens=[20, 30]", "dataset.givens"),
        ("dataset.puzzles=0", "dataset.puzzles"),
        ("loss.levels=[3]", "loss.levels"),
        ("model.n_neurons=33", "33"),
        ("model.n_neuron=32", "n_neurons"),
    ] {
        train(&place, &[setting]).refused(2, &[says]);
    }
    assert!(
        place.names().is_empty(),
        "nothing was written: {:?}",
        place.names()
    );
}

#[test]
fn puzzles_come_from_files_too_and_a_bad_line_is_named() {
    let place = Place::new();
    place.write("easy.txt", format!("{SOLUTION}\n{PUZZLE}\n"));
    let paths = ["dataset={ type = \"lists\", paths = [\"easy.txt\"], validation_paths = [\"own.csv\"] }"];
    let listed = |paths: &[&str]| {
        let settings = SMALL
            .iter()
            .copied()
            .filter(|setting| !setting.starts_with("dataset."));
        place.dragon(&[&settings.collect::<Vec<_>>()[..], paths].concat())
    };
    place.write("own.csv", "puzzle,solution\nx,y\n");
    listed(&paths).refused(3, &["own.csv", "line 2", "column 1", "'x'"]);
    place.write("own.csv", format!("puzzle,solution\n{PUZZLE},{SOLUTION}\n"));
    // What is held out is left out of training, and nothing is left.
    listed(&paths).refused(3, &["training"]);
}

#[test]
fn a_model_predicts_from_the_command_line_a_file_and_standard_input() {
    let place = trained();
    let typed = place.dragon(&["predict", "run", PUZZLE]).done().stdout;
    let grid = typed.split_whitespace().next().unwrap();
    assert_eq!((typed.lines().count(), grid.len()), (1, 81));
    let kept = grid
        .chars()
        .zip(PUZZLE.chars())
        .all(|(here, given)| given == '0' || here == given);
    assert!(kept, "{typed}");
    assert!(typed.contains("solved"), "{typed}");

    place.write("puzzles.txt", format!("# two\n{PUZZLE}\n{SOLUTION}\n"));
    let listed = place.dragon(&["predict", "run", "puzzles.txt"]).done().stdout;
    assert_eq!(listed.lines().next(), typed.lines().next());
    assert_eq!(
        listed.lines().nth(1),
        Some(format!("{SOLUTION}  solved").as_str())
    );
    let read = place
        .dragon_reads(&["predict", "run", "-"], PUZZLE.as_bytes())
        .done()
        .stdout;
    assert_eq!(read, typed);
    place
        .dragon(&["predict", "run", "puzzles.txt", "--out", "answers.txt"])
        .done();
    assert_eq!(
        std::fs::read_to_string(place.path("answers.txt")).unwrap(),
        listed
    );
}

#[test]
fn predictions_as_json_say_what_is_solved_and_what_was_no_puzzle() {
    let place = trained();
    let text = format!("{PUZZLE}\n12\n{SOLUTION}\n11{}\n", "0".repeat(79));
    let answer = place.dragon_reads(&["predict", "run", "-", "--json"], text.as_bytes());
    assert_eq!(answer.code, Some(3), "{}", answer.stderr);
    for words in ["line 2", "line 4", "digit 1 stands twice"] {
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
    let json = answer.json();
    assert_eq!((&json["family"], &json["of"]), (&"sudoku".into(), &2.into()));
    let solutions = json["solutions"].as_array().unwrap();
    assert_eq!(
        (&solutions[1]["grid"], &solutions[1]["line"]),
        (&SOLUTION.into(), &3.into())
    );
    assert_eq!(
        (&solutions[1]["solved"], &solutions[1]["steps"]),
        (&true.into(), &1.into()),
        "a complete puzzle is an answer at once"
    );
    let count = solutions
        .iter()
        .filter(|solution| solution["solved"] == true)
        .count();
    assert_eq!(json["solved"], count);
    assert_eq!(json["refused"][0]["line"], 2);
    let deeper = place
        .dragon(&["predict", "run", PUZZLE, "--steps", "7", "--json"])
        .done()
        .json();
    assert_eq!(deeper["solutions"][0]["steps"], 7);
    place
        .dragon(&["predict", "run", PUZZLE, "--steps", "0"])
        .refused(2, &["--steps"]);
}

#[test]
fn answers_are_checked_completed_and_drawn() {
    let place = trained();
    place.write("puzzles.txt", format!("{PUZZLE}\n{SOLUTION}\n"));
    let words = ["solve", "run", "puzzles.txt", "--verify", "--complete", "--show"];
    let answer = place
        .dragon(&[&words[..], &["--svg", "grids.svg", "--samples", "2"]].concat())
        .done();
    let lines: Vec<&str> = answer.stdout.lines().collect();
    assert!(
        lines[0].contains("not solved") && lines[0].ends_with(SOLUTION),
        "{}",
        lines[0]
    );
    assert_eq!(lines[1], format!("{SOLUTION}  solved"));
    assert!(answer.stdout.contains("at least 99 %"), "{}", answer.stdout);
    assert!(
        answer.stderr.contains("verified: 1 of 2 answers"),
        "{}",
        answer.stderr
    );
    let picture = std::fs::read_to_string(place.path("grids.svg")).unwrap();
    assert!(
        picture.starts_with("<svg") && picture.contains("1 level: solved"),
        "{picture}"
    );
}

#[test]
fn what_cannot_be_predicted_is_said() {
    let place = trained();
    place
        .dragon(&["predict", "run", "no_such_file.txt"])
        .refused(3, &["no_such_file.txt", "neither a file nor a puzzle"]);
    let tales = Place::trained();
    tales
        .dragon(&["predict", "run", PUZZLE])
        .refused(2, &["language", "dragon generate"]);
}

#[test]
fn a_model_goes_out_in_parts_and_is_the_same_model() {
    let place = trained();
    let typed = place.dragon(&["predict", "run", PUZZLE]).done().stdout;
    let export = [
        "export",
        "run",
        "--output",
        "out/model.bpk",
        "--parts-mib",
        "1",
        "--json",
    ];
    let json = place.dragon(&export).done().json();
    assert_eq!(json["parts"], 1);
    let parts = "out/model.bpk.parts.json";
    assert_eq!(place.dragon(&["predict", parts, PUZZLE]).done().stdout, typed);
    place.dragon(&["verify", parts]).done();
    place.dragon(&["verify", "run", "--deep"]).done();
    place.dragon(&["diff", "run", parts]).done();
    let info = place.dragon(&["info", parts, "--json"]).done().json();
    assert_eq!(
        (&info["family"], &info["parameters"]),
        (&"sudoku".into(), &2272.into())
    );
    assert!(
        place
            .dragon(&["inspect", parts])
            .done()
            .stdout
            .contains("columns")
    );
    flip_a_byte(&checkpoint(&place.path("run"), 12).join("model.bpk"));
    assert_eq!(place.dragon(&["verify", "run"]).code, Some(3));
}

#[cfg(feature = "fetch")]
#[test]
fn a_card_says_that_it_is_a_sudoku_model() {
    let place = trained();
    place
        .dragon(&["push", "run", "--repo", "me/sudoku", "--dry-run", "out"])
        .done();
    let card = std::fs::read_to_string(place.path("out/README.md")).unwrap();
    for words in ["sudoku", "dragon predict", "cells right"] {
        assert!(card.contains(words), "`{words}` is not in: {card}");
    }
}

#[test]
fn an_export_is_held_against_the_configuration_that_is_typed() {
    let place = trained();
    let export = |config: &str| {
        let words = [
            "--family",
            "sudoku",
            "--checkpoint",
            "run",
            "--output",
            "out.bpk",
            "-c",
            config,
        ];
        Answer::of(place.program("export_burnpack").args(words))
    };
    place.write("wider.toml", "family = \"sudoku\"\n[model]\nd_model = 32\n");
    export("wider.toml").refused(2, &["d_model is 16 in the model, but 32 in the configuration"]);
    place.write("other.toml", "family = \"language\"\n");
    export("other.toml").refused(2, &["family is \"sudoku\" in the model, but \"language\""]);
    assert!(!place.path("out.bpk").exists());
    export("run/config.toml").done();
}
