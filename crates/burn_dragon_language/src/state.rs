//! State files of language models: the memory of a text that was read, to continue from.
//!
//! A [`StateFile`] with one memory per level, `rho.0`, `rho.1`, ..., `[B, H, N, D]`, in f32 or bf16. The tensor `seen`,
//! `[streams, V]`, bytes, has a 1 for each token that a stream has read. The details have `precision`, that of the
//! memories, and `sliding`, if the context slides.

use crate::export::{LANGUAGE, TOKENIZER, kinds, shape_in_words};
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_dragon_checkpoint::api::{
    CheckpointError, ModelKind, StateFile, StateInfo, StoredConfig, StoredPrecision,
};
use burn_dragon_core::api::{DragonConfig, DragonState};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Name of the tensor of tokens read.
const SEEN: &str = "seen";

/// The key of a sliding context among the details.
const SLIDING: &str = "sliding";

/// The key of the origin of the model among the details.
const WRITTEN_BY: &str = "written_by";

/// The key of the memories' precision among the details.
const PRECISION: &str = "precision";

/// Description of a state: model, tokenizer and amount of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LanguageStateInfo {
    /// The [hash](crate::export::model_hash) of the model that wrote the state.
    pub model: String,
    /// SHA-256 of the tokenizer's JSON, if there is a tokenizer.
    pub tokenizer: Option<String>,
    /// Number of tokens read so far. Positions can be smaller: a rebased memory is at position 0, and a sliding one
    /// forgets.
    pub tokens: u64,
    /// Sliding context that the text was read with, if any.
    pub sliding: Option<Sliding>,
    /// Origin of the model that wrote the state. A file of an earlier version has none.
    pub origin: Option<ModelOrigin>,
    /// Version of the software that wrote the state.
    pub version: String,
}

/// Origin of a model: the run that trained it, and its step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOrigin {
    /// Name of the run, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Number of optimiser steps taken.
    pub step: u64,
}

impl std::fmt::Display for ModelOrigin {
    /// `step 200 of the run poems`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "step {}", self.step)?;
        self.run
            .as_ref()
            .map_or(Ok(()), |run| write!(f, " of the run {run}"))
    }
}

/// Sliding context: two memories a window apart, in two groups of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sliding {
    /// Number of tokens in a window.
    pub window: usize,
    /// Whether the second half of the lanes are the younger memories. In the first window there are none.
    pub younger: bool,
}

/// State of a language model: the memory of the text that it has read.
#[derive(Clone, Debug)]
pub struct LanguageState {
    /// Configuration of the model.
    pub config: DragonConfig,
    /// Description of the state.
    pub info: LanguageStateInfo,
    /// Precision of the stored memories.
    pub precision: StoredPrecision,
    /// Memories and positions. In a sliding context the first half of the lanes are the older memories, which give the
    /// logits, and the second half the younger ones.
    pub state: DragonState,
    /// Distinct tokens that each stream has read, including forgotten ones. The repetition penalty continues from them.
    pub seen: Vec<BTreeSet<u32>>,
}

/// Expectations of the model that continues from a state.
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    /// Configuration of the model.
    pub config: &'a DragonConfig,
    /// The [hash](crate::export::model_hash) of the model.
    pub model: &'a str,
    /// Origin of the model, if it is known.
    pub origin: Option<&'a ModelOrigin>,
    /// SHA-256 of the tokenizer's JSON, if there is a tokenizer.
    pub tokenizer: Option<&'a str>,
    /// Number of streams to continue.
    pub lanes: usize,
}

impl LanguageState {
    /// Number of streams. Each has two memories if the context slides and is past its first window.
    pub fn lanes(&self) -> usize {
        self.state.lanes() / groups(self.info.sliding)
    }

    /// Writes the file atomically: it is complete or not there.
    ///
    /// # Errors
    /// If the state does not match the configuration or is not finite, the tokens of `seen` do not match the number of
    /// tokens read, the precision is f16 (memories grow beyond its largest number), or the file cannot be written.
    pub fn write(self, path: &Path) -> Result<(), CheckpointError> {
        self.into_state_file(path)?.write(path)
    }

    /// Builds the file that is to be written at `path`.
    ///
    /// # Errors
    /// If the state does not match the configuration, the tokens of `seen` do not match the number of tokens read, or
    /// the precision is f16.
    pub fn into_state_file(self, path: &Path) -> Result<StateFile, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        check_precision(path, self.precision)?;
        let lanes = self.state.lanes();
        self.state
            .check(&self.config, lanes)
            .map_err(|error| corrupt(error.to_string()))?;
        let mut tensors = BTreeMap::from([(SEEN.to_string(), self.seen_tensor(path)?)]);
        let positions = self.state.positions().to_vec();
        let (rho, _) = self.state.into_parts();
        for (level, rho) in rho.into_iter().enumerate() {
            let data = rho.inner().cast(self.precision.dtype()).into_data();
            tensors.insert(name(level), data);
        }
        Ok(StateFile {
            family: LANGUAGE.family().into(),
            config: StoredConfig::of(&self.config).map_err(corrupt)?,
            info: self.info.into_info(self.precision),
            positions,
            tensors,
        })
    }

    /// Tokens seen, `[streams, V]`: 1 for each token that was read.
    fn seen_tensor(&self, path: &Path) -> Result<TensorData, CheckpointError> {
        let (streams, vocab_size) = (self.lanes(), self.config.vocab_size);
        if self.seen.len() != streams {
            let reason = format!(
                "the number of its streams is {streams}, but it lists the tokens seen by {}",
                self.seen.len()
            );
            return Err(CheckpointError::corrupt(path, reason));
        }
        let mut marks = vec![0u8; streams * vocab_size];
        for (seen, marks) in self.seen.iter().zip(marks.chunks_exact_mut(vocab_size)) {
            for &id in seen {
                *marks.get_mut(id as usize).ok_or_else(|| {
                    let reason = format!("it has seen token {id} of a vocabulary of {vocab_size}");
                    CheckpointError::corrupt(path, reason)
                })? = 1;
            }
            check_seen(path, seen, self.info.tokens)?;
        }
        Ok(TensorData::new(marks, [streams, vocab_size]))
    }

    /// Reads and checks a file: hash, format, configuration, names, shapes, finite values. The memory is f32, on
    /// `device`.
    ///
    /// # Errors
    /// If the file is damaged or is not the state of a language model.
    pub fn read(path: &Path, device: &Device) -> Result<Self, CheckpointError> {
        Self::of(StateFile::read(path)?, path, device)
    }

    /// Checks a state file that was read from `path`.
    ///
    /// # Errors
    /// If it is not the state of a language model.
    pub fn of(file: StateFile, path: &Path, device: &Device) -> Result<Self, CheckpointError> {
        kinds().of(&file.family, path)?;
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let StateFile {
            config,
            info,
            positions,
            mut tensors,
            ..
        } = file;
        let config: DragonConfig = config
            .read()
            .map_err(|error| corrupt(format!("config: {error}")))?;
        config.validate().map_err(|error| corrupt(error.to_string()))?;
        let precision = precision(&info.details).map_err(corrupt)?;
        check_precision(path, precision)?;
        let info = LanguageStateInfo::of(info).map_err(corrupt)?;
        let groups = groups(info.sliding);
        if positions.is_empty() || !positions.len().is_multiple_of(groups) {
            return Err(corrupt(format!(
                "it has {} lanes, which is not a multiple of the {groups} memories per stream",
                positions.len()
            )));
        }
        let description = Description {
            config,
            positions,
            precision,
            tokens: info.tokens,
            groups,
        };
        let seen = description.seen(path, tensors.remove(SEEN))?;
        let state = description.state(path, tensors, device)?;
        Ok(Self {
            config: description.config,
            info,
            precision: description.precision,
            state,
            seen,
        })
    }

    /// Checks that the state was written by this model with this tokenizer, for this number of streams.
    ///
    /// # Errors
    /// With the value in the file and the expected one.
    pub fn check(&self, path: &Path, reader: &StateReader<'_>) -> Result<(), CheckpointError> {
        let foreign = |what, given: &str, expected: &str, remedy| {
            Err(CheckpointError::Foreign {
                path: path.to_path_buf(),
                what,
                given: given.to_string(),
                expected: expected.to_string(),
                remedy,
            })
        };
        let (given, expected) = (shape_in_words(&self.config), shape_in_words(reader.config));
        if given != expected {
            return foreign(
                "the shape of its model",
                &given,
                &expected,
                "a memory belongs to the neurons of one model: use the model that wrote it",
            );
        }
        if self.info.model != reader.model {
            let named = |hash: &str, origin: Option<&ModelOrigin>| match origin {
                Some(origin) => format!("{origin} (sha256 {hash})"),
                None => format!("sha256 {hash}"),
            };
            return foreign(
                "the model that wrote it",
                &named(&self.info.model, self.info.origin.as_ref()),
                &named(reader.model, reader.origin),
                "a memory is valid only for the weights that wrote it, not for another checkpoint of the same run: use \
                 the model that wrote it, or read the text again",
            );
        }
        if self.info.tokenizer.as_deref() != reader.tokenizer {
            let name = |hash: Option<&str>| hash.unwrap_or("none").to_string();
            return foreign(
                "the tokenizer it was read with (sha256)",
                &name(self.info.tokenizer.as_deref()),
                &name(reader.tokenizer),
                "the same ids stand for other text: use the tokenizer that it was read with, or read the text again",
            );
        }
        if self.lanes() != reader.lanes {
            return foreign(
                "the number of its streams",
                &self.lanes().to_string(),
                &reader.lanes.to_string(),
                "choose lanes with DragonState::select_lanes and write them to a file of their own",
            );
        }
        Ok(())
    }
}

impl LanguageStateInfo {
    fn into_info(self, precision: StoredPrecision) -> StateInfo {
        let tokenizer = self.tokenizer.map(|hash| (TOKENIZER.to_string(), hash));
        let sliding = self
            .sliding
            .and_then(|sliding| serde_json::to_value(sliding).ok());
        let sliding = sliding.map(|value| (SLIDING.to_string(), value));
        let precision = (PRECISION.to_string(), Value::from(precision.name()));
        let origin = self.origin.and_then(|origin| serde_json::to_value(origin).ok());
        let origin = origin.map(|value| (WRITTEN_BY.to_string(), value));
        StateInfo {
            model: self.model,
            assets: tokenizer.into_iter().collect(),
            units: self.tokens,
            version: self.version,
            details: [precision].into_iter().chain(sliding).chain(origin).collect(),
        }
    }

    fn of(mut info: StateInfo) -> Result<Self, String> {
        let sliding = sliding(&info.details)?;
        let origin = info.details.get(WRITTEN_BY).cloned().map(serde_json::from_value);
        let origin = origin.transpose();
        Ok(Self {
            origin: origin.map_err(|error| format!("{WRITTEN_BY}: {error}"))?,
            model: info.model,
            tokenizer: info.assets.remove(TOKENIZER),
            tokens: info.units,
            sliding,
            version: info.version,
        })
    }
}

fn sliding(details: &Map<String, Value>) -> Result<Option<Sliding>, String> {
    let Some(value) = details.get(SLIDING) else {
        return Ok(None);
    };
    let sliding: Sliding =
        serde_json::from_value(value.clone()).map_err(|error| format!("{SLIDING}: {error}"))?;
    match sliding.window {
        0 => Err("its sliding context has a window of 0 tokens; expected at least 1".into()),
        _ => Ok(Some(sliding)),
    }
}

/// Description of the memories.
struct Description {
    config: DragonConfig,
    positions: Vec<u64>,
    precision: StoredPrecision,
    tokens: u64,
    groups: usize,
}

impl Description {
    /// The tokens that each stream has read.
    fn seen(&self, path: &Path, data: Option<TensorData>) -> Result<Vec<BTreeSet<u32>>, CheckpointError> {
        let streams = self.positions.len() / self.groups;
        let expected = vec![streams, self.config.vocab_size];
        let data = of_shape(path, SEEN, data, expected)?;
        let marks = data.as_slice::<u8>().ok();
        let marks = marks.filter(|marks| marks.iter().all(|mark| *mark <= 1));
        let marks = marks.ok_or_else(|| {
            let reason = format!(
                "tensor `{SEEN}` is {}; expected bytes of 0 and 1 alone",
                data.dtype().name()
            );
            CheckpointError::corrupt(path, reason)
        })?;
        let streams = marks.chunks_exact(self.config.vocab_size).map(|marks| {
            let ids = (0..).zip(marks).filter(|(_, mark)| **mark == 1);
            let seen = ids.map(|(id, _)| id).collect();
            check_seen(path, &seen, self.tokens).map(|()| seen)
        });
        streams.collect()
    }

    /// The state, of exactly the expected tensors.
    fn state(
        &self,
        path: &Path,
        mut tensors: BTreeMap<String, TensorData>,
        device: &Device,
    ) -> Result<DragonState, CheckpointError> {
        let rho: Result<Vec<_>, _> = (0..self.config.n_levels)
            .map(|level| self.memory(path, level, tensors.remove(&name(level)), device))
            .collect();
        let rho = rho?;
        if !tensors.is_empty() {
            return Err(CheckpointError::UnknownTensors {
                path: path.to_path_buf(),
                names: tensors.into_keys().collect(),
            });
        }
        Ok(DragonState::from_parts(rho, self.positions.clone()))
    }

    fn memory(
        &self,
        path: &Path,
        level: usize,
        data: Option<TensorData>,
        device: &Device,
    ) -> Result<Tensor<4>, CheckpointError> {
        let config = &self.config;
        let lanes = self.positions.len();
        let expected = config.trunk().memory().of(lanes).to_vec();
        let name = name(level);
        let data = of_shape(path, &name, data, expected)?;
        if data.dtype() != self.precision.dtype() {
            let reason = format!(
                "tensor `{name}` is {}, but its details say {}",
                data.dtype().name(),
                self.precision
            );
            return Err(CheckpointError::corrupt(path, reason));
        }
        Ok(Tensor::from_data(
            StoredPrecision::widen(data),
            (device, DType::F32),
        ))
    }
}

/// Stored precision of the memories.
fn precision(details: &Map<String, Value>) -> Result<StoredPrecision, String> {
    let said = details.get(PRECISION).and_then(Value::as_str);
    let said = said.ok_or_else(|| format!("no `{PRECISION}`"))?;
    said.parse().map_err(|error| format!("{PRECISION}: {error}"))
}

/// A tensor that is there, and of this shape.
fn of_shape(
    path: &Path,
    name: &str,
    data: Option<TensorData>,
    expected: Vec<usize>,
) -> Result<TensorData, CheckpointError> {
    let (path, name) = (path.to_path_buf(), name.to_string());
    let Some(data) = data else {
        return Err(CheckpointError::MissingTensor { path, name, expected });
    };
    let given = data.shape().to_vec();
    if given != expected {
        return Err(CheckpointError::Shape {
            path,
            name,
            given,
            expected,
        });
    }
    Ok(data)
}

/// Refuses f16: memories grow with the text that is read, beyond the largest number of f16.
fn check_precision(path: &Path, precision: StoredPrecision) -> Result<(), CheckpointError> {
    match precision {
        StoredPrecision::F32 | StoredPrecision::Bf16 => Ok(()),
        StoredPrecision::F16 => Err(CheckpointError::corrupt(
            path,
            "memories are stored as f32 or bf16, not f16: they grow beyond its largest number, 65504",
        )),
    }
}

/// Checks the number of distinct tokens: at least 1 if tokens were read, at most the number of tokens read.
fn check_seen(path: &Path, seen: &BTreeSet<u32>, tokens: u64) -> Result<(), CheckpointError> {
    let count = seen.len() as u64;
    if count <= tokens && (count > 0 || tokens == 0) {
        return Ok(());
    }
    let reason = format!("a stream has seen {count} different tokens, but has read {tokens} tokens");
    Err(CheckpointError::corrupt(path, reason))
}

/// Memories of each stream.
fn groups(sliding: Option<Sliding>) -> usize {
    match sliding {
        Some(Sliding { younger: true, .. }) => 2,
        _ => 1,
    }
}

fn name(level: usize) -> String {
    format!("rho.{level}")
}
