//! Runs of a saccade model.

use super::{PUZZLE, file, killed_after, resume, train};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::ModelFile;
use burn_dragon_sudoku::api::Sudoku;
use burn_dragon_train::api::policy::Chooser;
use burn_dragon_train::api::{Family, PredictOptions, PredictRequest};

const SMALL: &[&str] = &[
    "dataset.puzzles=20",
    "dataset.validation_puzzles=6",
    "dataset.givens=[45, 55]",
    "model.type=saccade",
    "model.tokens=candidates",
    "model.places=none",
    "model.d_model=8",
    "model.n_neurons=16",
    "model.n_levels=2",
    "model.evaluation_levels=6",
    "model.glimpse={ levels = 2, cells = 5 }",
    "loss.free_levels=4",
    "training.batch_size=2",
    "training.accumulate=2",
    "training.max_steps=8",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=0",
    "checkpoint.every=4",
    "checkpoint.keep=9",
];

#[test]
fn a_killed_run_goes_on_bit_for_bit_with_its_policy_and_may_change_how_it_learns() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, killed, other] = ["whole", "killed", "other"].map(|name| folder.path().join(name));
    let json = train(&whole, SMALL);
    killed_after(4, &whole, &killed);
    killed_after(4, &whole, &other);
    resume(&killed, &[]).unwrap();
    for name in ["model.bpk", "optimizer.bpk"] {
        assert!(file(&whole, 8, name) == file(&killed, 8, name), "{name}");
    }
    let error = resume(&other, &["model.glimpse={ levels = 1, cells = 5 }"]).unwrap_err();
    assert!(error.contains("model.glimpse"), "{error}");
    resume(&other, &["policy.rollouts=2"]).unwrap();
    assert!(file(&whole, 8, "model.bpk") != file(&other, 8, "model.bpk"));

    // The configuration of a run names what its policy learns from.
    let config = std::fs::read_to_string(whole.join("config.toml")).unwrap();
    for text in [
        "[policy]",
        "rollouts = 4",
        "name = \"few_steps\"",
        "at_least = 1.0",
    ] {
        assert!(config.contains(text), "{text}: {config}");
    }
    for key in ["solved", "cell_accuracy"] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    for chooser in Chooser::ALL.map(Chooser::name) {
        let key = format!("{chooser}_solved");
        assert!(json["controls"][&key].is_number(), "{key}: {json}");
    }
    let text = std::fs::read_to_string(whole.join("metrics.jsonl")).unwrap();
    let step = text.lines().find(|line| line.contains("\"step\":8")).unwrap();
    for key in [
        "policy_valid",
        "policy_solved",
        "policy_few_steps",
        "policy_entropy",
    ] {
        assert!(step.contains(&format!("\"{key}\":")), "{step}");
    }

    let path = whole.join("checkpoint/step-000008/model.bpk");
    let request = PredictRequest {
        model: path.clone(),
        inputs: vec![PUZZLE.into()],
        steps: Some(7),
        device: Device::flex(),
        options: PredictOptions {
            policy: Some(Chooser::Raster),
            ..PredictOptions::default()
        },
    };
    let predicted = Sudoku::predict(ModelFile::read(&path).unwrap(), &request).unwrap();
    assert_eq!(predicted.object["solutions"][0]["steps"], 7);
}
