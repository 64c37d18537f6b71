//! A run of a TRM model through the trainer: it goes on from a checkpoint as if nothing had happened, and its model is used.
#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::Device;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{Kinds, ModelFile, ModelKind};
use burn_dragon_sudoku::api::{Grid, SUDOKU, SolveOptions, Sudoku, model_of, solve_with};
use burn_dragon_train::api::{Family, PredictOptions, PredictRequest, RunRequest, run};
use serde_json::Value;
use std::path::Path;

/// 16 steps of two batches of two lanes; a puzzle takes at most three of them.
const SMALL: &[&str] = &[
    "dataset.puzzles=20",
    "dataset.validation_puzzles=6",
    "dataset.givens=[55, 65]",
    "dataset.augment=symmetries",
    "model.type=trm",
    "model.tokens=candidates",
    "model.places=none",
    "model.n_heads=4",
    "model.d_model=8",
    "model.n_neurons=16",
    "model.n_levels=1",
    "model.evaluation_levels=3",
    "model.dropout=0.1",
    "model.trm={ reasoning_updates = 2, cycles = 2, supervision_steps = 3 }",
    "loss.free_levels=0",
    "training.batch_size=2",
    "training.accumulate=2",
    "training.max_steps=16",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=0",
    "checkpoint.every=5",
    "checkpoint.keep=9",
];

const PUZZLE: &str = "530070000600195000098000060800060003400803001700020006060000280000419005000080079";
const SOLUTION: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

fn train(out: &Path, more: &[&str]) -> Value {
    let ran = run::<Sudoku>(&RunRequest {
        assignments: SMALL.iter().chain(more).map(ToString::to_string).collect(),
        out: Some(out.into()),
        json: true,
        ..RunRequest::default()
    });
    let json = ran.unwrap().json.unwrap();
    serde_json::from_str(&json.to_string()).unwrap()
}

/// Copies a run as it would be, had it been killed behind its checkpoint of this step.
fn killed_after(step: u64, from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        let (path, target) = (entry.path(), to.join(&name));
        let number = name.strip_prefix("step-").map(|number| number.parse::<u64>());
        if number.is_some_and(|number| number.unwrap() > step) || name == "lock" {
            continue;
        }
        if path.is_dir() {
            killed_after(step, &path, &target);
        } else {
            std::fs::copy(path, target).unwrap();
        }
    }
}

fn file(run: &Path, step: u64, name: &str) -> Vec<u8> {
    std::fs::read(run.join(format!("checkpoint/step-{step:06}/{name}"))).unwrap()
}

#[test]
fn a_killed_run_goes_on_bit_for_bit_with_its_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let json = train(&whole, &[]);
    killed_after(5, &whole, &killed); // in the middle of the second puzzle of each lane
    assert!(!killed.join("checkpoint/step-000010").exists());
    let request = RunRequest {
        resume: Some(killed.clone()),
        json: true,
        ..RunRequest::default()
    };
    run::<Sudoku>(&request).unwrap();
    for step in [10, 16] {
        for name in ["model.bpk", "optimizer.bpk", "lanes.bpk"] {
            let same = file(&whole, step, name) == file(&killed, step, name);
            assert!(same, "{name} of step {step}");
        }
    }
    assert!(file(&whole, 5, "lanes.bpk") != file(&whole, 10, "lanes.bpk"));

    assert_eq!((&json["steps"], &json["units"]), (&16.into(), &64.into()));
    for key in [
        "solved",
        "cell_accuracy",
        "halted",
        "halted_right",
        "supervision_steps",
    ] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    assert_eq!(json["solved_by_levels"].as_array().unwrap().len(), 6);
    let text = std::fs::read_to_string(whole.join("metrics.jsonl")).unwrap();
    let step = text.lines().find(|line| line.contains("\"step\":8")).unwrap();
    for key in ["halted", "solved", "supervision_steps"] {
        assert!(step.contains(&format!("\"{key}\":")), "{step}");
    }
}

#[test]
fn the_model_of_a_run_is_verified_described_and_solves() {
    let folder = tempfile::tempdir().unwrap();
    train(
        &folder.path().join("run"),
        &["training.max_steps=5", "training.accumulate=1"],
    );
    let place = folder.path().join("run/checkpoint/step-000005");
    let path = place.join("model.bpk");
    let read = || ModelFile::read(&path).unwrap();
    Kinds::new([&SUDOKU as &dyn ModelKind])
        .check(&read(), &path)
        .unwrap();
    assert_eq!(read().info.units, 4, "two lanes, each with its second puzzle");
    let config = read().config.value().clone();
    let companions = SUDOKU.companions(&config);
    let lanes = companions.iter().find(|companion| companion.file == "lanes.bpk");
    let file = TensorFile::read(&place.join("lanes.bpk")).unwrap();
    let expected = lanes.unwrap().layouts[0].expected(&file);
    assert_eq!(expected["answer"], [2, 729, 8]);
    for (name, shape) in &expected {
        assert_eq!(file.tensors[name].shape().to_vec(), *shape, "{name}");
    }
    let shape = SUDOKU.shape(&config);
    assert!(
        shape.contains("3 supervision steps of 2 x 3 x 1 levels"),
        "{shape}"
    );
    let probe = SUDOKU.probe(read(), &path, &Device::flex()).unwrap();
    assert!(probe.contains("givens"), "{probe}");

    // A complete puzzle is an answer at once; another takes all steps.
    let model = model_of(read(), &path, &Device::flex()).unwrap();
    let [solution, puzzle]: [Grid; 2] = [SOLUTION, PUZZLE].map(|text| text.parse().unwrap());
    let solved = solve_with(&model, &[solution, puzzle], SolveOptions::levels(3));
    assert_eq!((solved[0].steps, solved[0].grid), (1, solution));
    assert_eq!(solved[1].steps, 3);
    let request = PredictRequest {
        model: path.clone(),
        input: PUZZLE.into(),
        steps: None,
        device: Device::flex(),
        options: PredictOptions::default(),
    };
    let predicted = Sudoku::predict(read(), &request).unwrap();
    let first = &predicted.object["solutions"][0];
    assert_eq!(first["steps"], 3);
    assert_eq!(first["grid"], solved[1].grid.to_string());
}
