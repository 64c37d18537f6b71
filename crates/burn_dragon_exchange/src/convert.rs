//! Conversion of a model between file formats.

use crate::official::{OfficialConfig, is_torch, read_safetensors, read_torch, write_safetensors};
use crate::resolve::{LoadedModel, ModelPath, repacked};
use burn_dragon_checkpoint::api::{CheckpointError, Kinds, ModelFile, ModelKind};
use std::path::Path;

/// File format of a converted model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `.bpk`, for models of every family.
    Burnpack,
    /// Official `.safetensors`, for models that the official release can hold.
    Safetensors,
}

impl Form {
    /// Format by the ending of a name; `None` if the ending is not that of a format.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "bpk" => Some(Self::Burnpack),
            "safetensors" => Some(Self::Safetensors),
            _ => None,
        }
    }

    /// Writes a model. Returns notes for the user.
    ///
    /// # Errors
    /// If the format cannot hold the model, or the file system refuses.
    pub fn write(
        self,
        model: &ModelFile,
        kind: &dyn ModelKind,
        to: &Path,
    ) -> Result<Vec<String>, CheckpointError> {
        match self {
            Self::Burnpack => model.write(to).map(|()| Vec::new()),
            Self::Safetensors => {
                let floats = kind.unpacked(model.clone());
                let floats = floats.map_err(|reason| CheckpointError::corrupt(to, reason))?;
                write_safetensors(&floats, to)
            }
        }
    }
}

/// Model that was read from any format.
#[derive(Clone, Debug)]
pub struct AnyModel {
    /// The model, and the place where it was found.
    pub loaded: LoadedModel,
    /// Notes for the user: data that was ignored, values that were assumed.
    pub notes: Vec<String>,
}

/// Reads a model of any format. This is the only function that reads a pickle as a model.
///
/// # Errors
/// If there is no model, it is damaged, its family is not among `kinds`, or weights need a configuration.
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
    let model = repacked(imported.model, kinds, path)?;
    kinds.check(&model, path)?;
    Ok(AnyModel {
        loaded: LoadedModel {
            file: path.clone(),
            run: None,
            model,
            passed_over: Vec::new(),
        },
        notes: imported.notes,
    })
}
