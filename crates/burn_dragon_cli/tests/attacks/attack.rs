//! What an attack is, and what must come of it.

use crate::doors::Door;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

pub(crate) struct Attack {
    pub(crate) door: Door,
    pub(crate) class: &'static str,
    /// A part of what the refusal says.
    pub(crate) says: &'static str,
    pub(crate) bytes: Vec<u8>,
}

/// Longest refusal. Unoptimised code is given its time.
const LONGEST: Duration = Duration::from_millis(if cfg!(debug_assertions) { 1000 } else { 10 });

impl Attack {
    /// The file is refused, as bad input, in the right words, at once, and nothing was written.
    pub(crate) fn is_refused(&self) {
        let folder = crate::doors::folder();
        let path = self.door.lay(folder.path(), self.class, &self.bytes);
        let before = listing(folder.path());
        let times = [0; 3].map(|_| {
            let start = Instant::now();
            let refusal = self.door.open(&path).expect_err("it was taken");
            let time = start.elapsed();
            assert!(
                refusal.said.contains(self.says),
                "`{}` is not in: {}",
                self.says,
                refusal.said
            );
            assert!(refusal.bad_input, "not called bad input: {}", refusal.said);
            assert!(
                refusal.said.len() < 2000,
                "{} characters are too many",
                refusal.said.len()
            );
            assert!(
                !refusal.said.contains(|c: char| c.is_control() && c != '\n'),
                "{:?}",
                refusal.said
            );
            time
        });
        let time = times.into_iter().min().unwrap(); // others run at the same time
        println!(
            "{:?}/{}: {} bytes refused in {time:?}",
            self.door,
            self.class,
            self.bytes.len()
        );
        assert!(time < LONGEST, "refused after {time:?}");
        assert_eq!(listing(folder.path()), before, "something was written");
    }
}

/// Every file under a folder, with its bytes' number.
fn listing(folder: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(listing(&path));
        } else {
            files.push((path.display().to_string(), path.metadata().unwrap().len()));
        }
    }
    files.sort();
    files
}
