//! Attacks that are more than one file: links, pipes, devices, parts of other models.

use crate::craft::{sound_model, written};
use crate::doors::{Door, Refusal};
use burn_dragon::api::checkpoint::{
    CheckpointFolder, Checkpoints, Content, ExportOptions, ModelFile, PartsManifest, Snapshot,
    StoredPrecision, StoredTensor, export, read_parts,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

/// A sound model's file.
pub(crate) fn model() -> ModelFile {
    ModelFile::from_tensor_file(sound_model(), Path::new("here")).unwrap()
}

/// A run of one checkpoint: model, optimiser, trainer.
pub(crate) fn run(folder: &Path) -> CheckpointFolder {
    let checkpoints = Checkpoints::new(folder.join("checkpoint"));
    let content = |file| Content::Tensors(file);
    let snapshot = Snapshot {
        step: 1,
        files: [
            ("model.bpk".to_string(), content(sound_model())),
            ("optimizer.bpk".to_string(), content(crate::craft::sound_state())),
            (
                "trainer.json".to_string(),
                Content::Text("{\n  \"step\": 1\n}".into()),
            ),
        ]
        .into(),
        ..Snapshot::default()
    };
    let written = checkpoints.commit(&snapshot).unwrap();
    checkpoints
        .point(burn_dragon::api::checkpoint::Pointer::Last, 1)
        .unwrap();
    written
}

/// A model in parts of one tensor each; its manifest.
pub(crate) fn in_parts(folder: &Path, model: ModelFile) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let options = ExportOptions {
        precision: StoredPrecision::F32,
        max_part_bytes: Some(1),
        overwrite: false,
    };
    export(model, &folder.join("model.bpk"), options)
        .unwrap()
        .manifest
        .unwrap()
}

fn part(manifest: &Path, index: usize) -> PathBuf {
    let name = &PartsManifest::read(manifest).unwrap().parts[index].path;
    manifest.with_file_name(name)
}

fn parts_refused(manifest: &Path, says: &str) {
    let error = read_parts(manifest, |_| {}).unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains(says),
        "{error}"
    );
}

/// Opens in a thread of its own, since what is tested is that this ends.
fn in_time(door: Door, path: &Path) -> Refusal {
    let (sender, answer) = mpsc::channel();
    let path = path.to_path_buf();
    std::thread::spawn(move || sender.send(door.open(&path)));
    let answer = answer.recv_timeout(Duration::from_secs(20));
    answer.expect("it is still waiting").expect_err("it was taken")
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for_and_a_device_is_not_read() {
    for door in Door::ALL {
        let folder = tempfile::tempdir().unwrap();
        let path = door.lay(folder.path(), "pipe", b"");
        fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
        assert!(made.success());
        let refusal = in_time(door, &path);
        assert!(
            refusal.said.contains("not a plain file") && refusal.bad_input,
            "{door:?}: {}",
            refusal.said
        );
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        let refusal = in_time(door, &path);
        assert!(
            refusal.said.contains("not a plain file") && refusal.bad_input,
            "{door:?}: {}",
            refusal.said
        );
    }
}

#[test]
fn a_folder_is_no_file() {
    for door in Door::ALL
        .into_iter()
        .filter(|door| *door != Door::Model && *door != Door::Safetensors)
    {
        let folder = tempfile::tempdir().unwrap();
        let path = door.lay(folder.path(), "folder", b"");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        let refusal = in_time(door, &path);
        assert!(refusal.bad_input, "{door:?}: {}", refusal.said);
    }
}

#[test]
fn a_part_of_another_model_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let other = {
        let mut model = model();
        model.tensors.insert(
            "embed".into(),
            StoredTensor::Float(burn::tensor::TensorData::new(vec![0.5f32; 8], [4, 2])),
        );
        model
    };
    let a = in_parts(&folder.path().join("a"), model());
    let b = in_parts(&folder.path().join("b"), other);
    read_parts(&a, |_| {}).unwrap();
    for index in 0..5 {
        let sound = fs::read(part(&a, index)).unwrap();
        fs::copy(part(&b, index), part(&a, index)).unwrap();
        parts_refused(&a, "sha256");
        fs::write(part(&a, index), sound).unwrap();
    }
    fs::copy(part(&a, 1), part(&a, 2)).unwrap();
    parts_refused(&a, "part-00002");
}

#[test]
fn a_part_that_is_missing_longer_shorter_or_changed_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = in_parts(folder.path(), model());
    let path = part(&manifest, 3);
    let sound = fs::read(&path).unwrap();
    fs::write(&path, [&sound[..], &[0]].concat()).unwrap();
    parts_refused(&manifest, "its manifest says");
    fs::write(&path, &sound[1..]).unwrap();
    parts_refused(&manifest, "its manifest says");
    fs::write(&path, crate::craft::changed(sound.clone(), 1)).unwrap();
    parts_refused(&manifest, "blake3");
    fs::remove_file(&path).unwrap();
    let error = read_parts(&manifest, |_| {}).unwrap_err().to_string();
    assert!(error.contains("part-00003"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_part_that_is_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = in_parts(folder.path(), model());
    let path = part(&manifest, 0);
    fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink("elsewhere", &path).unwrap();
    parts_refused(&manifest, "not a plain file");
}

#[cfg(unix)]
#[test]
fn a_file_of_a_checkpoint_that_is_a_link_is_refused() {
    for name in ["model.bpk", "optimizer.bpk", "trainer.json", "manifest.json"] {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = run(folder.path());
        checkpoint.verify().unwrap();
        let path = checkpoint.path().join(name);
        fs::rename(&path, folder.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
        let error = checkpoint.verify().unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("not a plain file"),
            "{error}"
        );
    }
}

#[test]
fn a_manifest_of_another_checkpoint_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = run(folder.path());
    let moved = folder.path().join("checkpoint/step-000002");
    fs::rename(checkpoint.path(), &moved).unwrap();
    let error = CheckpointFolder::open(&moved).unwrap().verify().unwrap_err();
    assert!(
        error.is_bad_input() && error.to_string().contains("of step 1"),
        "{error}"
    );
    fs::write(moved.join("model.bpk"), written(&crate::craft::sound_state())).unwrap();
    assert!(CheckpointFolder::open(&moved).unwrap().verify().is_err());
}
