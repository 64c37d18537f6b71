//! Runs in a folder, as `dragon runs` lists them.

use super::{RunRecord, RunStatus, Table};
use crate::amounts::duration;
use crate::error::TrainError;
use crate::figures::figure;
use crate::run::RunFolder;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Entry of a list: a run, or a folder that looks like one and cannot be read.
#[derive(Debug)]
pub struct Listed {
    /// Name, relative to the folder that was listed.
    pub name: String,
    /// The run.
    pub record: Result<RunRecord, TrainError>,
    /// Whether `latest` names it.
    pub latest: bool,
}

/// Runs in a folder and in its subfolders (the runs of sweeps), oldest first.
///
/// # Errors
/// If the folder cannot be read.
pub fn list(root: &Path) -> Result<Vec<Listed>, TrainError> {
    let latest = RunFolder::open(root.join("latest")).ok();
    let latest = latest.and_then(|run| fs::canonicalize(run.path()).ok());
    let mut found = Vec::new();
    for path in folders(root)? {
        if is_run(&path) {
            found.push(path);
        } else {
            found.extend(
                folders(&path)
                    .unwrap_or_default()
                    .into_iter()
                    .filter(|path| is_run(path)),
            );
        }
    }
    let listed = found.into_iter().map(|path| {
        let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        Listed {
            name,
            latest: latest.is_some() && fs::canonicalize(&path).ok() == latest,
            record: RunRecord::read(&path),
        }
    });
    let mut listed: Vec<Listed> = listed.collect();
    listed.sort_by_cached_key(|entry| (entry.started(), entry.name.clone()));
    Ok(listed)
}

/// Folders in a folder; links, such as `latest`, are left out.
fn folders(root: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let entries = fs::read_dir(root).map_err(TrainError::file("read", root))?;
    let entries = entries
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    Ok(entries.map(|entry| entry.path()).collect())
}

fn is_run(path: &Path) -> bool {
    path.join("config.toml").is_file()
}

impl Listed {
    /// Time of the start, RFC 3339 in UTC; empty if not known.
    fn started(&self) -> String {
        let info = self.record.as_ref().ok().and_then(|record| record.info.as_ref());
        info.map_or_else(String::new, |info| info.started.clone())
    }

    /// Table of entries, and a line for each that cannot be read.
    pub fn table(entries: &[Self]) -> Vec<String> {
        let mut table = Table::new([
            "run",
            "family",
            "started (UTC)",
            "outcome",
            "steps",
            "loss",
            "time",
        ]);
        for entry in entries {
            if let Ok(record) = &entry.record {
                table.row(entry.cells(record));
            }
        }
        let broken = entries
            .iter()
            .filter_map(|entry| Some((&entry.name, entry.record.as_ref().err()?)));
        let broken = broken.map(|(name, error)| format!("{name} cannot be read: {error}"));
        table.lines().into_iter().chain(broken).collect()
    }

    fn cells(&self, record: &RunRecord) -> [String; 7] {
        let mark = if self.latest { " (latest)" } else { "" };
        let started: String = self.started().replace('T', " ").chars().take(16).collect();
        let steps = match record.total_steps() {
            Some(total) => format!("{}/{total}", record.steps()),
            None => record.steps().to_string(),
        };
        [
            format!("{}{mark}", self.name),
            record.family(),
            started,
            outcome(record),
            steps,
            record.loss().map_or_else(|| "-".into(), figure),
            duration(record.seconds()),
        ]
    }

    /// Entry as JSON.
    pub fn json(&self) -> Value {
        let record = match &self.record {
            Ok(record) => record,
            Err(error) => return json!({ "name": self.name, "unreadable": error.to_string() }),
        };
        json!({
            "name": self.name,
            "run_dir": record.folder.path(),
            "latest": self.latest,
            "family": record.family(),
            "started": self.started(),
            "outcome": record.status,
            "error": record.outcome().and_then(|outcome| outcome.error.clone()),
            "trained": record.steps() > 0,
            "steps": record.steps(),
            "total_steps": record.total_steps(),
            "seconds": record.seconds(),
            "figures": record.figures(),
            "figures_are_final": record.is_final(),
        })
    }
}

/// Outcome, with a flag for a run that took no step.
fn outcome(record: &RunRecord) -> String {
    if record.steps() == 0 && record.status != RunStatus::Running {
        return format!("{}, no steps", record.status);
    }
    record.status.to_string()
}

#[cfg(test)]
mod tests {
    use super::super::testing::run;
    use super::*;

    #[test]
    fn runs_are_listed_by_their_start_with_those_of_sweeps_and_the_broken_ones() {
        let root = tempfile::tempdir().unwrap();
        run(root.path(), "b", 1, 0.001, 1.5);
        run(&root.path().join("sweep"), "01", 1, 0.001, 2.5);
        fs::create_dir(root.path().join("notes")).unwrap();
        for name in ["broken", "empty"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        fs::write(root.path().join("broken/config.toml"), "= 1").unwrap();
        fs::write(root.path().join("empty/config.toml"), "").unwrap();
        let entries = list(root.path()).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["broken", "empty", "b", "sweep/01"]);
        let lines = Listed::table(&entries);
        assert_eq!(
            lines[1],
            "empty     language                    not known, no steps      0      -    0s"
        );
        assert_eq!(
            lines[2],
            "b         toy       2026-11-27 01:02  complete             10/10  1.500    4s"
        );
        assert!(
            lines[4].starts_with("broken cannot be read: ") && lines[4].contains("config.toml:1"),
            "{}",
            lines[4]
        );
        assert_eq!(entries[3].json()["figures"]["loss"], 2.5);
        assert_eq!(entries[1].json()["trained"], false);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        assert!(matches!(
            list(&root.path().join("runs")),
            Err(TrainError::File { .. })
        ));
    }
}
