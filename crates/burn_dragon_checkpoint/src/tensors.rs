//! Named tensors and text metadata in one burnpack file.

use crate::error::CheckpointError;
use burn::tensor::TensorData;
use burn_pack::{Reader, Tensor, Writer};
use std::collections::BTreeMap;
use std::path::Path;

/// What a file holds: tensors by name, and text by key.
#[derive(Clone, Debug, Default)]
pub struct TensorFile {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
    /// Text by key.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Writes the file: a temporary beside it, synced, then renamed, so that a reader sees the old or the new whole.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write(self, path: &Path) -> Result<(), CheckpointError> {
        let tensors = self.tensors.into_iter().map(|(name, data)| {
            let (bytes, shape, dtype) = data.into_parts();
            Tensor::new(name, dtype, shape, None, bytes)
        });
        let mut writer = Writer::new(tensors.collect())
            .overwrite(true)
            .auto_extension(false);
        for (key, value) in &self.metadata {
            writer = writer.with_metadata(key, value);
        }
        writer.write_to_file(path).map_err(|error| CheckpointError::Io {
            action: "write",
            path: path.to_path_buf(),
            source: std::io::Error::other(error.to_string()),
        })
    }

    /// Reads the file whole.
    ///
    /// # Errors
    /// If it cannot be opened, is not a burnpack, or is damaged.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        std::fs::File::open(path).map_err(CheckpointError::io("open", path))?;
        let reader = Reader::from_file_exact(path).map_err(|error| CheckpointError::corrupt(path, error))?;
        let metadata = reader.metadata().clone();
        let mut tensors = BTreeMap::new();
        for tensor in reader
            .into_tensors()
            .map_err(|error| CheckpointError::corrupt(path, error))?
        {
            let (name, dtype, shape, _, bytes) = tensor
                .into_parts()
                .map_err(|error| CheckpointError::corrupt(path, error))?;
            // Resident from here on: the file may be replaced while the tensors are in use.
            let bytes = burn_pack::Bytes::from_bytes_vec(bytes.to_vec());
            tensors.insert(name, TensorData::from_bytes(bytes, shape, dtype));
        }
        Ok(Self { tensors, metadata })
    }
}
