//! Named tensors and text metadata in one burnpack file, with a hash over all of them.
//!
//! A burnpack alone notices damage to its structure, not to its values: a flipped bit would be another weight. The
//! metadata key `sha256` holds the hash of everything else.

use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::Parts;
use burn::tensor::TensorData;
use burn_pack::{Reader, Tensor, Writer};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The metadata key of the hash.
const SHA256: &str = "sha256";

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
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_atomic(&Os, path, |sink| self.write_to(sink))
    }

    /// The bytes of the file.
    ///
    /// # Errors
    /// If the sink refuses them.
    pub fn write_to(&self, sink: &mut dyn io::Write) -> io::Result<()> {
        let tensors = self.tensors.iter().map(|(name, data)| {
            let (bytes, shape, dtype) = data.clone().into_parts();
            Tensor::new(name.clone(), dtype, shape, None, bytes)
        });
        let mut writer = Writer::new(tensors.collect()).with_metadata(SHA256, &self.sha256());
        for (key, value) in &self.metadata {
            writer = writer.with_metadata(key, value);
        }
        let bytes = writer
            .into_bytes()
            .map_err(|error| io::Error::other(error.to_string()))?;
        sink.write_all(&bytes)
    }

    /// Reads the file whole.
    ///
    /// # Errors
    /// If it cannot be opened, is not a burnpack, carries no hash, or is damaged.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        std::fs::File::open(path).map_err(CheckpointError::io("open", path))?;
        let reader = Reader::from_file_exact(path).map_err(|error| {
            CheckpointError::corrupt(path, format!("it does not read as a burnpack: {error}"))
        })?;
        let mut metadata = reader.metadata().clone();
        let mut tensors = BTreeMap::new();
        for tensor in reader
            .into_tensors()
            .map_err(|error| CheckpointError::corrupt(path, error))?
        {
            let (name, dtype, shape, _, bytes) = tensor
                .into_parts()
                .map_err(|error| CheckpointError::corrupt(path, error))?;
            // Read from the file once, by the hash below, and resident from there on: the file may be replaced while the
            // tensors are in use.
            tensors.insert(name, TensorData::from_bytes(bytes, shape, dtype));
        }
        let expected = metadata.remove(SHA256);
        let file = Self { tensors, metadata };
        let expected = expected.ok_or_else(|| {
            CheckpointError::corrupt(path, "it is a burnpack without a `sha256` of its contents")
        })?;
        let sha256 = file.sha256();
        if sha256 != expected {
            let reason = format!("the sha256 of its contents is {sha256}, it says {expected}");
            return Err(CheckpointError::corrupt(path, reason));
        }
        Ok(file)
    }

    /// The hash of everything in the file, each part behind its length.
    fn sha256(&self) -> String {
        let mut parts = Parts::default();
        parts.part(&(self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            parts.part(key.as_bytes());
            parts.part(value.as_bytes());
        }
        parts.tensors(&self.tensors);
        parts.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::TensorData;

    fn file() -> TensorFile {
        TensorFile {
            tensors: BTreeMap::from([(
                "a".to_string(),
                TensorData::new(vec![1.0f32, -2.0, 3.5, 0.0], [2, 2]),
            )]),
            metadata: BTreeMap::from([("format".to_string(), "test/1".to_string())]),
        }
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bpk");
        file().write(&path).unwrap();
        let again = TensorFile::read(&path).unwrap();
        assert_eq!(again.metadata, file().metadata);
        assert_eq!(again.tensors["a"], file().tensors["a"]);
    }

    #[test]
    fn every_byte_of_a_tensor_is_under_the_hash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bpk");
        file().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let values: Vec<u8> = [1.0f32, -2.0, 3.5, 0.0]
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let at = whole
            .windows(values.len())
            .position(|window| window == values)
            .unwrap();
        for place in at..at + values.len() {
            let mut broken = whole.clone();
            broken[place] ^= 1;
            std::fs::write(&path, broken).unwrap();
            let error = TensorFile::read(&path).unwrap_err();
            assert!(
                error.is_bad_input() && error.to_string().contains("sha256"),
                "{error}"
            );
        }
    }
}
