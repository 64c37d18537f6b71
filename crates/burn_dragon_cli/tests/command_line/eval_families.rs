//! `dragon eval` of families that are evaluated on the held-out data of their runs.

use crate::support::{Answer, Place, checkpoint, losses};
use serde_json::Value;

/// Settings of both families: 12 steps of 4, and evaluations on all held-out data on the way.
const SMALL: &[&str] = &[
    "model.d_model=16",
    "model.n_neurons=32",
    "model.n_levels=2",
    "training.batch_size=4",
    "training.max_steps=12",
    "schedule.warmup_steps=2",
    "evaluation.every=4",
    "evaluation.batches=100",
    "checkpoint.every=4",
    "checkpoint.keep=5",
    "--out",
    "run",
    "--json",
];

const GRAPH: &[&str] = &[
    "train",
    "graph",
    "dataset.graphs=40",
    "dataset.validation_graphs=6",
    "dataset.test_graphs=5",
    "dataset.nodes=[5, 8]",
    "dataset.test_nodes=[10, 16]",
    "dataset.max_distance=3",
    "baselines.models=[\"gcn\"]",
    "baselines.width=8",
];

const SUDOKU: &[&str] = &[
    "train",
    "sudoku",
    "dataset.puzzles=40",
    "dataset.validation_puzzles=10",
    "dataset.givens=[60, 70]",
];

fn trained(family: &[&str]) -> (Place, Answer) {
    let place = Place::new();
    let answer = place.dragon(&[family, SMALL].concat()).done();
    (place, answer)
}

fn figures(place: &Place, arguments: &[&str]) -> Value {
    let words = [&["eval"], arguments, &["--json"]].concat();
    place.dragon(&words).done().json()
}

#[test]
fn the_figures_of_a_run_are_those_its_training_ended_with() {
    for (family, own) in [(GRAPH, "val_accuracy"), (SUDOKU, "cell_accuracy")] {
        let (place, trained) = trained(family);
        let (summary, found) = (trained.json(), figures(&place, &["run"]));
        let keys = found.as_object().unwrap();
        let measured = keys
            .iter()
            .filter(|(key, _)| !["step", "notes"].contains(&key.as_str()));
        for (key, value) in measured {
            assert_eq!(value, &summary[key], "{key}");
        }
        assert!(found[own].is_number() && found["controls"].is_object(), "{found}");
        assert_eq!(
            (&found["step"], &found["notes"]),
            (&12.into(), &Value::Array(Vec::new()))
        );
        let lines = place.dragon(&["eval", "run"]).done().stdout;
        let loss = format!("{:.4}\n", summary["val_loss"].as_f64().unwrap());
        assert!(
            lines.lines().next().unwrap().ends_with(loss.trim_end()),
            "{lines}"
        );
        // The table that the training showed, behind the lines of loss and figures.
        let table: Vec<&str> = lines.lines().skip_while(|line| !line.contains("share")).collect();
        assert!(table.len() > 8, "{lines}");
        for line in table {
            assert!(trained.stderr.contains(line.trim_end()), "{line}");
        }
    }
}

#[test]
fn the_checkpoint_asked_for_is_the_one_that_is_evaluated() {
    for family in [GRAPH, SUDOKU] {
        let (place, _) = trained(family);
        for (step, loss) in losses(&place.path("run"), "evaluation").into_iter().skip(1) {
            let found = figures(&place, &["run", "--step", &step.to_string()]);
            let given = found["val_loss"].as_f64().unwrap();
            assert!((given - loss).abs() < 1e-9, "step {step}: {given} {loss}");
            assert_eq!(found["step"], step);
        }
        let folder = checkpoint(&place.path("run"), 8);
        let alone = figures(&place, &[folder.to_str().unwrap()]);
        assert_eq!(alone, figures(&place, &["run", "--step", "8"]));
    }
}

#[test]
fn data_that_has_changed_since_is_told() {
    let (place, _) = trained(SUDOKU);
    let config = std::fs::read_to_string(place.path("run/config.toml")).unwrap();
    let changed = config.replace("validation_puzzles = 10", "validation_puzzles = 9");
    assert_ne!(changed, config);
    place.write("run/config.toml", changed);
    let answer = place.dragon(&["eval", "run", "--json"]).done();
    for words in ["warning: ", "10 puzzles", "9 puzzles", "not comparable"] {
        assert!(answer.stderr.contains(words), "{}", answer.stderr);
    }
    let notes = answer.json()["notes"].clone();
    assert!(notes[0].as_str().unwrap().contains("9 puzzles"), "{notes}");
}

#[test]
fn what_only_language_models_have_is_refused_with_what_there_is() {
    let (place, _) = trained(SUDOKU);
    for (arguments, name) in [
        (&["puzzles.txt"][..], "DATA (puzzles.txt)"),
        (&["--needle"], "--needle"),
        (&["--suite", "--out"], "--suite"),
        (&["--memory", "carried"], "--memory"),
        (&["--block-size", "8"], "--block-size"),
        (&["--by-position"], "--by-position"),
        (&["--precision", "bf16"], "--precision bf16"),
    ] {
        let words = [&["eval", "run"], arguments].concat();
        place
            .dragon(&words)
            .refused(2, &[name, "family `sudoku`", "`dragon eval RUN`"]);
    }
    let export = ["export", "run", "--output", "model.bpk"];
    place.dragon(&export).done();
    place.dragon(&["eval", "model.bpk"]).refused(
        2,
        &["model.bpk is not in a run folder", "give the folder of its run"],
    );
}
