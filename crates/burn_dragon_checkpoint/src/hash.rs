//! SHA-256 hashes of bytes, of models and of texts.

use crate::model::StoredConfig;
use crate::stored::StoredTensor;
use burn::tensor::TensorData;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

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
/// hashed as they are packed.
pub(crate) fn of_model(config: &StoredConfig, tensors: &BTreeMap<String, StoredTensor>) -> String {
    let mut parts = Parts::default();
    parts.part(config.text().as_bytes());
    for (name, tensor) in tensors {
        parts.part(name.as_bytes());
        if let Some(floats) = tensor.floats() {
            parts.tensor(&floats);
        }
        if let StoredTensor::Codes(codes) = tensor {
            parts.part(format!("codes of {} bits", codes.bits()).as_bytes());
            parts.sizes(codes.shape());
            parts.part(codes.scales().as_bytes());
            parts.part(tensor.data().as_bytes());
        }
    }
    parts.finish()
}

/// Adapter that counts and hashes the bytes on their way to a sink or from a source.
pub struct Hashed<T> {
    inner: T,
    sha256: Sha256,
    size: u64,
}

impl<T> Hashed<T> {
    /// An adapter of `inner`, with no bytes counted yet.
    pub fn new(inner: T) -> Self {
        Self {
            inner,
            sha256: Sha256::new(),
            size: 0,
        }
    }

    /// Number of bytes so far, and their hash.
    pub fn finish(self) -> (u64, String) {
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

/// SHA-256 of bytes that arrive in pieces. If there are many, another thread computes it while the caller goes on.
pub(crate) enum Hashing {
    Here(Box<Sha256>),
    There {
        pieces: SyncSender<Vec<u8>>,
        /// Buffers that were hashed, to be filled again.
        spare: Receiver<Vec<u8>>,
        thread: JoinHandle<Sha256>,
    },
}

/// Number of buffers: one that is filled, one that is hashed, one that waits.
const BUFFERS: usize = 3;

/// Number of bytes from which another thread is worth its start.
const MANY: u64 = 4 << 20;

impl Hashing {
    /// The hash of no bytes yet, of about `length`.
    pub(crate) fn of(length: u64) -> Self {
        let here = Self::Here(Box::default());
        if length < MANY {
            return here;
        }
        let (pieces, arrived) = sync_channel::<Vec<u8>>(BUFFERS);
        let (done, spare) = sync_channel(BUFFERS);
        (0..BUFFERS).for_each(|_| drop(done.send(Vec::new())));
        let work = move || {
            let mut sha256 = Sha256::new();
            for piece in arrived {
                sha256.update(&piece);
                let _ = done.send(piece); // nobody waits for it after the last piece
            }
            sha256
        };
        match Builder::new().name("sha256".into()).spawn(work) {
            Ok(thread) => Self::There {
                pieces,
                spare,
                thread,
            },
            Err(_) => here, // no thread is to be had
        }
    }

    /// Adds bytes. They are copied if another thread hashes them.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Here(sha256) => sha256.update(bytes),
            Self::There { pieces, spare, .. } => {
                // Without an answer the thread has panicked, which `finish` passes on.
                let Ok(mut piece) = spare.recv() else { return };
                piece.clear();
                piece.extend_from_slice(bytes);
                let _ = pieces.send(piece);
            }
        }
    }

    /// The hash, as lower-case hexadecimal.
    pub(crate) fn finish(self) -> String {
        let sha256 = match self {
            Self::Here(sha256) => *sha256,
            Self::There { pieces, thread, .. } => {
                drop(pieces);
                let joined = thread.join();
                joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            }
        };
        hex(&sha256.finalize())
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
    fn pieces_of_any_length_have_the_hash_of_the_whole_here_and_in_another_thread() {
        let bytes: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
        for length in [0, MANY] {
            let mut hashing = Hashing::of(length);
            assert_eq!(matches!(hashing, Hashing::There { .. }), length == MANY);
            let mut rest = &bytes[..];
            for size in [0, 1, 63, 64, 100_000, 7, 199_865] {
                let (piece, later) = rest.split_at(size);
                hashing.update(piece);
                rest = later;
            }
            assert!(rest.is_empty());
            assert_eq!(hashing.finish(), sha256(&bytes));
        }
        drop(Hashing::of(MANY)); // the thread ends by itself
    }

    #[test]
    fn the_hash_of_bytes_is_the_published_one() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b"abc"), abc);
    }
}
