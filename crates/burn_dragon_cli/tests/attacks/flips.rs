//! Every bit of small files, changed once; every length, cut off once.

use crate::craft::{sound_model, sound_state, written};
use crate::doors::kinds;
use crate::folders::{in_parts, model, run};
use burn::tensor::Device;
use burn_dragon::api::checkpoint::{CheckpointFolder, ModelFile, read_parts};
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::language::LanguageState;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

/// What came of all changes to one file.
#[derive(Default)]
struct Count {
    flips: usize,
    cuts: usize,
    refused: usize,
    /// Changes after which exactly the same was loaded.
    harmless: usize,
}

/// Bits of a byte that are flipped, one at a time: all, or where many files are read each time, one, another each byte.
#[derive(Clone, Copy, PartialEq)]
enum Bits {
    All,
    One,
}

/// Changes a file in every way and opens it each time; `sound` is what it loads unchanged.
fn count<T: PartialEq>(path: &Path, bits: Bits, open: impl Fn() -> Option<T>) -> Count {
    let whole = fs::read(path).unwrap();
    let sound = open().expect("it is sound");
    let start = Instant::now();
    let mut count = Count::default();
    let judge = |count: &mut Count, what: &str| match open() {
        None => count.refused += 1,
        Some(loaded) if loaded == sound => count.harmless += 1,
        Some(_) => panic!("{}: {what} was not noticed", path.display()),
    };
    // In place, since a file system may take its time over a file that is emptied and written again.
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    let mut put = |place: usize, bytes: &[u8]| {
        file.seek(SeekFrom::Start(place as u64)).unwrap();
        file.write_all(bytes).unwrap();
    };
    for (place, &byte) in whole.iter().enumerate() {
        for bit in (0..8).filter(|bit| bits == Bits::All || bit % 8 == place % 8) {
            put(place, &[byte ^ (1 << bit)]);
            judge(&mut count, &format!("bit {bit} of byte {place}"));
            count.flips += 1;
        }
        put(place, &[byte]);
    }
    for length in (0..whole.len()).rev() {
        file.set_len(length as u64).unwrap();
        judge(&mut count, &format!("a length of {length}"));
        count.cuts += 1;
    }
    fs::write(path, &whole).unwrap();
    println!(
        "{}: {} bytes, {} bits flipped, {} lengths: {} refused, {} harmless, {:?}",
        path.file_name().unwrap().to_str().unwrap(),
        whole.len(),
        count.flips,
        count.cuts,
        count.refused,
        count.harmless,
        start.elapsed()
    );
    count
}

/// All of them were refused.
fn all_refused(count: &Count) {
    assert_eq!(
        count.refused,
        count.flips + count.cuts,
        "{} were harmless",
        count.harmless
    );
}

type Loaded = (String, BTreeMap<String, Vec<u8>>);

fn content(model: &ModelFile) -> Loaded {
    let described = format!("{:?} {:?} {:?}", model.config, model.info, model.assets);
    let tensors = model.tensors.iter();
    (
        described,
        tensors
            .map(|(name, data)| (name.clone(), data.data().as_bytes().to_vec()))
            .collect(),
    )
}

#[test]
fn of_a_model() {
    let folder = crate::doors::folder();
    let path = folder.path().join("model.bpk");
    fs::write(&path, written(&sound_model())).unwrap();
    all_refused(&count(&path, Bits::All, || {
        ModelFile::read(&path).ok().map(|model| content(&model))
    }));
}

#[test]
fn of_a_memory() {
    let folder = crate::doors::folder();
    let path = folder.path().join("memory.state");
    fs::write(&path, written(&sound_state())).unwrap();
    all_refused(&count(&path, Bits::All, || {
        let state = LanguageState::read(&path, &Device::flex()).ok()?;
        Some(state.state.rho()[0].to_data().as_bytes().to_vec())
    }));
}

#[test]
fn of_a_checkpoint() {
    let folder = crate::doors::folder();
    let checkpoint = run(folder.path());
    let open = || {
        CheckpointFolder::open(checkpoint.path()).ok()?.verify().ok()?;
        ModelPath::new(checkpoint.path())
            .load(&kinds())
            .ok()
            .map(|loaded| content(&loaded.model))
    };
    for name in ["model.bpk", "optimizer.bpk", "trainer.json", "manifest.json"] {
        all_refused(&count(&checkpoint.path().join(name), Bits::One, open));
    }
}

#[test]
fn of_a_model_in_parts() {
    let folder = crate::doors::folder();
    let manifest = in_parts(folder.path(), model());
    let open = || read_parts(&manifest, |_| {}).ok().map(|model| content(&model));
    let names: Vec<_> = crate::table::files(folder.path(), "").into_keys().collect();
    let read = names.iter().filter(|name| *name != "model.bpk"); // the whole is not looked at where parts are
    assert_eq!(read.clone().count(), 6, "{names:?}");
    for name in read {
        all_refused(&count(&folder.path().join(name), Bits::One, open));
    }
}

/// Pointers are not under a hash: a pointer that is damaged names nothing, or another checkpoint that is verified.
#[test]
fn of_a_pointer() {
    let folder = crate::doors::folder();
    run(folder.path());
    let open = || {
        ModelPath::new(folder.path())
            .load(&kinds())
            .ok()
            .map(|loaded| content(&loaded.model))
    };
    let count = count(&folder.path().join("checkpoint/last"), Bits::All, open);
    assert_eq!(count.harmless, count.flips + count.cuts);
}
