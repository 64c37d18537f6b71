//! Hashes: of a file's contents, of a model, of a text.

use burn::tensor::TensorData;
use burn_dragon_core::{Dragon, DragonConfig, parameters};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// The SHA-256 of bytes, lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The SHA-256 of bytes that come in pieces, as of all of them in a row.
pub fn sha256_of_pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> String {
    let mut sha256 = Sha256::new();
    pieces.into_iter().for_each(|piece| sha256.update(piece));
    hex(&sha256.finalize())
}

/// What tells a model from every other: the SHA-256 of its configuration and its weights by name.
///
/// The same from the model in memory and from its [file](crate::model::ModelFile::hash), whatever file that is: a checkpoint, an
/// export, official weights.
pub fn model_hash(dragon: &Dragon) -> String {
    of_model(dragon.config(), &parameters::snapshot(dragon))
}

/// Bytes as lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn of_model(config: &DragonConfig, tensors: &BTreeMap<String, TensorData>) -> String {
    let config = match serde_json::to_string(config) {
        Ok(config) => config,
        Err(error) => unreachable!("a configuration is plain numbers and names: {error}"),
    };
    let mut parts = Parts::default();
    parts.part(config.as_bytes());
    parts.tensors(tensors);
    parts.finish()
}

/// Counts and hashes the bytes that go through it, on their way to a sink or from a source.
pub(crate) struct Hashed<T> {
    inner: T,
    sha256: Sha256,
    size: u64,
}

impl<T> Hashed<T> {
    pub(crate) fn new(inner: T) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
            size: 0,
        }
    }

    /// How many bytes went through, and their hash.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.size, hex(&self.sha256.finalize()))
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.size += bytes.len() as u64;
    }
}

impl<T: Write> Write for Hashed<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.saw(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashed<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.saw(&bytes[..read]);
        Ok(read)
    }
}

/// A hash of parts, each behind its length, so that no two lists of parts are the same bytes.
#[derive(Default)]
pub(crate) struct Parts(Sha256);

impl Parts {
    pub(crate) fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Names, types, shapes and values.
    pub(crate) fn tensors(&mut self, tensors: &BTreeMap<String, TensorData>) {
        for (name, data) in tensors {
            self.part(name.as_bytes());
            self.part(data.dtype().name().as_bytes());
            for &size in data.shape().iter() {
                self.part(&(size as u64).to_le_bytes());
            }
            self.part(data.as_bytes());
        }
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ModelFile, ModelInfo};
    use burn::tensor::Device;

    fn dragon(seed: u64, dropout: f64) -> Dragon {
        let config = DragonConfig {
            n_neurons: 64,
            d_model: 16,
            dropout,
            ..DragonConfig::tiny()
        };
        Dragon::new(&config, seed, &Device::flex()).unwrap()
    }

    #[test]
    fn a_model_has_one_hash_in_memory_in_its_file_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let dragon = dragon(1, 0.1);
        let file = ModelFile::of(&dragon, ModelInfo::default(), None);
        let hash = model_hash(&dragon);
        assert_eq!(file.hash(), hash);
        file.write(&path).unwrap();
        let again = ModelFile::read(&path).unwrap();
        assert_eq!(again.hash(), hash);
        let again = again.into_dragon(&path, &Device::flex()).unwrap();
        assert_eq!(model_hash(&again), hash);
    }

    #[test]
    fn one_other_bit_of_a_weight_or_another_configuration_is_another_hash() {
        let hash = model_hash(&dragon(1, 0.1));
        assert_ne!(model_hash(&dragon(2, 0.1)), hash);
        assert_ne!(model_hash(&dragon(1, 0.2)), hash);
        let mut file = ModelFile::of(&dragon(1, 0.1), ModelInfo::default(), None);
        let encoder = file.tensors.remove("encoder").unwrap();
        let shape = encoder.shape().clone();
        let mut values = encoder.try_into_vec::<f32>().unwrap();
        values[7] = f32::from_bits(values[7].to_bits() ^ 1);
        file.tensors
            .insert("encoder".into(), TensorData::new(values, shape));
        assert_ne!(file.hash(), hash);
    }

    #[test]
    fn the_hash_of_bytes_is_the_published_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
