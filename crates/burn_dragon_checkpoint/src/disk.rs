//! stand-in until A's lands
use crate::error::CheckpointError;
use std::io::Write;
use std::path::Path;
#[derive(Debug)]
/// x
pub struct Os;
/// # Errors
/// x
pub fn write_atomic(
    _: &Os,
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), CheckpointError> {
    let draft = path.with_extension("tmp");
    let mut file = std::fs::File::create(&draft).map_err(CheckpointError::io("create", path))?;
    fill(&mut file)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&draft, path))
        .map_err(CheckpointError::io("write", path))
}
