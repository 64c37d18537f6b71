//! Hashes of bytes, of models and of texts.

use crate::model::StoredConfig;
use crate::stored::{Coding, StoredTensor};
use burn::tensor::TensorData;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// SHA-256 of bytes, as lower-case hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of the concatenation of several byte slices, as lower-case hexadecimal.
pub fn sha256_of_pieces<P: AsRef<[u8]>>(pieces: impl IntoIterator<Item = P>) -> String {
    let mut sha256 = Sha256::new();
    pieces.into_iter().for_each(|piece| sha256.update(piece));
    hex(&sha256.finalize())
}

/// Bytes as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hash of a model: the SHA-256 of its configuration and of its tensors by name.
///
/// Numbers are hashed as f32, so a model has the same hash in f32, f16 and bf16, and in every file. Packed codes are
/// hashed as they are packed, whole numbers by value.
pub(crate) fn of_model(config: &StoredConfig, tensors: &BTreeMap<String, StoredTensor>) -> String {
    let mut parts = Parts::default();
    parts.part(config.text().as_bytes());
    for (name, tensor) in tensors {
        parts.part(name.as_bytes());
        if let Some(floats) = tensor.floats() {
            parts.tensor(&floats);
        }
        if let StoredTensor::Codes(codes) = tensor {
            parts.part(codes.coding().to_string().as_bytes());
            parts.sizes(codes.shape());
            parts.part(codes.scales().as_bytes());
            match codes.coding() {
                Coding::Bits(_) => parts.part(tensor.data().as_bytes()),
                Coding::Whole(_) => parts.part(&codes.unpack()),
            }
        }
    }
    parts.finish()
}

/// Algorithm of the hash of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256: what other programs check, and files of before 27 November 2026.
    Sha256,
    /// BLAKE3: a tree over the bytes, three times as fast on one core.
    Blake3,
}

impl Algorithm {
    /// Name, as in the keys of files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Blake3 => "blake3",
        }
    }
}

/// State of a hash whose bytes come in order.
enum Digesting {
    Sha256(Box<Sha256>),
    Blake3(Box<blake3::Hasher>),
}

/// Adapter that counts and hashes the bytes on their way to a sink or from a source.
pub struct Hashed<T> {
    inner: T,
    digesting: Digesting,
    size: u64,
}

impl<T> Hashed<T> {
    /// An adapter of `inner` for SHA-256, with no bytes counted yet.
    pub fn new(inner: T) -> Self {
        Self::by(Algorithm::Sha256, inner)
    }

    /// An adapter of `inner` for a hash of this algorithm.
    pub fn by(algorithm: Algorithm, inner: T) -> Self {
        let digesting = match algorithm {
            Algorithm::Sha256 => Digesting::Sha256(Box::default()),
            Algorithm::Blake3 => Digesting::Blake3(Box::default()),
        };
        Self {
            inner,
            digesting,
            size: 0,
        }
    }

    /// Number of bytes so far, and their hash.
    pub fn finish(self) -> (u64, String) {
        let hash = match self.digesting {
            Digesting::Sha256(sha256) => hex(&sha256.finalize()),
            Digesting::Blake3(blake3) => hex(blake3.finalize().as_bytes()),
        };
        (self.size, hash)
    }

    fn saw(&mut self, bytes: &[u8]) {
        match &mut self.digesting {
            Digesting::Sha256(sha256) => sha256.update(bytes),
            Digesting::Blake3(blake3) => drop(blake3.update(bytes)),
        }
        self.size += bytes.len() as u64;
    }
}

/// Hash of all bytes of a source.
///
/// # Errors
/// If the source fails.
pub(crate) fn of_source(algorithm: Algorithm, source: impl Read) -> io::Result<String> {
    let mut source = Hashed::by(algorithm, source);
    let mut piece = vec![0; 1 << 15]; // BLAKE3 is at full speed from 16 KiB
    loop {
        match source.read(&mut piece) {
            Ok(0) => return Ok(source.finish().1),
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
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

/// Hash of a list of parts. The length of each part is hashed before it, so that two different lists never give the
/// same bytes.
#[derive(Default)]
struct Parts(Sha256);

impl Parts {
    fn part(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// Adds a tensor: type, shape and values.
    fn tensor(&mut self, data: &TensorData) {
        self.part(data.dtype().name().as_bytes());
        self.sizes(data.shape().as_slice());
        self.part(data.as_bytes());
    }

    fn sizes(&mut self, sizes: &[usize]) {
        for &size in sizes {
            self.part(&(size as u64).to_le_bytes());
        }
    }

    fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::toy;
    use crate::model::{ModelFile, ModelInfo};
    use crate::stored::Codes;

    #[test]
    fn a_model_has_one_hash_in_memory_and_in_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.bpk");
        let model = toy(1.0);
        model.write(&path).unwrap();
        assert_eq!(ModelFile::read(&path).unwrap().hash(), model.hash());
    }

    #[test]
    fn one_other_bit_another_configuration_or_another_packing_is_another_hash() {
        let hash = toy(1.0).hash();
        assert_ne!(toy(f32::from_bits(1f32.to_bits() ^ 1)).hash(), hash);
        let mut other = toy(1.0);
        other.config = StoredConfig::parse(r#"{"size":3,"more":1}"#).unwrap();
        assert_ne!(other.hash(), hash);
        let with = |codes: Codes| {
            let mut model = toy(1.0);
            model.tensors.insert("c".into(), StoredTensor::Codes(codes));
            model.hash()
        };
        let codes = |values: &[u8], bits, scales| Codes::pack(values, bits, &[2], scales).unwrap();
        let hashes = [
            with(codes(&[1, 0], 2, "w")),
            with(codes(&[0, 1], 2, "w")),
            with(codes(&[1, 0], 4, "w")),
            with(codes(&[1, 0], 2, "v")),
        ];
        for (place, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..place].contains(hash), "{place}");
        }
    }

    #[test]
    fn where_a_model_comes_from_and_its_assets_are_not_in_its_hash() {
        let mut other = toy(1.0);
        other.info = ModelInfo::imported();
        other.assets.insert("labels.txt".into(), "a".into());
        assert_eq!(other.hash(), toy(1.0).hash());
    }

    #[test]
    fn the_hash_of_bytes_is_the_published_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
