//! Files that were written before there were families are read as what they were. `tests/files_of_1/README.md` says how
//! they were made.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::DType;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{
    CheckpointFolder, ModelFile, ModelInfo, Provenance, StateFile, StoredTensor, read_parts,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The hashes that the program of then told of its models.
const WHOLE: &str = "543a3b31b56cb33ff7f4dd3271c700f030b0917ce3efccad5efe776de76277f1";
const HALF: &str = "7ae913d6d1240fe390061f9f9ebae441b9059e5bf5ab4d5e7ed209d193b6f13a";
const PARTS: &str = "c83747a1676f036138721f072ea902a6aaac57dc5f96b70683a147a783efabe1";

/// SHA-256 of the tokenizer's JSON.
const TOKENIZER: &str = "38e8de7c5bdea3739e311587cea5737f97de73a7683088b61c4d5ba212377879";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files_of_1")
        .join(name)
}

fn is_of_the_run(model: &ModelFile) {
    assert_eq!(model.family, "language");
    assert_eq!(
        model.config.value(),
        &json!({
            "vocab_size": 24, "d_model": 8, "n_heads": 2, "n_neurons": 32, "n_levels": 2, "dropout": 0.0,
            "rope_theta": 65536.0, "norm_eps": 1e-5, "init_std": 0.02,
            "decay": {"type": "standard", "learnable": true},
        })
    );
    let names: Vec<&str> = model.assets.keys().map(String::as_str).collect();
    assert_eq!(names, ["tokenizer.json"]);
    assert!(model.assets["tokenizer.json"].contains("The dragonsp."));
    let names: Vec<&str> = model.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["decay", "decoder_x", "decoder_y", "embed", "encoder", "lm_head"]
    );
    let ModelInfo {
        step,
        units,
        version,
        details,
        ..
    } = &model.info;
    assert_eq!((*step, *units, version.as_str()), (4, 128, "0.1.0"));
    let reading = json!({"block_size": 16, "memory": "carried", "document_separator": "\n\n"});
    assert_eq!(details.get("reading"), Some(&reading));
    assert_eq!(details.len(), 1);
}

#[test]
fn models_of_format_1_keep_their_hash_in_each_precision_and_in_parts() {
    let parts = read_parts(&file("parts.bpk.parts.json"), |_| {}).unwrap();
    for (model, hash, dtype) in [
        (ModelFile::read(&file("whole.bpk")).unwrap(), WHOLE, DType::F32),
        (ModelFile::read(&file("half.bpk")).unwrap(), HALF, DType::F16),
        (parts, PARTS, DType::BF16),
    ] {
        is_of_the_run(&model);
        assert_eq!(model.hash(), hash);
        for tensor in model.tensors.values() {
            assert!(matches!(tensor, StoredTensor::Float(data) if data.dtype() == dtype));
        }
    }
    let whole = ModelFile::read(&file("whole.bpk")).unwrap();
    let provenance = Provenance {
        run: Some("run".into()),
        data: Some("text: text.txt".into()),
        license: Some("mit".into()),
    };
    assert_eq!(whole.info.provenance, Some(provenance));
}

#[test]
fn a_checkpoint_of_then_verifies_and_holds_the_model() {
    let folder = CheckpointFolder::open(&file("run/checkpoint/step-000004")).unwrap();
    folder.verify().unwrap();
    let model = ModelFile::read(&folder.path().join("model.bpk")).unwrap();
    is_of_the_run(&model);
    assert_eq!(model.hash(), WHOLE);
}

#[test]
fn what_was_of_format_1_is_the_same_once_it_is_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("again.bpk");
    let model = ModelFile::read(&file("whole.bpk")).unwrap();
    model.write(&path).unwrap();
    let text = |path: &Path, key: &str| TensorFile::read(path).unwrap().metadata.get(key).cloned();
    assert_eq!(text(&path, "format").as_deref(), Some("burn_dragon.model/2"));
    assert_eq!(text(&path, "config"), text(&file("whole.bpk"), "config"));
    let again = ModelFile::read(&path).unwrap();
    is_of_the_run(&again);
    assert_eq!((again.hash(), again.info), (WHOLE.into(), model.info));
    assert_eq!(again.tensors, model.tensors);
}

#[test]
fn memories_of_format_2_are_those_that_were_kept() {
    for (name, dtype, said) in [
        ("memory.state", DType::F32, "f32"),
        ("rounded.state", DType::BF16, "bf16"),
    ] {
        let state = StateFile::read(&file(name)).unwrap();
        assert_eq!((state.family.as_str(), &state.positions), ("language", &vec![36]));
        assert_eq!((state.info.model.as_str(), state.info.units), (WHOLE, 36));
        assert_eq!(state.info.assets["tokenizer.json"], TOKENIZER);
        assert_eq!(json!(state.info.details), json!({"precision": said}));
        for level in ["rho.0", "rho.1"] {
            let data = &state.tensors[level];
            assert_eq!((data.dtype(), data.shape().to_vec()), (dtype, vec![1, 2, 16, 8]));
        }
        let seen = state.tensors["seen"].iter::<u8>().filter(|mark| *mark == 1);
        assert_eq!((seen.count(), state.tensors.len()), (19, 3));
    }
}

#[test]
fn a_file_of_then_that_was_changed_is_refused() {
    let sound = TensorFile::read(&file("whole.bpk")).unwrap();
    for (key, text, reason) in [
        ("config", r#"{"vocab_size":24}"#, "missing field"),
        ("config", r#"{"d_model":8,"d_model":8}"#, "duplicate field"),
        ("info", r#"{"step":4,"step":4}"#, "twice"),
        ("info", "[]", "not a JSON object"),
        ("info", r#"{"tokens":-1}"#, "info"),
        ("format", "burn_dragon.model/0", "burn_dragon.model/0"),
    ] {
        let mut file = sound.clone();
        file.metadata.insert(key.into(), text.into());
        let error = ModelFile::from_tensor_file(file, Path::new("whole.bpk")).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains(reason),
            "{error}"
        );
    }
}
