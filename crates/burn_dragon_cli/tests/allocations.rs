//! Opening what a stranger sent asks for little memory, whatever it says of itself. Alone in its program, so that every
//! byte counted is its own.

#![cfg(test)]
#![allow(unsafe_code, reason = "an allocator that counts")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]
#![allow(dead_code, reason = "the tests in attacks/ use the rest")]

use doors::Door;
use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The attacks without their tests.
macro_rules! attacks {
    ($door:ident, $ending:literal: $($class:ident: $says:literal = $bytes:expr;)*) => {
        pub(crate) fn all() -> Vec<crate::Attack> {
            vec![$(crate::Attack {
                door: crate::doors::Door::$door,
                class: stringify!($class),
                bytes: Vec::from($bytes),
            }),*]
        }
    };
}

#[path = "attacks/burnpack.rs"]
mod burnpack;
#[path = "attacks/config.rs"]
mod config;
#[path = "attacks/craft.rs"]
mod craft;
#[path = "attacks/doors.rs"]
mod doors;
#[path = "attacks/manifest.rs"]
mod manifest;
#[path = "attacks/model.rs"]
mod model;
#[path = "attacks/parts.rs"]
mod parts;
#[path = "attacks/pickle.rs"]
mod pickle;
#[path = "attacks/safetensors.rs"]
mod safetensors;
#[path = "attacks/state.rs"]
mod state;
#[path = "attacks/tokenizer.rs"]
mod tokenizer;

struct Attack {
    door: Door,
    class: &'static str,
    bytes: Vec<u8>,
}

struct Counting;

/// Bytes that are there now, and the most that were.
static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

fn came(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

// SAFETY: the system's allocator does it all; counting touches no memory of its own.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        came(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        came(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        NOW.fetch_sub(layout.size(), Relaxed); // what grows is moved, by the system, without a second copy
        came(size);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(memory, layout, size) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that opening these bytes asked for at a time, and whether they were taken.
fn peak(door: Door, name: &str, bytes: &[u8]) -> (usize, bool) {
    let folder = doors::folder();
    let path = door.lay(folder.path(), name, bytes);
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let taken = door.open(&path).is_ok();
    (PEAK.load(Relaxed) - before, taken)
}

/// Beginnings that say that much follows, each of 64 bytes at most.
fn small() -> BTreeSet<Vec<u8>> {
    let mut files: BTreeSet<Vec<u8>> = all().into_iter().map(|attack| cut(attack.bytes)).collect();
    let most = [0xff; 8];
    let starts: [&[u8]; 12] = [
        b"NRUB\x01\0",
        b"NRUB\x01\0\x36\0\0\0",
        b"NRUB\x01\0\x36\0\0\0\xa2\x67tensors\xa1\x61a\xa1\x65shape",
        b"GGUF\x03\0\0\0",
        b"PK\x03\x04",
        b"PK\x05\x06\0\0\0\0\xff\xff\xff\xff",
        b"PK\x06\x06",
        b"\x80\x02",
        b"\x36\0\0\0\0\0\0\0{\"",
        b"{\"type\":\"char\",\"symbols\":\"",
        b"a = [",
        b"",
    ];
    for start in starts {
        for kind in 0..8u8 {
            // A CBOR value of each kind that says it is as long as numbers go, and the same in other formats.
            for length in [[0x7f, 0xff, 0xff, 0xff], [0, 0, 1, 0], [0xff; 4]] {
                files.insert(cut([start, &[(kind << 5) | 26], &length, &most].concat()));
                files.insert(cut([start, &[(kind << 5) | 27], &length, &[0; 4], &most].concat()));
                files.insert(cut([start, &length, &most].concat()));
            }
        }
        files.insert(cut([start, &b"[".repeat(64)].concat()));
        files.insert(cut([start, &[0; 64]].concat()));
        files.insert(cut([start, &[0xff; 64]].concat()));
    }
    files
}

fn cut(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(64);
    bytes
}

fn all() -> Vec<Attack> {
    [
        burnpack::all(),
        model::all(),
        state::all(),
        safetensors::all(),
        pickle::all(),
        manifest::all(),
        parts::all(),
        config::all(),
        tokenizer::all(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn a_hostile_file_asks_for_little_memory() {
    // What is made once, such as the device, is made first.
    let _ = peak(Door::State, "warm", &craft::written(&craft::sound_state()));
    let _ = peak(Door::Model, "warm", &craft::written(&craft::sound_model()));

    let files = small();
    let mut most = (0, Door::Burnpack);
    for door in Door::ALL {
        for bytes in &files {
            most = most.max((peak(door, "small", bytes).0, door));
        }
    }
    println!(
        "{} files of at most 64 bytes at {} doors: at most {} bytes ({:?})",
        files.len(),
        Door::ALL.len(),
        most.0,
        most.1
    );
    assert!(most.0 < 64 << 10, "{most:?}");

    let mut too_much = Vec::new();
    for Attack { door, class, bytes } in all() {
        let (peak, taken) = peak(door, class, &bytes);
        assert!(!taken, "{door:?}/{class}");
        let allowed = match door {
            // A long text in an index grows as it comes: it is there once in the index, and up to twice as a text. And
            // of 1,024 tensors at most there is a description each.
            Door::Burnpack | Door::Model | Door::State => 3 * bytes.len() + (256 << 10),
            // A person's own file, of 256 KiB at most: its reader keeps places for its messages.
            Door::Config => 4 << 20,
            _ => 2 * bytes.len() + (64 << 10),
        };
        if peak > 2 * bytes.len() + (64 << 10) {
            println!(
                "beyond twice the file and 64 KiB: {door:?}/{class}, {peak} bytes for {}",
                bytes.len()
            );
        }
        if peak > allowed {
            too_much.push(format!(
                "{door:?}/{class}: {peak} bytes for a file of {}",
                bytes.len()
            ));
        }
    }
    println!(
        "{} attacks, {} beyond what is allowed\n{}",
        all().len(),
        too_much.len(),
        too_much.join("\n")
    );
    assert!(too_much.is_empty());
}
