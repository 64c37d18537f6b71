//! Named tensors and texts in one file, with a hash of all its bytes.
//!
//! A [burnpack](crate::burnpack) alone detects damage to its structure, not to its values: a flipped bit would give
//! another weight. The metadata key `file_blake3` holds the BLAKE3 of the whole file (header, index, padding, values),
//! computed with these 64 characters as zeros. Nothing may follow the last value. Files of before 27 November 2026 have
//! `file_sha256` instead, their SHA-256. A file has one of the two.

use crate::burnpack::{self, Contents, Entry, Layout, PackError, Reader};
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::{Algorithm, Hashed};
use crate::plain;
use burn::tensor::TensorData;
use burn_dragon_core::api::{FreeMemory, Need};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Error, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::Path;

/// Metadata key of the hash that is written.
const BLAKE3: &str = "file_blake3";

/// Metadata key of the hash in files of before 27 November 2026.
const SHA256: &str = "file_sha256";

/// Keys of the hash, with their algorithms.
const HASHES: [(&str, Algorithm); 2] = [(BLAKE3, Algorithm::Blake3), (SHA256, Algorithm::Sha256)];

/// Advice where a file is larger than memory.
pub const NO_ROOM: &str = "a file is read whole: it takes a machine with more";

/// Number of characters of a hash.
const DIGITS: usize = 64;

/// Content of a file: tensors and texts by name.
#[derive(Clone, Debug, Default)]
pub struct TensorFile {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
}

impl TensorFile {
    /// Writes the file: first to a temporary file, which is synced and then renamed. A reader sees the old or the new
    /// file, complete.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write(&self, path: &Path) -> Result<(), CheckpointError> {
        write_atomic(&Os, path, |sink| self.write_to(sink))
    }

    /// Writes the bytes of the file.
    ///
    /// # Errors
    /// If the sink fails, or names and texts are above the limit of an index.
    pub fn write_to(&self, sink: &mut dyn Write) -> std::io::Result<()> {
        write_to(by_name(&self.tensors), self.metadata.clone(), sink)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be opened, is not a valid burnpack, has no hash, or is damaged.
    pub fn read(path: &Path) -> Result<Self, CheckpointError> {
        Ok(Self::read_and_check(path)?.0)
    }

    /// Reads the file like [`read`](Self::read), with what was found on the way.
    pub(crate) fn read_and_check(path: &Path) -> Result<(Self, Checked), CheckpointError> {
        Self::read_open(plain::open(path).map_err(CheckpointError::unread(path))?, path)
    }

    /// Reads an open file of this length. `path` is for errors.
    pub(crate) fn read_open(
        (file, length): (File, u64),
        path: &Path,
    ) -> Result<(Self, Checked), CheckpointError> {
        let read = Reader::open_file(file, length).and_then(Self::of);
        read.map_err(|error| error.at(path))
    }

    /// Reads a file of exactly `length` bytes from a source.
    ///
    /// # Errors
    /// If the source fails, or its bytes are not a valid burnpack, have no hash, or are damaged.
    pub fn read_from(source: impl Read + Send, length: u64) -> Result<Self, PackError> {
        Ok(Self::of(Reader::open(source, length)?)?.0)
    }

    fn of(reader: Reader<impl Read + Send>) -> Result<(Self, Checked), PackError> {
        if let Some(entry) = reader.entries().iter().find(|entry| entry.size() == 0) {
            let reason = format!("tensor `{}` holds no number", entry.name);
            return Err(PackError::Malformed(reason));
        }
        let bytes = reader.entries().iter().map(Entry::size);
        let need = Need::of("reading it").with("tensors", bytes.fold(0, u64::saturating_add));
        FreeMemory::room_for(&need, || NO_ROOM.into())?;
        let (key, algorithm) = hash_of(reader.metadata())?;
        let mut index = reader.index().to_vec();
        let digits = digits_in(&index, key).ok_or_else(without_hash)?;
        let expected = String::from_utf8_lossy(&index[digits.clone()]).into_owned();
        index[digits].fill(b'0');
        let Contents {
            tensors,
            mut metadata,
            not_finite,
            hash,
            blake3,
        } = reader.contents(Some(&burnpack::Hashed { algorithm, index }))?;
        metadata.remove(key);
        let hash = hash.unwrap_or_default();
        if hash != expected {
            let name = algorithm.name();
            let reason = format!("the {name} of its bytes is {hash}, it says {expected}");
            return Err(PackError::Malformed(reason));
        }
        Ok((Self { tensors, metadata }, Checked { not_finite, blake3 }))
    }
}

/// What was found while a file was read.
pub(crate) struct Checked {
    /// Names of the tensors in f32, f16 or bf16 with a number that is not finite.
    pub(crate) not_finite: BTreeSet<String>,
    /// BLAKE3 of the bytes as they are; `None` of a file with a SHA-256.
    pub(crate) blake3: Option<String>,
}

/// The key of the one hash in the metadata of a file, and its algorithm.
fn hash_of(metadata: &BTreeMap<String, String>) -> Result<(&'static str, Algorithm), PackError> {
    let mut hashes = HASHES.into_iter().filter(|(key, _)| metadata.contains_key(*key));
    match (hashes.next(), hashes.next()) {
        (Some(hash), None) => Ok(hash),
        _ => Err(without_hash()),
    }
}

fn without_hash() -> PackError {
    PackError::Malformed(format!(
        "it is a burnpack without one hash of its bytes, `{BLAKE3}` or `{SHA256}`"
    ))
}

/// Tensors of a file to be written.
pub(crate) type Tensors<'a> = BTreeMap<&'a str, &'a TensorData>;

/// Tensors of a file, by reference.
pub(crate) fn by_name(tensors: &BTreeMap<String, TensorData>) -> Tensors<'_> {
    tensors.iter().map(|(name, data)| (name.as_str(), data)).collect()
}

/// Writes a file with these tensors.
pub(crate) fn write_to(
    tensors: Tensors<'_>,
    mut metadata: BTreeMap<String, String>,
    sink: &mut dyn Write,
) -> std::io::Result<()> {
    let (mut layout, digits) = laid_out(tensors, &mut metadata)?;
    let mut hashed = Hashed::by(Algorithm::Blake3, std::io::sink());
    layout.write_to(&mut hashed)?;
    layout.head_mut()[digits].copy_from_slice(hashed.finish().1.as_bytes());
    layout.write_to(sink)
}

/// Checks that a reader would accept the file, before anything is written.
pub(crate) fn check_writable(
    tensors: Tensors<'_>,
    mut metadata: BTreeMap<String, String>,
    path: &Path,
) -> Result<(), CheckpointError> {
    match laid_out(tensors, &mut metadata) {
        Ok(_) => Ok(()),
        Err(error) => Err(CheckpointError::refused(path, error)),
    }
}

/// Layout of a file with zeros as its hash, and the place of the hash.
fn laid_out<'a>(
    tensors: Tensors<'a>,
    metadata: &mut BTreeMap<String, String>,
) -> std::io::Result<(Layout<'a>, Range<usize>)> {
    if let Some((name, _)) = tensors.iter().find(|(_, data)| data.as_bytes().is_empty()) {
        return Err(Error::new(
            ErrorKind::InvalidInput,
            format!("tensor `{name}` holds no number"),
        ));
    }
    metadata.remove(SHA256);
    metadata.insert(BLAKE3.into(), "0".repeat(DIGITS));
    let mut layout = Layout::new(tensors, metadata)?;
    let digits = digits_in(layout.head_mut(), BLAKE3)
        .ok_or_else(|| Error::other(format!("a text in it looks like its `{BLAKE3}`")))?;
    Ok((layout, digits))
}

/// Place of the hash digits in an index: after their key, as CBOR encodes both. `None` unless there is exactly one such
/// place.
fn digits_in(index: &[u8], key: &str) -> Option<Range<usize>> {
    let key = [&[0x60 + key.len() as u8], key.as_bytes(), &[0x78, DIGITS as u8]].concat();
    let mut places = index
        .windows(key.len())
        .enumerate()
        .filter(|(_, window)| window[0] == key[0] && *window == key); // few places begin alike
    let (at, _) = places.next()?;
    let digits = at + key.len()..at + key.len() + DIGITS;
    (places.next().is_none() && digits.end <= index.len()).then_some(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> TensorFile {
        TensorFile {
            tensors: BTreeMap::from([
                (
                    "a".to_string(),
                    TensorData::new(vec![1.0f32, -2.0, 3.5, 0.0], [2, 2]),
                ),
                ("b".to_string(), TensorData::new(vec![7i32], [1])),
            ]),
            metadata: BTreeMap::from([("format".to_string(), "test/1".to_string())]),
        }
    }

    fn bytes() -> Vec<u8> {
        let mut bytes = Vec::new();
        file().write_to(&mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Result<TensorFile, PackError> {
        TensorFile::read_from(bytes, bytes.len() as u64)
    }

    #[test]
    fn a_file_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bpk");
        file().write(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes());
        let again = TensorFile::read(&path).unwrap();
        assert_eq!(again.metadata, file().metadata);
        assert_eq!(again.tensors, file().tensors);
    }

    #[test]
    fn every_byte_is_under_the_hash() {
        let whole = bytes();
        for place in 0..whole.len() {
            for bit in [0x01, 0x20, 0x80] {
                let mut broken = whole.clone();
                broken[place] ^= bit;
                assert!(read(&broken).is_err(), "byte {place} of {}", whole.len());
            }
        }
    }

    #[test]
    fn a_large_file_is_hashed_in_pieces_from_a_file_and_from_any_source() {
        let values: Vec<f32> = (0..3_500_000u32)
            .map(|i| (i.wrapping_mul(i) >> 9) as f32)
            .collect();
        let mut large = file();
        let count = values.len();
        large.tensors.insert("c".into(), TensorData::new(values, [count]));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.bpk");
        large.write(&path).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let (read_file, checked) = TensorFile::read_and_check(&path).unwrap();
        assert_eq!(checked.blake3.unwrap(), blake3::hash(&bytes).to_string());
        assert_eq!(read_file.tensors, large.tensors);
        assert_eq!(read(&bytes).unwrap().tensors, large.tensors);
        for place in [1 << 20, (4 << 20) + 1, 9 << 20, bytes.len() - 1] {
            bytes[place] ^= 1;
            let error = read(&bytes).unwrap_err().to_string();
            assert!(error.contains("blake3 of its bytes"), "{error}");
            std::fs::write(&path, &bytes).unwrap();
            assert!(TensorFile::read(&path).is_err(), "byte {place}");
            bytes[place] ^= 1;
        }
        let cut = &bytes[..bytes.len() - 1];
        let error = TensorFile::read_from(cut, bytes.len() as u64).unwrap_err();
        assert!(matches!(error, PackError::Io(error) if error.kind() == ErrorKind::UnexpectedEof));
    }

    /// The bytes of a file with this hash, as they were written before 27 November 2026.
    fn of_old(tensors: &BTreeMap<String, TensorData>, hashes: &[&str]) -> Vec<u8> {
        let zeros = hashes.iter().map(|key| (key.to_string(), "0".repeat(DIGITS)));
        let metadata = zeros.collect();
        let mut layout = Layout::new(by_name(tensors), &metadata).unwrap();
        let mut bytes = Vec::new();
        layout.write_to(&mut bytes).unwrap();
        let hash = crate::hash::sha256(&bytes);
        let digits = digits_in(layout.head_mut(), SHA256).unwrap();
        layout.head_mut()[digits].copy_from_slice(hash.as_bytes());
        let mut bytes = Vec::new();
        layout.write_to(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn a_file_with_a_sha256_is_read_and_one_with_two_hashes_is_not() {
        let mut tensors = file().tensors;
        let many = TensorData::new(vec![0.5f32; 2_000_000], [2_000_000]);
        tensors.insert("many".into(), many);
        let mut old = of_old(&tensors, &[SHA256]);
        let again = read(&old).unwrap();
        assert_eq!(again.tensors, tensors);
        assert_eq!(again.metadata, BTreeMap::new());
        let middle = old.len() / 2;
        old[middle] ^= 1;
        let error = read(&old).unwrap_err().to_string();
        assert!(error.contains("sha256 of its bytes"), "{error}");
        let error = read(&of_old(&tensors, &[BLAKE3, SHA256]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("without one hash of its bytes"), "{error}");
    }

    #[test]
    fn no_beginning_of_a_file_is_a_file_and_nothing_may_follow_it() {
        let mut whole = bytes();
        for length in 0..whole.len() {
            assert!(read(&whole[..length]).is_err(), "{length} bytes");
        }
        whole.push(0);
        assert!(read(&whole).is_err());
    }

    #[test]
    fn a_text_that_imitates_the_hash_is_not_written() {
        let mut file = file();
        file.metadata
            .insert("a".into(), format!("k{BLAKE3}x@{}", "0".repeat(DIGITS)));
        assert!(file.write_to(&mut Vec::new()).is_err());
    }

    #[test]
    fn a_file_without_tensors_is_one_too() {
        let file = TensorFile {
            tensors: BTreeMap::new(),
            ..file()
        };
        let mut bytes = Vec::new();
        file.write_to(&mut bytes).unwrap();
        assert_eq!(read(&bytes).unwrap().metadata, file.metadata);
        let last = bytes.len() - 1;
        bytes[last] = 1;
        assert!(read(&bytes).is_err());
    }
}
