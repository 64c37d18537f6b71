//! The graph family on bodies: frames that are observed, predicted and rolled out.

use crate::support::{Answer, Place, assert_same_run, checkpoint, flip_a_byte};
use serde_json::Value;

/// 12 steps of 4 small systems.
const SMALL: &[&str] = &[
    "train",
    "graph",
    "--preset",
    "nbody",
    "dataset.graphs=40",
    "dataset.validation_graphs=6",
    "dataset.test_graphs=5",
    "dataset.nodes=[2, 3]",
    "dataset.test_nodes=[4, 6]",
    "dataset.nbody.rollout_frames=5",
    "model.d_model=16",
    "model.n_neurons=32",
    "model.n_levels=2",
    "baselines.width=8",
    "training.batch_size=4",
    "training.max_steps=12",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=5",
    "evaluation.batches=1",
    "checkpoint.every=4",
];

/// Velocities are not seen, and memories are carried from frame to frame.
const HIDDEN: &[&str] = &[
    "dataset.nbody.inputs=positions",
    "dataset.nbody.observed_frames=3",
    "model.decay=0.5",
];

const TWO: &str = r#"{"edges": [[0, 1]], "frames": [[[-1, 0, 0, 0], [1, 0, 0, 0.5]]]}"#;

fn train(place: &Place, more: &[&str]) -> Answer {
    place.dragon(&[SMALL, more].concat())
}

#[test]
fn a_run_says_its_errors_beside_constant_velocity_and_baselines_and_eval_says_the_same() {
    let place = Place::new();
    let answer = train(&place, &["--out", "run", "--json"]).done();
    let json = answer.json();
    assert_eq!((&json["family"], &json["outputs"]), (&"graph".into(), &4.into()));
    let curve = json["mse_by_frame"].as_array().unwrap();
    assert_eq!((curve.len(), &curve[0]), (5, &json["val_step_mse"]));
    assert_eq!(curve[4], json["val_rollout_mse"]);
    assert_eq!(json["test_mse_by_frame"][4], json["test_rollout_mse"]);
    assert_eq!(json["loss_by_levels"].as_array().unwrap().len(), 4);
    for name in ["constant_velocity", "gcn", "gru", "mlp", "untrained"] {
        for key in ["step_mse", "rollout_mse", "test_step_mse", "test_rollout_mse"] {
            let key = format!("{name}_{key}");
            assert!(json["controls"][&key].is_number(), "{key}: {json}");
        }
    }
    for name in ["reset", "wiped", "never_written"] {
        let key = format!("{name}_rollout_mse");
        assert!(json["memories"][&key].is_number(), "{key}: {json}");
    }
    let said = answer.stdout + &answer.stderr;
    for words in ["constant velocity", "never written", "bodies", "predict run"] {
        assert!(said.contains(words), "`{words}` is not in: {said}");
    }
    let found = place.dragon(&["eval", "run", "--json"]).done().json();
    for key in [
        "val_step_mse",
        "val_rollout_mse",
        "mse_by_frame",
        "controls",
        "memories",
    ] {
        assert_eq!(found[key], json[key], "{key}");
    }
}

#[test]
fn the_next_frame_is_learnt() {
    let place = Place::new();
    let more = [
        "training.max_steps=150",
        "dataset.graphs=400",
        "dataset.nbody.spring_length=0",
        "baselines.models=[]",
        "--json",
    ];
    let json = train(&place, &more).done().json();
    let error = |value: &Value| value.as_f64().unwrap();
    let still = error(&json["controls"]["constant_velocity_step_mse"]);
    assert!(error(&json["val_step_mse"]) < 0.3 * still, "{json}");
}

#[test]
fn a_resumed_run_is_the_uninterrupted_one_bit_for_bit() {
    let place = Place::new();
    let more = [HIDDEN, &["model.dropout=0.1", "baselines.models=[]", "--out"]].concat();
    train(&place, &[&more[..], &["whole"]].concat()).done();
    train(&place, &[&more[..], &["run"]].concat()).done();
    let (whole, run) = (place.path("whole"), place.path("run"));
    flip_a_byte(&checkpoint(&run, 12).join("model.bpk"));
    place.dragon(&["train", "--resume", "run"]).done();
    assert_same_run(&whole, &run, 12);
    let other = ["train", "--resume", "run", "--max-steps", "14"];
    let other = [&other[..], &["dataset.nbody.stiffness=2"]].concat();
    place
        .dragon(&other)
        .refused(2, &["training data", "--accept-changed-data"]);
}

#[test]
fn frames_are_predicted_and_are_input_again() {
    let place = Place::new();
    train(&place, &["--out", "run", "baselines.models=[]"]).done();
    let predict = |input: &str, steps: &str| place.dragon(&["predict", "run", input, "--steps", steps]);
    let three: Value = serde_json::from_str(&predict(TWO, "3").done().stdout).unwrap();
    assert_eq!(three.as_array().unwrap().len(), 3);
    assert_eq!(three[0].as_array().unwrap().len(), 2);
    assert_eq!(
        place.dragon(&["predict", "run", TWO]).done().stdout,
        predict(TWO, "1").done().stdout
    );
    // Without a memory of the past, the first predicted frame leads to the second one.
    let again = format!("{{\"edges\": [[0, 1]], \"frames\": [{}]}}", three[0]);
    let next: Value = serde_json::from_str(&predict(&again, "1").done().stdout).unwrap();
    assert_eq!(next[0], three[1]);
    place.write(
        "bodies.json",
        format!("{TWO}\n{}\n", TWO.replace("0.5", "0.5, 1")),
    );
    let answer = place.dragon(&["predict", "run", "bodies.json", "--json"]);
    let json = answer.json();
    assert_eq!((answer.code, &json["refused"][0]["line"]), (Some(3), &2.into()));
    assert_eq!(json["graphs"][0]["frames"][0], three[0]);
    let refused = |input: &str, says: &[&str]| {
        place.dragon(&["predict", "run", input]).refused(3, says);
    };
    refused(
        r#"{"edges": [[0, 1]], "source": 0}"#,
        &["it has no `frames`", "x, y, vx, vy"],
    );
    place
        .dragon(&["predict", "run", TWO, "--steps", "0"])
        .refused(2, &["frames"]);
    place.dragon(&["verify", "run", "--deep"]).done();
    let info = place.dragon(&["info", "run"]).done().stdout;
    assert!(info.contains("4 outputs of bodies"), "{info}");
}

#[test]
fn a_model_without_velocities_asks_for_the_frames_that_it_observed() {
    let place = Place::new();
    let own = [
        "--out",
        "run",
        "baselines.models=[]",
        "model.observation=gated",
        "--json",
    ];
    let json = train(&place, &[HIDDEN, &own].concat()).done().json();
    // The levels of training are those of the figures, also with several frames.
    let (curve, loss) = (&json["loss_by_levels"][1], &json["val_loss"]);
    let (curve, loss) = (curve.as_f64().unwrap(), loss.as_f64().unwrap());
    assert!((curve - loss).abs() < 1e-6 * loss, "{curve} {loss}");
    let frames = |count: usize| {
        let frames = vec!["[[-1, 0], [1, 0]]"; count].join(", ");
        format!("{{\"edges\": [[0, 1]], \"frames\": [{frames}]}}")
    };
    place
        .dragon(&["predict", "run", &frames(2)])
        .refused(3, &["2 frames", "at least 3"]);
    place.dragon(&["predict", "run", &frames(3)]).done();
    place.dragon(&["predict", "run", &frames(5)]).done();
    train(&place, &["dataset.nbody.inputs=positions"]).refused(2, &["dataset.nbody.observed_frames"]);
    train(&place, &["loss.labels=reached"]).refused(2, &["loss.labels"]);
    place
        .dragon(&["predict", "run", TWO])
        .refused(3, &["4 numbers; expected 2"]);
}
