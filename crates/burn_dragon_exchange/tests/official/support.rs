//! The files of `burn_dragon_testing::pt`, read.

use burn_dragon_checkpoint::api::{CheckpointError, Kinds, ModelKind};
use burn_dragon_exchange::api::expert::ForeignFile;
use burn_dragon_exchange::api::{Imported, OfficialConfig};
use burn_dragon_language::api::LANGUAGE;
use burn_dragon_testing::pt::CONFIG;
use std::path::Path;

/// A `.pt` file of these bytes, imported with [`CONFIG`].
pub(crate) fn import(bytes: &[u8]) -> Result<Imported, CheckpointError> {
    let config = OfficialConfig::parse(Path::new("config.json"), CONFIG).unwrap();
    ForeignFile::torch_bytes(bytes.to_vec(), Path::new("weights.pt"))?.model(Some(&config))
}

pub(crate) fn config(folder: &Path) -> OfficialConfig {
    let path = folder.join("config.json");
    std::fs::write(&path, CONFIG).unwrap();
    OfficialConfig::read(&path).unwrap()
}

/// The family of official weights.
pub(crate) fn kinds() -> Kinds {
    Kinds::new([&LANGUAGE as &dyn ModelKind])
}
