//! A disk that fails at any point of a save, in any way: an error is returned, and what was there before is still
//! there and still found.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use burn::tensor::TensorData;
use burn_dragon_checkpoint::api::expert::{Disk, Fault, Faulty, Os, TensorFile};
use burn_dragon_checkpoint::api::{
    CheckpointError, CheckpointFolder, Checkpoints, Content, Pointer, Snapshot,
};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// A checkpoint of four files, the larger of which take several writes.
fn snapshot(step: u64, value: f32) -> Snapshot {
    let tensors = |length: usize| {
        let data = TensorData::new(vec![value; length], [length]);
        Content::Tensors(TensorFile {
            tensors: BTreeMap::from([("embed".to_string(), data)]),
            metadata: BTreeMap::from([("step".to_string(), step.to_string())]),
        })
    };
    let files = [
        ("model.bpk", tensors(20_000)),
        ("optimizer.bpk", tensors(30_000)),
        ("streams.bpk", tensors(10)),
        ("trainer.json", Content::Text(format!("{{\"value\": {value}}}"))),
    ];
    Snapshot {
        step,
        files: files.map(|(name, content)| (name.to_string(), content)).into(),
        ..Snapshot::default()
    }
}

/// A save as the trainer makes it: the checkpoint, what points at it, the end of older ones.
fn save(checkpoints: &Checkpoints, snapshot: &Snapshot) -> Result<(), CheckpointError> {
    checkpoints.commit(snapshot)?;
    checkpoints.point(Pointer::Last, snapshot.step)?;
    checkpoints.point(Pointer::Best, snapshot.step)?;
    checkpoints.retain(2)
}

/// The bytes of a checkpoint's files that are expected of a snapshot.
fn is(folder: &CheckpointFolder, snapshot: &Snapshot) -> bool {
    snapshot.files.iter().all(|(name, content)| {
        let mut bytes = Vec::new();
        content.write_to(&mut bytes).unwrap();
        fs::read(folder.path().join(name)).unwrap() == bytes
    })
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        match from.is_dir() {
            true => copy(&from, &to),
            false => {
                fs::copy(from, to).unwrap();
            }
        }
    }
}

fn names(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What was saved before, what is saved now, and what is there when it succeeded.
struct Case {
    before: Vec<Snapshot>,
    now: Snapshot,
    after: &'static [&'static str],
    /// The folder of what was saved before.
    template: tempfile::TempDir,
}

impl Case {
    fn new(before: Vec<Snapshot>, now: Snapshot, after: &'static [&'static str]) -> Self {
        let template = tempfile::tempdir().unwrap();
        for snapshot in &before {
            save(&Checkpoints::new(template.path().join("checkpoint")), snapshot).unwrap();
        }
        Self {
            before,
            now,
            after,
            template,
        }
    }

    fn on(&self, disk: impl Disk + 'static) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        copy(self.template.path(), folder.path());
        let root = folder.path().join("checkpoint");
        (folder, Checkpoints::on(Arc::new(disk), root))
    }

    /// Operations of the save that a fault can hit.
    fn points(&self, fault: Fault) -> u64 {
        let disk = Faulty::counting(fault);
        let (_folder, checkpoints) = self.on(disk.clone());
        save(&checkpoints, &self.now).unwrap();
        disk.count()
    }

    fn fails(&self, fault: Fault, at: u64, lasting: bool) {
        let case = format!("{fault:?} at operation {at}, lasting: {lasting}");
        let (_folder, checkpoints) = self.on(Faulty::new(fault, at, lasting));
        let error = save(&checkpoints, &self.now).expect_err(&case);
        assert!(matches!(error, CheckpointError::Io { .. }), "{case}: {error}");
        self.is_sound(checkpoints.root(), &case);
        // Another process, on a disk that works again.
        let healthy = Checkpoints::on(Arc::new(Os), checkpoints.root());
        healthy.sweep().unwrap();
        self.is_sound(checkpoints.root(), &case);
        save(&healthy, &self.now).unwrap();
        let newest = healthy.newest_verified().unwrap().0.unwrap();
        assert!(is(&newest, &self.now), "{case}");
        assert_eq!(names(healthy.root()), self.after, "{case}");
    }

    /// Whatever is visible is whole; the newest is the one before, or the one that was saved.
    fn is_sound(&self, root: &Path, case: &str) {
        let checkpoints = Checkpoints::new(root);
        for folder in checkpoints.all().unwrap() {
            folder.verify().expect(case);
        }
        let newest = checkpoints.newest_verified().unwrap().0;
        let Some(before) = self.before.last() else {
            assert!(newest.is_none_or(|newest| is(&newest, &self.now)), "{case}");
            return;
        };
        let newest = newest.expect(case);
        assert!(is(&newest, before) || is(&newest, &self.now), "{case}");
        if before.step != self.now.step {
            assert!(is(&checkpoints.step(before.step).expect(case), before), "{case}");
        }
        for pointer in [Pointer::Last, Pointer::Best] {
            checkpoints
                .pointed(pointer)
                .expect(case)
                .expect(case)
                .verify()
                .expect(case);
        }
    }

    /// Every point of every fault; how many there were.
    fn all(&self) -> u64 {
        let mut points = 0;
        for fault in Fault::ALL {
            for at in 0..self.points(fault) {
                self.fails(fault, at, false);
                self.fails(fault, at, true);
                points += 2;
            }
        }
        points
    }
}

fn report(what: &str, points: u64) {
    assert!(points > 0);
    println!("faults: {what}: {points} points of {} kinds", Fault::ALL.len());
}

#[test]
fn faults_in_a_save_leave_the_older_checkpoints() {
    let case = Case::new(
        vec![snapshot(10, 1.0), snapshot(20, 2.0)],
        snapshot(30, 3.0),
        &["best", "last", "step-000020", "step-000030"],
    );
    report("a save after two others", case.all());
}

#[test]
fn faults_while_a_checkpoint_is_replaced_leave_the_old_or_the_new() {
    let case = Case::new(
        vec![snapshot(10, 1.0), snapshot(20, 2.0)],
        snapshot(20, 3.0),
        &["best", "last", "step-000010", "step-000020"],
    );
    report("a save of a step that was saved before", case.all());
}

#[test]
fn faults_in_the_first_save_leave_nothing_or_all_of_it() {
    let case = Case::new(vec![], snapshot(10, 1.0), &["best", "last", "step-000010"]);
    report("the first save", case.all());
}
