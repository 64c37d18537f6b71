//! What a run knows of its model, for those who get it.

use crate::commands::run_config;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::expert::train::MetricsLog;
use burn_dragon::api::language::LanguageConfig;
use burn_dragon::api::train::RunInfo;
use serde_json::{Map, Value};
use std::path::Path;

type Line = Map<String, Value>;

/// All of it may be missing: a model need not come from a run, and a run may have lost its files.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The name of the run.
    pub(super) run: Option<String>,
    /// What it was trained on.
    pub(super) data: Option<String>,
    /// How.
    pub(super) config: Option<LanguageConfig>,
    /// The same as it may be given away: without the places of this machine.
    pub(super) config_toml: Option<String>,
    /// Where, and by what.
    pub(super) info: Option<RunInfo>,
    /// What was measured of this very model: the line of `metrics.jsonl` of its step.
    pub(super) measured: Option<Line>,
    /// Seconds of training until then.
    pub(super) seconds: Option<f64>,
    /// Whether the run's configuration was left out since the model was trained with another.
    pub(super) other_config: bool,
}

impl Known {
    pub(super) fn of(run: Option<&Path>, model: &ModelFile) -> Self {
        let Some(run) = run else {
            return Self::default();
        };
        let name = run.canonicalize().unwrap_or_else(|_| run.to_path_buf());
        let config = run_config(run).ok();
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
            data: config.as_ref().map(|config| config.dataset.in_words()),
            config_toml: std::fs::read_to_string(run.join("config.toml"))
                .ok()
                .and_then(|text| public(&text)),
            config,
            info: RunInfo::load(&run.join("run.json")).ok(),
            measured,
            seconds,
            other_config: false,
        }
    }

    /// A number that was measured.
    pub(super) fn number(&self, key: &str) -> Option<f64> {
        self.measured.as_ref()?.get(key)?.as_f64()
    }
}

/// A run's configuration without its folders: names of files are enough to know the data by.
fn public(text: &str) -> Option<String> {
    let mut config: toml::Table = text.parse().ok()?;
    let paths = config
        .get_mut("dataset")
        .and_then(|dataset| dataset.get_mut("paths"));
    for path in paths.and_then(toml::Value::as_array_mut).into_iter().flatten() {
        let name = path
            .as_str()
            .and_then(|path| Path::new(path).file_name()?.to_str());
        *path = toml::Value::String(name.unwrap_or_default().to_string());
    }
    toml::to_string_pretty(&config).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_given_away_without_the_folders_of_this_machine() {
        let text = "[dataset]\ntype = \"text\"\npaths = [\"/home/me/secret/books.txt\", \"b/*.md\"]\n[model]\nd_model = 8\n";
        let public = public(text).unwrap();
        assert!(
            public.contains("books.txt") && public.contains("*.md") && public.contains("d_model = 8"),
            "{public}"
        );
        assert!(!public.contains("secret") && !public.contains("b/"), "{public}");
    }
}
