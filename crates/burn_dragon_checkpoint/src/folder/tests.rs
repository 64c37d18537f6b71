use super::manifest::MANIFEST;
use super::*;

fn snapshot(step: u64, text: &str) -> Snapshot {
    let files = [("model.bpk".to_string(), Content::Text(text.to_string()))];
    Snapshot {
        step,
        files: files.into(),
        ..Snapshot::default()
    }
}

fn committed(root: &Path, steps: &[u64]) -> Checkpoints {
    let checkpoints = Checkpoints::new(root);
    for &step in steps {
        let snapshot = snapshot(step, &format!("model {step}"));
        checkpoints.commit(&snapshot).unwrap();
    }
    checkpoints
}

fn steps(checkpoints: &Checkpoints) -> Vec<u64> {
    checkpoints
        .all()
        .unwrap()
        .iter()
        .map(CheckpointFolder::step)
        .collect()
}

#[test]
fn a_commit_verifies_and_a_flipped_byte_does_not() {
    let root = tempfile::tempdir().unwrap();
    let folder = committed(root.path(), &[3]).step(3).unwrap();
    folder.verify().unwrap();
    fs::write(folder.path().join("model.bpk"), "model 4").unwrap();
    assert!(folder.verify().unwrap_err().to_string().contains("blake3"));
    fs::write(folder.path().join("model.bpk"), "mod").unwrap();
    assert!(folder.verify().unwrap_err().to_string().contains("3 bytes"));
}

#[test]
fn a_model_is_read_and_its_checkpoint_verified_in_one_pass() {
    let root = tempfile::tempdir().unwrap();
    let model = crate::model::tests::toy(1.0);
    let files = [
        ("model.bpk", Content::Tensors(model.clone().into_tensor_file())),
        ("trainer.json", Content::Text("{}".into())),
    ];
    let snapshot = Snapshot {
        step: 3,
        files: files.map(|(name, content)| (name.to_string(), content)).into(),
        ..Snapshot::default()
    };
    let folder = Checkpoints::new(root.path()).commit(&snapshot).unwrap();
    assert_eq!(folder.read_model().unwrap().hash(), model.hash());
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str, bytes: &[u8], says: &str| {
        let before = fs::read(path(name)).unwrap();
        fs::write(path(name), bytes).unwrap();
        let error = folder.read_model().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
        assert!(folder.verify().is_err());
        fs::write(path(name), before).unwrap();
        folder.read_model().unwrap();
    };
    refused("trainer.json", b"[]", "its manifest says");
    refused("model.bpk", b"cut", "3 bytes");
    let mut bytes = Vec::new();
    let other = crate::model::tests::toy(2.0); // sound, and of the same size
    other.into_tensor_file().write_to(&mut bytes).unwrap();
    refused("model.bpk", &bytes, "its manifest says");
}

#[test]
fn a_manifest_has_the_hashes_of_its_format() {
    let root = tempfile::tempdir().unwrap();
    let folder = committed(root.path(), &[3]).step(3).unwrap();
    let manifest = folder.manifest().unwrap();
    let path = folder.path().join(MANIFEST);
    let sealed = |format: &str, change: fn(&mut FileEntry)| {
        let mut manifest = manifest.clone();
        manifest.format = format.into();
        manifest.files.values_mut().for_each(change);
        Manifest::parse(&manifest.sealed().text(), &path)
    };
    let of_1: fn(&mut FileEntry) = |entry| {
        *entry = FileEntry {
            size: 7,
            blake3: None,
            sha256: Some(crate::hash::sha256(b"model 3")),
        };
    };
    sealed("burn_dragon.checkpoint/2", |_| {}).unwrap();
    let old = sealed("burn_dragon.checkpoint/1", of_1).unwrap();
    old.check(folder.path(), None).unwrap();
    fs::write(folder.path().join("model.bpk"), "model 4").unwrap();
    assert!(
        old.check(folder.path(), None)
            .unwrap_err()
            .to_string()
            .contains("sha256")
    );
    let both: fn(&mut FileEntry) = |entry| entry.sha256 = Some(crate::hash::sha256(b"model 3"));
    for (format, change) in [
        ("burn_dragon.checkpoint/1", (|_| {}) as fn(&mut FileEntry)),
        ("burn_dragon.checkpoint/2", of_1),
        ("burn_dragon.checkpoint/2", both),
        ("burn_dragon.checkpoint/2", |entry| entry.blake3 = None),
    ] {
        let error = sealed(format, change).unwrap_err().to_string();
        assert!(error.contains("needs one hash"), "{error}");
    }
}

#[test]
fn what_cannot_be_listed_is_an_error_and_not_empty() {
    let place = tempfile::tempdir().unwrap();
    let root = place.path().join("checkpoint");
    assert!(Checkpoints::new(&root).all().unwrap().is_empty());
    fs::write(&root, "no folder").unwrap();
    let checkpoints = Checkpoints::new(&root);
    let results = [
        checkpoints.all().map(|_| ()),
        checkpoints.newest_verified().map(|_| ()),
        checkpoints.retain(1),
        checkpoints.sweep(),
    ];
    for error in results.map(Result::unwrap_err) {
        assert!(error.to_string().contains("list"), "{error}");
    }
}

#[test]
fn a_pointer_that_names_nothing_is_told_and_keeps_nothing_from_going() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[1, 2, 3]);
    assert!(checkpoints.pointed(Pointer::Best).unwrap().is_none());
    for text in ["", "step-000009", "../step-000001", "step-1"] {
        fs::write(root.path().join("best"), text).unwrap();
        let error = checkpoints.pointed(Pointer::Best).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains("names no checkpoint"),
            "{error}"
        );
    }
    checkpoints.retain(2).unwrap();
    assert_eq!(steps(&checkpoints), [2, 3]);
}

#[test]
fn a_file_that_no_manifest_lists_is_not_trusted() {
    let root = tempfile::tempdir().unwrap();
    let folder = committed(root.path(), &[3]).step(3).unwrap();
    fs::write(folder.path().join(".DS_Store"), "").unwrap();
    folder.verify().unwrap();
    fs::write(folder.path().join("streams.bpk"), "").unwrap();
    let error = folder.verify().unwrap_err().to_string();
    assert!(error.contains("streams.bpk") && error.contains("list"), "{error}");
}

#[test]
fn a_checkpoint_cannot_hold_a_file_outside_its_folder() {
    let root = tempfile::tempdir().unwrap();
    for name in ["../model.bpk", "/model.bpk", "a/b", "c:x", "..", "", MANIFEST] {
        let mut snapshot = snapshot(3, "model");
        snapshot.files.insert(name.into(), Content::Text(String::new()));
        assert!(Checkpoints::new(root.path()).commit(&snapshot).is_err(), "{name}");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0, "{name}");
    }
}

#[test]
fn a_checkpoint_of_the_same_step_is_replaced_whole() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[3]);
    let folder = checkpoints.commit(&snapshot(3, "another")).unwrap();
    folder.verify().unwrap();
    assert_eq!(fs::read(folder.path().join("model.bpk")).unwrap(), b"another");
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
}

#[test]
fn a_checkpoint_that_was_set_aside_is_found_there_and_comes_back() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[2, 3]);
    fs::rename(checkpoints.place(3), checkpoints.aside(3)).unwrap();
    fs::create_dir(checkpoints.draft(3)).unwrap();
    fs::write(checkpoints.draft(3).join("model.bpk"), "mo").unwrap();
    let found = checkpoints.newest_verified().unwrap().0.unwrap();
    assert_eq!((found.step(), found.path()), (3, &*checkpoints.aside(3)));
    checkpoints.sweep().unwrap();
    let found = checkpoints.newest_verified().unwrap().0.unwrap();
    assert_eq!((found.step(), found.path()), (3, &*checkpoints.place(3)));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 2);
}

#[test]
fn a_sweep_takes_drafts_and_what_was_replaced_and_leaves_the_rest() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[2, 3]);
    checkpoints.point(Pointer::Best, 2).unwrap();
    fs::create_dir(checkpoints.draft(4)).unwrap();
    fs::create_dir(checkpoints.aside(3)).unwrap();
    fs::write(root.path().join(".last.123-0.tmp"), "step").unwrap();
    fs::write(root.path().join("notes.tmp"), "mine").unwrap();
    checkpoints.sweep().unwrap();
    let mut names = checkpoints.names().unwrap();
    names.sort();
    assert_eq!(names, ["best", "notes.tmp", "step-000002", "step-000003"]);
}

#[test]
fn the_newest_checkpoint_that_verifies_is_found_behind_a_broken_one() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[1, 2]);
    fs::write(checkpoints.step(2).unwrap().path().join("model.bpk"), "?").unwrap();
    let (found, refused) = checkpoints.newest_verified().unwrap();
    assert_eq!((found.unwrap().step(), refused.len()), (1, 1));
}

#[test]
fn retention_keeps_the_newest_and_the_pointed() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[1, 2, 3, 4]);
    checkpoints.point(Pointer::Best, 1).unwrap();
    checkpoints.point(Pointer::Last, 4).unwrap();
    checkpoints.retain(1).unwrap();
    assert_eq!(steps(&checkpoints), [1, 4]);
    assert_eq!(checkpoints.pointed(Pointer::Best).unwrap().unwrap().step(), 1);
}

#[test]
fn retention_keeps_the_newest_that_verifies_however_old() {
    let root = tempfile::tempdir().unwrap();
    let checkpoints = committed(root.path(), &[1, 2, 3, 4]);
    for step in [3, 4] {
        fs::write(checkpoints.step(step).unwrap().path().join("model.bpk"), "?").unwrap();
    }
    // Of another process: this one would trust what it wrote.
    let checkpoints = Checkpoints::new(root.path());
    checkpoints.retain(1).unwrap();
    assert_eq!(steps(&checkpoints), [2, 4]);
}

#[test]
fn a_manifest_cannot_point_out_of_its_folder() {
    let root = tempfile::tempdir().unwrap();
    let folder = committed(root.path(), &[1]).step(1).unwrap();
    let text = fs::read_to_string(folder.path().join(MANIFEST)).unwrap();
    fs::write(
        folder.path().join(MANIFEST),
        text.replace("model.bpk", "../model.bpk"),
    )
    .unwrap();
    assert!(
        folder
            .verify()
            .unwrap_err()
            .to_string()
            .contains("plain file name")
    );
}
