//! The model's file of a checkpoint, for families whose models are their parameters and nothing beside.

use crate::error::TrainError;
use burn::module::Module;
use burn_dragon_checkpoint::api::{CheckpointError, Content, ModelFile, ModelInfo, ModelKind, StoredConfig};
use burn_dragon_core::api::expert::{load, snapshot};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// Its name.
const FILE: &str = "model.bpk";

/// A model as a checkpoint keeps it, what [`Task::snapshot`](crate::task::Task::snapshot) gives; `config` is what the family
/// describes a model by.
///
/// # Errors
/// If the configuration is no object, or a parameter is not of a float type.
pub fn save_model<M: Module>(
    kind: &dyn ModelKind,
    config: &impl Serialize,
    model: &M,
    (step, units): (u64, u64),
) -> Result<BTreeMap<String, Content>, TrainError> {
    let info = ModelInfo {
        step,
        units,
        version: env!("CARGO_PKG_VERSION").into(),
        ..ModelInfo::default()
    };
    let file = ModelFile::new(kind.family(), config, info, snapshot(model)).map_err(TrainError::BadInput)?;
    Ok(BTreeMap::from([(
        FILE.into(),
        Content::Tensors(file.into_tensor_file()),
    )]))
}

/// A model with the parameters that a checkpoint folder keeps, for [`Task::restore`](crate::task::Task::restore).
///
/// # Errors
/// If the file is damaged, or of another family, or of a model that is described otherwise.
pub fn read_model<M: Module>(
    kind: &dyn ModelKind,
    config: &impl Serialize,
    model: M,
    folder: &Path,
) -> Result<M, TrainError> {
    let path = folder.join(FILE);
    let file = ModelFile::read(&path)?;
    file.check(kind, &path)?;
    let asked = StoredConfig::of(config).map_err(TrainError::BadInput)?;
    if file.config.value() != asked.value() {
        let reason = format!(
            "it holds {}, the run asks for {}",
            file.config.text(),
            asked.text()
        );
        return Err(CheckpointError::corrupt(&path, reason).into());
    }
    let mut parameters = file.into_floats();
    Ok(load(model, |name, _| parameters.remove(name)))
}
