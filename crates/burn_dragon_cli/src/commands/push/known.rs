//! What a run knows of its model, for those who get it.

use crate::commands::run_config;
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::language::{LanguageConfig, SourceConfig};
use burn_dragon_train::api::RunInfo;
use burn_dragon_train::api::expert::MetricsLog;
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
            config_toml: config.as_ref().and_then(public),
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
fn public(config: &LanguageConfig) -> Option<String> {
    let mut config = config.clone();
    let dataset = &mut config.dataset;
    let own = dataset.validation.as_deref_mut();
    for source in [Some(&mut dataset.source), own].into_iter().flatten() {
        if let SourceConfig::Text(text) = source {
            for path in &mut text.paths {
                let name = Path::new(path).file_name().unwrap_or_default();
                *path = name.to_string_lossy().into_owned();
            }
        }
    }
    toml::to_string_pretty(&config).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_is_given_away_without_the_folders_of_this_machine() {
        for (text, names) in [
            (
                "[dataset]\ntype = \"text\"\npaths = [\"/home/me/secret/books.txt\", \"b/*.md\"]\n\
                 [dataset.validation]\ntype = \"text\"\npaths = [\"/home/me/secret/held.txt\"]\n",
                &["books.txt", "*.md", "held.txt"][..],
            ),
            (
                "[dataset]\ntype = \"embedded\"\n\
                 [dataset.validation]\ntype = \"text\"\npaths = [\"/home/me/secret/held.txt\", \"b/..\"]\n",
                &["held.txt"],
            ),
        ] {
            let config: LanguageConfig = toml::from_str(&format!("{text}[model]\nd_model = 8\n")).unwrap();
            let public = public(&config).unwrap();
            for name in names.iter().chain(&["d_model = 8"]) {
                assert!(public.contains(name), "{public}");
            }
            assert!(!public.contains("secret") && !public.contains("b/"), "{public}");
        }
    }
}
