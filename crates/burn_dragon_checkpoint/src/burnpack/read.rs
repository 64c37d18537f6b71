//! Reading: from first byte to last, each looked at once.

use super::index::{Entry, Read as Index, aligned};
use super::{ALIGNMENT, HEADER, MAGIC, MAX_INDEX, PackError, VERSION, malformed};
use burn::tensor::TensorData;
use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Read};

/// Deepest nesting of the index; a sound one has four levels.
const MAX_DEPTH: usize = 16;

/// Bytes that are read and given to the observer at a time.
const CHUNK: usize = 1 << 20;

/// A container whose index was read and checked, and whose tensors were not read yet.
///
/// Every byte that is read, of padding too, is shown to `observe` in the order of the file: it is where a hash is
/// taken.
pub struct Reader<R, O> {
    source: R,
    observe: O,
    /// Tensors in the order of their places.
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
    index: Vec<u8>,
}

/// What a container holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
    /// Text by key.
    pub metadata: BTreeMap<String, String>,
}

impl<R: Read, O: FnMut(&[u8])> Reader<R, O> {
    /// Reads header and index from a `source` of exactly `length` bytes. `observe` is shown nothing of them yet: what it
    /// should see of the index may depend on what the index says.
    ///
    /// # Errors
    /// If the source fails, or the index is not sound or does not agree with the length.
    pub fn open(mut source: R, length: u64, observe: O) -> Result<Self, PackError> {
        if length < HEADER as u64 {
            return malformed(format!("it has {length} bytes; a burnpack begins with {HEADER}"));
        }
        let mut header = [0; HEADER];
        source.read_exact(&mut header)?;
        let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = header;
        if [m0, m1, m2, m3] != MAGIC {
            return malformed("it does not begin like a burnpack");
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return malformed(format!(
                "it is a burnpack of version {version}, read is version {VERSION}"
            ));
        }
        let size = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
        let index_end = HEADER as u64 + size;
        if index_end > length {
            return malformed(format!(
                "its index would end at byte {index_end}, it has {length}"
            ));
        }
        if size > MAX_INDEX {
            return malformed(format!(
                "its index has {size} bytes, at most {MAX_INDEX} are read"
            ));
        }
        // No longer than the source, and no longer than an index.
        let mut index = Vec::with_capacity(usize::try_from(index_end).unwrap_or(HEADER));
        index.extend_from_slice(&header);
        (&mut source).take(size).read_to_end(&mut index)?;
        if index.len() as u64 != index_end {
            return malformed("it ends inside its index");
        }
        let mut rest = &index[HEADER..];
        let parsed: Result<Index, _> = ciborium::de::from_reader_with_recursion_limit(&mut rest, MAX_DEPTH);
        let mut parsed = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return malformed(format!("its index does not read: {error}")),
        };
        if !rest.is_empty() {
            return malformed(format!("{} bytes follow the end of its index", rest.len()));
        }
        // A container without tensors ends with its index, or with the padding behind it.
        let data_start = aligned(index_end).unwrap_or(u64::MAX);
        let data = match length.checked_sub(data_start) {
            Some(data) => data,
            None if length == index_end => 0,
            None => {
                return malformed(format!(
                    "it has {length} bytes, its data would begin at {data_start}"
                ));
            }
        };
        let entries = parsed.entries(data)?;
        Ok(Self {
            source,
            observe,
            entries,
            metadata: parsed.metadata.0,
            index,
        })
    }

    /// The tensors, in the order of their places.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The text.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Header and index, byte for byte.
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// Reads the tensors, one by one, to the end of the source.
    ///
    /// # Errors
    /// If the source fails or ends early, or padding is not zero.
    pub fn contents(mut self) -> Result<Contents, PackError> {
        let mut tensors = BTreeMap::new();
        let mut at = self.index.len() as u64;
        let data_start = at.next_multiple_of(ALIGNMENT);
        for entry in std::mem::take(&mut self.entries) {
            self.padding(data_start + entry.range.start - at)?;
            at = data_start + entry.range.end;
            let bytes = self.values(&entry)?;
            tensors.insert(
                entry.name,
                TensorData::from_bytes_vec(bytes, entry.shape, entry.dtype),
            );
        }
        let mut one = [0];
        if tensors.is_empty() {
            let mut rest = Vec::new();
            (&mut self.source).take(ALIGNMENT).read_to_end(&mut rest)?;
            self.zeros(&rest)?;
        } else if self.source.read(&mut one)? != 0 {
            return malformed("bytes follow its last tensor");
        }
        Ok(Contents {
            tensors,
            metadata: self.metadata,
        })
    }

    /// A tensor's bytes. Memory is asked for as they come, twice as much each time: what a source without an end of its
    /// own was said to hold need not be there.
    fn values(&mut self, entry: &Entry) -> Result<Vec<u8>, PackError> {
        let Ok(size) = usize::try_from(entry.size()) else {
            return malformed(format!("tensor `{}` is too large for this machine", entry.name));
        };
        let mut bytes = Vec::new();
        while bytes.len() < size {
            let (from, left) = (bytes.len(), size - bytes.len());
            let next = left.min(CHUNK);
            if bytes.capacity() - from < next {
                bytes.reserve_exact(next.max(from.min(left)));
            }
            let came = (&mut self.source).take(next as u64).read_to_end(&mut bytes)?;
            if came < next {
                return Err(Error::from(ErrorKind::UnexpectedEof).into());
            }
            (self.observe)(&bytes[from..]);
        }
        Ok(bytes)
    }

    fn padding(&mut self, size: u64) -> Result<(), PackError> {
        let mut bytes = [0; ALIGNMENT as usize];
        let bytes = &mut bytes[..usize::try_from(size).unwrap_or(0)]; // entries are checked: less than an alignment
        self.source.read_exact(bytes)?;
        self.zeros(bytes)
    }

    fn zeros(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        (self.observe)(bytes);
        if bytes.iter().any(|byte| *byte != 0) {
            return malformed("the padding between its tensors is not zero");
        }
        Ok(())
    }
}
