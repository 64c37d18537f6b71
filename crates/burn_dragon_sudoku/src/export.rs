//! Interim until the container is there.
use crate::model::SudokuModel;
use burn_dragon_checkpoint::tensors::TensorFile;
use burn_dragon_core::api::expert::{load, snapshot};
use std::path::Path;

pub(crate) fn model_file(model: &SudokuModel) -> TensorFile {
    TensorFile {
        metadata: Default::default(),
        tensors: snapshot(model),
    }
}
pub(crate) fn restore(
    model: SudokuModel,
    path: &Path,
) -> Result<SudokuModel, burn_dragon_checkpoint::CheckpointError> {
    let mut file = TensorFile::read(path)?;
    Ok(load(model, |name, _| file.tensors.remove(name)))
}
