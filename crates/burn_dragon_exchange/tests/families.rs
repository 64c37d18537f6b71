//! The verbs on files know no family: what a family says of its models, they hold files to.

#![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

use burn::tensor::{Device, TensorData};
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{
    CardText, CheckpointError, Checkpoints, Codes, Companion, CompanionTensor, Content, ExportOptions, Kinds,
    Layout, ModelFile, ModelInfo, ModelKind, Snapshot, StateFile, StateInfo, StoredConfig, StoredTensor,
    TensorSpec, export, read_parts,
};
use burn_dragon_exchange::api::{
    Check, Form, ModelPath, Verdict, VerifyOptions, diff, read_any, verify, write_safetensors,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// A grid of `size` by `size` numbers, read through ternary codes, with a name for each row.
struct Grid;

impl ModelKind for Grid {
    fn family(&self) -> &'static str {
        "grid"
    }

    fn unit(&self) -> &'static str {
        "puzzles"
    }

    fn tensors(&self, config: &Value) -> Result<Vec<TensorSpec>, String> {
        let size = config["size"].as_u64().ok_or("config: it has no `size`")? as usize;
        Ok(vec![
            TensorSpec::codes("mix", [size, size], 2),
            TensorSpec::float("mix.scales", [size]),
        ])
    }

    fn shape(&self, config: &Value) -> String {
        format!("a grid of {}", config["size"])
    }

    fn companions(&self, config: &Value) -> Vec<Companion> {
        let size = config["size"].as_u64().unwrap_or(0) as usize;
        vec![Companion {
            file: "teacher.bpk",
            absent: Some("none: the teacher begins anew"),
            layouts: vec![Layout {
                format: "grid.teacher/1",
                tensors: vec![CompanionTensor::of("mix", &[size, size])],
            }],
        }]
    }

    fn assets(&self, file: &ModelFile) -> Result<String, String> {
        let rows = file.assets.get("rows.txt").ok_or("it has no rows.txt")?;
        match rows.lines().count() {
            2 => Ok("two rows".into()),
            count => Err(format!("{count} rows of 2")),
        }
    }

    fn probe(&self, file: ModelFile, _: &Path, _: &Device) -> Result<String, CheckpointError> {
        let StoredTensor::Codes(codes) = &file.tensors["mix"] else {
            unreachable!("it was checked");
        };
        Ok(format!("codes {:?}", codes.unpack()))
    }

    fn state(&self, file: StateFile, path: &Path) -> Result<String, CheckpointError> {
        match file.tensors.contains_key("memory") {
            true => Ok(format!("{} lanes", file.positions.len())),
            false => Err(CheckpointError::corrupt(path, "it has no memory")),
        }
    }

    fn card(&self, _: &ModelFile, _: &str) -> CardText {
        CardText::default()
    }
}

fn kinds() -> Kinds {
    Kinds::new([&Grid as &dyn ModelKind])
}

fn model() -> ModelFile {
    let scales = TensorData::new(vec![0.5f32, 2.0], [2]);
    let info = ModelInfo {
        step: 3,
        units: 9,
        ..ModelInfo::default()
    };
    let tensors = BTreeMap::from([("mix.scales".to_string(), scales)]);
    let mut model = ModelFile::new("grid", &json!({"size": 2}), info, tensors).unwrap();
    let codes = Codes::pack(&[0, 1, 2, 1], 2, &[2, 2], "mix.scales").unwrap();
    model.tensors.insert("mix".into(), StoredTensor::Codes(codes));
    model.with_asset("rows.txt", "a\nb\n")
}

/// Checks by what was looked at, of one kind of verdict.
fn checks(checks: &[Check], verdict: Verdict) -> Vec<(&'static str, &str)> {
    let of = checks.iter().filter(|check| check.verdict == verdict);
    of.map(|check| (check.what, check.detail.as_str())).collect()
}

fn deep(path: &Path, kinds: &Kinds) -> Vec<Check> {
    let options = VerifyOptions {
        deep: true,
        ..VerifyOptions::default()
    };
    verify(path, kinds, options).unwrap().checks
}

#[test]
fn a_model_of_codes_is_verified_exported_converted_and_compared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grid.bpk");
    let options = ExportOptions {
        max_part_bytes: Some(1),
        ..ExportOptions::default()
    };
    let exported = export(model(), &path, options).unwrap();
    assert_eq!((exported.parts, &exported.model), (2, &model().hash()));
    let found = deep(&path, &kinds());
    let sound = checks(&found, Verdict::Ok);
    for expected in [
        ("description", "a grid of 2"),
        ("assets", "two rows"),
        ("forward", "codes [0, 1, 2, 1]"),
    ] {
        assert!(sound.contains(&expected), "{found:?}");
    }
    assert_eq!(found.len(), sound.len(), "{found:?}");
    let parts = read_parts(exported.manifest.as_ref().unwrap(), |_| {}).unwrap();
    assert!(diff(&parts, &model()).equal);
    let converted = read_any(&ModelPath::new(&path), &kinds()).unwrap().loaded.model;
    let again = folder.path().join("again.bpk");
    let kind = kinds().of(&converted.family, &again).unwrap();
    Form::of(&again).unwrap().write(&converted, kind, &again).unwrap();
    assert!(diff(&ModelFile::read(&again).unwrap(), &model()).equal);
}

#[test]
fn the_official_release_has_no_other_family() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grid.safetensors");
    let error = write_safetensors(&model(), &path).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, CheckpointError::Refused { .. }), "{text}");
    assert!(text.contains("`grid`") && text.contains(".bpk"), "{text}");
    assert!(!path.exists());
}

#[test]
fn a_family_that_is_not_known_is_a_fault_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grid.bpk");
    model().write(&path).unwrap();
    let none = Kinds::new([]);
    let found = deep(&path, &none);
    let failed = checks(&found, Verdict::Failed);
    assert!(failed.len() == 1 && failed[0].1.contains("`grid`"), "{found:?}");
    let error = ModelPath::new(&path).load(&none).unwrap_err();
    assert!(matches!(error, CheckpointError::UnknownFamily { .. }), "{error}");
}

#[test]
fn what_the_family_says_is_wrong_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grid.bpk");
    let failed = |change: &dyn Fn(&mut ModelFile), what: &str, says: &str| {
        let mut model = model();
        change(&mut model);
        model.write(&path).unwrap();
        let found = deep(&path, &kinds());
        let failed = checks(&found, Verdict::Failed);
        assert!(
            failed
                .iter()
                .any(|(check, detail)| *check == what && detail.contains(says)),
            "{what}: {found:?}"
        );
    };
    failed(
        &|model| drop(model.assets.remove("rows.txt")),
        "assets",
        "no rows.txt",
    );
    failed(
        &|model| model.config = StoredConfig::of(&json!({})).unwrap(),
        "description",
        "no `size`",
    );
    failed(
        &|model| model.config = StoredConfig::of(&json!({"size": 3})).unwrap(),
        "tensors",
        "`mix` is [2, 2], not [3, 3]",
    );
    let zeros = || StoredTensor::Float(TensorData::zeros::<f32, _>([2, 2]));
    failed(
        &|model| drop(model.tensors.insert("mix".into(), zeros())),
        "types",
        "holds floats, expected codes of 2 bits",
    );
    failed(
        &|model| drop(model.tensors.insert("more".into(), zeros())),
        "tensors",
        "`more` is an orphan",
    );
}

/// A checkpoint of the model with these files beside it.
fn checkpoint(folder: &Path, beside: &[(&str, TensorFile)]) -> Vec<Check> {
    let mut files = BTreeMap::from([
        (
            "model.bpk".to_string(),
            Content::Tensors(model().into_tensor_file()),
        ),
        ("trainer.json".to_string(), Content::Text(r#"{"step":3}"#.into())),
    ]);
    files.extend(
        beside
            .iter()
            .map(|(name, file)| (name.to_string(), Content::Tensors(file.clone()))),
    );
    let snapshot = Snapshot {
        step: 3,
        files,
        ..Snapshot::default()
    };
    let written = Checkpoints::new(folder).commit(&snapshot).unwrap();
    deep(written.path(), &kinds())
}

fn teacher(format: &str, shape: [usize; 2]) -> TensorFile {
    TensorFile {
        tensors: BTreeMap::from([("mix".to_string(), TensorData::zeros::<f32, _>(shape))]),
        metadata: BTreeMap::from([("format".to_string(), format.to_string())]),
    }
}

#[test]
fn companions_are_those_that_the_family_names() {
    let folder = tempfile::tempdir().unwrap();
    let sound = checkpoint(
        folder.path(),
        &[("teacher.bpk", teacher("grid.teacher/1", [2, 2]))],
    );
    assert_eq!(checks(&sound, Verdict::Ok).len(), sound.len(), "{sound:?}");
    let alone = checkpoint(folder.path(), &[]);
    let odd = checks(&alone, Verdict::Warning);
    assert_eq!(odd, [("container", "none: the teacher begins anew")]);
    let other = checkpoint(
        folder.path(),
        &[("teacher.bpk", teacher("grid.teacher/1", [2, 3]))],
    );
    let failed = checks(&other, Verdict::Failed);
    assert_eq!(failed, [("tensors", "`mix` is [2, 3], not [2, 2]")]);
    let newer = checkpoint(
        folder.path(),
        &[("teacher.bpk", teacher("grid.teacher/9", [2, 2]))],
    );
    let odd = checks(&newer, Verdict::Warning);
    assert!(odd.len() == 1 && odd[0].1.contains("grid.teacher/1"), "{newer:?}");
}

#[test]
fn a_state_is_what_the_family_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.state");
    let write = |name: &str| {
        let state = StateFile {
            family: "grid".into(),
            config: StoredConfig::of(&json!({"size": 2})).unwrap(),
            info: StateInfo::default(),
            positions: vec![1, 2],
            tensors: BTreeMap::from([(name.to_string(), TensorData::zeros::<f32, _>([2, 3]))]),
        };
        state.write(&path).unwrap();
        deep(&path, &kinds())
    };
    assert!(checks(&write("memory"), Verdict::Ok).contains(&("memory", "2 lanes")));
    let failed = write("other");
    assert!(checks(&failed, Verdict::Failed)[0].1.contains("no memory"));
}
