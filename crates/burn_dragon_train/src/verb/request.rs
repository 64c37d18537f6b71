//! Request for a run from the command line, and its configuration.

use super::Resumption;
use crate::config::{Layers, Resolved, family_of_run};
use crate::display::Display;
use crate::error::TrainError;
use crate::family::{Family, Preset, resolve};
use crate::initial::InitialModel;
use crate::run::RunFolder;
use crate::task::Task;
use burn_dragon_core::api::Backend;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// Folder of all runs.
pub(super) const RUNS: &str = "runs";

/// Request for a run.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// Family that was named.
    pub family: Option<String>,
    /// Assignments `KEY=VALUE`, in order.
    pub assignments: Vec<String>,
    /// Preset under the configuration files, instead of the default run.
    pub preset: Option<String>,
    /// Configuration files; later ones win.
    pub configs: Vec<PathBuf>,
    /// Backend to run on.
    pub backend: Backend,
    /// Folder of the run, instead of one under `runs`.
    pub out: Option<PathBuf>,
    /// Number of steps.
    pub max_steps: Option<u64>,
    /// Run to resume.
    pub resume: Option<PathBuf>,
    /// Model whose weights a new run starts from, and whose configuration and tokenizer it takes over.
    pub initial: Option<InitialModel>,
    /// Continue although the data has changed.
    pub accept_changed_data: bool,
    /// Print every value with its origin, and do nothing else.
    pub print_config: bool,
    /// Take one step, print the cost of the run, and write nothing.
    pub dry_run: bool,
    /// Print one JSON object on standard output, and nothing else there.
    pub json: bool,
    /// Screen on which the run is shown, in place of lines.
    pub display: Option<Arc<dyn Display>>,
    /// Commit of the sources of the program, for `run.json`.
    pub commit: Option<String>,
}

impl RunRequest {
    /// Family of the request: the one that was named, or that of the resumed run, or that of the configuration files, or
    /// that of the model to start from; `None` if none of them gives one.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn family(&self) -> Result<Option<String>, TrainError> {
        if self.family.is_some() {
            return Ok(self.family.clone());
        }
        if let Some(run) = &self.resume {
            return Ok(Some(family_of_run(&RunFolder::open(run)?.config())?));
        }
        let said = self.files(Layers::new())?.family()?;
        let of_model = || Some(self.initial.as_ref()?.model.family.clone());
        Ok(said.map(|(name, _)| name).or_else(of_model))
    }

    fn files(&self, layers: Layers) -> Result<Layers, TrainError> {
        let mut files = self.configs.iter();
        Ok(files.try_fold(layers, |layers, path| layers.file(path))?)
    }

    /// Values that the configuration files and the assignments give, by full key.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn given(&self) -> Result<BTreeMap<String, Value>, TrainError> {
        let mut layers = self.files(Layers::new())?;
        for assignment in &self.assignments {
            layers = layers.assignment(assignment)?;
        }
        Ok(layers.given())
    }

    /// Configuration: that of the resumed run, or preset and files, or the default run; then the command line on top.
    ///
    /// # Errors
    /// If a file cannot be read, or the layers do not fit the schema.
    pub fn configuration<F: Family>(&self) -> Result<Resolved<F::Config>, TrainError> {
        let run = self.resume.as_deref().map(RunFolder::open).transpose()?;
        self.layered::<F>(run.as_ref())
    }

    pub(super) fn resolve<F: Family>(
        &self,
        resumed: Option<&Resumption>,
    ) -> Result<Resolved<F::Config>, TrainError> {
        self.layered::<F>(resumed.map(Resumption::folder))
    }

    fn layered<F: Family>(&self, resumed: Option<&RunFolder>) -> Result<Resolved<F::Config>, TrainError> {
        let mut layers = match (resumed, &self.preset) {
            (Some(run), _) => Layers::new().run_file(run.config(), F::Task::keys().moved)?,
            (None, Some(name)) => {
                let preset = Preset::of::<F>(name)?;
                Layers::new().embedded(preset.path, preset.text)?
            }
            (None, None) if self.configs.is_empty() => Layers::new().embedded(F::BASE.path, F::BASE.text)?,
            (None, None) => Layers::new(),
        };
        if let Some(initial) = &self.initial {
            initial.check_family::<F>()?;
            layers = initial.layer::<F>(layers)?;
        }
        layers = self.files(layers)?;
        let first = if self.is_first() { F::BASE.first } else { &[] };
        for assignment in first {
            layers = layers.assignment(assignment)?;
        }
        for assignment in &self.assignments {
            layers = layers.assignment(assignment)?;
        }
        let resolved = resolve::<F>(self.number_of_steps(layers)?)?;
        if let Some(initial) = &self.initial {
            initial.check_settings::<F>(&resolved)?;
        }
        Ok(resolved)
    }

    /// Whether this is a first run: the default one, with no setting. Its number of steps is fitted to the machine.
    pub(super) fn is_first(&self) -> bool {
        self.resume.is_none()
            && self.initial.is_none()
            && self.preset.is_none()
            && self.configs.is_empty()
            && self.assignments.is_empty()
            && self.max_steps.is_none()
    }

    /// Folder of the run, or the folder in which it will be created.
    pub(super) fn place(&self, resumed: Option<&Resumption>) -> PathBuf {
        let resumed = resumed.map(|run| run.folder().path().to_path_buf());
        resumed
            .or_else(|| self.out.clone())
            .unwrap_or_else(|| PathBuf::from(RUNS))
    }

    /// Configuration of a first run of so many steps.
    pub(super) fn resolve_first<F: Family>(&self, steps: u64) -> Result<Resolved<F::Config>, TrainError> {
        let assignments = F::BASE.first.iter().map(ToString::to_string).collect();
        let fitted = Self {
            assignments,
            max_steps: Some(steps),
            ..self.clone()
        };
        fitted.resolve::<F>(None)
    }

    /// Makes the number of steps unique: the command line wins over the epochs of a file.
    fn number_of_steps(&self, mut layers: Layers) -> Result<Layers, TrainError> {
        let epochs = layers.assigns("training.epochs");
        let max_steps = layers.assigns("training.max_steps") || self.max_steps.is_some();
        if epochs && max_steps {
            let text = "training.epochs and training.max_steps (or --max-steps) were given together, but a run has one \
                        number of steps: leave one of them out";
            return Err(TrainError::Usage(text.into()));
        }
        if max_steps {
            layers = layers.without("training.epochs");
        }
        let Some(steps) = self.max_steps else {
            return Ok(layers);
        };
        let steps = i64::try_from(steps)
            .map_err(|_| TrainError::Usage(format!("--max-steps {steps} is too large")))?;
        Ok(layers.value("--max-steps", "training.max_steps", steps))
    }
}
