//! What was typed of a run, and the configuration that follows from it.

use super::Resumption;
use crate::config::{Layers, Resolved, family_of_run};
use crate::error::TrainError;
use crate::family::{Family, resolve};
use crate::run::RunFolder;
use crate::task::Task;
use burn_dragon_core::api::Backend;
use std::path::PathBuf;

/// What was typed of a run.
#[derive(Clone, Debug, Default)]
pub struct RunRequest {
    /// The family that was named.
    pub family: Option<String>,
    /// `KEY=VALUE`, in order.
    pub assignments: Vec<String>,
    /// Configuration files, later ones win.
    pub configs: Vec<PathBuf>,
    /// Where to run.
    pub backend: Backend,
    /// The folder of the run, instead of one under `runs`.
    pub out: Option<PathBuf>,
    /// The number of steps.
    pub max_steps: Option<u64>,
    /// The run that is to go on.
    pub resume: Option<PathBuf>,
    /// Go on though the data is not what it was.
    pub accept_changed_data: bool,
    /// Print every value and where it came from, and do nothing else.
    pub print_config: bool,
    /// Take one step, say what the run would cost, and write nothing.
    pub dry_run: bool,
    /// Standard output belongs to one JSON object.
    pub json: bool,
}

impl RunRequest {
    /// The family that is asked for: the one that was named, or that of the run that goes on, or that of the
    /// configuration files; absent where nothing says one.
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
        Ok(said.map(|(name, _)| name))
    }

    fn files(&self, layers: Layers) -> Result<Layers, TrainError> {
        let files = self.configs.iter();
        Ok(files.fold(Ok(layers), |layers, path| layers?.file(path))?)
    }

    /// The configuration: the run's own, or the files, or the default run; then what was typed.
    pub(super) fn resolve<F: Family>(
        &self,
        resumed: Option<&Resumption>,
    ) -> Result<Resolved<F::Config>, TrainError> {
        let mut layers = match resumed {
            Some(resumption) => {
                Layers::new().run_file(resumption.folder().config(), F::Task::keys().moved)?
            }
            None if self.configs.is_empty() => self.default_run::<F>()?,
            None => Layers::new(),
        };
        layers = self.files(layers)?;
        for assignment in &self.assignments {
            layers = layers.assignment(assignment)?;
        }
        Ok(resolve::<F>(self.number_of_steps(layers)?)?)
    }

    fn default_run<F: Family>(&self) -> Result<Layers, TrainError> {
        let layers = Layers::new().embedded(F::BASE.path, F::BASE.text)?;
        if self.assignments.is_empty() && self.max_steps.is_none() {
            return Ok(layers.value("the default run", "training.max_minutes", F::BASE.minutes));
        }
        Ok(layers)
    }

    /// A run has one number of steps: what is typed wins over a file's epochs.
    fn number_of_steps(&self, mut layers: Layers) -> Result<Layers, TrainError> {
        let epochs = layers.assigns("training.epochs");
        let max_steps = layers.assigns("training.max_steps") || self.max_steps.is_some();
        if epochs && max_steps {
            let text = "training.epochs and training.max_steps (or --max-steps) were typed together, and a run has one \
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
