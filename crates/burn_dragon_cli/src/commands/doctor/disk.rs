//! What a run needs of a folder: atomic files, locks, links.

use super::{Finding, Verdict};
use burn_dragon_train::api::RunFolder;
use burn_dragon_train::api::expert::{list_runs, write_atomic};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Bytes of the file that is written.
const WRITTEN: usize = 8 << 20;

/// Findings about the folder of runs. What is written there is removed.
pub(super) fn findings(runs: &Path) -> Vec<Finding> {
    let place = existing(runs);
    let scratch = match tempfile::Builder::new().prefix(".doctor-").tempdir_in(&place) {
        Ok(scratch) => scratch,
        Err(error) => {
            let said = format!(
                "nothing can be written in {}: {error}; a run can be made elsewhere with --out",
                place.display()
            );
            return vec![Finding::new("disk", Verdict::Problem, said)];
        }
    };
    vec![
        written(scratch.path(), &place),
        locked(scratch.path()),
        existing_runs(runs),
    ]
}

/// The folder, or the closest one above it that exists.
fn existing(folder: &Path) -> PathBuf {
    let found = folder.ancestors().find(|folder| folder.is_dir());
    let found = found.filter(|folder| !folder.as_os_str().is_empty());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn written(scratch: &Path, place: &Path) -> Finding {
    let started = Instant::now();
    if let Err(error) = write_atomic(&scratch.join("file"), &vec![1; WRITTEN]) {
        return Finding::new("disk", Verdict::Problem, error.to_string());
    }
    let seconds = started.elapsed().as_secs_f64();
    let rate = WRITTEN as f64 / 1e6 / seconds.max(1e-9);
    let verdict = if rate < 10.0 { Verdict::Note } else { Verdict::Ok };
    Finding::new(
        "disk",
        verdict,
        format!(
            "{}: files are saved at {rate:.0} MB/s, synchronised",
            place.display()
        ),
    )
}

/// Whether two processes can be kept from training in one run.
fn locked(scratch: &Path) -> Finding {
    let lock = File::open(scratch).and_then(|folder| {
        folder.try_lock()?;
        Ok(())
    });
    match lock {
        Ok(()) => Finding::new(
            "locks",
            Verdict::Ok,
            "a run is locked while a process trains in it",
        ),
        Err(error) => {
            let said = format!(
                "folders cannot be locked here ({error}): do not train twice in one run at the same time"
            );
            Finding::new("locks", Verdict::Note, said)
        }
    }
}

fn existing_runs(runs: &Path) -> Finding {
    let listed = list_runs(runs).unwrap_or_default();
    let broken: Vec<&str> = listed
        .iter()
        .filter(|run| run.record.is_err())
        .map(|run| run.name.as_str())
        .collect();
    let latest = RunFolder::open(runs.join("latest")).ok();
    let latest = latest.map_or_else(
        || "no latest one".into(),
        |run| format!("the latest is {}", run.path().display()),
    );
    let said = format!("{} in {}, {latest}", listed.len(), runs.display());
    match broken.is_empty() {
        true => Finding::new("runs", Verdict::Ok, said),
        false => Finding::new(
            "runs",
            Verdict::Note,
            format!("{said}; not readable: {}", broken.join(", ")),
        ),
    }
}
