//! State of the trainer in a checkpoint, beside model and optimiser.

use crate::error::TrainError;
use crate::guard::GuardMemory;
use crate::identity::{ChangedData, Identity};
use crate::keys::Keys;
use crate::settings::Done;
use crate::task::Evaluation;
use burn_dragon_checkpoint::api::expert::plain;
use burn_dragon_checkpoint::api::{CheckpointError, CheckpointFolder};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// File name of the state.
pub(super) const FILE: &str = "trainer.json";

/// Limit on the size of the file in bytes.
const LARGEST: u64 = 1 << 20;

/// Content of `trainer.json`.
///
/// There is no state of a random generator: random numbers are a function of the step. The position in the data is the
/// number of units drawn. Positions in streams are part of what the task carries.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    /// Number of optimiser steps taken.
    pub step: u64,
    /// Number of units (tokens) trained on: the position in the data.
    pub units: u64,
    /// Number of units that the run planned to draw when it began.
    pub planned_units: u64,
    /// Number of steps of the schedule. Together with `step` it gives the factor.
    pub schedule_steps: u64,
    /// Loss of the last step that was not skipped.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Lowest score so far, of the task's own kind.
    #[serde(alias = "best_loss")]
    pub best_score: Option<f64>,
    /// Step of the lowest score.
    pub best_step: Option<u64>,
    /// Number of sequences in the fixed sample that gave this score.
    pub sample: u64,
    /// Settings and data that a run must keep.
    pub identity: Identity,
    /// State of the guard, if one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardMemory>,
    /// SHA-256 of the run's `config.toml` at the time of the checkpoint; `None` without one.
    pub config_sha256: Option<String>,
    /// Version of the software that trained.
    pub version: String,
}

impl TrainerState {
    pub(crate) fn read(folder: &CheckpointFolder) -> Result<Self, TrainError> {
        let state = Self::read_from(folder.path())?;
        if state.step == folder.step() {
            return Ok(state);
        }
        let (given, expected) = (state.step, folder.step());
        let reason = format!("it is of step {given}, but the checkpoint is of step {expected}");
        Err(CheckpointError::corrupt(&folder.path().join(FILE), reason).into())
    }

    /// Whether a folder contains the file.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    pub(crate) fn read_from(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(FILE);
        let text = plain::read_text_inside(&path, LARGEST).map_err(CheckpointError::unread(&path))?;
        let state = serde_json::from_str(&text).map_err(|error| {
            let reason = match error.to_string() {
                // A missing field means an old file, not a damaged one.
                lacks if lacks.starts_with("missing field") => format!(
                    "{lacks}: an earlier version of this software wrote it, which did not record the data that it was \
                     trained on; start a new run"
                ),
                other => other,
            };
            CheckpointError::corrupt(&path, reason)
        });
        Ok(state?)
    }

    /// Steps and units so far.
    pub(crate) fn done(&self) -> Done {
        Done {
            steps: self.step,
            units: self.units,
        }
    }

    /// Checks that the task of the resumed run is the one that was saved, by its identity `now`, and whether the best score,
    /// of a fixed sample of `sample` sequences, is still valid. Returns the changes of its data, if they are accepted.
    pub(crate) fn recognise(
        &mut self,
        now: Identity,
        keys: Keys,
        sample: u64,
        accepts_changed_data: bool,
        notes: &mut Vec<String>,
    ) -> Result<Option<ChangedData>, TrainError> {
        self.identity.check_settings(&now.settings, keys)?;
        let changed = self.identity.changed_data(&now.data);
        if let Some(changed) = &changed {
            if !accepts_changed_data {
                let changed = Box::new(changed.clone());
                return Err(TrainError::ChangedData { changed });
            }
            let consequences = changed.consequences();
            notes.push(format!(
                "the data of the run has changed: {changed}; {consequences}"
            ));
        }
        if self.sample != sample && self.best_step.is_some() {
            notes.push(format!(
                "evaluations are on a sample of {sample} sequences now, not of {}: the best figure starts anew",
                self.sample
            ));
        }
        if self.sample != sample || changed.as_ref().is_some_and(ChangedData::validation) {
            self.forget_best();
        }
        (self.sample, self.identity) = (sample, now);
        Ok(changed)
    }

    /// Removes the best score: later scores are measured on other data.
    fn forget_best(&mut self) {
        (self.best_score, self.best_step) = (None, None);
    }
}
