//! What the trainer remembers beside model and optimiser.

use crate::error::TrainError;
use crate::task::Evaluation;
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::folder::CheckpointFolder;
use burn_dragon_checkpoint::plain;
use serde::{Deserialize, Serialize};

/// The file's name.
pub(super) const FILE: &str = "trainer.json";

/// Bytes beyond which it is not read.
const LARGEST: u64 = 1 << 20;

/// `trainer.json`.
///
/// There is no generator state: it is a function of the step. Places in streams of data are the task's to carry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct TrainerState {
    /// Optimiser steps taken.
    pub step: u64,
    /// Units (tokens) trained on.
    pub units: u64,
    /// Steps that the schedule stretches over: with `step`, where it stands.
    #[serde(default)]
    pub schedule_steps: u64,
    /// Loss of the last step.
    pub train_loss: f64,
    /// Held-out figures before the first step.
    pub before: Evaluation,
    /// Lowest held-out loss so far, and its step.
    pub best_loss: Option<f64>,
    /// The step of the lowest held-out loss.
    pub best_step: Option<u64>,
    /// SHA-256 of the run's `config.toml` as it was then, where there is one.
    #[serde(default)]
    pub config_sha256: Option<String>,
    /// Version of the software that trained.
    #[serde(default)]
    pub version: String,
}

impl TrainerState {
    pub(super) fn read(folder: &CheckpointFolder) -> Result<Self, TrainError> {
        let path = folder.path().join(FILE);
        let text = plain::read_text_inside(&path, LARGEST).map_err(CheckpointError::unread(&path))?;
        let state: Self =
            serde_json::from_str(&text).map_err(|error| CheckpointError::corrupt(&path, error))?;
        if state.step == folder.step() {
            return Ok(state);
        }
        let (given, expected) = (state.step, folder.step());
        let reason = format!("it is of step {given}, the checkpoint of step {expected}");
        Err(CheckpointError::corrupt(&path, reason).into())
    }
}
