//! Model in one self-describing file, of any family: stored tensors, configuration, assets, origin.
//!
//! The tensors are burnpack tensors: numbers in f32, f16 or bf16, or packed integer codes. Beside the hash of a
//! [`TensorFile`] the metadata holds:
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
use crate::tensors::{self, Checked, TensorFile, Tensors};
use crate::text::shortened;
use crate::upgrade;
use burn::tensor::TensorData;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// Value of the metadata key `format`.
pub const FORMAT: &str = "burn_dragon.model/2";

/// Prefix of the formats of all model files.
pub const FORMATS: &str = "burn_dragon.model/";

/// Keys of the metadata.
pub(crate) mod key {
    pub(crate) const FORMAT: &str = "format";
    pub(crate) const FAMILY: &str = "family";
    pub(crate) const CONFIG: &str = "config";
    pub(crate) const INFO: &str = "info";
    pub(crate) const CODES: &str = "codes";
    pub(crate) const ASSET: &str = "asset.";
}

/// Metadata key of an asset.
pub(crate) fn asset_key(name: &str) -> String {
    format!("{}{name}", key::ASSET)
}

/// Model as it is stored in a file.
#[derive(Clone, Debug)]
pub struct ModelFile {
    /// Name of the family.
    pub family: String,
    /// Configuration of the model.
    pub config: StoredConfig,
    /// Origin of the model.
    pub info: ModelInfo,
    /// Assets: texts that the model needs, by a plain file name such as `tokenizer.json`.
    pub assets: BTreeMap<String, String>,
    /// Tensors by name.
    pub tensors: BTreeMap<String, StoredTensor>,
}

impl ModelFile {
    /// A model of float tensors, as it would be written.
    ///
    /// # Errors
    /// If the configuration is not a JSON object, or a tensor is not of a float type.
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

    /// The model with a further asset, under a plain file name.
    #[must_use]
    pub fn with_asset(mut self, name: &str, text: impl Into<String>) -> Self {
        self.assets.insert(name.into(), text.into());
        self
    }

    /// Hash of the model: the SHA-256 of its configuration and of its tensors by name, with numbers as f32. It is the
    /// same in memory and in every file.
    pub fn hash(&self) -> String {
        of_model(&self.config, &self.tensors)
    }

    /// The model with its numbers stored in `precision`. Packed codes are unchanged.
    ///
    /// # Errors
    /// If a number is out of range for the precision. `path` is the file to be written, for the error.
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
                let reason =
                    format!("tensor `{name}` holds numbers out of the range of {precision}; use bf16 or f32");
                Err(CheckpointError::refused(path, reason))
            }
        }
    }

    /// Size of the stored tensors in bytes.
    pub fn bytes(&self) -> u64 {
        let tensors = self.tensors.values();
        tensors.map(|tensor| tensor.data().as_bytes().len() as u64).sum()
    }

    /// Writes the file atomically.
    ///
    /// # Errors
    /// If a description is longer than the limit, or the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        self.check_descriptions(path)?;
        tensors::check_writable(self.by_name(), self.metadata(), path)?;
        write_atomic(&Os, path, |sink| {
            tensors::write_to(self.by_name(), self.metadata(), sink)
        })
    }

    /// Tensors of the file, by name.
    pub(crate) fn by_name(&self) -> Tensors<'_> {
        let tensors = self.tensors.iter();
        tensors
            .map(|(name, tensor)| (name.as_str(), tensor.data()))
            .collect()
    }

    /// Checks that a reader would accept the descriptions. `path` is the file to be written, for the error.
    ///
    /// # Errors
    /// If a text is too long, or the name of the family or of an asset is not plain.
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
                "its `{key}` would have {} bytes, at most {MAX_TEXT} are read; of a licence give only the name",
                text.len()
            )),
        }
    }

    /// Content of the file.
    pub fn into_tensor_file(self) -> TensorFile {
        let metadata = self.metadata();
        let tensors = self.tensors.into_iter();
        TensorFile {
            metadata,
            tensors: tensors.map(|(name, tensor)| (name, tensor.into_data())).collect(),
        }
    }

    /// Metadata of the file: everything but the tensors.
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

    /// Metadata entry of the packed codes; `None` without packed codes.
    fn codes(&self) -> Option<(String, String)> {
        let of = |(name, tensor): (&String, &StoredTensor)| match tensor {
            StoredTensor::Codes(codes) => Some((name.clone(), codes.entry())),
            StoredTensor::Float(_) => None,
        };
        let codes: BTreeMap<String, CodesEntry> = self.tensors.iter().filter_map(of).collect();
        (!codes.is_empty()).then(|| (key::CODES.to_string(), json(&codes)))
    }

    /// Reads and checks a file: hash, format, description, types, finite values. [`check`](Self::check) compares it
    /// with its family.
    ///
    /// # Errors
    /// If it is damaged or is not a model.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        let (file, checked) = TensorFile::read_and_check(path)?;
        Self::of_checked(file, &checked, path)
    }

    /// The model in a file that was read from `path`.
    pub(crate) fn of_checked(
        file: TensorFile,
        checked: &Checked,
        path: &Path,
    ) -> Result<Self, CheckpointError> {
        let model = Described::of(file.metadata, path)?.with_tensors(file.tensors, path)?;
        refuse_not_finite(checked.not_finite.first(), path).map(|()| model)
    }

    /// Checks the content of a file, like [`read`](Self::read). `path` is the file, for the error.
    ///
    /// # Errors
    /// If it is not a model.
    pub fn from_tensor_file(file: TensorFile, path: &Path) -> Result<Self, CheckpointError> {
        let model = Described::of(file.metadata, path)?.with_tensors(file.tensors, path)?;
        let wrong = model.tensors.iter().find(|(_, tensor)| !tensor.is_finite());
        refuse_not_finite(wrong.map(|(name, _)| name), path).map(|()| model)
    }

    /// Checks that the tensors are those of the family for this configuration: name, shape, type and value.
    ///
    /// # Errors
    /// The first tensor that is wrong.
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

    /// Float tensors in f32, with exact values.
    pub fn into_floats(self) -> BTreeMap<String, TensorData> {
        let widened = |(name, tensor)| match tensor {
            StoredTensor::Float(data) => Some((name, StoredPrecision::widen(data))),
            StoredTensor::Codes(_) => None,
        };
        self.tensors.into_iter().filter_map(widened).collect()
    }
}

/// Checks that a tensor exists, has this shape and type, and is finite.
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
    refuse_not_finite((!tensor.is_finite()).then_some(&named), path)
}

/// Refuses a file in which the tensor of this name holds a number that is not finite.
fn refuse_not_finite(name: Option<&String>, path: &Path) -> Result<(), CheckpointError> {
    let Some(name) = name else { return Ok(()) };
    let reason = format!("tensor `{name}` holds values that are not finite");
    Err(CheckpointError::corrupt(path, reason))
}

/// Model without its tensors, from the metadata of its file.
#[derive(Debug)]
pub struct Described {
    /// Description of the model.
    pub model: ModelFile,
    codes: BTreeMap<String, CodesEntry>,
}

impl Described {
    /// Description in the metadata of a file. An earlier format is upgraded. `path` is the file, for the error.
    ///
    /// # Errors
    /// If the metadata is not that of a model, or a description is not valid.
    pub fn of(metadata: BTreeMap<String, String>, path: &Path) -> Result<Self, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(path, reason);
        let mut metadata = upgrade::model(metadata, path)?;
        match metadata.get(key::FORMAT).map(String::as_str) {
            Some(FORMAT) => {}
            Some(other) => {
                let other = shortened(other);
                return Err(corrupt(format!(
                    "its format is `{other}`, this version reads `{FORMAT}` and earlier formats"
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
    /// If a tensor is neither of a float type nor the packed codes that the metadata describes.
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

/// Configuration in the metadata of a file.
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

/// Value of a description in the metadata, if its text is no longer than [`MAX_TEXT`].
///
/// # Errors
/// If it is longer, or does not deserialise.
pub fn described<T: for<'a> Deserialize<'a>>(
    path: &Path,
    key: &str,
    text: &str,
) -> Result<T, CheckpointError> {
    check_length(path, key, text)?;
    serde_json::from_str(text).map_err(|error| CheckpointError::corrupt(path, format!("{key}: {error}")))
}

/// Limit on the length of a description in bytes. Parsed into values, a list takes many times the memory of its text.
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
