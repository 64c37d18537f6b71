//! Streams: documents that lanes read step by step, and the memory that they carry between steps.
//!
//! Windows are packed: where a document ends the next one begins. Memory is emptied there, and no token is predicted
//! across the boundary. If all windows have one length, all lanes share one clock that runs on over documents: only
//! differences of positions matter, so one table of angles serves the batch. In a mixture of lengths, a step with long
//! windows reads only some of the lanes, in turn.

use super::config::LanguageConfig;
use super::counted::CountedTargets;
use super::sequence::{DocumentOrder, StreamConfig};
use crate::data::{Corpus, Tokens, WindowPlan};
use crate::error::LanguageError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::TensorFile;
use burn_dragon_core::api::{Dragon, DragonState, Resets, StateError};
use burn_dragon_stream::api::{
    Documents, LanePosition, Lanes, Order, Scale, ScaleMixup, ScaleStep, TbpttWindow,
};
use burn_dragon_train::api::TrainError;
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

/// Name of the checkpoint file with the carried memories and positions.
pub(crate) const FILE: &str = "streams.bpk";

/// The value of its metadata key `format`.
pub(crate) const FORMAT: &str = "burn_dragon.streams/1";

/// Plan of the streams of a run: what lanes read in each step, and which memory they carry.
#[derive(Debug)]
pub struct StreamPlan {
    window: TbpttWindow,
    mixture: ScaleMixup,
    scales: Vec<Rows>, // of each window length
    lanes: Lanes,      // that persist, at their first documents
    seed: u64,
}

/// Rows of a batch.
#[derive(Debug)]
struct Rows {
    /// Number of rows whose memory is carried.
    persistent: usize,
    /// Number of rows that begin with an empty memory.
    fresh: usize,
    /// Windows that the latter read: those of one step, one after the other.
    plan: Option<WindowPlan>,
}

/// Memory that lanes carry from step to step.
#[derive(Debug)]
pub struct StreamMemory {
    state: DragonState, // of the lanes that persist, then of those that do not
}

/// Batch: the windows of one step, read one after the other by the same lanes.
#[derive(Debug)]
pub struct Batch {
    /// Lanes of the state that are in the batch; empty if no memory is carried.
    pub(crate) lanes: Vec<usize>,
    /// Windows in the order of reading.
    pub(crate) windows: Vec<Window>,
}

/// One window of each lane.
#[derive(Debug)]
pub(crate) struct Window {
    /// Token ids, `[B, T]`.
    pub(crate) inputs: Tensor<2, Int>,
    /// The next token of each, `[B, T]`.
    pub(crate) targets: Tensor<2, Int>,
    /// Tokens before which memory is emptied.
    pub(crate) resets: Resets,
    /// Targets with a loss; all of them if absent.
    pub(crate) counted: Option<CountedTargets>,
}

impl StreamPlan {
    /// Plans the streams of a run.
    ///
    /// # Errors
    /// If no document has two tokens, or the text is too short for a window.
    pub fn new(
        streams: &StreamConfig,
        config: &LanguageConfig,
        corpus: &Corpus,
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        let (training, block_size) = (&config.training, config.sequence.block_size);
        let (window, tokens) = (streams.window()?, training.batch_size * block_size);
        let mixture = ScaleMixup::new(&scales(streams, block_size), tokens)?;
        let documents = Documents::from_starts(&corpus.train.starts, corpus.train.len())?;
        let lanes = streams.persistent_lanes(mixture.max_lanes());
        let lanes = lanes_of(&documents, streams, training.seed, lanes)?;
        let rows = |scale: &Scale| {
            let all = tokens / scale.length;
            let persistent = streams.persistent_lanes(all);
            let fresh = all - persistent;
            let plan = || {
                let length = scale.length * window.unroll_steps();
                WindowPlan::new(&corpus.train, length, config.dataset.windows)
            };
            Ok(Rows {
                persistent,
                fresh,
                plan: (fresh > 0).then(plan).transpose()?,
            })
        };
        Ok(Self {
            window,
            scales: mixture
                .scales()
                .iter()
                .map(rows)
                .collect::<Result<_, LanguageError>>()?,
            mixture,
            lanes,
            seed: training.seed,
        })
    }

    /// Number of windows in a step, and number of them with a loss.
    pub fn window(&self) -> TbpttWindow {
        self.window
    }

    /// Tokens in a window and windows in a step, for each window length.
    pub fn shapes(&self) -> impl Iterator<Item = (usize, usize)> {
        let scales = self.mixture.scales().iter().zip(&self.scales);
        scales.map(|(scale, rows)| (scale.length, rows.persistent + rows.fresh))
    }

    /// Number of lanes with a memory.
    pub fn memories(&self) -> usize {
        let fresh = self.scales.iter().map(|rows| rows.fresh).max();
        self.lanes.count() + fresh.unwrap_or(0)
    }

    /// Number of tokens that one epoch predicts.
    pub fn tokens_per_epoch(&self) -> usize {
        self.lanes.documents().inputs()
    }

    /// Lanes at the start of their first documents.
    pub fn cursor(&self) -> Lanes {
        self.lanes.clone()
    }

    /// Empty memories of all lanes.
    pub fn memory(&self, dragon: &Dragon) -> StreamMemory {
        StreamMemory {
            state: dragon.empty_state(self.memories()),
        }
    }

    /// Number of batches, among the first `batches`, with the window length `scale`.
    fn visits(&self, scale: usize, batches: u64) -> u64 {
        let weight = |scale: &Scale| u128::from(scale.weight);
        let scales = self.mixture.scales();
        let weights: u128 = scales.iter().map(weight).sum();
        (u128::from(batches) * weight(&scales[scale])).div_ceil(weights) as u64
    }

    /// Windows of batch `index`, counted from 0, of a run that was planned with `planned` batches. Its lanes move on.
    ///
    /// # Errors
    /// None for a plan that was built.
    pub(crate) fn batch(
        &self,
        (index, planned): (u64, u64),
        tokens: &Tokens,
        lanes: &mut Lanes,
        device: &Device,
    ) -> Result<Batch, LanguageError> {
        let chosen = self.mixture.scale_of_step(self.seed, index);
        let rows = &self.scales[chosen.scale];
        let planned = self
            .visits(chosen.scale, planned)
            .saturating_mul(rows.fresh as u64);
        let persistent = ScaleStep {
            lanes: rows.persistent,
            ..chosen
        };
        let persistent = persistent.lanes_of(self.lanes.count())?;
        let first_fresh = self.lanes.count();
        let windows = (0..self.window.unroll_steps()).map(|place| {
            let mut window = Packed::new(tokens, chosen.length);
            for lane in lanes.next_of(&persistent, chosen.length)? {
                let documents = lanes.documents();
                let spans = lane.spans.iter().map(|span| documents.inputs_of(span));
                window.push(spans, lane.resets());
            }
            if let Some(plan) = &rows.plan {
                let first = chosen.visit * rows.fresh as u64;
                for row in first..first + rows.fresh as u64 {
                    let start = plan.window(self.seed, row, planned).start + place * chosen.length;
                    let resets = if place == 0 { vec![0] } else { Vec::new() };
                    window.push(std::iter::once(start..start + chosen.length), resets);
                }
            }
            Ok(window.into_window(device))
        });
        let windows = windows.collect::<Result<_, LanguageError>>()?;
        let fresh = first_fresh..first_fresh + rows.fresh;
        Ok(Batch {
            lanes: persistent.into_iter().chain(fresh).collect(),
            windows,
        })
    }
}

impl Batch {
    /// One window of each lane, `[B, T]`, that begins with an empty memory.
    pub(crate) fn of_window(
        inputs: Tensor<2, Int>,
        targets: Tensor<2, Int>,
        counted: Option<CountedTargets>,
    ) -> Self {
        let resets = Resets::default();
        let window = Window {
            inputs,
            targets,
            resets,
            counted,
        };
        Self {
            lanes: Vec::new(),
            windows: vec![window],
        }
    }
}

fn scales(streams: &StreamConfig, block_size: usize) -> Vec<Scale> {
    if streams.scales.is_empty() {
        return vec![Scale {
            length: block_size,
            weight: 1,
        }];
    }
    let scales = streams.scales.iter().filter(|scale| scale.weight > 0);
    scales
        .map(|scale| Scale {
            length: scale.block_size,
            weight: scale.weight,
        })
        .collect()
}

/// Lanes at their first documents. Where there are fewer documents than lanes, these are cut, so that each lane has
/// text of its own.
fn lanes_of(
    documents: &Documents,
    streams: &StreamConfig,
    seed: u64,
    lanes: usize,
) -> Result<Lanes, LanguageError> {
    let share = NonZeroUsize::new(documents.inputs().div_ceil(lanes));
    let documents = match share.filter(|_| documents.chunks() < lanes) {
        Some(share) => documents.cut(share),
        None => documents.clone(),
    };
    let order = match streams.order {
        DocumentOrder::Shuffled => Order::Shuffled { seed },
        DocumentOrder::InOrder => Order::Given,
    };
    let longest = streams.max_context.and_then(NonZeroUsize::new);
    Ok(Lanes::new(&documents, order, lanes)?.with_max_context(longest))
}

/// The rows of a window, token by token.
struct Packed<'a> {
    tokens: &'a Tokens,
    length: usize,
    inputs: Vec<i32>,
    targets: Vec<i32>,
    /// Whether each target has a loss; empty if all have.
    counts: Vec<bool>,
    resets: Vec<Vec<usize>>,
}

impl<'a> Packed<'a> {
    fn new(tokens: &'a Tokens, length: usize) -> Self {
        Self {
            tokens,
            length,
            inputs: Vec::new(),
            targets: Vec::new(),
            counts: Vec::new(),
            resets: Vec::new(),
        }
    }

    fn push(&mut self, spans: impl IntoIterator<Item = Range<usize>>, resets: Vec<usize>) {
        for span in spans {
            let ids = self.tokens.ids.read(span.start..span.end + 1);
            if let Some(counted) = &self.tokens.counted {
                self.counts
                    .extend((span.start + 1..span.end + 1).map(|at| counted.has(at)));
            }
            self.targets.extend(ids[1..].iter().map(|&id| id as i32));
            self.inputs.extend(ids[..span.len()].iter().map(|&id| id as i32));
        }
        self.resets.push(resets);
    }

    fn into_window(self, device: &Device) -> Window {
        let shape = [self.resets.len(), self.length];
        let matrix = |ids| Tensor::from_data(TensorData::new(ids, shape), device);
        let masked = self.tokens.counted.is_some();
        Window {
            counted: masked.then(|| CountedTargets::new(&self.counts, shape, device)),
            inputs: matrix(self.inputs),
            targets: matrix(self.targets),
            resets: Resets::new(self.resets),
        }
    }
}

impl StreamMemory {
    /// The memory of some lanes, taken out if it is that of all; until it is [put back](Self::put_back) there may be
    /// none.
    pub(crate) fn take(&mut self, lanes: &[usize]) -> Result<DragonState, StateError> {
        if lanes.iter().copied().eq(0..self.state.lanes()) {
            return Ok(self.state.take());
        }
        self.state.select_lanes(lanes)
    }

    /// The memory of those lanes after a batch.
    pub(crate) fn put_back(&mut self, lanes: &[usize], state: DragonState) -> Result<(), StateError> {
        self.state = if self.state.lanes() == 0 {
            state
        } else {
            self.state.take().replace_lanes(lanes, state)?
        };
        Ok(())
    }

    /// Empties the memories that hold values that are not finite, and returns their number.
    ///
    /// Such a memory never becomes finite again, and a checkpoint must not hold one. The lanes read on at their
    /// positions with an empty memory, as at the start of a document. A memory of an earlier step would be that of a
    /// text with a gap, or of another document.
    pub(crate) fn forget_damage(&mut self) -> Result<usize, StateError> {
        let mut damaged = vec![false; self.state.lanes()];
        for rho in self.state.rho() {
            let sound = |lane| {
                rho.clone()
                    .narrow(0, lane, 1)
                    .into_data()
                    .iter::<f32>()
                    .all(f32::is_finite)
            };
            damaged
                .iter_mut()
                .enumerate()
                .for_each(|(lane, damaged)| *damaged |= !sound(lane));
        }
        let damaged: Vec<usize> = (0..damaged.len()).filter(|&lane| damaged[lane]).collect();
        if !damaged.is_empty() {
            let positions = self.state.positions().to_vec(); // one clock for all lanes, which runs on
            self.state.reset_lanes(&damaged)?;
            let (rho, _) = self.state.take().into_parts();
            self.state = DragonState::from_parts(rho, positions);
        }
        Ok(damaged.len())
    }

    /// Positions of `lanes` and memories as a checkpoint file, bit for bit.
    ///
    /// # Errors
    /// If the positions cannot be written as text.
    pub fn snapshot(&self, lanes: &Lanes) -> Result<TensorFile, TrainError> {
        let place = SavedPositions {
            lanes: lanes.positions(),
            positions: self.state.positions().to_vec(),
        };
        let place = serde_json::to_string(&place).map_err(TrainError::Json)?;
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("place".into(), place);
        for (level, rho) in self.state.rho().iter().enumerate() {
            file.tensors.insert(name(level), rho.to_data());
        }
        Ok(file)
    }

    /// Restores positions and memories from a checkpoint folder.
    ///
    /// # Errors
    /// If the file is damaged, or the run had other streams or none. Nothing has changed then.
    pub fn restore(&mut self, lanes: &mut Lanes, dragon: &Dragon, folder: &Path) -> Result<(), TrainError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Err(other_streams(&"the run was on independent windows"));
        }
        let refuse = |reason: String| CheckpointError::corrupt(&path, reason);
        let mut file = TensorFile::read(&path)?;
        match file.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            other => return Err(refuse(format!("its format is {other:?}, expected `{FORMAT}`")).into()),
        }
        let place = file.metadata.get("place").map_or("", String::as_str);
        let place: SavedPositions =
            serde_json::from_str(place).map_err(|error| refuse(format!("place: {error}")))?;
        let mut sought = lanes.clone();
        sought.seek(&place.lanes).map_err(|error| other_streams(&error))?;
        if place.positions.len() != self.state.lanes() {
            let (given, expected) = (self.state.lanes(), place.positions.len());
            return Err(other_streams(&format!(
                "{given} memories, but the run has {expected}"
            )));
        }
        let memory = |level| {
            let name = name(level);
            let data = file
                .tensors
                .remove(&name)
                .ok_or_else(|| refuse(format!("no tensor `{name}`")))?;
            memory(data, dragon).map_err(|reason| refuse(format!("`{name}` {reason}")))
        };
        let rho = (0..dragon.config().n_levels)
            .map(memory)
            .collect::<Result<_, CheckpointError>>()?;
        let state = DragonState::from_parts(rho, place.positions);
        state
            .check(dragon.config(), self.state.lanes())
            .map_err(|error| refuse(error.to_string()))?;
        (*lanes, self.state) = (sought, state);
        Ok(())
    }
}

/// Error: the settings require other streams than those of the run.
fn other_streams(reason: &dyn ToString) -> TrainError {
    TrainError::Setting {
        key: "sequence.streams".into(),
        given: format!("other streams ({})", reason.to_string()),
        expected: "those of the run: its text, seed, batch_size, block_size, order, persistent and scales; leave them \
                   as they are, or start a new run (docs/configuration.md lists what can change)",
    }
}

/// Memory of a file, on the model's device.
fn memory(data: TensorData, dragon: &Dragon) -> Result<Tensor<4>, String> {
    let (given, expected) = (data.dtype(), dragon.embed.val().dtype());
    if given != expected {
        return Err(format!("is {}, expected {}", given.name(), expected.name()));
    }
    if data.shape().to_vec().len() != 4 {
        return Err(format!("has the shape {:?}, expected 4 axes", data.shape()));
    }
    if !data.iter::<f32>().all(f32::is_finite) {
        return Err("holds values that are not finite".into());
    }
    Ok(Tensor::from_data(data, (&dragon.device().inner(), expected)))
}

/// Positions of the lanes, as saved.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedPositions {
    /// Positions in their documents.
    lanes: Vec<LanePosition>,
    /// Positions of their memories.
    positions: Vec<u64>,
}

/// The name of a level's memory in the file.
pub(crate) fn name(level: usize) -> String {
    format!("level_{level}.rho")
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
