//! The power goes at any moment of a save, and of what was not synced any part may be lost: a reader finds a checkpoint
//! that verifies, the one before or the new one, and the new one for certain once the save has returned.
//!
//! The model of a disk: the bytes of a file last once the file was synced, before that it may hold all, half or none
//! of them. A name in a folder (made, moved, removed) lasts once the folder was synced, before that any subset of the
//! changes may have reached the disk; a rename is there or not, never half.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use burn_dragon_checkpoint::api::expert::{Disk, DiskFile, Os};
use burn_dragon_checkpoint::api::{CheckpointFolder, Checkpoints, Content, Pointer, Snapshot};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A change, as the disk was asked for it.
#[derive(Clone, Debug)]
enum Change {
    MakeFolder(PathBuf),
    Create(PathBuf, usize),
    Write(usize, Vec<u8>),
    SyncFile(usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncFolder(PathBuf),
}

/// The machine's disk, with a record of what was asked of it.
#[derive(Clone, Debug, Default)]
struct Recording(Arc<Mutex<Vec<Change>>>);

impl Recording {
    fn note(&self, change: Change) {
        self.0.lock().unwrap().push(change);
    }

    fn length(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

impl Disk for Recording {
    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        // One folder in these tests: what is above it is there.
        self.create_dir(path)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.note(Change::MakeFolder(path.into()));
        Os.create_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let id = self.length();
        self.note(Change::Create(path.into(), id));
        let (disk, file) = (self.clone(), Os.create(path)?);
        Ok(Box::new(RecordedFile { id, disk, file }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.note(Change::Rename(from.into(), to.into()));
        Os.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.note(Change::Remove(path.into()));
        Os.remove_file(path)
    }

    /// File by file, as the system does it.
    fn remove_dir_all(&self, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            self.remove_file(&entry?.path())?;
        }
        self.note(Change::Remove(path.into()));
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.note(Change::SyncFolder(path.into()));
        Os.sync_dir(path)
    }
}

struct RecordedFile {
    id: usize,
    disk: Recording,
    file: Box<dyn DiskFile>,
}

impl Write for RecordedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.disk.note(Change::Write(self.id, bytes[..written].to_vec()));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl DiskFile for RecordedFile {
    fn sync(&mut self) -> io::Result<()> {
        self.disk.note(Change::SyncFile(self.id));
        self.file.sync()
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Folder(usize),
    File(usize),
}

/// Names by folder and name.
type Names = BTreeMap<(usize, String), Node>;

/// A change of names that is not synced: each is of one folder.
#[derive(Clone, Debug)]
enum Pending {
    Set(usize, String, Node),
    Unset(usize, String),
    Move(usize, String, String, Node),
}

impl Pending {
    fn folder(&self) -> usize {
        match self {
            Self::Set(folder, ..) | Self::Unset(folder, _) | Self::Move(folder, ..) => *folder,
        }
    }

    fn apply(&self, names: &mut Names) {
        match self.clone() {
            Self::Set(folder, name, node) => drop(names.insert((folder, name), node)),
            Self::Unset(folder, name) => drop(names.remove(&(folder, name))),
            Self::Move(folder, from, to, node) => {
                if names.get(&(folder, from.clone())) == Some(&node) {
                    names.remove(&(folder, from));
                }
                names.insert((folder, to), node);
            }
        }
    }
}

/// What the disk holds for certain, and what may or may not have reached it.
#[derive(Clone, Debug)]
struct Model {
    root: PathBuf,
    folders: usize,
    /// As the program sees them.
    seen: Names,
    lasting: Names,
    pending: Vec<Pending>,
    /// Bytes that last, and all bytes.
    files: BTreeMap<usize, (Vec<u8>, Vec<u8>)>,
}

impl Model {
    fn new(root: &Path) -> Self {
        Self {
            root: root.into(),
            folders: 1,
            seen: Names::new(),
            lasting: Names::new(),
            pending: Vec::new(),
            files: BTreeMap::new(),
        }
    }

    /// The folder that a path lies in, and its name there.
    fn place(&self, path: &Path) -> (usize, String) {
        let path = path.strip_prefix(&self.root).unwrap();
        let folder = self.folder(path.parent().unwrap());
        (folder, path.file_name().unwrap().to_str().unwrap().to_string())
    }

    fn folder(&self, path: &Path) -> usize {
        path.iter().fold(0, |folder, name| {
            match self.seen[&(folder, name.to_str().unwrap().to_string())] {
                Node::Folder(inner) => inner,
                Node::File(_) => panic!("{} is a file", path.display()),
            }
        })
    }

    fn change(&mut self, pending: Pending) {
        pending.apply(&mut self.seen);
        self.pending.push(pending);
    }

    fn take(&mut self, change: &Change) {
        match change {
            Change::MakeFolder(path) => {
                let (folder, name) = self.place(path);
                self.change(Pending::Set(folder, name, Node::Folder(self.folders)));
                self.folders += 1;
            }
            Change::Create(path, id) => {
                let (folder, name) = self.place(path);
                self.files.insert(*id, (Vec::new(), Vec::new()));
                self.change(Pending::Set(folder, name, Node::File(*id)));
            }
            Change::Write(id, bytes) => self.files.get_mut(id).unwrap().1.extend(bytes),
            Change::SyncFile(id) => {
                let (lasting, all) = self.files.get_mut(id).unwrap();
                lasting.clone_from(all);
            }
            Change::Rename(from, to) => {
                let ((folder, from), (other, to)) = (self.place(from), self.place(to));
                assert_eq!(folder, other, "a rename within one folder");
                let node = self.seen[&(folder, from.clone())].clone();
                self.change(Pending::Move(folder, from, to, node));
            }
            Change::Remove(path) => {
                let (folder, name) = self.place(path);
                self.change(Pending::Unset(folder, name));
            }
            Change::SyncFolder(path) => {
                let folder = self.folder(path.strip_prefix(&self.root).unwrap());
                for pending in self.pending.extract_if(.., |pending| pending.folder() == folder) {
                    pending.apply(&mut self.lasting);
                }
            }
        }
    }

    /// What a machine finds that starts again: of the pending changes those in `reached`, and of bytes that were not
    /// synced what `kept` says, in halves of each file.
    fn write(&self, reached: &BTreeSet<usize>, kept: impl Fn(usize) -> usize, to: &Path) {
        let mut names = self.lasting.clone();
        for (place, pending) in self.pending.iter().enumerate() {
            if reached.contains(&place) {
                pending.apply(&mut names);
            }
        }
        self.write_folder(0, &names, &kept, to);
    }

    fn write_folder(&self, folder: usize, names: &Names, kept: &impl Fn(usize) -> usize, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for ((_, name), node) in names.iter().filter(|((of, _), _)| *of == folder) {
            match node {
                Node::Folder(inner) => self.write_folder(*inner, names, kept, &to.join(name)),
                Node::File(id) => {
                    let (lasting, all) = &self.files[id];
                    let length = lasting.len().max(all.len() * kept(*id) / 2);
                    fs::write(to.join(name), &all[..length]).unwrap();
                }
            }
        }
    }

    /// Subsets of the pending changes: all of them where they are few, else those that say most.
    fn subsets(&self, random: &mut Random) -> Vec<BTreeSet<usize>> {
        let count = self.pending.len();
        if count <= 5 {
            let bits = 0..1_usize << count;
            return bits
                .map(|bits| (0..count).filter(|place| bits >> place & 1 == 1).collect())
                .collect();
        }
        let mut subsets: Vec<BTreeSet<usize>> = (0..=count).map(|length| (0..length).collect()).collect();
        for one in 0..count {
            subsets.push([one].into());
            subsets.push((0..count).filter(|place| *place != one).collect());
        }
        for _ in 0..8 {
            subsets.push((0..count).filter(|_| random.below(2) == 1).collect());
        }
        subsets
    }
}

/// Reproducible numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn snapshot(step: u64, text: &str) -> Snapshot {
    let files = ["model.bpk", "optimizer.bpk", "trainer.json"];
    let files = files.map(|name| (name.to_string(), Content::Text(format!("{name} of {text}"))));
    Snapshot {
        step,
        files: files.into(),
        ..Snapshot::default()
    }
}

fn is(folder: &CheckpointFolder, snapshot: &Snapshot) -> bool {
    snapshot.files.iter().all(|(name, content)| {
        let Content::Text(text) = content else {
            return false;
        };
        fs::read_to_string(folder.path().join(name)).unwrap() == *text
    })
}

/// Saves `before`, then `now` with the power going at every moment; gives moments and states.
fn power_goes(before: &[Snapshot], now: &Snapshot) -> (usize, usize) {
    let folder = tempfile::tempdir().unwrap();
    let disk = Recording::default();
    let checkpoints = Checkpoints::on(Arc::new(disk.clone()), folder.path().join("checkpoint"));
    let save = |snapshot: &Snapshot| {
        checkpoints.commit(snapshot).unwrap();
        let committed = disk.length();
        checkpoints.point(Pointer::Last, snapshot.step).unwrap();
        checkpoints.point(Pointer::Best, snapshot.step).unwrap();
        let pointed = disk.length();
        checkpoints.retain(2).unwrap();
        (committed, pointed)
    };
    for snapshot in before {
        save(snapshot);
    }
    let begun = disk.length();
    let (committed, pointed) = save(now);

    let changes = disk.0.lock().unwrap().clone();
    let mut model = Model::new(folder.path());
    let mut random = Random(7);
    let mut states = 0;
    for moment in 0..=changes.len() {
        if moment >= begun {
            for reached in model.subsets(&mut random) {
                let mix = random.below(1 << 20) as usize;
                let halves: [Box<dyn Fn(usize) -> usize>; 4] = [
                    Box::new(|_| 0),
                    Box::new(|_| 1),
                    Box::new(|_| 2),
                    Box::new(move |file| (mix >> (file % 20)) % 3),
                ];
                let unsynced = model.files.values().any(|(lasting, all)| lasting != all);
                for kept in halves.iter().take(if unsynced { 4 } else { 1 }) {
                    let place = tempfile::tempdir().unwrap();
                    model.write(&reached, kept, place.path());
                    let case = format!("after change {moment} of {}, {reached:?}", changes.len());
                    let returned = (moment >= committed, moment >= pointed);
                    judge(place.path(), before, now, returned, &case);
                    states += 1;
                }
            }
        }
        if let Some(change) = changes.get(moment) {
            model.take(change);
        }
    }
    (changes.len() - begun + 1, states)
}

/// What a reader finds, and then a run that goes on; `committed` and `pointed` say what has returned by then.
fn judge(place: &Path, before: &[Snapshot], now: &Snapshot, (committed, pointed): (bool, bool), case: &str) {
    let checkpoints = Checkpoints::new(place.join("checkpoint"));
    let newest = || checkpoints.newest_verified().unwrap().0;
    for swept in [false, true] {
        match (newest(), before.last()) {
            (Some(newest), _) if committed => assert!(is(&newest, now), "{case}, swept: {swept}"),
            (Some(newest), Some(before)) => assert!(is(&newest, before) || is(&newest, now), "{case}"),
            (Some(newest), None) => assert!(is(&newest, now), "{case}"),
            (None, before) => assert!(before.is_none() && !committed, "{case}: no checkpoint"),
        }
        for pointer in [Pointer::Last, Pointer::Best] {
            let named = checkpoints.pointed(pointer).expect(case);
            assert!(named.is_some() || before.is_empty() && !pointed, "{case}");
            if let Some(named) = named {
                named.verify().expect(case);
                assert!(!pointed || named.step() == now.step, "{case}");
            }
        }
        checkpoints.sweep().expect(case);
    }
}

#[test]
fn power_loss_in_a_save_leaves_a_checkpoint_that_verifies() {
    let before = [snapshot(10, "ten"), snapshot(20, "twenty")];
    for (what, before, now) in [
        ("the first save", &before[..0], snapshot(10, "ten")),
        ("a save after two others", &before[..], snapshot(30, "thirty")),
        (
            "a save of a step that was saved before",
            &before[..],
            snapshot(20, "again"),
        ),
    ] {
        let (moments, states) = power_goes(before, &now);
        println!("power loss: {what}: {moments} moments, {states} states of the disk");
    }
}
