//! A model in one self-describing file: tensors as stored, configuration, assets, where it came from. Of any family.
//!
//! The tensors are burnpack tensors: numbers in f32, f16 or bf16, or packed integer codes. The metadata holds, beside the
//! hash that [`TensorFile`] keeps:
//!
//! | key | |
//! |---|---|
//! | `format` | `burn_dragon.model/2` |
//! | `family` | the family's name |
//! | `config` | the configuration, a JSON object of the family's |
//! | `info` | where the model came from, JSON ([`ModelInfo`]) |
//! | `codes` | where there are packed codes: of each tensor of codes `bits`, `shape`, and `scales`, the tensor beside it; JSON |
//! | `asset.NAME` | a text that the model needs, such as its tokenizer, by a plain file name |

mod config;
mod info;

pub use config::StoredConfig;
pub use info::{ModelInfo, Provenance};

use crate::bounded::Unique;
use crate::burnpack::{MAX_TENSORS, is_name};
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::of_model;
use crate::kind::ModelKind;
use crate::names::is_plain_name;
use crate::precision::StoredPrecision;
use crate::stored::{Codes, CodesEntry, Stored, StoredTensor};
use crate::tensors::{self, TensorFile, Tensors};
use crate::text::shortened;
use crate::upgrade;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The value of the metadata key `format`.
pub const FORMAT: &str = "burn_dragon.model/2";

/// How the formats of all models begin.
pub const FORMATS: &str = "burn_dragon.model/";

/// The keys of the metadata.
pub(crate) mod key {
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const FAMILY: &str = "family";
    pub(crate) const CONFIG: &str = "config";
    pub(crate) const INFO: &str = "info";
    pub(crate) const CODES: &str = "codes";
    pub(crate) const ASSET: &str = "asset.";
}

/// The metadata key of an asset.
pub(crate) fn asset_key(name: &str) -> String {
    format!("{}{name}", key::ASSET)
}

/// A model as it stands in a file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// The family's name.
    pub family: String,
    /// The family's configuration.
    pub config: StoredConfig,
    /// Where it came from.
    pub info: ModelInfo,
    /// Texts that it needs, by a plain file name: `tokenizer.json`.
    pub assets: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, StoredTensor>,
}

impl ModelFile {
    /// A model as it would be written, of float tensors.
    ///
    /// # Errors
    /// If the configuration is no JSON object, or a tensor is not of a float type.
    pub fn new(
        family: &str,
        config: &impl Serialize,
        info: ModelInfo,
        tensors: BTreeMap<String, TensorData>,
    ) -> Result<Self, String> {
        let stored = |(name, data)| match StoredTensor::float(data) {
            Ok(tensor) => Ok((name, tensor)),
            Err(error) => Err(format!("tensor `{name}`: {error}")),
        };
        Ok(Self {
            family: family.into(),
            config: StoredConfig::of(config)?,
            info,
            assets: BTreeMap::new(),
            tensors: tensors.into_iter().map(stored).collect::<Result<_, String>>()?,
        })
    }

    /// With a text that it needs, by a plain file name.
    #[must_use]
    pub fn with_asset(mut self, name: &str, text: impl Into<String>) -> Self {
        self.assets.insert(name.into(), text.into());
        self
    }

    /// What tells this model from every other: the SHA-256 of its configuration and its tensors by name, numbers as the f32
    /// that each of them is. The same in memory and in whatever file.
    pub fn hash(&self) -> String {
        of_model(&self.config, &self.tensors)
    }

    /// The model with its numbers stored in `precision`; codes stay.
    ///
    /// # Errors
    /// If a number is beyond what the precision can hold; `path` is where it was to go.
    pub fn rounded(mut self, precision: StoredPrecision, path: &Path) -> Result<Self, CheckpointError> {
        let round = |(name, tensor)| match tensor {
            StoredTensor::Float(data) => (name, StoredTensor::Float(precision.round(data))),
            codes @ StoredTensor::Codes(_) => (name, codes),
        };
        self.tensors = self.tensors.into_iter().map(round).collect();
        let lost = self.tensors.iter().find(|(_, tensor)| !tensor.is_finite());
        match lost {
            None => Ok(self),
            Some((name, _)) => {
                let reason = format!(
                    "tensor `{name}` holds numbers beyond what {precision} can hold; use bf16 or f32"
                );
                Err(CheckpointError::refused(path, reason))
            }
        }
    }

    /// Bytes of its tensors, as they are stored.
    pub fn bytes(&self) -> u64 {
        let tensors = self.tensors.values();
        tensors.map(|tensor| tensor.data().as_bytes().len() as u64).sum()
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// If its description is longer than is read, or the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.check_descriptions(path)?;
        tensors::check_writable(self.by_name(), self.metadata(), path)?;
        write_atomic(&Os, path, |sink| {
            tensors::write_to(self.by_name(), self.metadata(), sink)
        })
    }

    /// The tensors of the file.
    pub(crate) fn by_name(&self) -> Tensors<'_> {
        let tensors = self.tensors.iter();
        tensors
            .map(|(name, tensor)| (name.as_str(), tensor.data()))
            .collect()
    }

    /// Refuses a description that would not be read again: the file at `path` would be one that nobody can read.
    ///
    /// # Errors
    /// If a text is too long, or the family or an asset has no plain name.
    pub fn check_descriptions(&self, path: &Path) -> Result<(), CheckpointError> {
        let refused = |reason: String| Err(CheckpointError::refused(path, reason));
        let names = self.assets.keys().chain([&self.family]);
        if let Some(name) = names.into_iter().find(|name| !is_plain_name(name)) {
            return refused(format!("`{}` is not a plain name", shortened(name)));
        }
        let described = [
            (key::CONFIG.to_string(), self.config.text().to_string()),
            (key::INFO.to_string(), json(&self.info)),
        ];
        let texts = described.into_iter().chain(self.codes());
        match texts.into_iter().find(|(_, text)| text.len() > MAX_TEXT) {
            None => Ok(()),
            Some((key, text)) => refused(format!(
                "its `{key}` would have {} bytes, at most {MAX_TEXT} are read; of a licence the name is enough",
                text.len()
            )),
        }
    }

    /// What the file holds.
    pub fn into_tensor_file(self) -> TensorFile {
        let metadata = self.metadata();
        let tensors = self.tensors.into_iter();
        TensorFile {
            metadata,
            tensors: tensors.map(|(name, tensor)| (name, tensor.into_data())).collect(),
        }
    }

    /// Everything but the tensors, as it stands in a file.
    pub(crate) fn metadata(&self) -> BTreeMap<String, String> {
        let described = [
            (key::FORMAT, FORMAT.to_string()),
            (key::FAMILY, self.family.clone()),
            (key::CONFIG, self.config.text().to_string()),
            (key::INFO, json(&self.info)),
        ];
        let described = described.map(|(key, text)| (key.to_string(), text));
        let assets = self.assets.iter();
        let assets = assets.map(|(name, text)| (asset_key(name), text.clone()));
        described.into_iter().chain(self.codes()).chain(assets).collect()
    }

    /// What a file says of packed codes, where there are any.
    fn codes(&self) -> Option<(String, String)> {
        let of = |(name, tensor): (&String, &StoredTensor)| match tensor {
            StoredTensor::Codes(codes) => Some((name.clone(), codes.entry())),
            StoredTensor::Float(_) => None,
        };
        let codes: BTreeMap<String, CodesEntry> = self.tensors.iter().filter_map(of).collect();
        (!codes.is_empty()).then(|| (key::CODES.to_string(), json(&codes)))
    }

    /// Reads and checks a file: hash, format, description, types, finite values. Whether it is a model of its family is
    /// [`check`](Self::check)'s to say.
    ///
    /// # Errors
    /// If it is damaged or is not a model.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Self::from_tensor_file(TensorFile::read(path)?, path)
    }

    /// Checks what was read from `path`, as [`read`](Self::read).
    ///
    /// # Errors
    /// If it is not a model.
    pub fn from_tensor_file(file: TensorFile, path: &Path) -> Result<Self, CheckpointError> {
        let model = Described::of(file.metadata, path)?.with_tensors(file.tensors, path)?;
        let wrong = model.tensors.iter().find(|(_, tensor)| !tensor.is_finite());
        match wrong {
            None => Ok(model),
            Some((name, _)) => {
                let reason = format!("tensor `{name}` holds values that are not finite");
                Err(CheckpointError::corrupt(path, reason))
            }
        }
    }

    /// Refuses tensors that are not the family's for this configuration, in name, shape, type or value.
    ///
    /// # Errors
    /// Naming the first that is wrong.
    pub fn check(&self, kind: &dyn ModelKind, path: &Path) -> Result<(), CheckpointError> {
        let expected = kind
            .tensors(self.config.value())
            .map_err(|error| CheckpointError::corrupt(path, error))?;
        let expected: BTreeMap<String, (Vec<usize>, Stored)> = expected
            .into_iter()
            .map(|spec| (spec.name, (spec.shape, spec.stored)))
            .collect();
        for (name, (shape, stored)) in &expected {
            check_tensor(path, name, self.tensors.get(name), shape, *stored)?;
        }
        let unknown = self.tensors.keys().filter(|name| !expected.contains_key(*name));
        let names: Vec<String> = unknown.cloned().collect();
        match names.is_empty() {
            true => Ok(()),
            false => {
                let path = path.to_path_buf();
                Err(CheckpointError::UnknownTensors { path, names })
            }
        }
    }

    /// The float tensors in f32, each number as it is.
    pub fn into_floats(self) -> BTreeMap<String, TensorData> {
        let widened = |(name, tensor)| match tensor {
            StoredTensor::Float(data) => Some((name, StoredPrecision::widen(data))),
            StoredTensor::Codes(_) => None,
        };
        self.tensors.into_iter().filter_map(widened).collect()
    }
}

/// A tensor that is there, of this shape and type, all finite.
fn check_tensor(
    path: &Path,
    name: &str,
    tensor: Option<&StoredTensor>,
    expected: &[usize],
    stored: Stored,
) -> Result<(), CheckpointError> {
    let (at, named, shape) = (path.to_path_buf(), name.to_string(), expected.to_vec());
    let Some(tensor) = tensor else {
        return Err(CheckpointError::MissingTensor {
            path: at,
            name: named,
            expected: shape,
        });
    };
    if tensor.shape() != expected {
        return Err(CheckpointError::Shape {
            path: at,
            name: named,
            given: tensor.shape(),
            expected: shape,
        });
    }
    if tensor.stored() != stored {
        let reason = format!("tensor `{name}` holds {}, expected {stored}", tensor.stored());
        return Err(CheckpointError::corrupt(path, reason));
    }
    if !tensor.is_finite() {
        let reason = format!("tensor `{name}` holds values that are not finite");
        return Err(CheckpointError::corrupt(path, reason));
    }
    Ok(())
}

/// A model without its tensors, from the text of its file.
#[derive(Debug)]
pub struct Described {
    /// What the text says of the model.
    pub model: ModelFile,
    codes: BTreeMap<String, CodesEntry>,
}

impl Described {
    /// What the text of a file at `path` says; of an earlier format, as it is said now.
    ///
    /// # Errors
    /// If it is not a model's, or a description is not sound.
    pub fn of(metadata: BTreeMap<String, String>, path: &Path) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let mut metadata = upgrade::model(metadata, path)?;
        match metadata.get(key::FORMAT).map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                let other = shortened(other);
                return Err(corrupt(format!(
                    "its format is `{other}`, this version reads `{FORMAT}` and those before it"
                )));
            }
            None => return Err(corrupt("it is a burnpack without a model's description".into())),
        }
        let family = metadata.remove(key::FAMILY);
        let family = family.ok_or_else(|| corrupt(format!("no `{}`", key::FAMILY)))?;
        let mut assets = BTreeMap::new();
        for (key, text) in &mut metadata {
            if let Some(name) = key.strip_prefix(key::ASSET) {
                assets.insert(name.to_string(), std::mem::take(text));
            }
        }
        if let Some(name) = assets.keys().chain([&family]).find(|name| !is_plain_name(name)) {
            return Err(corrupt(format!("{:?} is not a plain name", shortened(name))));
        }
        let codes: Unique<CodesEntry, MAX_TENSORS> = match metadata.contains_key(key::CODES) {
            true => parsed(path, &metadata, key::CODES)?,
            false => Unique::default(),
        };
        Ok(Self {
            model: ModelFile {
                family,
                config: config_of(&metadata, path)?,
                info: parsed(path, &metadata, key::INFO)?,
                assets,
                tensors: BTreeMap::new(),
            },
            codes: codes.0,
        })
    }

    /// The model with the tensors of its file.
    ///
    /// # Errors
    /// If one is neither of a float type nor the codes that the text says it is.
    pub fn with_tensors(
        self,
        mut tensors: BTreeMap<String, TensorData>,
        path: &Path,
    ) -> Result<ModelFile, CheckpointError> {
        let Self { mut model, codes } = self;
        let corrupt = |name: &str, reason: String| {
            CheckpointError::corrupt(path, format!("tensor `{}`: {reason}", shortened(name)))
        };
        for (name, entry) in codes {
            let packed = tensors.remove(&name);
            let packed = packed.ok_or_else(|| corrupt(&name, "its codes are not there".into()))?;
            let codes = Codes::from_file(packed, entry).map_err(|error| corrupt(&name, error))?;
            if !is_name(codes.scales()) || !tensors.contains_key(codes.scales()) {
                let reason = format!("its scales, `{}`, are not there", shortened(codes.scales()));
                return Err(corrupt(&name, reason));
            }
            model.tensors.insert(name, StoredTensor::Codes(codes));
        }
        for (name, data) in tensors {
            let tensor = StoredTensor::float(data).map_err(|error| corrupt(&name, error))?;
            model.tensors.insert(name, tensor);
        }
        Ok(model)
    }
}

/// The configuration in the text of a file.
pub(crate) fn config_of(
    metadata: &BTreeMap<String, String>,
    path: &Path,
) -> Result<StoredConfig, CheckpointError> {
    let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
    let text = metadata
        .get(key::CONFIG)
        .ok_or_else(|| corrupt(format!("no `{}`", key::CONFIG)))?;
    check_length(path, key::CONFIG, text)?;
    StoredConfig::parse(text.as_str()).map_err(|error| corrupt(format!("{}: {error}", key::CONFIG)))
}

pub(crate) fn json(value: &impl Serialize) -> String {
    match serde_json::to_string(value) {
        Ok(text) => text,
        Err(error) => unreachable!("a description is plain numbers and names: {error}"),
    }
}

pub(crate) fn parsed<T: for<'a> Deserialize<'a>>(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    key: &str,
) -> Result<T, CheckpointError> {
    let text = metadata
        .get(key)
        .ok_or_else(|| CheckpointError::corrupt(path, format!("no `{key}`")))?;
    described(path, key, text)
}

/// What a text of a file describes, if it is no longer than [`MAX_TEXT`].
///
/// # Errors
/// If it is longer, or does not read.
pub fn described<T: for<'a> Deserialize<'a>>(
    path: &Path,
    key: &str,
    text: &str,
) -> Result<T, CheckpointError> {
    check_length(path, key, text)?;
    serde_json::from_str(text).map_err(|error| CheckpointError::corrupt(path, format!("{key}: {error}")))
}

/// Bytes of the longest description: read as values, a list takes many times the memory of its text.
pub const MAX_TEXT: usize = 32 << 10;

/// Refuses a description that is longer than [`MAX_TEXT`].
pub(crate) fn check_length(path: &Path, key: &str, text: &str) -> Result<(), CheckpointError> {
    if text.len() <= MAX_TEXT {
        return Ok(());
    }
    let reason = format!(
        "its `{key}` has {} bytes, at most {MAX_TEXT} are read",
        text.len()
    );
    Err(CheckpointError::corrupt(path, reason))
}

#[cfg(test)]
pub(crate) mod tests;
