//! Records of runs: what their folders say, as values, for lists, comparisons, sweeps and reports.
//!
//! The content of a folder comes from anyone: files are read with limits, and nothing in them is trusted to be complete.

mod compare;
mod list;
mod spread;
mod status;
mod sweep;
mod table;

pub(crate) use compare::is_told;
pub use compare::{Comparison, Group};
pub use list::{Listed, list};
pub use spread::Spread;
pub use status::RunStatus;
pub use sweep::{Axis, Sweep, SweepEnd, SweepRequest};
pub(crate) use table::Table;

use crate::error::TrainError;
use crate::keys::flatten;
use crate::run::{Line, MetricsLog, RunFolder, RunInfo, STEP};
use crate::sample::TEXT_FILE;
use burn_dragon_checkpoint::api::expert::plain;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Limit on the size of `config.toml`, `run.json` and a sample in bytes.
const LARGEST_TEXT: u64 = 1 << 20;
/// Limit on the size of `metrics.jsonl` in bytes: about three million lines.
const LARGEST_METRICS: u64 = 1 << 30;
/// Key of the seed, by which runs of one kind differ.
pub(crate) const SEED: &str = "training.seed";

/// Record of a run.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Folder of the run, as it was given; `runs/latest` is resolved.
    pub folder: RunFolder,
    /// Content of `run.json`; `None` if there is no such file, as of a run without the verb `train`.
    pub info: Option<RunInfo>,
    /// Text of `config.toml`.
    pub config: String,
    /// Settings by full key, each as JSON.
    pub settings: BTreeMap<String, String>,
    /// Lines of `metrics.jsonl`.
    pub lines: Vec<Line>,
    /// State of the run, or its end.
    pub status: RunStatus,
}

impl RunRecord {
    /// Reads the folder of a run.
    ///
    /// # Errors
    /// If there is no run, or one of its files cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let folder = RunFolder::open(path)?;
        let config = text(&folder.config())?;
        let table: toml::Table = toml::from_str(&config).map_err(|error| TrainError::Record {
            path: folder.config(),
            line: error.span().map_or(1, |span| line_at(&config, span.start)),
            problem: error.message().into(),
        })?;
        let info = if_it_exists(&folder.run_json(), RunInfo::load)?;
        let lines = if_it_exists(&folder.metrics(), |path| {
            MetricsLog::read_within(path, LARGEST_METRICS)
        })?;
        let status = RunStatus::of(
            info.as_ref().and_then(|info| info.outcome.as_ref()),
            folder.is_busy(),
        );
        Ok(Self {
            settings: flatten(&table),
            lines: lines.unwrap_or_default(),
            folder,
            info,
            config,
            status,
        })
    }

    /// Name of the run: that of its folder.
    pub fn name(&self) -> String {
        let path = self.folder.path();
        let name = path.file_name().unwrap_or(path.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Family of the run's model.
    pub fn family(&self) -> String {
        let text = |json: &String| serde_json::from_str(json).ok();
        let named = self.settings.get("family").and_then(text);
        named.unwrap_or_else(|| crate::config::FIRST_FAMILY.into())
    }

    /// Number of steps taken, as far as the files say.
    pub fn steps(&self) -> u64 {
        let of_lines = self.lines.iter().filter_map(step).max();
        let of_the_end = self.outcome().and_then(|outcome| outcome.step);
        of_lines.max(of_the_end).unwrap_or_default()
    }

    /// Number of steps of the whole run, if it is known.
    pub fn total_steps(&self) -> Option<u64> {
        self.outcome().map(|outcome| outcome.total_steps)
    }

    /// Duration of training in seconds, of all sessions.
    pub fn seconds(&self) -> f64 {
        let of_lines = self
            .lines
            .iter()
            .filter_map(crate::run::metrics::seconds)
            .fold(0.0, f64::max);
        self.outcome()
            .map_or(of_lines, |outcome| outcome.seconds.max(of_lines))
    }

    /// Mean rate in units per second over the lines of training.
    pub fn units_per_second(&self) -> Option<f64> {
        let rates: Vec<f64> = self
            .series("train", "units_per_second")
            .into_iter()
            .map(|(_, rate)| rate)
            .collect();
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    }

    /// Newest line with held-out figures: on all held-out data if the run ended with that, else on the sample.
    pub fn held_out(&self) -> Option<&Line> {
        let of = |name: &str| self.lines.iter().rev().find(|line| kind(line) == name);
        let (full, sample) = (of("final"), of("evaluation"));
        match (full, sample) {
            (Some(full), Some(sample)) if step(sample) > step(full) => Some(sample),
            (full, sample) => full.or(sample),
        }
    }

    /// Whether [`held_out`](Self::held_out) is on all held-out data.
    pub fn is_final(&self) -> bool {
        self.held_out().is_some_and(|line| kind(line) == "final")
    }

    /// Figures of the newest line with held-out figures, by name; `loss` is one of them.
    pub fn figures(&self) -> BTreeMap<String, f64> {
        let entries = self.held_out().into_iter().flatten();
        let numbers = entries.filter(|(key, _)| *key != STEP);
        numbers
            .filter_map(|(key, value)| Some((key.clone(), value.as_f64()?)))
            .collect()
    }

    /// Held-out loss in nats, if there is one.
    pub fn loss(&self) -> Option<f64> {
        self.held_out()?.get("loss")?.as_f64()
    }

    /// Values of a figure by step, of the lines of a kind: `train`, `evaluation`, `final`. Figures under `time` are found by
    /// their own names.
    pub fn series(&self, of_kind: &str, key: &str) -> Vec<(f64, f64)> {
        let of = self.lines.iter().filter(|line| kind(line) == of_kind);
        let value = |line: &Line| {
            let own = line.get(key).or_else(|| line.get("time")?.get(key));
            own?.as_f64()
        };
        of.filter_map(|line| Some((step(line)? as f64, value(line)?)))
            .collect()
    }

    /// Names of the figures in lines of a kind.
    pub fn keys(&self, of_kind: &str) -> Vec<String> {
        let of = self.lines.iter().filter(|line| kind(line) == of_kind);
        let numbers = of
            .flatten()
            .filter(|(_, value)| value.is_f64())
            .map(|(key, _)| key.clone());
        let sorted: std::collections::BTreeSet<String> = numbers.collect();
        sorted.into_iter().collect()
    }

    /// Texts of samples by step.
    pub fn samples(&self) -> Vec<(u64, String)> {
        let entries = std::fs::read_dir(self.folder.samples())
            .into_iter()
            .flatten()
            .flatten();
        let of = |path: PathBuf| {
            let step = path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()?;
            Some((step, text(&path.join(TEXT_FILE)).ok()?))
        };
        let mut samples: Vec<(u64, String)> = entries.filter_map(|entry| of(entry.path())).collect();
        samples.sort();
        samples
    }

    fn outcome(&self) -> Option<&crate::run::RunOutcome> {
        self.info.as_ref()?.outcome.as_ref()
    }
}

/// Kind of a line.
fn kind(line: &Line) -> &str {
    line.get("kind")
        .and_then(|kind| kind.as_str())
        .unwrap_or_default()
}

fn step(line: &Line) -> Option<u64> {
    line.get(STEP)?.as_u64()
}

/// Text of a file of a run.
fn text(path: &Path) -> Result<String, TrainError> {
    plain::read_text_inside(path, LARGEST_TEXT).map_err(TrainError::file("read", path))
}

/// Content of a file, or `None` if it does not exist.
fn if_it_exists<T>(
    path: &Path,
    read: impl FnOnce(&Path) -> Result<T, TrainError>,
) -> Result<Option<T>, TrainError> {
    match read(path) {
        Ok(value) => Ok(Some(value)),
        Err(TrainError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Line, from 1, of a byte of a text.
fn line_at(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|&byte| byte == b'\n').count()
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::run::RunOutcome;
    use serde_json::json;
    use std::fs;

    /// A run of two lines and two evaluations, with this seed, learning rate and last loss.
    pub(crate) fn run(root: &Path, name: &str, seed: u64, rate: f64, loss: f64) -> RunRecord {
        let folder = RunFolder::create(Some(&root.join(name)), &root.join("elsewhere"), "toy").unwrap();
        let config =
            format!("family = \"toy\"\n\n[training]\nseed = {seed}\n\n[optimizer]\nlearning_rate = {rate}\n");
        fs::write(folder.config(), config).unwrap();
        let mut log = MetricsLog::create(folder.metrics()).unwrap();
        let time = |seconds: f64| json!({ "seconds": seconds, "units_per_second": 100.0 });
        for line in [
            json!({ "step": 0, "kind": "evaluation", "loss": 5.5, "time": { "seconds": 0.5 } }),
            json!({ "step": 5, "kind": "train", "loss": 3.25, "x_density": 0.5, "units": 50, "time": time(1.0) }),
            json!({ "step": 10, "kind": "train", "loss": loss - 0.5, "x_density": 0.25, "units": 100, "time": time(2.0) }),
            json!({ "step": 10, "kind": "evaluation", "loss": loss + 0.5, "time": { "seconds": 2.5 } }),
            json!({ "step": 10, "kind": "final", "loss": loss, "recall_accuracy": 0.75, "time": { "seconds": 3.0 } }),
        ] {
            log.append(&line).unwrap();
        }
        let mut info = RunInfo::now("toy", "cpu", "Flex", seed);
        info.started = "2026-11-27T01:02:03Z".into();
        info.outcome = Some(RunOutcome::ended(crate::run::RunState::Complete, 10, 10, 3.5));
        info.save(&folder.run_json()).unwrap();
        RunRecord::read(folder.path()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_record_has_the_figures_of_the_end_and_the_curves_before_it() {
        let root = tempfile::tempdir().unwrap();
        let record = testing::run(root.path(), "a", 7, 0.001, 1.5);
        assert_eq!((record.name(), record.family()), ("a".into(), "toy".into()));
        assert_eq!((record.steps(), record.total_steps()), (10, Some(10)));
        assert_eq!(
            (record.loss(), record.is_final(), record.seconds()),
            (Some(1.5), true, 3.5)
        );
        assert_eq!(record.units_per_second(), Some(100.0));
        assert_eq!(record.series("train", "loss"), [(5.0, 3.25), (10.0, 1.0)]);
        assert_eq!(
            record.series("train", "units_per_second"),
            [(5.0, 100.0), (10.0, 100.0)]
        );
        assert_eq!(record.keys("train"), ["loss", "x_density"]);
        assert_eq!(record.figures()["recall_accuracy"], 0.75);
        assert_eq!(record.settings["optimizer.learning_rate"], "0.001");
        assert_eq!(record.status, RunStatus::Complete);
    }

    #[test]
    fn a_later_evaluation_is_newer_than_the_final_figures_of_a_resumed_run() {
        let root = tempfile::tempdir().unwrap();
        let record = testing::run(root.path(), "a", 7, 0.001, 1.5);
        let more = "{\"step\":15,\"kind\":\"evaluation\",\"loss\":1.25}\n";
        let old = fs::read_to_string(record.folder.metrics()).unwrap();
        fs::write(record.folder.metrics(), old + more).unwrap();
        let record = RunRecord::read(record.folder.path()).unwrap();
        assert_eq!(
            (record.loss(), record.is_final(), record.steps()),
            (Some(1.25), false, 15)
        );
    }

    #[test]
    fn a_run_without_a_description_or_metrics_is_read_all_the_same() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), "[training]\nseed = 1\n").unwrap();
        let record = RunRecord::read(root.path()).unwrap();
        assert_eq!(
            (record.steps(), record.loss(), record.family()),
            (0, None, "language".into())
        );
        assert_eq!(record.status, RunStatus::Unknown);
        assert!(record.info.is_none() && record.samples().is_empty());
    }

    #[test]
    fn a_configuration_that_is_no_toml_is_named_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("config.toml"), "[training]\nseed = \n").unwrap();
        let error = RunRecord::read(root.path()).unwrap_err();
        assert!(matches!(error, TrainError::Record { line: 2, .. }), "{error}");
    }

    #[test]
    fn samples_come_in_the_order_of_their_steps() {
        let root = tempfile::tempdir().unwrap();
        let record = testing::run(root.path(), "a", 7, 0.001, 1.5);
        for (step, text) in [("1000000", "late"), ("000200", "early")] {
            let folder = record.folder.samples().join(format!("step-{step}"));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(TEXT_FILE), text).unwrap();
        }
        fs::create_dir(record.folder.samples().join("other")).unwrap();
        assert_eq!(
            record.samples(),
            [(200, "early".into()), (1_000_000, "late".into())]
        );
    }
}
