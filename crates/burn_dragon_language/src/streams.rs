//! Text as streams: what lanes read step by step, and what they carry from one step to the next.
//!
//! Each window length of a run has lanes of its own. Their windows are packed: where a document ends the next one
//! begins, memory is emptied there, and nothing is predicted across. All lanes share one clock, which runs on over
//! documents: only differences of positions matter, and one table of angles serves the batch.

use crate::data::{Corpus, Tokens, WindowPlan, WindowStart};
use crate::error::LanguageError;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_checkpoint::CheckpointError;
use burn_dragon_checkpoint::tensors::TensorFile;
use burn_dragon_core::{Dragon, DragonState, Resets};
use burn_dragon_stream::api::{Documents, LanePosition, Lanes, Order, Scale, ScaleMixup, TbpttWindow};
use burn_dragon_train::settings::TrainingConfig;
use burn_dragon_train::streams::{DocumentOrder, StreamConfig};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::Path;

/// The file of a checkpoint that holds what is carried.
const FILE: &str = "streams.bpk";

/// The value of its metadata key `format`.
const FORMAT: &str = "burn_dragon.streams/1";

/// What lanes read in one step, and with what memory.
#[derive(Debug)]
pub struct StreamPlan {
    window: TbpttWindow,
    mixture: ScaleMixup,
    scales: Vec<ScalePlan>,
    seed: u64,
}

/// The lanes of one window length.
#[derive(Debug)]
struct ScalePlan {
    length: usize,
    persistent: Lanes, // at their first documents
    fresh: Option<Fresh>,
}

/// Rows that begin with an empty memory each step.
#[derive(Debug)]
struct Fresh {
    plan: WindowPlan,
    rows: usize,
}

/// What is carried: for each window length, where its lanes are and what they remember.
#[derive(Debug)]
pub struct Streams(Vec<Carried>);

#[derive(Debug)]
struct Carried {
    lanes: Lanes,
    state: DragonState,
}

/// Windows of one step, read one after the other by the same lanes.
#[derive(Debug)]
pub struct Batch {
    /// Which window length's lanes they are; 0 where no memory is carried.
    pub(crate) scale: usize,
    /// In the order they are read.
    pub(crate) windows: Vec<Window>,
}

/// One window of each lane.
#[derive(Debug)]
pub(crate) struct Window {
    /// `[B, T]`.
    pub(crate) inputs: Tensor<2, Int>,
    /// The next token of each, `[B, T]`.
    pub(crate) targets: Tensor<2, Int>,
    /// Where memory is emptied.
    pub(crate) resets: Resets,
}

impl StreamPlan {
    /// The streams of a run.
    ///
    /// # Errors
    /// If the text has no document to predict a token of, or is too short for a window.
    pub fn new(
        streams: &StreamConfig,
        training: &TrainingConfig,
        corpus: &Corpus,
        windows: WindowStart,
    ) -> Result<Self, LanguageError> {
        let tokens = training.batch_size * training.block_size;
        let documents = Documents::from_starts(&corpus.train.starts, corpus.train.len())?;
        let mixture = ScaleMixup::new(&scales(streams, training.block_size), tokens)?;
        let scale = |scale: &Scale| {
            let lanes = tokens / scale.length;
            let persistent = streams.persistent_lanes(lanes);
            Ok(ScalePlan {
                length: scale.length,
                persistent: lanes_of(&documents, streams, training.seed, persistent)?,
                fresh: match lanes - persistent {
                    0 => None,
                    rows => Some(Fresh {
                        plan: WindowPlan::new(&corpus.train, scale.length, windows)?,
                        rows,
                    }),
                },
            })
        };
        Ok(Self {
            window: streams.window()?,
            scales: mixture
                .scales()
                .iter()
                .map(scale)
                .collect::<Result<_, LanguageError>>()?,
            mixture,
            seed: training.seed,
        })
    }

    /// How many windows a step has, and how many of them learn.
    pub fn window(&self) -> TbpttWindow {
        self.window
    }

    /// The most lanes that any window length has.
    pub fn most_lanes(&self) -> usize {
        self.mixture.max_lanes()
    }

    /// Tokens that one epoch predicts.
    pub fn tokens_per_epoch(&self) -> usize {
        self.scales[0].persistent.documents().inputs()
    }

    /// Every lane at its first document, with an empty memory.
    pub fn start(&self, dragon: &Dragon) -> Streams {
        let carried = self.scales.iter().map(|scale| Carried {
            lanes: scale.persistent.clone(),
            state: dragon.empty_state(scale.lanes()),
        });
        Streams(carried.collect())
    }

    /// The windows of batch `index`; the lanes move on.
    pub(crate) fn batch(&self, index: u64, tokens: &Tokens, streams: &mut Streams, device: &Device) -> Batch {
        let chosen = self.mixture.scale_of_step(self.seed, index);
        let (scale, carried) = (&self.scales[chosen.scale], &mut streams.0[chosen.scale]);
        let unroll = self.window.unroll_steps() as u64;
        let windows = (0..unroll).map(|place| {
            let mut rows = Rows::new(&tokens.ids);
            for window in carried.lanes.next(scale.length) {
                let documents = carried.lanes.documents();
                let spans = window.spans.iter().map(|span| documents.inputs_of(span));
                rows.push(spans, window.resets());
            }
            if let Some(Fresh { plan, rows: count }) = &scale.fresh {
                let first = (chosen.visit * unroll + place) * *count as u64;
                for row in first..first + *count as u64 {
                    let Range { start, end } = plan.window(self.seed, row);
                    rows.push([start..end - 1], vec![0]);
                }
            }
            rows.into_window(scale.length, device)
        });
        Batch {
            windows: windows.collect(),
            scale: chosen.scale,
        }
    }
}

impl Batch {
    /// One window of each lane, `[B, T]`, that begins with an empty memory.
    pub(crate) fn of_window(inputs: Tensor<2, Int>, targets: Tensor<2, Int>) -> Self {
        let resets = Resets::default();
        let window = Window {
            inputs,
            targets,
            resets,
        };
        Self {
            scale: 0,
            windows: vec![window],
        }
    }
}

impl ScalePlan {
    fn lanes(&self) -> usize {
        self.persistent.count() + self.fresh.as_ref().map_or(0, |fresh| fresh.rows)
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
    let documents = match share.filter(|_| documents.pieces() < lanes) {
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
struct Rows<'a> {
    ids: &'a [u32],
    inputs: Vec<i32>,
    targets: Vec<i32>,
    resets: Vec<Vec<usize>>,
}

impl<'a> Rows<'a> {
    fn new(ids: &'a [u32]) -> Self {
        Self {
            ids,
            inputs: Vec::new(),
            targets: Vec::new(),
            resets: Vec::new(),
        }
    }

    fn push(&mut self, spans: impl IntoIterator<Item = Range<usize>>, resets: Vec<usize>) {
        for span in spans {
            let targets = &self.ids[span.start + 1..span.end + 1];
            self.targets.extend(targets.iter().map(|&id| id as i32));
            self.inputs.extend(self.ids[span].iter().map(|&id| id as i32));
        }
        self.resets.push(resets);
    }

    fn into_window(self, length: usize, device: &Device) -> Window {
        let shape = [self.resets.len(), length];
        let matrix = |ids| Tensor::from_data(TensorData::new(ids, shape), device);
        Window {
            inputs: matrix(self.inputs),
            targets: matrix(self.targets),
            resets: Resets::new(self.resets),
        }
    }
}

impl Streams {
    /// The memory of a window length's lanes, taken out; empty until it is [put back](Self::put_back).
    pub(crate) fn take(&mut self, scale: usize) -> DragonState {
        let nothing = DragonState::from_parts(Vec::new(), Vec::new());
        std::mem::replace(&mut self.0[scale].state, nothing)
    }

    /// The memory of a window length's lanes after a batch.
    pub(crate) fn put_back(&mut self, scale: usize, state: DragonState) {
        self.0[scale].state = state;
    }

    /// Writes places and memories, bit for bit.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let path = folder.join(FILE);
        let places: Vec<Place> = self.0.iter().map(Place::of).collect();
        let places =
            serde_json::to_string(&places).map_err(|error| CheckpointError::corrupt(&path, error))?;
        let mut file = TensorFile::default();
        file.metadata.insert("format".into(), FORMAT.into());
        file.metadata.insert("places".into(), places);
        for (scale, carried) in self.0.iter().enumerate() {
            for (level, rho) in carried.state.rho().iter().enumerate() {
                file.tensors.insert(name(scale, level), rho.to_data());
            }
        }
        file.write(&path)
    }

    /// Goes on from places and memories that were written.
    ///
    /// # Errors
    /// If the file is missing or damaged, or belongs to another model or other streams; nothing has changed then.
    pub fn restore(&mut self, dragon: &Dragon, folder: &Path) -> Result<(), CheckpointError> {
        let path = folder.join(FILE);
        let mut file = TensorFile::read(&path)?;
        let refuse = |reason: String| CheckpointError::corrupt(&path, reason);
        match file.metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            other => return Err(refuse(format!("its format is {other:?}, expected `{FORMAT}`"))),
        }
        let places = file.metadata.get("places").map_or("", String::as_str);
        let places: Vec<Place> =
            serde_json::from_str(places).map_err(|error| refuse(format!("places: {error}")))?;
        if places.len() != self.0.len() {
            let (given, expected) = (places.len(), self.0.len());
            return Err(refuse(format!(
                "it holds {given} window lengths, the run has {expected}"
            )));
        }
        let device = dragon.device().inner();
        let mut restored = Vec::with_capacity(places.len());
        for (scale, (place, carried)) in places.into_iter().zip(&self.0).enumerate() {
            let mut lanes = carried.lanes.clone();
            lanes
                .seek(&place.lanes)
                .map_err(|error| refuse(error.to_string()))?;
            let rho = (0..dragon.config().n_levels).map(|level| {
                let data = file.tensors.remove(&name(scale, level));
                let data = data.ok_or_else(|| refuse(format!("no tensor `{}`", name(scale, level))))?;
                let dtype = data.dtype();
                match data.shape().to_vec().len() {
                    4 => Ok(Tensor::from_data(data, (&device, dtype))),
                    axes => Err(refuse(format!("`{}` has {axes} axes, not 4", name(scale, level)))),
                }
            });
            let state = DragonState::from_parts(rho.collect::<Result<_, _>>()?, place.positions);
            state
                .check(dragon.config(), carried.state.lanes())
                .map_err(|error| refuse(error.to_string()))?;
            restored.push(Carried { lanes, state });
        }
        self.0 = restored;
        Ok(())
    }
}

/// Where the lanes of a window length are.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    lanes: Vec<LanePosition>,
    positions: Vec<u64>,
}

impl Place {
    fn of(carried: &Carried) -> Self {
        Self {
            lanes: carried.lanes.positions(),
            positions: carried.state.positions().to_vec(),
        }
    }
}

/// The name of a memory in the file.
fn name(scale: usize, level: usize) -> String {
    format!("scale_{scale}.level_{level}.rho")
}
