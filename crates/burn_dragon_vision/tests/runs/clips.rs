//! Runs on clips, with teachers in their checkpoints.

use super::{file, killed_after, train};
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_train::api::{RunRequest, run};
use burn_dragon_vision::api::{VISION, Vision, VisionConfig};
use serde_json::Value;
use std::path::Path;

/// 4 steps of 4 clips with 3 frames of 8 x 8 pixels.
const SMALL: &[&str] = &[
    "dataset.type=moving_glyphs",
    "dataset.count=12",
    "dataset.validation_count=6",
    "dataset.motion={ frames = 3 }",
    "model.image_size=8",
    "model.patch_size=4",
    "model.stem=linear",
    "model.d_model=8",
    "model.n_heads=2",
    "model.n_neurons=16",
    "model.n_levels=2",
    "probe.pictures=12",
    "probe.pictures_between=6",
    "probe.neighbours=3",
    "probe.weight_decays=[0.01]",
    "probe.iterations=5",
    "training.batch_size=4",
    "training.max_steps=4",
    "training.log_every=1",
    "schedule.warmup_steps=1",
    "evaluation.every=0",
    "checkpoint.every=2",
    "checkpoint.keep=9",
];

const VJEPA: &[&str] = &[
    "objective.type=vjepa21",
    "objective.depths=[1, 2]",
    "objective.context_warmup=[1, 3]",
    "objective.masks={ blocks = 2, spatial_scale = [0.3, 0.6] }",
    "objective.predictor={ type = \"attention\", d_model = 12, n_heads = 2, n_neurons = 16, n_levels = 1 }",
];

const LEJEPA: &[&str] = &[
    "model.backbone=cellular",
    "objective.type=video_lejepa",
    "objective.context=2",
    "objective.teacher_decay=0.9",
    "objective.projector={ hidden = [8], output = 4 }",
];

/// A run of four steps, and one that goes on after two: both end with the same bits.
fn goes_on(settings: &[&str]) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole"), folder.path().join("killed"));
    let json = train(&whole, &[SMALL, settings].concat());
    killed_after(2, &whole, &killed);
    assert!(!killed.join("checkpoint/step-000004").exists());
    run::<Vision>(&RunRequest {
        resume: Some(killed.clone()),
        json: true,
        ..RunRequest::default()
    })
    .unwrap();
    for name in ["model.bpk", "optimizer.bpk", "teacher.bpk"] {
        assert!(file(&whole, 4, name) == file(&killed, 4, name), "{name}");
    }
    assert!(file(&whole, 2, "teacher.bpk") != file(&whole, 4, "teacher.bpk"));
    (folder, json)
}

#[test]
fn a_killed_vjepa_run_goes_on_bit_for_bit_with_its_teacher() {
    let (folder, json) = goes_on(VJEPA);
    assert_eq!((&json["steps"], &json["units"]), (&4.into(), &16.into()));
    for key in [
        "val_accuracy",
        "knn_accuracy",
        "probe_foreground_iou",
        "probe_position_r2",
        "probe_effective_rank",
        "control_raw_pixels_foreground_iou",
        "control_untrained_encoder_linear",
    ] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    let text = std::fs::read_to_string(folder.path().join("whole/metrics.jsonl")).unwrap();
    for key in ["hidden", "context", "target_deviation"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key}: {text}");
    }

    // `verify` knows the file by its description, and a run does not go on without it.
    let place = folder.path().join("whole/checkpoint/step-000004");
    let model = ModelFile::read(&place.join("model.bpk")).unwrap();
    let companions = VISION.companions(model.config.value());
    let teacher = companions
        .iter()
        .find(|companion| companion.file == "teacher.bpk");
    let file = TensorFile::read(&place.join("teacher.bpk")).unwrap();
    let expected = teacher.unwrap().layouts[0].expected(&file);
    assert_eq!(expected.len(), file.tensors.len());
    for (name, shape) in &expected {
        assert_eq!(file.tensors[name].shape().to_vec(), *shape, "{name}");
    }
    let without = folder.path().join("without");
    killed_after(2, &folder.path().join("whole"), &without);
    std::fs::remove_file(without.join("checkpoint/step-000002/teacher.bpk")).unwrap();
    let refused = run::<Vision>(&RunRequest {
        resume: Some(without),
        json: true,
        ..RunRequest::default()
    });
    let error = refused.map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("teacher.bpk"), "{error}");
}

#[test]
fn a_killed_video_lejepa_run_goes_on_bit_for_bit_with_its_teacher() {
    let (folder, json) = goes_on(LEJEPA);
    for key in ["knn_accuracy", "probe_projection_rank", "probe_position_r2"] {
        assert!(json[key].is_number(), "{key}: {json}");
    }
    let text = std::fs::read_to_string(folder.path().join("whole/metrics.jsonl")).unwrap();
    for key in ["prediction", "observe", "sigreg", "state_ratio"] {
        assert!(text.contains(&format!("\"{key}\":")), "{key}: {text}");
    }
}

#[test]
fn a_run_whose_targets_are_its_own_has_no_teacher_in_its_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let own: Vec<&str> = LEJEPA
        .iter()
        .copied()
        .filter(|setting| !setting.contains("teacher_decay"))
        .collect();
    train(folder.path().join("run").as_path(), &[SMALL, &own].concat());
    let place = folder.path().join("run/checkpoint/step-000004");
    assert!(place.join("model.bpk").exists() && !place.join("teacher.bpk").exists());
}

#[test]
fn the_configurations_on_clips_are_valid_above_the_base() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).ok()?.parse::<toml::Table>().ok();
    for name in ["vjepa21", "video_lejepa"] {
        let path = crate_folder.join(format!("../../config/vision/{name}/moving_mnist.toml"));
        let Some(own) = read(&path) else {
            println!("skipped: {} is not there", path.display());
            continue;
        };
        let mut whole = read(&crate_folder.join("config/base.toml")).unwrap();
        merge(&mut whole, own);
        for key in ["extends", "family"] {
            whole.remove(key);
        }
        let config: VisionConfig = whole.try_into().unwrap();
        assert_eq!(config.objective.name(), name);
        config.validate().unwrap();
    }
}

/// Puts the values of a table above those of another one.
fn merge(below: &mut toml::Table, above: toml::Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(toml::Value::Table(below)), toml::Value::Table(above)) if !above.contains_key("type") => {
                merge(below, above);
            }
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}
