//! Memory of a model in one file, of any family, from which it continues.
//!
//! The memories are burnpack tensors under the names of the family. Beside the hash of a [`TensorFile`] the metadata
//! holds:
//!
//! | key | |
//! |---|---|
//! | `format` | `burn_dragon.state/3` |
//! | `family` | the family's name |
//! | `config` | the configuration of the model, a JSON object of the family's |
//! | `positions` | the position of each lane, JSON |
//! | `info` | whose memory it is, and of what, JSON ([`StateInfo`]) |
//!
//! Outputs are not stored. A state holds what was read, so a continuation needs at least one new unit.

use crate::error::CheckpointError;
use crate::model::{StoredConfig, config_of, described, json};
use crate::names::is_plain_name;
use crate::stored::is_finite;
use crate::tensors::TensorFile;
use crate::text::shortened;
use crate::upgrade;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;

/// Value of the metadata key `format`.
pub const FORMAT: &str = "burn_dragon.state/3";

/// Prefix of the formats of all state files.
pub const FORMATS: &str = "burn_dragon.state/";

/// Keys of the metadata.
pub(crate) mod key {
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const FAMILY: &str = "family";
    pub(crate) const CONFIG: &str = "config";
    pub(crate) const POSITIONS: &str = "positions";
    pub(crate) const INFO: &str = "info";
}

/// Limit on positions. Above it f64 cannot tell one position from the next.
const FARTHEST: u64 = 1 << 53;

/// Origin of a memory: the model, the assets, and the number of units read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StateInfo {
    /// The [hash](crate::model::ModelFile::hash) of the model that wrote it.
    pub model: String,
    /// SHA-256 of each asset that was used to read, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub assets: BTreeMap<String, String>,
    /// Number of units read so far. A position can be less.
    pub units: u64,
    /// Version of the software that wrote the file.
    pub version: String,
    /// Further values of the family, by its own keys.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// Memory as it is stored in a file.
#[derive(Clone, Debug)]
pub struct StateFile {
    /// Name of the family.
    pub family: String,
    /// Configuration of the model.
    pub config: StoredConfig,
    /// Origin of the memory.
    pub info: StateInfo,
    /// Position of each lane.
    pub positions: Vec<u64>,
    /// Memories by name. If a memory has lanes, they are its first axis.
    pub tensors: BTreeMap<String, TensorData>,
}

impl StateFile {
    /// Writes the file atomically.
    ///
    /// # Errors
    /// If a memory is not finite, or the file system refuses.
    pub fn write(self, path: &Path) -> Result<(), CheckpointError> {
        self.check(path)?;
        self.into_tensor_file().write(path)
    }

    /// Content of the file.
    pub fn into_tensor_file(self) -> TensorFile {
        let metadata = [
            (key::FORMAT, FORMAT.to_string()),
            (key::FAMILY, self.family),
            (key::CONFIG, self.config.text().to_string()),
            (key::POSITIONS, json(&self.positions)),
            (key::INFO, json(&self.info)),
        ];
        TensorFile {
            metadata: metadata.map(|(key, text)| (key.to_string(), text)).into(),
            tensors: self.tensors,
        }
    }

    /// Reads and checks a file: hash, format, description, positions, finite values. The family checks whether the
    /// memory is one of its own.
    ///
    /// # Errors
    /// If it is damaged or is not a state.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_tensor_file(TensorFile::read(path)?, path)
    }

    /// Checks the content of a file, like [`read`](Self::read). `path` is the file, for the error.
    ///
    /// # Errors
    /// If it is not a state.
    pub fn from_tensor_file(file: TensorFile, path: &Path) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let TensorFile { tensors, metadata } = file;
        check_format(&metadata, path)?;
        let mut metadata = upgrade::state(metadata, path)?;
        let family = metadata.remove(key::FAMILY);
        let text = |key: &str| metadata.get(key).ok_or_else(|| corrupt(format!("no `{key}`")));
        let state = Self {
            family: family.ok_or_else(|| corrupt(format!("no `{}`", key::FAMILY)))?,
            config: config_of(&metadata, path)?,
            info: described(path, key::INFO, text(key::INFO)?)?,
            positions: positions(text(key::POSITIONS)?, &tensors).map_err(corrupt)?,
            tensors,
        };
        state.check(path)?;
        Ok(state)
    }

    /// Checks what holds for memories of every family.
    fn check(&self, path: &Path) -> Result<(), CheckpointError> {
        let refuse = |reason: String| Err(CheckpointError::corrupt(path, reason));
        if !is_plain_name(&self.family) {
            return refuse(format!("{:?} is not a plain name", shortened(&self.family)));
        }
        if let Some(far) = self.positions.iter().find(|position| **position > FARTHEST) {
            return refuse(format!(
                "a lane is at position {far}, the farthest is {FARTHEST}, the limit of exact positions"
            ));
        }
        let wrong = self.tensors.iter().find(|(_, data)| !is_finite(data));
        match wrong {
            None => Ok(()),
            Some((name, _)) => refuse(format!("the memory `{name}` holds values that are not finite")),
        }
    }
}

/// Refuses a format that is not a supported state.
fn check_format(metadata: &BTreeMap<String, String>, path: &Path) -> Result<(), CheckpointError> {
    let refuse = |reason: String| Err(CheckpointError::corrupt(path, reason));
    match metadata.get(key::FORMAT).map(String::as_str) {
        Some(FORMAT | upgrade::STATE_2) => Ok(()),
        Some("burn_dragon.state/1") => refuse(format!(
            "its format is `burn_dragon.state/1`, which did not keep the tokens that were seen, not `{FORMAT}`: read the \
             text again"
        )),
        Some(other) => refuse(format!("its format is `{}`, not `{FORMAT}`", shortened(other))),
        None => refuse("it is a burnpack without a state's description".into()),
    }
}

/// Positions of lanes that have a memory. Their number is checked before they are parsed: a position takes two bytes as
/// text and eight as a number.
fn positions(text: &str, tensors: &BTreeMap<String, TensorData>) -> Result<Vec<u64>, String> {
    let given = text.bytes().filter(|byte| *byte == b',').count() + 1;
    let lanes = tensors
        .values()
        .filter_map(|data| data.shape().first().copied())
        .max()
        .unwrap_or_default();
    if given > lanes {
        return Err(format!("it has {given} positions, and memories of {lanes} lanes"));
    }
    serde_json::from_str(text).map_err(|error| format!("{}: {error}", key::POSITIONS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn state() -> StateFile {
        let data = TensorData::new(vec![0.5f32, -1.0, 2.0, 3.0], [2, 2]);
        StateFile {
            family: "toy".into(),
            config: StoredConfig::of(&json!({"size": 2})).unwrap(),
            info: StateInfo {
                model: "abc".into(),
                assets: BTreeMap::from([("labels.txt".to_string(), "def".to_string())]),
                units: 9,
                version: "test".into(),
                details: Map::from_iter([("kept".to_string(), json!(true))]),
            },
            positions: vec![9, 3],
            tensors: BTreeMap::from([("memory".to_string(), data)]),
        }
    }

    fn refused(file: TensorFile, reason: &str) {
        let error = StateFile::from_tensor_file(file, Path::new("a.state")).unwrap_err();
        assert!(
            error.is_bad_input() && error.to_string().contains(reason),
            "{error}"
        );
    }

    #[test]
    fn a_memory_of_any_family_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.state");
        state().write(&path).unwrap();
        let read = StateFile::read(&path).unwrap();
        assert_eq!((&read.family, &read.info), (&state().family, &state().info));
        assert_eq!(read.positions, state().positions);
        assert_eq!(read.tensors, state().tensors);
        assert_eq!(read.config.text(), state().config.text());
    }

    #[test]
    fn what_is_no_memory_is_refused() {
        let with = |key: &str, text: &str| {
            let mut file = state().into_tensor_file();
            file.metadata.insert(key.into(), text.into());
            file
        };
        refused(with("format", "burn_dragon.state/1"), "read the text again");
        refused(with("format", "burn_dragon.state/4"), "burn_dragon.state/4");
        refused(with("family", "a b"), "plain name");
        refused(with("config", "7"), "object");
        refused(with("info", "{}"), "model");
        refused(
            with("positions", "[1,2,3]"),
            "3 positions, and memories of 2 lanes",
        );
        refused(with("positions", "[-1]"), "positions");
        refused(with("positions", "[9007199254740993]"), "the farthest is");
        for key in ["family", "config", "info", "positions"] {
            let mut file = state().into_tensor_file();
            file.metadata.remove(key);
            refused(file, &format!("no `{key}`"));
        }
        let mut file = state().into_tensor_file();
        file.metadata.clear();
        refused(file, "without a state's description");
        let mut file = state();
        let memory = TensorData::new(vec![f32::NAN, 0.0], [2]);
        file.tensors.insert("memory".into(), memory);
        refused(file.into_tensor_file(), "not finite");
    }
}
