//! Runs of a TRM model.

use super::{PUZZLE, file, killed_after, resume, train};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{Kinds, ModelFile, ModelKind};
use burn_dragon_sudoku::api::{Grid, SUDOKU, SolveOptions, Sudoku, model_of, solve_with};
use burn_dragon_train::api::{Family, PredictOptions, PredictRequest};

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

const SOLUTION: &str = "534678912672195348198342567859761423426853791713924856961537284287419635345286179";

#[test]
fn a_killed_run_goes_on_bit_for_bit_with_its_lanes() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let json = train(&whole, SMALL);
    killed_after(5, &whole, &killed); // in the middle of the second puzzle of each lane
    assert!(!killed.join("checkpoint/step-000010").exists());
    resume(&killed, &[]).unwrap();
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
    let shorter = [SMALL, &["training.max_steps=5", "training.accumulate=1"]].concat();
    train(&folder.path().join("run"), &shorter);
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
        inputs: vec![PUZZLE.into()],
        steps: None,
        device: Device::flex(),
        options: PredictOptions::default(),
    };
    let predicted = Sudoku::predict(read(), &request).unwrap();
    let first = &predicted.object["solutions"][0];
    assert_eq!(first["steps"], 3);
    assert_eq!(first["grid"], solved[1].grid.to_string());
}
