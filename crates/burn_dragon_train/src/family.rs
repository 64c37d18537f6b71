//! A family of models: its configuration, the task made of it, and what a run of it says.

use crate::config::{ConfigError, Layers, Origin, Resolved, written};
use crate::error::TrainError;
use crate::identity::DataHashes;
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::predict::{PredictRequest, Predictions};
use crate::progress::Output;
use crate::resume_point::ResumePoint;
use crate::run::RunFolder;
use crate::task::Task;
use crate::verb::Resumption;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::path::Path;

/// A family of models: what [`run`](crate::verb::run) needs to know to train one.
///
/// Only the first items are its own to give; the others have defaults that say nothing.
pub trait Family {
    /// Its name: the word of `dragon train WORD`, `family` in `config.toml`, in `run.json` and in the files of its models.
    const NAME: &'static str;
    /// Its default run.
    const BASE: Base;
    /// What a sample of it is called at the end of a run.
    const SAMPLE: &'static str = "a sample";
    /// What to do with a model of a family without [`predict`](Self::predict).
    const INSTEAD_OF_PREDICT: &'static str = "evaluate it with `dragon eval`";
    /// Its schema. Every table should refuse unknown fields; `family` is no field of it.
    type Config: Clone + Serialize + DeserializeOwned;
    /// What it learns.
    type Task: Task;

    /// What files need to know of its models.
    fn kind() -> &'static dyn ModelKind;

    /// The tables that the trainer reads.
    fn plan(config: &Self::Config) -> Plan;

    /// The task that a configuration describes, with its data read. What the configuration leaves open may be settled in
    /// it, such as relative paths: the run keeps it as it is then.
    ///
    /// # Errors
    /// If the data cannot be had, or does not fit the configuration, or is not that of the run that goes on.
    fn task(config: &mut Self::Config, at: &At<'_>) -> Result<Self::Task, TrainError>;

    /// Lines about model, data and steps, before the first step.
    fn introduce(_task: &Self::Task) -> Vec<String> {
        Vec::new()
    }

    /// Lines about how the data was read that a person should know.
    fn notes(_task: &Self::Task) -> Vec<String> {
        Vec::new()
    }

    /// What is known of the data, for `--json`.
    fn facts(_task: &Self::Task) -> Map<String, Value> {
        Map::new()
    }

    /// Writes the family's own files into the folder of a run, such as a tokenizer.
    ///
    /// # Errors
    /// If the disk refuses.
    fn write_files(_task: &Self::Task, _run: &RunFolder) -> Result<(), TrainError> {
        Ok(())
    }

    /// What `--json` says of an outcome beside what it says for every family: the task's figures by their keys, `null`
    /// where they are not known.
    fn summary(task: &Self::Task, outcome: &Outcome) -> Map<String, Value> {
        let metrics = outcome.after.as_ref().map(|after| &after.metrics);
        let value = |key: &str| Value::from(metrics.and_then(|metrics| metrics.get(key).copied()));
        let figures = task.figures().into_iter();
        figures
            .map(|figure| (figure.key.to_string(), value(figure.key)))
            .collect()
    }

    /// What a model makes of inputs: `dragon predict`.
    ///
    /// # Errors
    /// If the file is no model of the family, or the input cannot be read; by default, since the family predicts nothing.
    fn predict(_file: ModelFile, _request: &PredictRequest) -> Result<Predictions, TrainError> {
        let (name, instead) = (Self::NAME, Self::INSTEAD_OF_PREDICT);
        Err(TrainError::Usage(format!(
            "a model of the family `{name}` predicts nothing: {instead}"
        )))
    }

    /// The command to type next.
    fn next(_outcome: &Outcome, _run: &RunFolder) -> Option<String> {
        None
    }
}

/// The default run of a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Base {
    /// Where its file is in the repository, for messages: `config/language/base.toml`.
    pub path: &'static str,
    /// Its text, compiled in.
    pub text: &'static str,
    /// Minutes after which it ends where nothing else was asked for, so that a first look never takes long.
    pub minutes: f64,
}

impl Base {
    /// A default run: the path of its file, its text, the minutes that it may take.
    pub const fn new(path: &'static str, text: &'static str, minutes: f64) -> Self {
        Self { path, text, minutes }
    }
}

/// Where a task is made: the machine, and the run that it is part of.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// Where tensors are made, with autodiff.
    pub device: &'a Device,
    /// Where relative paths of the configuration start.
    pub folder: &'a Path,
    /// Where lines for a person go.
    pub output: Output,
    pub(crate) resumption: Option<&'a Resumption>,
    pub(crate) origins: Option<&'a dyn Fn(&str) -> Origin>,
}

impl<'a> At<'a> {
    /// A place without a run: for tests, benches, and loops of one's own.
    pub fn new(device: &'a Device, folder: &'a Path) -> Self {
        Self {
            device,
            folder,
            output: Output::silent(),
            resumption: None,
            origins: None,
        }
    }

    /// The run that goes on, and where; absent where a run begins, also one that died before its first checkpoint.
    pub fn resumed(&self) -> Option<(&'a RunFolder, &'a ResumePoint)> {
        let resumption = self.resumption?;
        Some((resumption.folder(), resumption.point()?))
    }

    /// Where the value of a dotted key was set.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.map_or(Origin::Default, |origins| origins(key))
    }

    /// Refuses data that is not what the run that goes on was trained on, unless that is accepted. It is checked anyway
    /// when the task is made; a family asks as soon as its data is read, where another error could come before.
    ///
    /// # Errors
    /// If the data has changed, with both sizes and what to do.
    pub fn check_data(&self, config: &impl Serialize, data: &DataHashes) -> Result<(), TrainError> {
        self.resumption
            .map_or(Ok(()), |resumption| resumption.check_data(config, data))
    }
}

impl std::fmt::Debug for At<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("At");
        shown.field("device", self.device).field("folder", &self.folder);
        shown.finish_non_exhaustive()
    }
}

/// Reads layers as a configuration of a family.
///
/// # Errors
/// If they are of another family, have a key that has moved, or do not fit the schema.
pub fn resolve<F: Family>(layers: Layers) -> Result<Resolved<F::Config>, ConfigError> {
    layers.resolve_as(F::NAME, F::Task::keys().moved)
}

/// The configuration that a run folder keeps, also one of an earlier version.
///
/// # Errors
/// As [`resolve`], or if the file cannot be read.
pub fn run_config<F: Family>(run: &Path) -> Result<F::Config, ConfigError> {
    let layers = Layers::new().run_file(run.join("config.toml"), F::Task::keys().moved)?;
    Ok(resolve::<F>(layers)?.value)
}

/// A configuration as the text that a run keeps.
///
/// # Errors
/// If it has no form as TOML.
pub fn config_text<F: Family>(config: &F::Config) -> Result<String, ConfigError> {
    written(config, Some(F::NAME))
}
