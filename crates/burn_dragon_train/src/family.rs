//! Family of models: its configuration, its task, and the texts of a run.

use crate::config::nearest;
use crate::config::reference::reference;
use crate::config::schema::{json_schema, tables};
use crate::config::{ConfigError, Layers, Origin, Resolved, written};
use crate::error::TrainError;
use crate::fault::Fault;
use crate::identity::DataHashes;
use crate::initial::InitialModel;
use crate::keys::flat_values;
use crate::look::{Look, LookRequest};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::predict::{PredictRequest, Predictions};
use crate::progress::Output;
use crate::resume_point::ResumePoint;
use crate::run::RunFolder;
use crate::task::{Evaluation, Task};
use crate::verb::Resumption;
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_core::api::{FreeMemory, MemoryError, TensorShape};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Family of models, as [`run`](crate::verb::run) needs it to train one.
///
/// The items without a default must be given; the defaults of the others are empty.
pub trait Family {
    /// Name of the family: the WORD of `dragon train WORD`, and `family` in `config.toml`, in `run.json` and in model
    /// files.
    const NAME: &'static str;
    /// Default run of the family.
    const BASE: Base;
    /// Presets of the family: `dragon train --preset NAME`.
    const PRESETS: &'static [Preset] = &[];
    /// Heading of a sample at the end of a run.
    const SAMPLE: &'static str = "a sample";
    /// Advice for a family without [`predict`](Self::predict).
    const INSTEAD_OF_PREDICT: &'static str = "evaluate it with `dragon eval`";
    /// Other names of model files that the family reads, such as those of a part of its models.
    const FILES: &'static [&'static str] = &[];
    /// Tables that a model determines, by full key. A run that starts from a model takes them over.
    const OF_MODEL: &'static [&'static str] = &["model"];
    /// Schema of the configuration. Every table should refuse unknown fields. `family` is not a field of it. The
    /// documentation of a field is the meaning of its key in `dragon config doc`.
    type Config: Clone + Serialize + DeserializeOwned + JsonSchema;
    /// Task of the family.
    type Task: Task;

    /// Description of the family's models, for files.
    fn kind() -> &'static dyn ModelKind;

    /// Tables of the configuration that the trainer reads.
    fn plan(config: &Self::Config) -> Plan;

    /// Faults of the values of a configuration, as far as they are known without data, model and device. The default checks
    /// the tables that the trainer reads.
    fn faults(config: &Self::Config) -> Vec<TrainError> {
        Self::plan(config).faults()
    }

    /// Creates the task of a configuration and reads its data. It settles values that the configuration leaves open, such
    /// as relative paths and a precision of `auto` ([`TrainingPrecision::settle`](crate::precision::TrainingPrecision)). The
    /// run saves the configuration after this call.
    ///
    /// # Errors
    /// If the data cannot be read, does not fit the configuration, or is not that of the resumed run.
    fn task(config: &mut Self::Config, at: &At<'_>) -> Result<Self::Task, TrainError>;

    /// Settings for data of which only the paths were typed. `given` has the values of the configuration files and of the
    /// command line, by full key, which stay. `None`: the data is of the type that the program has for files of the family.
    ///
    /// # Errors
    /// If the files can be read in several ways, or in none.
    fn read_as(_paths: &[String], _given: &BTreeMap<String, Value>) -> Result<Option<ReadAs>, TrainError> {
        Ok(None)
    }

    /// Table `[model]` of a run that starts from this model: by default the configuration in its file.
    ///
    /// # Errors
    /// A message, if it is not a configuration of the family.
    fn settings_of(model: &ModelFile) -> Result<Map<String, Value>, String> {
        let config = model.config.value().as_object();
        config.cloned().ok_or_else(|| "config: expected an object".into())
    }

    /// Tensors of the smallest model that this configuration may get, before its data is read: the data may add to the
    /// vocabulary. Empty if they are not known.
    fn least_tensors(_config: &Self::Config) -> Vec<TensorShape> {
        Vec::new()
    }

    /// Refuses a run for which the machine cannot have the memory whatever its data is, before the data is read.
    ///
    /// # Errors
    /// If the memory is too small; with the memory needed, the memory available, and what to make smaller.
    fn check_memory(
        _config: &Self::Config,
        _device: &Device,
        _memory: FreeMemory,
    ) -> Result<(), MemoryError> {
        Ok(())
    }

    /// Lines about model, data and steps, printed before the first step.
    fn introduce(_task: &Self::Task) -> Vec<String> {
        Vec::new()
    }

    /// Notes for the user on how the data was read.
    fn notes(_task: &Self::Task) -> Vec<String> {
        Vec::new()
    }

    /// Values about the data, for `--json`.
    fn facts(_task: &Self::Task) -> Map<String, Value> {
        Map::new()
    }

    /// Writes the family's own files, such as a tokenizer, into the folder of a run.
    ///
    /// # Errors
    /// If the disk refuses.
    fn write_files(_task: &Self::Task, _run: &RunFolder) -> Result<(), TrainError> {
        Ok(())
    }

    /// Values of an outcome for `--json`, beside those of every family.
    fn summary(task: &Self::Task, outcome: &Outcome) -> Map<String, Value> {
        Self::measured(task, outcome.after.as_ref())
    }

    /// Values of an evaluation on all held-out data, for `--json` of `dragon train` and `dragon eval`: by default the task's
    /// figures by key, `null` if not known.
    fn measured(task: &Self::Task, evaluation: Option<&Evaluation>) -> Map<String, Value> {
        let metrics = evaluation.map(|evaluation| &evaluation.metrics);
        let value = |key: &str| Value::from(metrics.and_then(|metrics| metrics.get(key).copied()));
        let figures = task.figures().into_iter();
        figures
            .map(|figure| (figure.key.to_string(), value(figure.key)))
            .collect()
    }

    /// Predictions of a model for inputs, for `dragon predict`.
    ///
    /// # Errors
    /// If the file is not a model of the family, or the input cannot be read. The default always fails: the family has
    /// no predictions.
    fn predict(_file: ModelFile, _request: &PredictRequest) -> Result<Predictions, TrainError> {
        let (name, instead) = (Self::NAME, Self::INSTEAD_OF_PREDICT);
        Err(TrainError::Usage(format!(
            "a model of the family `{name}` has no predictions; {instead}"
        )))
    }

    /// View into a model at work on an input, for `dragon look`.
    ///
    /// # Errors
    /// If the file is not a model of the family, or the input cannot be read. The default always fails: the family has no
    /// views.
    fn look(_file: ModelFile, _request: &LookRequest) -> Result<Look, TrainError> {
        let name = Self::NAME;
        Err(TrainError::Usage(format!(
            "a model of the family `{name}` has no views; `dragon info` and `dragon eval` describe it"
        )))
    }

    /// What to run next: a command, and what it answers if that is known. `model` is the trained model, without autodiff.
    ///
    /// # Errors
    /// If the model cannot be run.
    fn next(
        _task: &Self::Task,
        _model: &<Self::Task as Task>::Model,
        _outcome: &Outcome,
        _run: &RunFolder,
    ) -> Result<Option<Next>, TrainError> {
        Ok(None)
    }
}

/// Settings for data of which only the paths were typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadAs {
    /// Assignments `KEY=VALUE`.
    pub settings: Vec<String>,
    /// Line for the user about what was recognised.
    pub line: Option<String>,
}

/// What to run after a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Next {
    /// Words after `dragon`: `generate runs/a --prompt "..."`.
    pub command: String,
    /// Text that the command prints, if it was computed in the same way.
    pub answer: Option<String>,
}

/// Default run of a family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Base {
    /// Path of its file in the repository, for messages: `config/language/base.toml`.
    pub path: &'static str,
    /// Text of the file, compiled in.
    pub text: &'static str,
    /// Minutes for which the number of steps is fitted to the machine if no setting is given, so that a first run is short.
    pub minutes: f64,
    /// Further settings of a first run, as `KEY=VALUE`.
    pub first: &'static [&'static str],
}

impl Base {
    /// A default run: the path of its file, its text, and the minutes of a first run.
    pub const fn new(path: &'static str, text: &'static str, minutes: f64) -> Self {
        Self {
            path,
            text,
            minutes,
            first: &[],
        }
    }
}

/// Configuration of a family by a name: a size of model, or a published experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// Name, as it is typed.
    pub name: &'static str,
    /// Description in one line.
    pub about: &'static str,
    /// Path of its file in the repository, for messages.
    pub path: &'static str,
    /// Text of the file, compiled in. It extends the defaults of the schema, as a file given with `-c` does.
    pub text: &'static str,
}

impl Preset {
    /// Preset of a family by its name.
    ///
    /// # Errors
    /// If the family has no such preset; with the most similar name and all names.
    pub fn of<F: Family>(name: &str) -> Result<Self, TrainError> {
        if let Some(preset) = F::PRESETS.iter().find(|preset| preset.name == name) {
            return Ok(*preset);
        }
        let names: Vec<String> = F::PRESETS.iter().map(|preset| preset.name.into()).collect();
        Err(TrainError::Usage(match nearest(name, &names) {
            _ if names.is_empty() => format!(
                "the family `{}` has no presets; leave --preset out, and give settings as KEY=VALUE",
                F::NAME
            ),
            Some(near) => format!("unknown preset `{name}`; did you mean `{near}`?"),
            None => format!("unknown preset `{name}`; presets: {}", names.join(", ")),
        }))
    }
}

/// Environment in which a task is created: the machine, and the run.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// Device of the tensors, with autodiff.
    pub device: &'a Device,
    /// Base folder of relative paths in the configuration.
    pub folder: &'a Path,
    /// Output for lines to the user.
    pub output: Output,
    pub(crate) resumption: Option<&'a Resumption>,
    pub(crate) initial: Option<&'a InitialModel>,
    pub(crate) origins: Option<&'a dyn Fn(&str) -> Origin>,
}

impl<'a> At<'a> {
    /// An environment without a run: for tests, benchmarks and custom loops.
    pub fn new(device: &'a Device, folder: &'a Path) -> Self {
        Self {
            device,
            folder,
            output: Output::silent(),
            resumption: None,
            initial: None,
            origins: None,
        }
    }

    /// Resumed run and its resume point; `None` for a new run, and for one that ended before its first checkpoint.
    pub fn resumed(&self) -> Option<(&'a RunFolder, &'a ResumePoint)> {
        let resumption = self.resumption?;
        Some((resumption.folder(), resumption.point()?))
    }

    /// Model whose weights the run starts from; `None` for random weights, and for a resumed run.
    pub fn initial(&self) -> Option<&'a InitialModel> {
        self.initial
    }

    /// Origin of the value at a dotted key.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.map_or(Origin::Default, |origins| origins(key))
    }

    /// Refuses data that differs from that of the resumed run, unless the change is accepted. The check is made after
    /// the task is created anyway. A family calls it as soon as its data is read, if another error could come first.
    ///
    /// # Errors
    /// If the data has changed. The error has both sizes and says what to do.
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

/// Resolves layers into a configuration of a family.
///
/// # Errors
/// If they are of another family, have a key that has moved, or do not fit the schema.
pub fn resolve<F: Family>(layers: Layers) -> Result<Resolved<F::Config>, ConfigError> {
    layers.resolve_as(F::NAME, F::Task::keys().moved)
}

/// Checks layers as a configuration of a family, without data, model and device: keys, types and values.
///
/// # Errors
/// All faults that were found, each with its key and its place, in the order of their lines. Values are checked if keys and
/// types are right.
pub fn check_config<F: Family>(layers: Layers) -> Result<Resolved<F::Config>, Vec<Fault>> {
    let mut faults: Vec<Fault> = match layers.faults_as::<F::Config>(F::NAME, F::Task::keys().moved) {
        Ok(resolved) => {
            let wrong = F::faults(&resolved.value).into_iter();
            let wrong: Vec<Fault> = wrong.map(|error| Fault::of_values(error, &resolved)).collect();
            if wrong.is_empty() {
                return Ok(resolved);
            }
            wrong
        }
        Err(errors) => errors.into_iter().map(Fault::from).collect(),
    };
    faults.sort_by_key(Fault::line);
    Err(faults)
}

/// Markdown of all keys of a family: type, default, value of the default run, and meaning.
///
/// # Errors
/// If the default run does not fit the schema.
pub fn config_reference<F: Family>() -> Result<String, ConfigError> {
    let base = resolve::<F>(Layers::new().embedded(F::BASE.path, F::BASE.text)?)?;
    Ok(reference(&tables::<F::Config>(), &flat_values(&base.value)))
}

/// JSON Schema (draft 2020-12) of a family's configuration files.
pub fn config_schema<F: Family>() -> Value {
    json_schema::<F::Config>()
}

/// Configuration in a run folder, also of an earlier version.
///
/// # Errors
/// As for [`resolve`], or if the file cannot be read.
pub fn run_config<F: Family>(run: &Path) -> Result<F::Config, ConfigError> {
    let layers = Layers::new().run_file(run.join("config.toml"), F::Task::keys().moved)?;
    Ok(resolve::<F>(layers)?.value)
}

/// Text of a configuration, as a run saves it.
///
/// # Errors
/// If it cannot be written as TOML.
pub fn config_text<F: Family>(config: &F::Config) -> Result<String, ConfigError> {
    written(config, Some(F::NAME))
}
