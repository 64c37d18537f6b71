//! Facts about a model from its run, for its users.

use burn_dragon::api::checkpoint::{ModelFile, ModelKind, RunWords};
use burn_dragon_train::api::RunInfo;
use burn_dragon_train::api::expert::MetricsLog;
use serde_json::{Map, Value};
use std::path::Path;

type Line = Map<String, Value>;

/// Facts about a model. Each may be missing: a model need not come from a run, and a run may have lost files.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Name of the run.
    pub(super) run: Option<String>,
    /// Description of the run's configuration by its family.
    pub(super) said: Option<RunWords>,
    /// Machine and program of the run.
    pub(super) info: Option<RunInfo>,
    /// Measurements of exactly this model: the line of `metrics.jsonl` of its step.
    pub(super) measured: Option<Line>,
    /// Seconds of training up to this step.
    pub(super) seconds: Option<f64>,
    /// Whether the run's configuration was left out, because the model was trained with another one.
    pub(super) other_config: bool,
}

impl Known {
    pub(super) fn of(run: Option<&Path>, kind: &dyn ModelKind, model: &ModelFile) -> Self {
        let Some(run) = run else {
            return Self::default();
        };
        let name = run.canonicalize().unwrap_or_else(|_| run.to_path_buf());
        let lines = MetricsLog::read(run.join("metrics.jsonl")).unwrap_or_default();
        let of_step = |kind: &str| {
            let is = |line: &&Line| line["kind"] == kind && line["step"] == model.info.step;
            lines.iter().rev().find(is).cloned()
        };
        let measured = of_step("final").or_else(|| of_step("evaluation"));
        let trained = lines
            .iter()
            .rev()
            .find(|line| line["kind"] == "train" && line["step"] == model.info.step);
        let seconds = trained.and_then(|line| line.get("time")?.get("seconds")?.as_f64());
        Self {
            run: name.file_name().map(|name| name.to_string_lossy().into_owned()),
            said: kind.run(run),
            info: RunInfo::load(&run.join("run.json")).ok(),
            measured,
            seconds,
            other_config: false,
        }
    }

    /// Training data of the model.
    pub(super) fn data(&self) -> Option<String> {
        self.said.as_ref().map(|said| said.data.clone())
    }

    /// The run's configuration without private folders.
    pub(super) fn config(&self) -> Option<&str> {
        self.said.as_ref()?.config.as_deref()
    }

    /// A measured number.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.measured.as_ref()?.get(key)?.as_f64()
    }
}
