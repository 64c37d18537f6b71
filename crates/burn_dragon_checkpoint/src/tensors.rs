//! Named tensors and texts in one file, with a hash of all its bytes.
//!
//! A [burnpack](crate::burnpack) alone detects damage to its structure, not to its values: a flipped bit would give
//! another weight. The metadata key `file_sha256` holds the SHA-256 of the whole file (header, index, padding, values),
//! computed with these 64 characters as zeros. Nothing may follow the last value.

use crate::burnpack::{Contents, Entry, Layout, PackError, Reader};
use crate::disk::{Os, write_atomic};
use crate::error::CheckpointError;
use crate::hash::{Hashing, hex};
use crate::plain;
use burn::tensor::TensorData;
use burn_dragon_core::api::{FreeMemory, Need};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Read, Write};
use std::ops::Range;
use std::path::Path;

/// Metadata key of the hash.
const SHA256: &str = "file_sha256";

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

    /// Reads the file like [`read`](Self::read). Also returns the names of the tensors in f32, f16 or bf16 with a number
    /// that is not finite.
    pub(crate) fn read_and_check(path: &Path) -> Result<(Self, BTreeSet<String>), CheckpointError> {
        let (file, length) = plain::open(path).map_err(CheckpointError::unread(path))?;
        Self::read_and_check_from(file, length).map_err(|error| error.at(path))
    }

    /// Reads a file of exactly `length` bytes from a source.
    ///
    /// # Errors
    /// If the source fails, or its bytes are not a valid burnpack, have no hash, or are damaged.
    pub fn read_from(source: impl Read, length: u64) -> Result<Self, PackError> {
        Ok(Self::read_and_check_from(source, length)?.0)
    }

    fn read_and_check_from(source: impl Read, length: u64) -> Result<(Self, BTreeSet<String>), PackError> {
        let hash = RefCell::new(Hashing::of(length));
        let reader = Reader::open(source, length, |bytes| hash.borrow_mut().update(bytes))?;
        if let Some(entry) = reader.entries().iter().find(|entry| entry.size() == 0) {
            return Err(PackError::Malformed(format!(
                "tensor `{}` holds no number",
                entry.name
            )));
        }
        let bytes = reader.entries().iter().map(Entry::size);
        let need = Need::of("reading it").with("tensors", bytes.fold(0, u64::saturating_add));
        FreeMemory::room_for(&need, || NO_ROOM.into())?;
        let head = reader.index();
        let digits = reader
            .metadata()
            .get(SHA256)
            .and(digits_in(head))
            .ok_or_else(|| {
                PackError::Malformed(format!("it is a burnpack without one `{SHA256}` of its bytes"))
            })?;
        let expected = String::from_utf8_lossy(&head[digits.clone()]).into_owned();
        let parts = [&head[..digits.start], &[b'0'; DIGITS], &head[digits.end..]];
        parts.iter().for_each(|part| hash.borrow_mut().update(part));
        let Contents {
            tensors,
            mut metadata,
            not_finite,
        } = reader.contents()?;
        metadata.remove(SHA256);
        let sha256 = hash.into_inner().finish();
        if sha256 != expected {
            let reason = format!("the sha256 of its bytes is {sha256}, it says {expected}");
            return Err(PackError::Malformed(reason));
        }
        Ok((Self { tensors, metadata }, not_finite))
    }
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
    let mut hash = Sha256::new();
    layout.write_to(&mut hash)?;
    layout.head_mut()[digits].copy_from_slice(hex(&hash.finalize()).as_bytes());
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
    metadata.insert(SHA256.into(), "0".repeat(DIGITS));
    let mut layout = Layout::new(tensors, metadata)?;
    let digits = digits_in(layout.head_mut())
        .ok_or_else(|| Error::other(format!("a text in it looks like its `{SHA256}`")))?;
    Ok((layout, digits))
}

/// Place of the hash digits in an index: after their key, as CBOR encodes both. `None` unless there is exactly one such
/// place.
fn digits_in(index: &[u8]) -> Option<Range<usize>> {
    let key = [
        &[0x60 + SHA256.len() as u8],
        SHA256.as_bytes(),
        &[0x78, DIGITS as u8],
    ]
    .concat();
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
            .insert("a".into(), format!("k{SHA256}x@{}", "0".repeat(DIGITS)));
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
