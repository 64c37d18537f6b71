//! Description of a run, its resumptions and its end: `run.json`.

use super::{rfc3339, write_atomic};
use crate::config::FIRST_FAMILY;
use crate::error::TrainError;
use crate::initial::InitialModelInfo;
use burn_dragon_checkpoint::api::expert::unmarked;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Content of `run.json`: description of a run, sufficient to repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Family of the model. A file without it is from the time when there was only one family.
    #[serde(default = "first_family")]
    pub family: String,
    /// Version of burn_dragon that started the run.
    pub version: String,
    /// Commit of the sources from which the program was built, with `+changes` if they had changes that were not
    /// committed. `None` if the program does not know it.
    #[serde(default)]
    pub commit: Option<String>,
    /// Name of the backend: `cpu`, `wgpu`, `cuda`.
    pub backend: String,
    /// Description of the device by its backend.
    pub device: String,
    /// Name of the processor, if the system provides it.
    pub cpu: Option<String>,
    /// Number of threads that the process may use.
    pub threads: usize,
    /// Seed of all random numbers of the run.
    pub seed: u64,
    /// Unit in which the task counts its data, in the plural: `tokens`.
    #[serde(default)]
    pub unit: Option<String>,
    /// Program and its arguments.
    pub command_line: Vec<String>,
    /// Model whose weights the run started from; `None` if they were random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub initial_model: Option<InitialModelInfo>,
    /// Start time, RFC 3339 in UTC.
    pub started: String,
    /// Resumptions of the run.
    #[serde(default)]
    pub resumed_at: Vec<Resumed>,
    /// State of the run, and its end. A file of an earlier version has none.
    #[serde(default)]
    pub outcome: Option<RunOutcome>,
}

/// Resumption of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// Step of the checkpoint from which the run resumed.
    pub step: u64,
    /// Time of the resumption, RFC 3339 in UTC.
    pub time: String,
    /// Commit of the program that resumed, if it knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Parts of the data whose change was accepted: `training`, `validation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_data: Vec<String>,
}

/// State of a run, as its process wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// The run has begun and has not ended. If no process trains in it, the process was killed.
    Running,
    /// All steps were taken.
    Complete,
    /// Ctrl-C or SIGTERM; the state is saved.
    Stopped,
    /// The time limit `max_minutes` was reached.
    TimeLimit,
    /// An error ended the run.
    Failed,
}

/// State of a run and its end, in `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome {
    /// State of the run.
    pub state: RunState,
    /// Number of steps of the whole run.
    pub total_steps: u64,
    /// Number of steps taken when the state was written; `None` after an error.
    pub step: Option<u64>,
    /// Duration of training up to this step, of all resumptions together, in seconds.
    pub seconds: f64,
    /// End of the run, RFC 3339 in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    /// Message of the error that ended the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl RunOutcome {
    /// A run that has begun: at `step`, after `seconds` of training.
    pub(crate) fn running(total_steps: u64, step: u64, seconds: f64) -> Self {
        Self {
            state: RunState::Running,
            total_steps,
            step: Some(step),
            seconds,
            ended: None,
            error: None,
        }
    }

    /// A run that has ended now in this state, at `step`, after `seconds` of training.
    pub(crate) fn ended(state: RunState, total_steps: u64, step: u64, seconds: f64) -> Self {
        Self {
            state,
            ended: Some(rfc3339(SystemTime::now())),
            ..Self::running(total_steps, step, seconds)
        }
    }

    /// A run that an error has ended now, `seconds` after it began or resumed.
    pub(crate) fn failed(self, error: &TrainError, seconds: f64) -> Self {
        Self {
            state: RunState::Failed,
            step: None,
            seconds: self.seconds + seconds,
            ended: Some(rfc3339(SystemTime::now())),
            error: Some(error.to_string()),
            ..self
        }
    }
}

impl RunInfo {
    /// Description of a run that starts now, in this process.
    pub fn now(family: &str, backend: &str, device: &str, seed: u64) -> Self {
        Self {
            family: family.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            commit: None,
            backend: backend.into(),
            device: device.into(),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .as_deref()
                .and_then(cpu_model),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            seed,
            unit: None,
            // Not `args`, which panics on arguments that are not UTF-8.
            command_line: std::env::args_os()
                .map(|argument| argument.to_string_lossy().into_owned())
                .collect(),
            initial_model: None,
            started: rfc3339(SystemTime::now()),
            resumed_at: Vec::new(),
            outcome: None,
        }
    }

    /// Records a resumption from the checkpoint of `step` by a program of this commit, with these changed parts of the
    /// data.
    pub fn resumed(&mut self, step: u64, commit: Option<&str>, changed_data: &[&str]) {
        self.resumed_at.push(Resumed {
            step,
            commit: commit.map(Into::into),
            time: rfc3339(SystemTime::now()),
            changed_data: changed_data.iter().map(ToString::to_string).collect(),
        });
    }

    /// Writes the file `run.json`.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        let mut text = serde_json::to_string_pretty(self).map_err(TrainError::Json)?;
        text.push('\n');
        write_atomic(path, text.as_bytes())
    }

    /// Reads the file.
    pub fn load(path: &Path) -> Result<Self, TrainError> {
        let text = fs::read_to_string(path).map_err(TrainError::file("read", path))?;
        serde_json::from_slice(unmarked(text.as_bytes())).map_err(|error| TrainError::Record {
            path: path.into(),
            line: error.line(),
            problem: error.to_string(),
        })
    }
}

fn first_family() -> String {
    FIRST_FAMILY.into()
}

fn cpu_model(cpuinfo: &str) -> Option<String> {
    let (_, name) = cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")?;
    Some(name.trim().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_info_survives_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        let mut info = RunInfo::now("toy", "cpu", "Flex", u64::MAX);
        info.resumed(200, Some("abc"), &["training"]);
        info.outcome = Some(RunOutcome::ended(RunState::TimeLimit, 300, 250, 1.5));
        info.save(&path).unwrap();
        assert_eq!(RunInfo::load(&path).unwrap(), info);
    }

    #[test]
    fn a_file_of_the_time_when_there_was_one_family_is_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        RunInfo::now("toy", "cpu", "Flex", 1).save(&path).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("  \"family\": \"toy\",\n", "")).unwrap();
        assert_eq!(RunInfo::load(&path).unwrap().family, "language");
    }

    #[test]
    fn a_broken_run_json_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.json");
        fs::write(&path, "{\n  \"version\": \n}").unwrap();
        let error = RunInfo::load(&path).unwrap_err();
        assert!(matches!(error, TrainError::Record { line: 3, .. }), "{error}");
    }

    #[test]
    fn the_cpu_model_is_found_where_the_system_tells_it() {
        let intel = "processor\t: 0\nmodel\t\t: 85\nmodel name\t: A CPU @ 2.00GHz\n";
        assert_eq!(cpu_model(intel).unwrap(), "A CPU @ 2.00GHz");
        assert_eq!(cpu_model("processor : 0\nCPU part : 0xd0c\n"), None);
    }

    #[test]
    fn states_are_named_as_the_documentation_names_them() {
        let names = |state| serde_json::to_value(state).unwrap();
        let states = [
            RunState::Running,
            RunState::Complete,
            RunState::Stopped,
            RunState::TimeLimit,
            RunState::Failed,
        ];
        let expected = ["running", "complete", "stopped", "time_limit", "failed"];
        assert_eq!(states.map(names), expected.map(serde_json::Value::from));
    }

    #[test]
    fn the_seconds_of_a_failed_resumption_are_added_to_those_before_it() {
        let error = TrainError::Usage("no".into());
        let outcome = RunOutcome::running(10, 4, 7.0).failed(&error, 2.0);
        assert_eq!((outcome.seconds, outcome.step), (9.0, None));
        assert_eq!(
            (outcome.state, outcome.error.unwrap().as_str()),
            (RunState::Failed, "no")
        );
    }
}
