//! File of the lanes in a checkpoint, bit for bit.

use super::Latents;
use super::lanes::{Lane, Lanes};
use crate::config::ModelConfig;
use crate::model::SudokuModel;
use burn::tensor::{Tensor, TensorData};
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_checkpoint::api::{CheckpointError, Companion, CompanionTensor, Layout};
use burn_dragon_train::api::TrainError;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// Name of the file.
pub(crate) const FILE: &str = "lanes.bpk";

/// The value of its metadata key `format`.
const FORMAT: &str = "burn_dragon.sudoku_lanes/1";

/// Names of the tensors: y and z of all lanes, `[lanes, T, D]`.
const TENSORS: [&str; 2] = ["answer", "reasoning"];

/// Lanes, as saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    /// Number of puzzles that were drawn.
    drawn: u64,
    lanes: Vec<Lane>,
}

/// Description of the file beside a model, for `verify`.
pub(crate) fn companion(config: &ModelConfig) -> Companion {
    let shape = [config.tokens.count(), config.d_model];
    Companion {
        file: FILE,
        absent: None,
        layouts: vec![Layout {
            format: FORMAT,
            tensors: TENSORS.map(|name| CompanionTensor::of_lanes(name, &shape)).into(),
        }],
    }
}

impl Lanes {
    /// The lanes as a file.
    ///
    /// # Errors
    /// If they cannot be written as text.
    pub(crate) fn snapshot(&self) -> Result<TensorFile, TrainError> {
        let saved = Saved {
            drawn: self.drawn,
            lanes: self
                .batches
                .iter()
                .flat_map(|batch| batch.lanes.clone())
                .collect(),
        };
        let saved = serde_json::to_string(&saved).map_err(TrainError::Json)?;
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("lanes".into(), saved);
        let of: [fn(&Latents) -> &Tensor<4>; 2] = [|latents| &latents.answer, |latents| &latents.reasoning];
        for (name, of) in TENSORS.into_iter().zip(of) {
            let parts = self.batches.iter().map(|batch| of(&batch.latents).clone());
            let whole = Tensor::cat(parts.collect(), 0); // [lanes, 1, T, D]
            file.tensors
                .insert(name.into(), whole.squeeze_dim::<3>(1).into_data());
        }
        Ok(file)
    }

    /// Restores the lanes of a checkpoint folder.
    ///
    /// # Errors
    /// If the file is missing or damaged, or the run has another number of lanes. Nothing has changed then.
    pub(crate) fn restore(&mut self, model: &SudokuModel, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        let refuse = |reason: String| CheckpointError::corrupt(&path, reason);
        let mut file = TensorFile::read(&path)?;
        match file.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            other => return Err(refuse(format!("its format is {other:?}, expected `{FORMAT}`")).into()),
        }
        let text = file.metadata.get("lanes").map_or("", String::as_str);
        let saved: Saved = serde_json::from_str(text).map_err(|error| refuse(format!("lanes: {error}")))?;
        if saved.lanes.len() != self.count() {
            return Err(other_lanes(self.count(), saved.lanes.len()));
        }
        let is_drawn = |lane: &Lane| lane.unit < saved.drawn || lane.finished;
        if let Some(lane) = saved.lanes.iter().position(|lane| !is_drawn(lane)) {
            let (unit, drawn) = (saved.lanes[lane].unit, saved.drawn);
            let reason = format!("lane {lane} has puzzle {unit}, but {drawn} puzzles were drawn");
            return Err(refuse(reason).into());
        }
        let mut latent = |name: &str| {
            let data = file.tensors.remove(name);
            let data = data.ok_or_else(|| refuse(format!("no tensor `{name}`")))?;
            latent(data, saved.lanes.len(), model).map_err(|reason| refuse(format!("`{name}` {reason}")))
        };
        let (answer, reasoning) = (latent(TENSORS[0])?, latent(TENSORS[1])?);
        let mut first = 0;
        for batch in &mut self.batches {
            let count = batch.lanes.len();
            batch.lanes.copy_from_slice(&saved.lanes[first..first + count]);
            batch.latents = Latents {
                answer: answer.clone().narrow(0, first, count),
                reasoning: reasoning.clone().narrow(0, first, count),
            };
            first += count;
        }
        self.drawn = saved.drawn;
        Ok(())
    }
}

/// State of a file, `[lanes, 1, T, D]`, on the model's device.
fn latent(data: TensorData, lanes: usize, model: &SudokuModel) -> Result<Tensor<4>, String> {
    let (given, expected) = (data.dtype(), model.digits.val().dtype());
    if given != expected {
        return Err(format!("is {}, expected {}", given.name(), expected.name()));
    }
    let config = model.config();
    let shape = [lanes, config.tokens.count(), config.d_model];
    if **data.shape() != shape {
        return Err(format!("has the shape {:?}, expected {shape:?}", data.shape()));
    }
    if !data.iter::<f32>().all(f32::is_finite) {
        return Err("holds values that are not finite".into());
    }
    let device = model.device().inner();
    Ok(Tensor::<3>::from_data(data, (&device, expected)).unsqueeze_dim(1))
}

/// Error: the settings require another number of lanes than the run has.
fn other_lanes(given: usize, expected: usize) -> TrainError {
    TrainError::Setting {
        key: "training.batch_size".into(),
        given: format!("{given} lanes with training.accumulate, of which the run has {expected}"),
        expected: "the lanes of the run: each carries the state of its puzzle; leave both keys as they are, or start a \
                   new run",
    }
}
