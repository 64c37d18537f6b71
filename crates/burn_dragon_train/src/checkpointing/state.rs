//! What the trainer remembers beside model and optimiser.

use crate::error::TrainError;
use crate::guard::GuardMemory;
use crate::identity::Identity;
use crate::settings::Done;
use crate::task::Evaluation;
use burn_dragon_checkpoint::api::expert::plain;
use burn_dragon_checkpoint::api::{CheckpointError, CheckpointFolder};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The file's name.
pub(super) const FILE: &str = "trainer.json";

/// Bytes beyond which it is not read.
const LARGEST: u64 = 1 << 20;

/// `trainer.json`.
///
/// There is no generator state: it is a function of the step. The place in the data is the number of units drawn; places
/// in streams of data are the task's to carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    /// Optimiser steps taken.
    pub step: u64,
    /// Units (tokens) trained on: the place in the data.
    pub units: u64,
    /// Units that the run was to draw when it began.
    pub planned_units: u64,
    /// Steps that the schedule stretches over: with `step`, where it stands.
    pub schedule_steps: u64,
    /// Loss of the last step that was not skipped.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Lowest score so far, of the task's own kind.
    #[serde(alias = "best_loss")]
    pub best_score: Option<f64>,
    /// The step of the lowest score.
    pub best_step: Option<u64>,
    /// Sequences in the fixed sample that it was measured on.
    pub sample: u64,
    /// Settings and data that the run keeps.
    pub identity: Identity,
    /// What the guard remembers, where one is configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<GuardMemory>,
    /// SHA-256 of the run's `config.toml` as it was then, where there is one.
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
        let reason = format!("it is of step {given}, the checkpoint of step {expected}");
        Err(CheckpointError::corrupt(&folder.path().join(FILE), reason).into())
    }

    /// Whether a folder has the file.
    pub(crate) fn is_in(folder: &Path) -> bool {
        folder.join(FILE).is_file()
    }

    pub(crate) fn read_from(folder: &Path) -> Result<Self, TrainError> {
        let path = folder.join(FILE);
        let text = plain::read_text_inside(&path, LARGEST).map_err(CheckpointError::unread(&path))?;
        let state = serde_json::from_str(&text).map_err(|error| {
            let reason = match error.to_string() {
                // Not damaged, but old.
                lacks if lacks.starts_with("missing field") => format!(
                    "{lacks}: an earlier version of this software wrote it, which did not say what data it was \
                     trained on; start a new run"
                ),
                other => other,
            };
            CheckpointError::corrupt(&path, reason)
        });
        Ok(state?)
    }

    /// What is behind the run.
    pub(crate) fn done(&self) -> Done {
        Done {
            steps: self.step,
            units: self.units,
        }
    }

    /// Forgets the best figure: the next one is measured on something else.
    pub(crate) fn forget_best(&mut self) {
        (self.best_score, self.best_step) = (None, None);
    }
}
