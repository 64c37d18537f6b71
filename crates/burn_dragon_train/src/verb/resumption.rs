//! Resumption of a run: the checks before anything is written.

use crate::error::TrainError;
use crate::family::{Family, run_config};
use crate::identity::{ChangedData, ChangedSetting, DataHashes};
use crate::keys::{Keys, OnResume, flatten};
use crate::resume_point::ResumePoint;
use crate::run::{RunFolder, RunInfo};
use crate::settings::{Done, TrainingConfig};
use crate::start::Start;
use crate::task::Task;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Run that is to be resumed.
#[derive(Clone, Debug)]
pub(crate) struct Resumption {
    run: RunFolder,
    /// Settings of the run, by full key.
    settings: BTreeMap<String, String>,
    training: TrainingConfig,
    keys: Keys,
    /// Resume point; `None` if the run ended before its first checkpoint and starts again.
    point: Option<ResumePoint>,
    accepts_changed_data: bool,
    /// Changes of the data, once they are known.
    changed_data: Option<ChangedData>,
}

impl Resumption {
    /// Reads the folder of the run.
    pub(super) fn open<F: Family>(path: &Path, accepts_changed_data: bool) -> Result<Self, TrainError> {
        let run = RunFolder::open(path)?;
        let config = run_config::<F>(run.path())?;
        let point = ResumePoint::newest(&run)?;
        if point.is_none() {
            refuse_lost_weights(&run)?;
        }
        Ok(Self {
            settings: flatten(&config),
            training: F::plan(&config).training,
            keys: F::Task::keys(),
            point,
            run,
            accepts_changed_data,
            changed_data: None,
        })
    }

    pub(crate) fn folder(&self) -> &RunFolder {
        &self.run
    }

    pub(crate) fn point(&self) -> Option<&ResumePoint> {
        self.point.as_ref()
    }

    /// Steps and units so far.
    pub(super) fn done(&self) -> Done {
        self.point.as_ref().map_or_else(Done::default, |point| point.done)
    }

    /// Refuses changes of settings that the run must keep.
    pub(super) fn check_settings<F: Family>(&self, config: &F::Config) -> Result<(), TrainError> {
        match &self.point {
            Some(point) => point.identity.check_settings(&self.keys.kept(config), self.keys),
            None => Ok(()),
        }
    }

    /// Changed and accepted parts of the data.
    pub(super) fn changed_parts(&self) -> Vec<&'static str> {
        self.changed_data
            .as_ref()
            .map(ChangedData::parts)
            .unwrap_or_default()
    }

    /// Records the changes of the data, which are accepted by now.
    pub(super) fn note_data(&mut self, now: &DataHashes) {
        let point = self.point.as_ref();
        self.changed_data = point.and_then(|point| point.identity.changed_data(now));
    }

    /// Refuses data that differs from that of the run, unless the change is accepted.
    pub(crate) fn check_data(&self, config: &impl Serialize, now: &DataHashes) -> Result<(), TrainError> {
        let point = self.point.as_ref().filter(|_| !self.accepts_changed_data);
        let Some(changed) = point.and_then(|point| point.identity.changed_data(now)) else {
            return Ok(());
        };
        let changed = Box::new(changed);
        let error = TrainError::ChangedData { changed };
        let of_the_data = |setting: &ChangedSetting| {
            let rule = self.keys.rule_of(&setting.key).map(|rule| rule.on_resume);
            rule == Some(OnResume::ChangesWithSameData)
        };
        let asked = self.changed_settings(config).into_iter().filter(of_the_data);
        let asked: Vec<String> = asked.map(|setting| setting.to_string()).collect();
        if asked.is_empty() {
            return Err(error);
        }
        Err(TrainError::Usage(format!("{}: {error}", asked.join(", "))))
    }

    /// Whether the run is complete. Requests that would do nothing are refused.
    pub(super) fn is_complete<F: Family>(
        &self,
        config: &F::Config,
        task: &F::Task,
        total_steps: u64,
    ) -> Result<bool, TrainError> {
        let done = self.done();
        if self.point.is_none() || done.steps < total_steps {
            return Ok(false);
        }
        let training = F::plan(config).training;
        let taken = format!("nothing to do: the run has taken {} steps", done.steps);
        let other_steps =
            (self.training.max_steps, self.training.epochs) != (training.max_steps, training.epochs);
        if done.steps > total_steps || other_steps {
            let asked = asked_steps(&training, done, task.units_per_epoch());
            let steps = done.steps;
            let text = format!("{taken}, and {asked}; to continue, give --max-steps above {steps}");
            return Err(TrainError::Usage(text));
        }
        let changed = self.changed_settings(config).into_iter();
        let mut useless: Vec<String> = changed.map(|setting| setting.to_string()).collect();
        if self.changed_data.is_some() {
            useless.push("--accept-changed-data".into());
        }
        if useless.is_empty() {
            return Ok(true);
        }
        Err(TrainError::Usage(format!(
            "{taken}, which are all of them, so {} would change nothing; give it more steps as well: --max-steps \
             above {}",
            useless.join(", "),
            done.steps
        )))
    }

    fn changed_settings(&self, config: &impl Serialize) -> Vec<ChangedSetting> {
        ChangedSetting::between(&self.settings, &flatten(config))
    }

    /// Restores the model of the run and its carry. Refuses a task that does not fit the checkpoint.
    pub(super) fn restore<T: Task>(&self, task: &T, start: Start<T>) -> Result<Start<T>, TrainError> {
        match &self.point {
            Some(point) => start.resumed(task, point, self.changed_parts().contains(&"training")),
            None => Ok(start),
        }
    }
}

/// Refuses a run without a checkpoint that started from a model: it would start again with random weights.
fn refuse_lost_weights(run: &RunFolder) -> Result<(), TrainError> {
    let info = RunInfo::load(&run.run_json()).ok();
    let Some(initial) = info.and_then(|info| info.initial_model) else {
        return Ok(());
    };
    Err(TrainError::Usage(format!(
        "{} ended before its first checkpoint, so the weights that it started from are not in it; begin a new run: \
         `--init-from {}`",
        run.path().display(),
        initial.model
    )))
}

/// Requested number of steps, as text, for a run that has already taken as many.
fn asked_steps(training: &TrainingConfig, done: Done, units_per_epoch: u64) -> String {
    match training.epochs {
        Some(epochs) => format!(
            "training.epochs = {epochs} is no more than the {:.2} epochs that these steps took",
            done.units as f64 / units_per_epoch.max(1) as f64
        ),
        None => format!("training.max_steps = {} is no more than that", training.max_steps),
    }
}
