//! A model from one form to another.

use crate::official::{OfficialConfig, is_torch, read_safetensors, read_torch, write_safetensors};
use crate::resolve::{LoadedModel, ModelPath};
use burn_dragon_checkpoint::api::{CheckpointError, Kinds, ModelFile};
use std::path::Path;

/// The form of a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.bpk`, of any family.
    Burnpack,
    /// Official `.safetensors`, of what the official release can hold.
    Safetensors,
}

impl Form {
    /// The form that the ending of a name means, if it means one.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "bpk" => Some(Self::Burnpack),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// Writes a model, and returns what is to be told of it, in words.
    ///
    /// # Errors
    /// If the form cannot hold the model, or the file system refuses.
    pub fn write(self, model: &ModelFile, to: &Path) -> Result<Vec<String>, CheckpointError> {
        match self {
            Self::Burnpack => model.write(to).map(|()| Vec::new()),
            Self::Safetensors => write_safetensors(model, to),
        }
    }
}

/// A model that was read, of whatever form it was.
#[derive(Clone, Debug)]
pub struct AnyModel {
    /// The model, and what is known of where it was.
    pub loaded: LoadedModel,
    /// What was passed over or assumed, in words.
    pub notes: Vec<String>,
}

/// Reads a model of any form. Here alone a pickle becomes a model.
///
/// # Errors
/// If there is none, it is damaged or of a family that is not among `kinds`, or weights need a configuration.
pub fn read_any(from: &ModelPath, kinds: &Kinds) -> Result<AnyModel, CheckpointError> {
    let path = &from.path;
    let torch = path.is_file() && is_torch(path);
    let safetensors = path.is_file() && path.extension().is_some_and(|ending| ending == "safetensors");
    if !(torch || safetensors) {
        let loaded = from.load(kinds)?;
        return Ok(AnyModel {
            loaded,
            notes: Vec::new(),
        });
    }
    let config = from.official_config.as_deref().map(OfficialConfig::read);
    let config = config.transpose()?;
    let imported = match torch {
        true => read_torch(path, config.as_ref())?,
        false => read_safetensors(path, config.as_ref())?,
    };
    kinds.check(&imported.model, path)?;
    Ok(AnyModel {
        loaded: LoadedModel {
            file: path.clone(),
            run: None,
            model: imported.model,
            passed_over: Vec::new(),
        },
        notes: imported.notes,
    })
}
