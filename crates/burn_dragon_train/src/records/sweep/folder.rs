//! `sweep.json`: what was asked, the runs, and those that failed.

use super::{Axis, SweepRequest};
use crate::error::TrainError;
use crate::run::plain_name;
use burn_dragon_checkpoint::api::expert::{plain, sha256};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::Path;

/// File name.
pub(super) const FILE: &str = "sweep.json";
const FORMAT: &str = "burn_dragon.sweep/1";
/// Limit on the number of runs.
const MOST_RUNS: usize = 10_000;
/// Limit on the size of the file in bytes.
const LARGEST: u64 = 64 << 20;

/// Content of `sweep.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SweepFile {
    format: String,
    asked: Asked,
    /// The runs, in order.
    pub(super) runs: Vec<SweepRun>,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    family: Option<String>,
    /// Configuration files and their SHA-256.
    configs: Vec<(String, String)>,
    assignments: Vec<String>,
    max_steps: Option<u64>,
    axes: Vec<Axis>,
}

/// Run of a sweep.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SweepRun {
    /// Name of its folder.
    pub(super) name: String,
    /// Values of the settings that vary.
    pub(super) settings: Vec<(String, String)>,
    /// Error that refused or ended the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

impl SweepFile {
    /// File of a request, before its first run.
    pub(super) fn of(request: &SweepRequest) -> Result<Self, TrainError> {
        check(&request.axes)?;
        let asked = Asked {
            family: request.run.family.clone(),
            configs: configs(request)?,
            assignments: request.run.assignments.clone(),
            max_steps: request.run.max_steps,
            axes: request.axes.clone(),
        };
        Ok(Self {
            format: FORMAT.into(),
            runs: runs(&asked.axes),
            asked,
        })
    }

    /// Text by which two requests are the same.
    pub(super) fn identity(&self) -> Result<String, TrainError> {
        serde_json::to_string(&self.asked).map_err(TrainError::Json)
    }

    /// The file in the folder, if it is of the same request; else this one.
    pub(super) fn with_earlier(self, folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(FILE);
        let text = match plain::read_text_inside(&path, LARGEST) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(self),
            Err(error) => return Err(TrainError::file("read", &path)(error)),
        };
        let earlier: Self = serde_json::from_str(&text).map_err(|error| TrainError::Record {
            path: path.clone(),
            line: error.line(),
            problem: error.to_string(),
        })?;
        let names = |file: &Self| -> Vec<String> { file.runs.iter().map(|run| run.name.clone()).collect() };
        if earlier.format == self.format && earlier.asked == self.asked && names(&earlier) == names(&self) {
            return Ok(earlier);
        }
        Err(TrainError::Usage(format!(
            "{} holds another sweep, of {}; give the same settings to go on with it, or another folder with --out",
            folder.display(),
            described(&earlier.asked.axes)
        )))
    }

    pub(super) fn axes(&self) -> &[Axis] {
        &self.asked.axes
    }
}

/// Axes as they were typed.
fn described(axes: &[Axis]) -> String {
    let words: Vec<String> = axes
        .iter()
        .map(|axis| format!("{}={}", axis.key, axis.values.join(",")))
        .collect();
    words.join(" ")
}

/// Refuses axes that are none, and more runs than [`MOST_RUNS`].
fn check(axes: &[Axis]) -> Result<(), TrainError> {
    if axes.is_empty() {
        let text = "nothing varies: give at least one setting with several values, such as \
                    optimizer.learning_rate=1e-3,3e-3 or training.seed=1,2,3";
        return Err(TrainError::Usage(text.into()));
    }
    let mut keys = BTreeSet::new();
    if let Some(twice) = axes.iter().find(|axis| !keys.insert(&axis.key)) {
        let text = format!("`{}` is given twice; write all its values in one list", twice.key);
        return Err(TrainError::Usage(text));
    }
    if let Some(axis) = axes.iter().find(|axis| has_repetition(&axis.values)) {
        return Err(TrainError::Usage(format!(
            "`{}={}` has an empty or repeated value; each value is a run of its own",
            axis.key,
            axis.values.join(",")
        )));
    }
    let count = axes
        .iter()
        .try_fold(1_usize, |count, axis| count.checked_mul(axis.values.len()));
    if count.is_none_or(|count| count > MOST_RUNS) {
        let text = format!(
            "{} are more than {MOST_RUNS} runs; leave some values out",
            described(axes)
        );
        return Err(TrainError::Usage(text));
    }
    Ok(())
}

fn has_repetition(values: &[String]) -> bool {
    let mut seen = BTreeSet::new();
    values.iter().any(|value| value.is_empty() || !seen.insert(value))
}

fn configs(request: &SweepRequest) -> Result<Vec<(String, String)>, TrainError> {
    let configs = request.run.configs.iter().map(|path| {
        let bytes = plain::read(path, 1 << 20).map_err(TrainError::file("read", path))?;
        Ok((path.display().to_string(), sha256(&bytes)))
    });
    configs.collect()
}

/// All combinations; the last axis varies fastest.
fn runs(axes: &[Axis]) -> Vec<SweepRun> {
    let mut points: Vec<Vec<(&Axis, &String)>> = vec![Vec::new()];
    for axis in axes {
        let extended = points.iter().flat_map(|point| {
            let values = axis.values.iter();
            values.map(move |value| point.iter().copied().chain([(axis, value)]).collect())
        });
        points = extended.collect();
    }
    let width = points.len().to_string().len().max(2);
    let run = |(number, point): (usize, &Vec<(&Axis, &String)>)| {
        let parts: Vec<String> = point
            .iter()
            .map(|(axis, value)| format!("{}-{value}", axis.short()))
            .collect();
        let label: String = plain_name(&parts.join("-")).chars().take(80).collect();
        SweepRun {
            name: format!("{number:0width$}-{label}"),
            settings: point
                .iter()
                .map(|(axis, value)| (axis.key.clone(), (*value).clone()))
                .collect(),
            error: None,
        }
    };
    (1..).zip(&points).map(run).collect()
}
