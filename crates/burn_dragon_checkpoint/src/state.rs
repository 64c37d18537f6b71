//! A memory in one file: what a model has read, to go on from.
//!
//! The memories are burnpack tensors `rho.0`, `rho.1`, ... one a level, `[B, H, N, D]`; the tensor `seen`, `[streams, V]`
//! of bytes, has a 1 where a stream has read a token. The metadata holds `format` (`burn_dragon.state/2`), `config` (the
//! shape of the model, JSON), `positions` (one a lane, JSON), `precision` (of the memories) and `info` (JSON: the model's
//! and the tokenizer's hash, tokens read), beside the hash that [`TensorFile`] keeps. Logits are not stored: a state holds
//! what was read, and going on takes at least one new token.

use crate::error::CheckpointError;
use crate::model::check_length;
use crate::precision::StoredPrecision;
use crate::tensors::TensorFile;
use burn::tensor::{DType, Device, Tensor, TensorData};
use burn_dragon_core::{DragonConfig, DragonState};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The value of the metadata key `format`.
pub const FORMAT: &str = "burn_dragon.state/2";

/// How the formats of all states begin.
pub(crate) const FORMATS: &str = "burn_dragon.state/";

/// The tensor of the tokens that were seen.
const SEEN: &str = "seen";

/// Whose memory it is, and of what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateInfo {
    /// The [hash](crate::hash::model_hash) of the model that wrote it.
    pub model: String,
    /// SHA-256 of the tokenizer's JSON, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    /// Tokens read so far. The positions can be less: a rebased memory is at 0, a sliding one forgets.
    pub tokens: u64,
    /// The sliding context it was read with, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding: Option<Sliding>,
    /// Version of the software that wrote it.
    pub version: String,
}

/// A context of two staggered memories, in two groups of lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sliding {
    /// Tokens in a window.
    pub window: usize,
    /// Whether the second half of the lanes are the younger memories; in the first window there are none.
    pub younger: bool,
}

/// A memory as it stands in a file.
#[derive(Clone, Debug)]
pub struct StateFile {
    /// The shape of its model.
    pub config: DragonConfig,
    /// Whose memory it is, and of what.
    pub info: StateInfo,
    /// How it is stored.
    pub precision: StoredPrecision,
    /// The memories and positions. With a sliding context the first half of the lanes are the elder memories, which
    /// answer, and the second half the younger ones.
    pub state: DragonState,
    /// The tokens that each stream has read, each once, whether it still remembers them or not: a repetition penalty
    /// goes on from them.
    pub seen: Vec<BTreeSet<u32>>,
}

/// Who wants to go on from a state.
#[derive(Clone, Copy, Debug)]
pub struct StateReader<'a> {
    /// The shape of the model.
    pub config: &'a DragonConfig,
    /// The [hash](crate::hash::model_hash) of the model.
    pub model: &'a str,
    /// SHA-256 of the tokenizer's JSON, where there is one.
    pub tokenizer: Option<&'a str>,
    /// Streams that are to go on.
    pub lanes: usize,
}

impl StateFile {
    /// Streams in the file; each has two memories where the context is sliding and in its second window or later.
    pub fn lanes(&self) -> usize {
        self.state.lanes() / groups(&self.info)
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If the state is not of the configuration's shape or not finite, or what was seen cannot be what was read, or the
    /// precision is f16, whose largest number a memory outgrows, or the file system refuses.
    pub fn write(self, path: &Path) -> Result<(), CheckpointError> {
        let corrupt = |reason: &dyn ToString| CheckpointError::corrupt(path, reason.to_string());
        check_precision(path, self.precision)?;
        let lanes = self.state.lanes();
        self.state
            .check(&self.config, lanes)
            .map_err(|error| corrupt(&error))?;
        let seen = self.seen_tensor(path)?;
        let json = |value: serde_json::Result<String>| value.map_err(|error| corrupt(&error));
        let metadata = BTreeMap::from([
            ("format".to_string(), FORMAT.to_string()),
            ("config".to_string(), json(serde_json::to_string(&self.config))?),
            (
                "positions".to_string(),
                json(serde_json::to_string(self.state.positions()))?,
            ),
            ("precision".to_string(), self.precision.to_string()),
            ("info".to_string(), json(serde_json::to_string(&self.info))?),
        ]);
        let (rho, _) = self.state.into_parts();
        let mut tensors = BTreeMap::from([(SEEN.to_string(), seen)]);
        for (level, rho) in rho.into_iter().enumerate() {
            let data = rho.inner().cast(self.precision.dtype()).into_data();
            check_finite(path, &name(level), &data)?;
            tensors.insert(name(level), data);
        }
        TensorFile { tensors, metadata }.write(path)
    }

    /// What was seen, `[streams, V]`: 1 where a token was read.
    fn seen_tensor(&self, path: &Path) -> Result<TensorData, CheckpointError> {
        let (streams, vocab_size) = (self.lanes(), self.config.vocab_size);
        if self.seen.len() != streams {
            let reason = format!(
                "it says what {} streams have seen, and has {streams}",
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
    /// If it is damaged or is not a state.
    pub fn read(path: &Path, device: &Device) -> Result<Self, CheckpointError> {
        Self::from_tensor_file(TensorFile::read(path)?, path, device)
    }

    /// Checks what was read from `path`.
    ///
    /// # Errors
    /// If it is not a state.
    pub fn from_tensor_file(
        TensorFile {
            mut tensors,
            metadata,
        }: TensorFile,
        path: &Path,
        device: &Device,
    ) -> Result<Self, CheckpointError> {
        let lanes = tensors
            .get(&name(0))
            .and_then(|data| data.shape().first().copied());
        let description = Description::of(path, &metadata, lanes.unwrap_or(0))?;
        let seen = description.seen(path, tensors.remove(SEEN))?;
        let state = description.state(path, tensors, device)?;
        let Description {
            config,
            info,
            precision,
            ..
        } = description;
        Ok(Self {
            config,
            info,
            precision,
            state,
            seen,
        })
    }

    /// Refuses what another model or another tokenizer has read, or another number of streams.
    ///
    /// # Errors
    /// With what the file says and what was expected.
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
                "a memory is one of its own model's neurons: take the model that wrote it",
            );
        }
        if self.info.model != reader.model {
            return foreign(
                "the model that wrote it (sha256)",
                &self.info.model,
                reader.model,
                "a memory means nothing to other weights, not even to another checkpoint of the same run: take the \
                 model that wrote it, or read the text again",
            );
        }
        if self.info.tokenizer.as_deref() != reader.tokenizer {
            let name = |hash: Option<&str>| hash.unwrap_or("none").to_string();
            return foreign(
                "the tokenizer it was read with (sha256)",
                &name(self.info.tokenizer.as_deref()),
                &name(reader.tokenizer),
                "its tokens would mean other texts: take the tokenizer that it was read with, or read the text again",
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

/// The last position: from there on f64 does not tell a token from the next.
const FARTHEST: u64 = 1 << 53;

/// What the metadata says.
struct Description {
    config: DragonConfig,
    info: StateInfo,
    precision: StoredPrecision,
    positions: Vec<u64>,
}

impl Description {
    /// Of memories of so many lanes.
    fn of(path: &Path, metadata: &BTreeMap<String, String>, lanes: usize) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        match metadata.get("format").map(String::as_str) {
            Some(FORMAT) => {}
            Some("burn_dragon.state/1") => {
                return Err(corrupt(format!(
                    "its format is `burn_dragon.state/1`, which did not keep the tokens that were seen, not `{FORMAT}`: \
                     read the text again"
                )));
            }
            Some(other) => {
                return Err(corrupt(format!("its format is `{other}`, not `{FORMAT}`")));
            }
            None => return Err(corrupt("it is a burnpack without a state's description".into())),
        }
        let text = |key: &str| metadata.get(key).ok_or_else(|| corrupt(format!("no `{key}`")));
        let invalid = |key: &str, error: &dyn ToString| corrupt(format!("{key}: {}", error.to_string()));
        for key in ["config", "info"] {
            check_length(path, key, text(key)?)?;
        }
        // Counted before they are read: as text a position takes two bytes, as a number eight.
        let positions = text("positions")?;
        let given = positions.bytes().filter(|byte| *byte == b',').count() + 1;
        if given != lanes {
            return Err(corrupt(format!(
                "it has {given} positions, and memories of {lanes} lanes"
            )));
        }
        let description = Self {
            config: serde_json::from_str(text("config")?).map_err(|error| invalid("config", &error))?,
            info: serde_json::from_str(text("info")?).map_err(|error| invalid("info", &error))?,
            precision: text("precision")?
                .parse()
                .map_err(|error| invalid("precision", &error))?,
            positions: serde_json::from_str(positions).map_err(|error| invalid("positions", &error))?,
        };
        description
            .config
            .validate()
            .map_err(|error| invalid("config", &error))?;
        check_precision(path, description.precision)?;
        let (lanes, groups) = (description.positions.len(), groups(&description.info));
        if lanes == 0 || !lanes.is_multiple_of(groups) {
            let reason = format!("{lanes} lanes are not a number of streams with {groups} memories each");
            return Err(corrupt(reason));
        }
        if let Some(far) = description
            .positions
            .iter()
            .find(|position| **position > FARTHEST)
        {
            return Err(corrupt(format!(
                "a lane is at position {far}, the farthest is {FARTHEST}"
            )));
        }
        if description
            .info
            .sliding
            .is_some_and(|sliding| sliding.window == 0)
        {
            return Err(corrupt("its context is a window of 0 tokens".into()));
        }
        Ok(description)
    }

    /// The tokens that each stream has read.
    fn seen(&self, path: &Path, data: Option<TensorData>) -> Result<Vec<BTreeSet<u32>>, CheckpointError> {
        let streams = self.positions.len() / groups(&self.info);
        let expected = vec![streams, self.config.vocab_size];
        let data = of_shape(path, SEEN, data, expected)?;
        let marks = data.as_slice::<u8>().ok();
        let marks = marks.filter(|marks| marks.iter().all(|mark| *mark <= 1));
        let marks = marks.ok_or_else(|| {
            let reason = format!(
                "tensor `{SEEN}` is {}, and not bytes of 0 and 1 alone",
                data.dtype().name()
            );
            CheckpointError::corrupt(path, reason)
        })?;
        let streams = marks.chunks_exact(self.config.vocab_size).map(|marks| {
            let ids = (0..).zip(marks).filter(|(_, mark)| **mark == 1);
            let seen = ids.map(|(id, _)| id).collect();
            check_seen(path, &seen, self.info.tokens).map(|()| seen)
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
        let expected = vec![lanes, config.n_heads, config.neurons_per_head(), config.d_model];
        let name = name(level);
        let data = of_shape(path, &name, data, expected)?;
        if data.dtype() != self.precision.dtype() {
            let reason = format!(
                "tensor `{name}` is {}, it says {}",
                data.dtype().name(),
                self.precision
            );
            return Err(CheckpointError::corrupt(path, reason));
        }
        let data = StoredPrecision::widen(data);
        check_finite(path, &name, &data)?;
        Ok(Tensor::from_data(data, (device, DType::F32)))
    }
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

/// Memories grow with what is read, beyond the largest number of f16.
fn check_precision(path: &Path, precision: StoredPrecision) -> Result<(), CheckpointError> {
    match precision {
        StoredPrecision::F32 | StoredPrecision::Bf16 => Ok(()),
        StoredPrecision::F16 => Err(CheckpointError::corrupt(
            path,
            "memories are stored as f32 or bf16, not f16: they grow beyond its largest number, 65504",
        )),
    }
}

/// Who has read tokens has seen some, and no more than these.
fn check_seen(path: &Path, seen: &BTreeSet<u32>, tokens: u64) -> Result<(), CheckpointError> {
    let count = seen.len() as u64;
    if count <= tokens && (count > 0 || tokens == 0) {
        return Ok(());
    }
    let reason = format!("a stream has seen {count} different tokens of the {tokens} that it has read");
    Err(CheckpointError::corrupt(path, reason))
}

/// Memories of each stream.
fn groups(info: &StateInfo) -> usize {
    match info.sliding {
        Some(Sliding { younger: true, .. }) => 2,
        _ => 1,
    }
}

fn name(level: usize) -> String {
    format!("rho.{level}")
}

fn shape_in_words(config: &DragonConfig) -> String {
    format!(
        "{} levels, width {}, {} heads, {} neurons, vocabulary {}",
        config.n_levels, config.d_model, config.n_heads, config.n_neurons, config.vocab_size
    )
}

fn check_finite(path: &Path, name: &str, data: &TensorData) -> Result<(), CheckpointError> {
    let finite = match data.as_slice::<f32>() {
        Ok(values) => values.iter().all(|value| value.is_finite()),
        Err(_) => data.iter::<f32>().all(f32::is_finite),
    };
    if finite {
        return Ok(());
    }
    let reason = format!("the memory `{name}` holds values that are not finite");
    Err(CheckpointError::corrupt(path, reason))
}
