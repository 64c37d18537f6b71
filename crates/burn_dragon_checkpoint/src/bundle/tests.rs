use super::*;
use crate::error::CheckpointError;
use crate::model::{ModelFile, ModelInfo, Provenance};
use crate::precision::StoredPrecision;
use crate::stored::StoredTensor;
use burn::tensor::TensorData;
use serde_json::json;
use std::path::Path;

/// Four matrices, each a part of its own.
pub(super) fn model(seed: u64) -> ModelFile {
    let matrix = |(name, place): (&str, u64)| {
        let mut state = seed.wrapping_mul(31).wrapping_add(place);
        let mut value = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 40) as f32 / (1 << 24) as f32 - 0.5
        };
        let values: Vec<f32> = (0..32 * 64).map(|_| value()).collect();
        (name.to_string(), TensorData::new(values, [32, 64]))
    };
    let tensors = ["decoder_x", "decoder_y", "embed", "encoder"]
        .into_iter()
        .zip(0..);
    let info = ModelInfo {
        provenance: Some(Provenance {
            license: Some("MIT".into()),
            ..Provenance::default()
        }),
        ..ModelInfo::default()
    };
    let model = ModelFile::new("toy", &json!({"size": 64}), info, tensors.map(matrix).collect()).unwrap();
    model.with_asset("tokenizer.json", r#"{"type":"byte"}"#)
}

pub(super) const IN_PARTS: ExportOptions = ExportOptions {
    precision: StoredPrecision::F32,
    max_part_bytes: Some(8 << 10),
    overwrite: false,
};

fn exported(folder: &Path, seed: u64) -> Exported {
    std::fs::create_dir_all(folder).unwrap();
    export(model(seed), &folder.join("model.bpk"), IN_PARTS).unwrap()
}

fn assembly(exported: &Exported) -> Assembly {
    let path = exported.manifest.as_ref().unwrap();
    Assembly::new(PartsManifest::read(path).unwrap(), path)
}

fn part(exported: &Exported, index: usize) -> Vec<u8> {
    let name = part_name("model.bpk", index);
    std::fs::read(exported.file.with_file_name(name)).unwrap()
}

fn refused<T>(result: Result<T, CheckpointError>, reason: &str) {
    let error = result.map(|_| ()).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains(reason),
        "{error}"
    );
}

#[test]
fn parts_in_any_order_are_the_whole() {
    let folder = tempfile::tempdir().unwrap();
    let exported = exported(folder.path(), 1);
    assert!(exported.parts >= 3, "{exported:?}");
    let whole = ModelFile::read(&exported.file).unwrap();
    assert_eq!(
        (whole.hash(), &whole.tensors),
        (model(1).hash(), &model(1).tensors)
    );
    let mut steps = Vec::new();
    let read = read_parts(exported.manifest.as_ref().unwrap(), |progress| {
        steps.push(progress);
    })
    .unwrap();
    assert_eq!(
        (&read.tensors, &read.info, &read.assets),
        (&whole.tensors, &whole.info, &whole.assets)
    );
    let last = steps.last().unwrap();
    assert_eq!((last.parts, last.bytes), (exported.parts, last.total));
    let mut backwards = assembly(&exported);
    for index in (0..exported.parts).rev() {
        backwards.add(index, &part(&exported, index)[..]).unwrap();
    }
    assert_eq!(backwards.finish().unwrap().tensors, whole.tensors);
}

#[test]
fn every_part_comes_once() {
    let folder = tempfile::tempdir().unwrap();
    let exported = exported(folder.path(), 1);
    let mut parts = assembly(&exported);
    parts.add(0, &part(&exported, 0)[..]).unwrap();
    refused(parts.add(0, &part(&exported, 0)[..]), "already added");
    refused(parts.add(99, &[][..]), "no part 99");
    refused(parts.finish(), "are missing");
}

#[test]
fn a_part_of_another_model_or_another_place_is_refused_and_can_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let [ours, theirs] = [1, 2].map(|seed| exported(&folder.path().join(seed.to_string()), seed));
    let mut parts = assembly(&ours);
    refused(parts.add(0, &part(&theirs, 0)[..]), "sha256");
    let mut broken = part(&ours, 0);
    *broken.last_mut().unwrap() ^= 1;
    refused(parts.add(0, &broken[..]), "blake3");
    refused(parts.add(0, &part(&ours, 0)[1..]), "burnpack");
    // With the hash of the stranger in the manifest, the part itself says whose it is.
    parts.manifest.parts[0].sha256 = crate::hash::sha256(&part(&theirs, 0));
    refused(parts.add(0, &part(&theirs, 0)[..]), "its manifest says");
    let mut parts = assembly(&ours);
    parts.manifest.parts.swap(0, 1);
    refused(parts.add(0, &part(&ours, 1)[..]), "its manifest says");
    parts.manifest.parts.swap(0, 1);
    parts.add(1, &part(&ours, 1)[..]).unwrap();
    parts.add(0, &part(&ours, 0)[..]).unwrap();
}

#[test]
fn half_precisions_are_half_the_bytes_and_one_model_in_all_forms() {
    let folder = tempfile::tempdir().unwrap();
    let whole = exported(&folder.path().join("f32"), 1);
    for precision in [StoredPrecision::F16, StoredPrecision::Bf16] {
        let path = folder.path().join(precision.name());
        std::fs::create_dir(&path).unwrap();
        let options = ExportOptions {
            precision,
            ..IN_PARTS
        };
        let half = export(model(1), &path.join("model.bpk"), options).unwrap();
        assert!(half.bytes < whole.bytes * 6 / 10, "{half:?}");
        let read = ModelFile::read(&half.file).unwrap();
        assert_eq!(read.hash(), half.model);
        assert_eq!(
            read_parts(half.manifest.as_ref().unwrap(), |_| {})
                .unwrap()
                .hash(),
            half.model
        );
        let rounded = model(1).rounded(precision, &path).unwrap();
        assert_eq!(read.tensors, rounded.tensors);
    }
}

#[test]
fn parts_are_overwritten_only_when_asked_and_none_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    let first = exported(folder.path(), 1);
    let again = |options| export(model(2), &first.file, options);
    let error = again(IN_PARTS).unwrap_err().to_string();
    assert!(error.contains("--overwrite-parts"), "{error}");
    assert_eq!(
        read_parts(first.manifest.as_ref().unwrap(), |_| {})
            .unwrap()
            .hash(),
        first.model
    );
    let large = ExportOptions {
        max_part_bytes: Some(1 << 30),
        overwrite: true,
        ..IN_PARTS
    };
    let second = again(large).unwrap();
    assert_eq!(second.parts, 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
    assert_eq!(
        read_parts(second.manifest.as_ref().unwrap(), |_| {})
            .unwrap()
            .hash(),
        second.model
    );
}

#[test]
fn a_weight_beyond_f16_is_not_written_as_infinity() {
    let folder = tempfile::tempdir().unwrap();
    let mut model = model(1);
    let large = TensorData::new(vec![0.0f32, 70_000.0], [2]);
    model.tensors.insert("embed".into(), StoredTensor::Float(large));
    let options = ExportOptions {
        precision: StoredPrecision::F16,
        ..ExportOptions::default()
    };
    let error = export(model, &folder.path().join("model.bpk"), options)
        .unwrap_err()
        .to_string();
    assert!(error.contains("embed") && error.contains("f16"), "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_follows_a_dot_is_a_part_of_the_name_unless_it_is_an_ending() {
    let name = |output: &str| export_name(Path::new(output));
    for (output, file) in [
        ("m", "m.bpk"),
        ("model.v1", "model.v1.bpk"),
        ("a.b/m", "a.b/m.bpk"),
        ("m.bpk", "m.bpk"),
        ("m.BPK", "m.BPK"),
        ("2026.11", "2026.11.bpk"),
    ] {
        assert_eq!(name(output).unwrap(), Path::new(file));
    }
    let folder = tempfile::tempdir().unwrap();
    for output in [
        "",
        "m/",
        "..",
        ".bpk",
        "m.safetensors",
        "m.PT",
        "m.json",
        folder.path().to_str().unwrap(),
    ] {
        assert!(name(output).is_err(), "{output}");
    }
}
