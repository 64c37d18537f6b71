//! Files of token ids, mapped into memory.

use std::{fmt, fs::File, io, ops::Range, path::PathBuf, sync::Arc};

use memmap2::Mmap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::LanguageError;

/// Size of the numbers in a file of token ids. They are little-endian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IdWidth {
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
}

impl IdWidth {
    /// The smaller width that holds every id of a vocabulary.
    pub fn of_vocabulary(size: usize) -> Self {
        if size <= 1 << 16 { Self::U16 } else { Self::U32 }
    }

    /// Number of bytes of an id.
    pub fn bytes(self) -> usize {
        match self {
            Self::U16 => 2,
            Self::U32 => 4,
        }
    }

    /// Appends the bytes of ids. Of an id that does not fit, the low bits.
    pub fn write(self, ids: impl IntoIterator<Item = u32>, bytes: &mut Vec<u8>) {
        for id in ids {
            bytes.extend_from_slice(&id.to_le_bytes()[..self.bytes()]);
        }
    }

    /// Appends the ids that bytes stand for. Bytes after the last whole id are left out.
    pub fn read(self, bytes: &[u8], ids: &mut Vec<u32>) {
        match self {
            Self::U16 => ids.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&id| u32::from(u16::from_le_bytes(id))),
            ),
            Self::U32 => ids.extend(bytes.as_chunks().0.iter().map(|&id| u32::from_le_bytes(id))),
        }
    }
}

/// Token ids in files, one after the other; or a part of them.
#[derive(Clone)]
pub(crate) struct Mapped {
    files: Arc<[MappedFile]>,
    width: IdWidth,
    part: Range<usize>,
}

struct MappedFile {
    map: Mmap,
    /// Tokens of all files that are in this one.
    tokens: Range<usize>,
}

impl fmt::Debug for Mapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mapped({} ids of {} files)", self.len(), self.files.len())
    }
}

impl Mapped {
    /// Maps files.
    ///
    /// # Errors
    /// [`LanguageError::Read`] if a file cannot be read, or ends inside an id.
    pub(in crate::data) fn open(paths: &[PathBuf], width: IdWidth) -> Result<Self, LanguageError> {
        let (mut files, mut end) = (Vec::with_capacity(paths.len()), 0);
        for path in paths {
            let unread = |source| LanguageError::Read {
                path: path.clone(),
                source,
            };
            let map = File::open(path).and_then(|file| map(&file)).map_err(unread)?;
            if map.len() % width.bytes() != 0 {
                let reason = format!(
                    "it has {} bytes, which is no multiple of {}, the size of its numbers",
                    map.len(),
                    width.bytes()
                );
                return Err(unread(io::Error::new(io::ErrorKind::InvalidData, reason)));
            }
            let tokens = end..end + map.len() / width.bytes();
            end = tokens.end;
            files.push(MappedFile { map, tokens });
        }
        Ok(Self {
            files: files.into(),
            width,
            part: 0..end,
        })
    }

    /// Number of ids.
    pub(crate) fn len(&self) -> usize {
        self.part.len()
    }

    /// Number of ids of each file.
    pub(in crate::data) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.files.iter().map(|file| file.tokens.len())
    }

    /// Part of the ids, which shares the maps.
    ///
    /// # Panics
    /// If the range does not lie within the ids.
    pub(in crate::data) fn part(&self, range: Range<usize>) -> Self {
        Self {
            files: self.files.clone(),
            width: self.width,
            part: self.inside(range),
        }
    }

    /// Ids of a range.
    ///
    /// # Panics
    /// If the range does not lie within the ids.
    pub(crate) fn read(&self, range: Range<usize>) -> Vec<u32> {
        let range = self.inside(range);
        let mut ids = Vec::with_capacity(range.len());
        let first = self.files.partition_point(|file| file.tokens.end <= range.start);
        let files = self.files[first..].iter();
        for file in files.take_while(|file| file.tokens.start < range.end) {
            let start = range.start.max(file.tokens.start) - file.tokens.start;
            let end = range.end.min(file.tokens.end) - file.tokens.start;
            let bytes = &file.map[start * self.width.bytes()..end * self.width.bytes()];
            self.width.read(bytes, &mut ids);
        }
        ids
    }

    /// A range of this part as one of all files.
    fn inside(&self, range: Range<usize>) -> Range<usize> {
        assert!(
            range.start <= range.end && range.end <= self.len(),
            "ids {range:?} of {}",
            self.len()
        );
        self.part.start + range.start..self.part.start + range.end
    }
}

/// Maps a file for reading.
#[allow(unsafe_code, reason = "a map is memory that belongs to a file")]
fn map(file: &File) -> io::Result<Mmap> {
    // SAFETY: the map is only read. Shards are written once and renamed, never changed. A file of a user that another
    // program changes meanwhile gives other ids, and one that is cut off ends this process by a signal: both are said in
    // the documentation, as of every mapped file.
    unsafe { Mmap::map(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(lengths: &[usize], width: IdWidth) -> (tempfile::TempDir, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let mut next = 0;
        let paths = lengths.iter().enumerate().map(|(at, &length)| {
            let (path, mut bytes) = (folder.path().join(at.to_string()), Vec::new());
            width.write((next..next + length as u32).map(|id| id * 7), &mut bytes);
            next += length as u32;
            std::fs::write(&path, bytes).unwrap();
            path
        });
        let paths = paths.collect();
        (folder, paths)
    }

    #[test]
    fn every_range_over_every_file_is_read() {
        for width in [IdWidth::U16, IdWidth::U32] {
            let (_folder, paths) = files(&[3, 0, 1, 5, 2], width);
            let mapped = Mapped::open(&paths, width).unwrap();
            let all: Vec<u32> = (0..11).map(|id| id * 7).collect();
            assert_eq!(mapped.len(), 11);
            for start in 0..=11 {
                for end in start..=11 {
                    assert_eq!(mapped.read(start..end), all[start..end]);
                    let part = mapped.part(start..end);
                    assert_eq!(part.read(0..part.len()), all[start..end]);
                }
            }
        }
    }

    #[test]
    fn a_vocabulary_has_the_smaller_width_that_holds_it() {
        assert_eq!(IdWidth::of_vocabulary(1 << 16), IdWidth::U16);
        assert_eq!(IdWidth::of_vocabulary((1 << 16) + 1), IdWidth::U32);
        let (mut bytes, mut ids) = (Vec::new(), Vec::new());
        IdWidth::U32.write([0x0102_0304, 70_000], &mut bytes);
        assert_eq!(bytes[..4], [4, 3, 2, 1]);
        IdWidth::U32.read(&bytes, &mut ids);
        assert_eq!(ids, [0x0102_0304, 70_000]);
    }

    #[test]
    fn a_file_that_ends_inside_an_id_is_refused_with_its_size() {
        let (folder, _) = files(&[1], IdWidth::U16);
        let path = folder.path().join("odd");
        std::fs::write(&path, [1, 2, 3]).unwrap();
        let error = Mapped::open(&[path], IdWidth::U16).unwrap_err().to_string();
        assert!(error.contains("odd") && error.contains("3 bytes"), "{error}");
    }
}
