//! Files from before there were families, through the verbs on files: sound, the same models, of which memories go on.
//! `burn_dragon_checkpoint/tests/files_of_1/README.md` says how they were made.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::Device;
use burn_dragon_checkpoint::api::{Kinds, ModelKind, StoredPrecision};
use burn_dragon_exchange::api::{
    AnyModel, Form, ModelPath, Verdict, VerifyOptions, Which, diff, inspect, read_any, verify,
};
use burn_dragon_language::api::{
    GenerationConfig, Generator, LANGUAGE, LanguageModel, LanguageState, model_hash,
};
use serde_json::json;
use std::path::{Path, PathBuf};

/// The hash that the program of then told of the model without decay.
const PLAIN: &str = "201053284f7677000e12dab3fe800a9d2dc770d52b949af4d68e18cd9843cb39";

fn file(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../burn_dragon_checkpoint/tests/files_of_1");
    folder.join(name)
}

fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}

#[test]
fn every_file_of_then_is_sound() {
    let options = VerifyOptions {
        deep: true,
        ..VerifyOptions::default()
    };
    for (name, checks) in [
        ("whole.bpk", 6),
        ("half.bpk", 6),
        ("parts.bpk.parts.json", 8),
        ("memory.state", 2),
        ("rounded.state", 2),
        ("plain.safetensors", 5),
        ("run", 19),
    ] {
        let verification = verify(&file(name), &kinds(), options).unwrap();
        let odd: Vec<_> = verification
            .checks
            .iter()
            .filter(|check| check.verdict != Verdict::Ok)
            .map(|check| (check.what, &check.detail))
            .collect();
        // The pointer `best` of the run was left out, and nothing else.
        assert!(verification.sound(true), "{name}: {odd:?}");
        assert!(verification.checks.len() >= checks, "{name}: {verification:?}");
        inspect(&file(name)).unwrap();
    }
}

#[test]
fn official_weights_of_then_come_in_with_all_that_was_known_of_them() {
    let path = ModelPath::new(file("plain.safetensors"));
    let AnyModel { loaded, notes } = read_any(&path, &kinds()).unwrap();
    let model = loaded.model;
    assert_eq!(
        (model.hash().as_str(), model.family.as_str()),
        (PLAIN, "language")
    );
    assert_eq!((model.info.step, model.info.units, notes.len()), (4, 128, 0));
    let reading = json!({"block_size": 16, "memory": "carried", "document_separator": "\n\n"});
    assert_eq!(model.info.details["reading"], reading);
    assert!(model.assets["tokenizer.json"].contains("symbols"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["again.bpk", "again.safetensors"] {
        let to = folder.path().join(name);
        Form::of(&to).unwrap().write(&model, &LANGUAGE, &to).unwrap();
        let again = ModelPath::new(&to).load(&kinds()).unwrap().model;
        let difference = diff(&model, &again);
        assert!(difference.equal && difference.info.is_empty(), "{difference:?}");
    }
}

#[test]
fn a_run_of_then_gives_the_model_that_was_exported_from_it() {
    let which = [Which::Last, Which::Step(4)];
    for which in which {
        let path = ModelPath {
            path: file("run"),
            which,
            official_config: None,
        };
        let loaded = path.load(&kinds()).unwrap();
        let whole = ModelPath::new(file("whole.bpk")).load(&kinds()).unwrap();
        let difference = diff(&loaded.model, &whole.model);
        assert!(difference.equal, "{difference:?}");
        let keys: Vec<&str> = difference.info.iter().map(|key| key.key.as_str()).collect();
        assert_eq!(
            keys,
            ["provenance"],
            "a licence and data were told when it was exported"
        );
    }
}

#[test]
fn a_memory_of_then_goes_on() {
    let device = Device::flex();
    let model = LanguageModel::load(&ModelPath::new(file("whole.bpk")), &device).unwrap();
    let settings = GenerationConfig::default();
    let generator = Generator::new(&model.dragon, model.tokenizer.clone(), &settings).unwrap();
    for (name, precision) in [
        ("memory.state", StoredPrecision::F32),
        ("rounded.state", StoredPrecision::Bf16),
    ] {
        let prefix = generator.load(&file(name)).unwrap();
        assert_eq!((prefix.tokens(), prefix.seen().len()), (36, 19));
        let state = LanguageState::read(&file(name), &device).unwrap();
        assert_eq!(state.precision, precision);
        assert_eq!(state.info.model, model_hash(&model.dragon));
        // Written again it is the same, in the format of now.
        let folder = tempfile::tempdir().unwrap();
        let again = folder.path().join("again.state");
        generator.save(&prefix, &again, precision).unwrap();
        let again = LanguageState::read(&again, &device).unwrap();
        assert_eq!((&again.info, &again.seen), (&state.info, &state.seen));
        for (a, b) in again.state.rho().iter().zip(state.state.rho()) {
            assert_eq!(a.to_data().as_bytes(), b.to_data().as_bytes());
        }
    }
}
