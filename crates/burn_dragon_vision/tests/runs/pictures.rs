//! Runs on pictures.

use super::{file, killed_after, train};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_train::api::{Family, PredictOptions, PredictRequest, RunRequest, run};
use burn_dragon_vision::api::{VISION, VISION_ENCODER, Vision, encoder_of};
use serde_json::Value;
use std::path::Path;

/// 6 steps of 4 pictures.
const SMALL: &[&str] = &[
    "dataset.count=40",
    "dataset.validation_count=24",
    "model.image_size=16",
    "model.d_model=16",
    "model.n_heads=2",
    "model.n_neurons=32",
    "model.n_levels=2",
    "model.dropout=0.1",
    "augment.flip=0.5",
    "probe.pictures=30",
    "probe.pictures_between=20",
    "probe.weight_decays=[0.01]",
    "probe.iterations=20",
    "training.batch_size=4",
    "training.max_steps=6",
    "training.log_every=2",
    "schedule.warmup_steps=2",
    "evaluation.every=3",
    "checkpoint.every=3",
    "checkpoint.keep=9",
];

/// Trains, resumes a copy that was killed half-way, and compares the ends.
fn goes_on(folder: &Path, settings: &[&str]) -> Value {
    let (whole, killed) = (folder.join("whole"), folder.join("killed"));
    let json = train(&whole, &[SMALL, settings].concat());
    killed_after(3, &whole, &killed);
    let request = RunRequest {
        resume: Some(killed.clone()),
        json: true,
        ..RunRequest::default()
    };
    run::<Vision>(&request).unwrap();
    for name in ["model.bpk", "optimizer.bpk"] {
        assert!(
            file(&whole, 6, name) == file(&killed, 6, name),
            "{settings:?}: {name}"
        );
    }
    assert!(
        file(&whole, 3, "model.bpk") != file(&whole, 6, "model.bpk"),
        "{settings:?}"
    );
    json
}

#[test]
fn a_run_of_every_objective_goes_on_bit_for_bit_and_is_probed_beside_its_anchors() {
    let token = [
        "objective={ type = \"mae\", hiding = \"token\", decoder = { d_model = 8, n_heads = 1, n_neurons = 8 } }",
        "model.stem=linear",
    ];
    let dropped = [
        "objective={ type = \"mae\", hidden = 0.75, decoder = { d_model = 8, n_heads = 1, n_neurons = 8 } }",
        "model.stem=linear",
    ];
    let views = [
        "objective={ type = \"lejepa\", views = { global = 2, local = 1 }, projector = { hidden = [8], output = 4 } }",
    ];
    for settings in [
        &[][..],
        &["model.backbone=cellular"],
        &["model.backbone=pyramid"],
        &token,
        &dropped,
        &views,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let json = goes_on(folder.path(), settings);
        for key in [
            "val_accuracy",
            "knn_accuracy",
            "probe_linear",
            "probe_effective_rank",
            "control_raw_pixels_knn",
            "control_untrained_encoder_knn",
            "control_this_encoder_one_level_knn",
        ] {
            assert!(json[key].is_number(), "{settings:?}: {key}: {json}");
        }
        let is_classifier = json["accuracy_by_levels"].is_array();
        assert_eq!(
            is_classifier,
            !settings.iter().any(|setting| setting.starts_with("objective"))
        );
    }
}

#[test]
fn a_student_learns_from_the_checkpoint_of_a_teacher() {
    let folder = tempfile::tempdir().unwrap();
    let teacher = folder.path().join("teacher");
    train(
        &teacher,
        &[SMALL, &["model.backbone=convolution", "model.d_model=20"]].concat(),
    );
    let objective = format!(
        "objective={{ type = \"distill\", teacher = \"{}\", relation = 0.1 }}",
        teacher.display()
    );
    goes_on(folder.path(), &[&objective]);
    // A teacher of other pictures is refused by its key.
    let other = ["model.image_size=32", &objective];
    let request = RunRequest {
        assignments: [SMALL, &other].concat().iter().map(ToString::to_string).collect(),
        out: Some(folder.path().join("other")),
        ..RunRequest::default()
    };
    let error = run::<Vision>(&request).map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("objective.teacher") && error.contains("32 pixels"),
        "{error}"
    );
}

#[test]
fn a_model_is_verified_names_pictures_and_gives_their_features() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    train(&run, SMALL);
    let path = run.join("checkpoint/step-000006/model.bpk");
    let read = || ModelFile::read(&path).unwrap();
    let words = VISION.probe(read(), &path, &Device::flex()).unwrap();
    assert!(words.contains("the same alone and in a batch"), "{words}");
    assert!(VISION.assets(&read()).unwrap().contains("16 classes"));
    let pictures = run.join("samples");
    let sample = std::fs::read_dir(&pictures)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .next()
        .unwrap();
    std::fs::write(sample.join("broken.png"), b"no picture").unwrap();
    let asked = |embed| {
        let request = PredictRequest {
            model: path.clone(),
            inputs: vec![
                sample.join("pictures.png").display().to_string(),
                sample.join("broken.png").display().to_string(),
            ],
            steps: Some(3),
            device: Device::flex(),
            options: PredictOptions {
                embed,
                ..PredictOptions::default()
            },
        };
        Vision::predict(read(), &request).unwrap()
    };
    let named = asked(false);
    assert_eq!((named.lines.len(), named.refused.len()), (1, 1), "{named:?}");
    assert!(named.refused[0].contains("broken.png") && named.refused[0].contains("not a picture"));
    let shares = named.object["predictions"][0]["probabilities"]
        .as_object()
        .unwrap();
    let sum: f64 = shares.values().map(|share| share.as_f64().unwrap()).sum();
    assert!(shares.len() == 16 && (sum - 1.0).abs() < 1e-4);
    let features = asked(true).features.unwrap();
    // An encoder alone gives the same features, and no classes.
    let encoder = encoder_of(read());
    assert!(encoder.assets.is_empty() && encoder.tensors.keys().all(|name| name.starts_with("encoder.")));
    encoder.check(&VISION_ENCODER, &path).unwrap();
    let request = |embed| PredictRequest {
        model: path.clone(),
        inputs: vec![sample.join("pictures.png").display().to_string()],
        steps: Some(3),
        device: Device::flex(),
        options: PredictOptions {
            embed,
            ..PredictOptions::default()
        },
    };
    let of_encoder = Vision::predict(encoder.clone(), &request(true))
        .unwrap()
        .features
        .unwrap();
    assert!(of_encoder == features);
    let error = Vision::predict(encoder, &request(false)).unwrap_err().to_string();
    assert!(error.contains("--embed"), "{error}");
    let read = safetensors::SafeTensors::deserialize(&features).unwrap();
    assert_eq!(read.tensor("features").unwrap().shape(), [1, 16]);
}

#[test]
fn a_run_without_classes_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        let place = folder.path().join("pictures").join(part);
        std::fs::create_dir_all(&place).unwrap();
        for number in 0..3u8 {
            let picture = image::GrayImage::from_pixel(16, 16, image::Luma([40 * number]));
            picture.save(place.join(format!("{number}.png"))).unwrap();
        }
    }
    let data = format!(
        "dataset={{ type = \"folder\", path = \"{}\" }}",
        folder.path().join("pictures").display()
    );
    let small = SMALL
        .iter()
        .filter(|setting| !setting.starts_with("dataset."))
        .copied();
    let request = |settings: Vec<&str>, out: &str| RunRequest {
        assignments: settings.iter().map(ToString::to_string).collect(),
        out: Some(folder.path().join(out)),
        json: true,
        ..RunRequest::default()
    };
    let settings: Vec<&str> = small.clone().chain([data.as_str()]).collect();
    let error = run::<Vision>(&request(settings, "a"))
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("objective.type") && error.contains("needs classes"),
        "{error}"
    );
    // Without labels there is an objective, and no accuracy.
    let views = "objective={ type = \"lejepa\" }";
    let settings: Vec<&str> = small
        .chain([data.as_str(), views, "training.batch_size=2"])
        .collect();
    let ran = run::<Vision>(&request(settings, "b")).unwrap();
    let json: Value = serde_json::from_str(&ran.json.unwrap().to_string()).unwrap();
    assert!(
        json["val_accuracy"].is_null() && json["val_loss"].is_number() || json["after"].is_object(),
        "{json}"
    );
}
