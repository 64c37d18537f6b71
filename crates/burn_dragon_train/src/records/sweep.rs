//! Sweep: a run for each combination of some settings, one after the other, in one folder.
//!
//! ```text
//! runs/sweep-1a2b3c4d/  sweep.json                      what was asked, and which runs were refused
//!                       01-learning_rate-0.001-seed-1/  a run folder
//!                       02-learning_rate-0.001-seed-2/
//! ```
//!
//! The folder is named after what was asked, so the same command goes on where it was interrupted: runs that are done are
//! kept, one that was stopped or killed is resumed.

mod folder;
mod report;
#[cfg(test)]
mod tests;

use super::{RunRecord, RunStatus};
use crate::error::TrainError;
use crate::run::{RunFolder, write_atomic};
use crate::verb::{Ran, RunRequest};
use burn_dragon_checkpoint::api::expert::{Os, create_dirs, sha256};
use folder::SweepFile;
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Setting of a sweep, with its values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Axis {
    /// Full key.
    pub key: String,
    /// Values, as they would be typed after `KEY=`.
    pub values: Vec<String>,
}

/// Request for a sweep.
#[derive(Clone, Debug)]
pub struct SweepRequest {
    /// Request for each run: family, files, assignments that all of them share. `out` and `resume` are not used.
    pub run: RunRequest,
    /// Settings that vary; the last one varies fastest.
    pub axes: Vec<Axis>,
    /// Folder of the sweep, instead of one under `runs`.
    pub out: Option<PathBuf>,
    /// Try runs again that failed before.
    pub retry: bool,
}

/// Sweep in its folder.
#[derive(Debug)]
pub struct Sweep {
    folder: PathBuf,
    request: SweepRequest,
    file: SweepFile,
}

/// End of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SweepEnd {
    /// All runs have ended, and none failed.
    Complete,
    /// All runs have ended, and some failed.
    SomeFailed,
    /// It was interrupted; the run that was stopped is saved.
    Interrupted,
}

/// Function that trains one run.
type Train<'a> = dyn Fn(&RunRequest) -> Result<Ran, TrainError> + 'a;

impl Axis {
    /// Setting as typed, `KEY=A,B,C`: an axis if there are several values. A comma inside brackets, braces or quotes belongs
    /// to a value.
    pub fn typed(word: &str) -> Option<Self> {
        let (key, values) = word.split_once('=')?;
        let values = split(values);
        let key = key.trim().to_string();
        (values.len() > 1).then_some(Self { key, values })
    }

    /// Name of the setting in the name of a run and at the head of a column: the last part of its key.
    fn short(&self) -> &str {
        self.key.rsplit('.').next().unwrap_or(&self.key)
    }
}

/// Parts of a text between its outer commas.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut depth, mut quote) = (vec![String::new()], 0_i64, None);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().into_iter().for_each(|part| part.push(c));
    }
    parts.iter().map(|part| part.trim().to_string()).collect()
}

impl Sweep {
    /// Opens the folder of a sweep, or creates it.
    ///
    /// # Errors
    /// If nothing varies, a key is given twice, there are too many runs, a configuration file cannot be read, or the folder
    /// holds another sweep.
    pub fn open(request: SweepRequest) -> Result<Self, TrainError> {
        let file = SweepFile::of(&request)?;
        let folder = match &request.out {
            Some(out) => out.clone(),
            None => Path::new("runs").join(format!("sweep-{}", &sha256(file.identity()?.as_bytes())[..8])),
        };
        create_dirs(&Os, &folder).map_err(TrainError::on_file)?;
        let file = file.with_earlier(&folder)?;
        let sweep = Self {
            folder,
            request,
            file,
        };
        sweep.save()?;
        Ok(sweep)
    }

    /// Path of the folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Number of runs.
    pub fn len(&self) -> usize {
        self.file.runs.len()
    }

    /// Whether there are no runs; never so.
    pub fn is_empty(&self) -> bool {
        self.file.runs.is_empty()
    }

    /// Trains the runs that are not done, one after the other. `tell` is given a line before each.
    ///
    /// # Errors
    /// If another process trains in one of the runs, or the file of the sweep cannot be written. An error of a run is noted, and the sweep goes on with the next one.
    pub fn train(&mut self, train: &Train<'_>, tell: &dyn Fn(&str)) -> Result<SweepEnd, TrainError> {
        let count = self.len();
        for place in 0..count {
            let Some(request) = self.due(place) else { continue };
            let name = self.file.runs[place].name.clone();
            self.refuse_busy(&name)?;
            let verb = if request.resume.is_some() {
                "goes on"
            } else {
                "begins"
            };
            tell(&format!("run {} of {count}, {name}, {verb}", place + 1));
            match caught(train, &request) {
                Ok(ran) if ran.interrupted => return Ok(SweepEnd::Interrupted),
                Ok(_) => self.file.runs[place].error = None,
                Err(error) => {
                    tell(&format!("run {name} failed: {error}"));
                    self.file.runs[place].error = Some(error);
                }
            }
            self.save()?;
        }
        let failed = self.file.runs.iter().any(|run| run.error.is_some());
        Ok(if failed {
            SweepEnd::SomeFailed
        } else {
            SweepEnd::Complete
        })
    }

    /// Refuses a run in which another process trains: a second sweep in the same folder.
    fn refuse_busy(&self, name: &str) -> Result<(), TrainError> {
        match RunFolder::open(self.folder.join(name)) {
            Ok(run) if run.is_busy() == Some(true) => Err(TrainError::RunBusy {
                path: run.path().into(),
            }),
            _ => Ok(()),
        }
    }

    /// Request for a run, if it has something left to do.
    fn due(&self, place: usize) -> Option<RunRequest> {
        let run = &self.file.runs[place];
        if run.error.is_some() && !self.request.retry {
            return None;
        }
        let path = self.folder.join(&run.name);
        let request = &self.request.run;
        if RunFolder::open(&path).is_err() {
            let mut assignments = request.assignments.clone();
            assignments.extend(run.settings.iter().map(|(key, value)| format!("{key}={value}")));
            return Some(RunRequest {
                out: Some(path),
                assignments,
                ..request.clone()
            });
        }
        let done = RunRecord::read(&path).is_ok_and(|record| record.status.is_done());
        (!done).then(|| RunRequest {
            resume: Some(path),
            family: None,
            configs: Vec::new(),
            assignments: Vec::new(),
            max_steps: None,
            ..request.clone()
        })
    }

    /// Records of the runs, in order; `None` for a run that has not begun or was refused.
    fn records(&self) -> Vec<Option<RunRecord>> {
        let runs = self.file.runs.iter();
        runs.map(|run| RunRecord::read(self.folder.join(&run.name)).ok())
            .collect()
    }

    fn save(&self) -> Result<(), TrainError> {
        let mut text = serde_json::to_string_pretty(&self.file).map_err(TrainError::Json)?;
        text.push('\n');
        write_atomic(&self.folder.join(folder::FILE), text.as_bytes())
    }
}

/// Result of a run. A panic is an error of the run, not of the sweep.
fn caught(train: &Train<'_>, request: &RunRequest) -> Result<Ran, String> {
    match catch_unwind(AssertUnwindSafe(|| train(request))) {
        Ok(ended) => ended.map_err(|error| error.to_string()),
        Err(panic) => Err(format!("it panicked: {}", message(&*panic))),
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".into())
}

/// Status of a run of a sweep, for its table.
fn status(record: Option<&RunRecord>, error: Option<&String>) -> String {
    match (record, error) {
        (_, Some(_)) => RunStatus::Failed.to_string(),
        (Some(record), None) => record.status.to_string(),
        (None, None) => "not begun".into(),
    }
}
