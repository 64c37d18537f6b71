//! A run that goes on: what it must agree with, before anything is written.

use crate::exit::{BadInput, Usage};
use burn_dragon::api::checkpoint::ModelFile;
use burn_dragon::api::core::Dragon;
use burn_dragon::api::expert::language::rules;
use burn_dragon::api::expert::train::{OnResume, flatten, rule_of};
use burn_dragon::api::language::{
    Corpus, LanguageConfig, LanguageTask, Tokenizer, TokenizerSpec, kept, tokenizer_of,
};
use burn_dragon::api::train::{
    ChangedData, ChangedSetting, DataPosition, Done, Layers, ResumePoint, RunFolder, Task, TrainError,
};
use std::path::Path;
use std::sync::Arc;

/// A run that is to go on.
pub(super) struct Resumption {
    /// Its folder.
    pub(super) run: RunFolder,
    /// Its own settings.
    config: LanguageConfig,
    /// Where it goes on; absent where it died before its first checkpoint and begins again.
    resume_point: Option<ResumePoint>,
    accepts_changed_data: bool,
    /// What has changed about its data, once that is known.
    changed_data: Option<ChangedData>,
}

impl Resumption {
    /// Reads what the run's folder says.
    pub(super) fn open(path: &Path, accepts_changed_data: bool) -> anyhow::Result<Self> {
        let run = RunFolder::open(path)?;
        Ok(Self {
            config: Layers::new().file(run.config())?.resolve()?.value,
            resume_point: ResumePoint::newest(&run)?,
            run,
            accepts_changed_data,
            changed_data: None,
        })
    }

    /// What is behind it.
    pub(super) fn done(&self) -> Done {
        self.resume_point
            .as_ref()
            .map_or_else(Done::default, |resume_point| resume_point.done)
    }

    /// Whether it goes on from one, and does not begin again.
    pub(super) fn has_checkpoint(&self) -> bool {
        self.resume_point.is_some()
    }

    /// The tokenizer that its model was trained with; refuses another one in its place.
    pub(super) fn tokenizer(&self) -> anyhow::Result<Option<Arc<dyn Tokenizer>>> {
        let Some(resume_point) = &self.resume_point else {
            return Ok(None);
        };
        let (path, model) = (self.run.tokenizer(), resume_point.folder.join("model.bpk"));
        let tokenizer = TokenizerSpec::load(&path)?;
        if tokenizer.spec() != tokenizer_of(&ModelFile::read(&model)?)?.spec() {
            let text = format!(
                "{} is not the tokenizer that the run's model was trained with, which {} holds: it has been changed or \
                 exchanged; restore it",
                path.display(),
                model.display()
            );
            return Err(BadInput(text).into());
        }
        Ok(Some(tokenizer))
    }

    /// Refuses settings that the run cannot change.
    pub(super) fn check_settings(&self, config: &LanguageConfig) -> anyhow::Result<()> {
        match &self.resume_point {
            Some(resume_point) => Ok(resume_point.identity.check_settings(&kept(config))?),
            None => Ok(()),
        }
    }

    /// The parts of its data that have changed, which was accepted.
    pub(super) fn changed_parts(&self) -> Vec<&'static str> {
        self.changed_data
            .as_ref()
            .map(ChangedData::parts)
            .unwrap_or_default()
    }

    /// Refuses data that is not the run's, unless that is accepted.
    pub(super) fn check_data(&mut self, corpus: &Corpus, config: &LanguageConfig) -> anyhow::Result<()> {
        let Some(resume_point) = &self.resume_point else {
            return Ok(());
        };
        self.changed_data = resume_point.identity.changed_data(&corpus.hashes());
        let Some(changed) = self.changed_data.clone().filter(|_| !self.accepts_changed_data) else {
            return Ok(());
        };
        let changed = Box::new(changed);
        let error = TrainError::ChangedData { changed };
        let of_the_data = |setting: &ChangedSetting| {
            let rule = rule_of(rules(), &setting.key).map(|rule| rule.on_resume);
            rule == Some(OnResume::ChangesWithSameData)
        };
        let asked: Vec<String> = self
            .changed_settings(config)
            .filter(of_the_data)
            .map(|setting| setting.to_string())
            .collect();
        if asked.is_empty() {
            return Err(error.into());
        }
        Err(Usage(format!("{}: {error}", asked.join(", "))).into())
    }

    /// Refuses to be asked for what is done already; gives whether the run is complete, and nothing else is asked for.
    pub(super) fn is_complete(
        &self,
        config: &LanguageConfig,
        task: &LanguageTask,
        total_steps: u64,
    ) -> anyhow::Result<bool> {
        let done = self.done();
        if self.resume_point.is_none() || done.steps < total_steps {
            return Ok(false);
        }
        let changed: Vec<String> = self
            .changed_settings(config)
            .map(|setting| setting.to_string())
            .collect();
        let training = &config.training;
        let asked = match training.epochs {
            Some(epochs) => format!(
                "training.epochs = {epochs} asks for no more than the {:.2} epochs of them",
                done.units as f64 / task.units_per_epoch().max(1) as f64
            ),
            None => format!("training.max_steps = {} asks for no more", training.max_steps),
        };
        let taken = format!("nothing to do: the run has taken {} steps", done.steps);
        if done.steps > total_steps || self.asks_for_other_steps(config) {
            let text = format!(
                "{taken}, and {asked}; go on with --max-steps above {}",
                done.steps
            );
            return Err(Usage(text).into());
        }
        let mut useless = changed;
        if self.changed_data.is_some() {
            useless.push("--accept-changed-data".into());
        }
        if useless.is_empty() {
            return Ok(true);
        }
        let text = format!(
            "{taken}, which are all of them, so {} would change nothing; give it more steps as well: --max-steps \
             above {}",
            useless.join(", "),
            done.steps
        );
        Err(Usage(text).into())
    }

    /// Whether the number of steps is another than the run's own.
    fn asks_for_other_steps(&self, config: &LanguageConfig) -> bool {
        let (own, asked) = (&self.config.training, &config.training);
        (own.max_steps, own.epochs) != (asked.max_steps, asked.epochs)
    }

    fn changed_settings(&self, config: &LanguageConfig) -> impl Iterator<Item = ChangedSetting> {
        ChangedSetting::between(&flatten(&self.config), &flatten(config)).into_iter()
    }

    /// The run's model as it was saved, and what it carries: refuses what its checkpoint does not fit.
    pub(super) fn restore(&self, task: &LanguageTask, start: Start) -> anyhow::Result<Start> {
        let Some(resume_point) = &self.resume_point else {
            return Ok(start);
        };
        let model = task.restore(start.model, &resume_point.folder)?;
        let mut carry = start.carry;
        if !self.changed_parts().contains(&"training") {
            task.restore_carry(&model, &mut carry, &resume_point.folder)?;
        }
        Ok(Start {
            model,
            carry,
            done: resume_point.done,
            place: DataPosition {
                units: resume_point.done.units,
                planned: resume_point.planned_units,
            },
        })
    }
}

/// What the next step starts from.
pub(super) struct Start {
    pub(super) model: Dragon,
    pub(super) carry: <LanguageTask as Task>::Carry,
    pub(super) done: Done,
    pub(super) place: DataPosition,
}

impl Start {
    /// Before the first step.
    pub(super) fn new(task: &LanguageTask, model: Dragon) -> anyhow::Result<Self> {
        Ok(Self {
            carry: task.carry(&model)?,
            model,
            done: Done::default(),
            // One step leaves nothing out, however many were planned.
            place: DataPosition {
                units: 0,
                planned: u64::MAX,
            },
        })
    }
}
