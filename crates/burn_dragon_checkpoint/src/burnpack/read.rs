//! Reader of a container, in one pass over its bytes.

use super::index::{Entry, Read as Index, aligned};
use super::{ALIGNMENT, HEADER, MAGIC, MAX_INDEX, PackError, VERSION, malformed};
use crate::stored::all_finite;
use burn::tensor::{DType, Element, TensorData, bf16, f16};
use bytemuck::Pod;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};

/// Limit on the nesting depth of the index. A valid index has four levels.
const MAX_DEPTH: usize = 16;

/// Number of bytes that are read and passed to the observer at a time.
const CHUNK: usize = 1 << 20;

/// Container with a checked index; its tensors are not read yet.
///
/// Every byte that is read, padding included, is passed to `observe` in the order of the file. A hash is computed
/// there.
pub struct Reader<R, O> {
    source: R,
    observe: O,
    /// Tensors in the order of their positions.
    entries: Vec<Entry>,
    metadata: BTreeMap<String, String>,
    index: Vec<u8>,
}

/// Contents of a container.
#[derive(Debug, Default)]
pub struct Contents {
    /// Tensors by name.
    pub tensors: BTreeMap<String, TensorData>,
    /// Texts by key.
    pub metadata: BTreeMap<String, String>,
    /// Names of the tensors in f32, f16 or bf16 with a number that is not finite.
    pub not_finite: BTreeSet<String>,
}

impl<R: Read, O: FnMut(&[u8])> Reader<R, O> {
    /// Reads the header and the index from a `source` of exactly `length` bytes. They are not passed to `observe` yet:
    /// the observer may need the index to decide which bytes of it to observe.
    ///
    /// # Errors
    /// If the source fails, or the index is not valid or does not match the length.
    pub fn open(mut source: R, length: u64, observe: O) -> Result<Self, PackError> {
        if length < HEADER as u64 {
            return malformed(format!("it has {length} bytes; a burnpack begins with {HEADER}"));
        }
        let mut header = [0; HEADER];
        source.read_exact(&mut header)?;
        let [m0, m1, m2, m3, v0, v1, l0, l1, l2, l3] = header;
        if [m0, m1, m2, m3] != MAGIC {
            return malformed("it does not begin like a burnpack: the first four bytes must be `NRUB`");
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != VERSION {
            return malformed(format!(
                "it is a burnpack of version {version}, expected version {VERSION}"
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
        // At most the length of the source, and at most the limit of an index.
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
            Err(error) => return malformed(format!("its index does not read as CBOR: {error}")),
        };
        if !rest.is_empty() {
            return malformed(format!("{} bytes follow the end of its index", rest.len()));
        }
        // Without tensors a container ends with its index, or with the padding after it.
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

    /// Tensors in the order of their positions.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Texts by key.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Bytes of the header and the index.
    pub fn index(&self) -> &[u8] {
        &self.index
    }

    /// Reads the tensors one by one, to the end of the source.
    ///
    /// # Errors
    /// If the source fails or ends early, or padding is not zero.
    pub fn contents(mut self) -> Result<Contents, PackError> {
        let mut tensors = BTreeMap::new();
        let mut not_finite = BTreeSet::new();
        let mut at = self.index.len() as u64;
        let data_start = at.next_multiple_of(ALIGNMENT);
        for entry in std::mem::take(&mut self.entries) {
            self.padding(data_start + entry.range.start - at)?;
            at = data_start + entry.range.end;
            let (data, finite) = self.tensor(&entry)?;
            if !finite {
                not_finite.insert(entry.name.clone());
            }
            tensors.insert(entry.name, data);
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
            not_finite,
        })
    }

    /// A tensor, and whether its numbers are finite, which is checked of f32, f16 and bf16.
    fn tensor(&mut self, entry: &Entry) -> Result<(TensorData, bool), PackError> {
        match entry.dtype {
            DType::F32 => self.values::<f32>(entry, |values| all_finite(values, |value| value.is_finite())),
            DType::F16 => self.values::<f16>(entry, |values| all_finite(values, |value| value.is_finite())),
            DType::BF16 => self.values::<bf16>(entry, |values| all_finite(values, |value| value.is_finite())),
            DType::F64 => self.values::<f64>(entry, |_| true),
            DType::I64 => self.values::<i64>(entry, |_| true),
            DType::I32 => self.values::<i32>(entry, |_| true),
            DType::I16 => self.values::<i16>(entry, |_| true),
            DType::I8 => self.values::<i8>(entry, |_| true),
            DType::U64 => self.values::<u64>(entry, |_| true),
            DType::U32 => self.values::<u32>(entry, |_| true),
            DType::U16 => self.values::<u16>(entry, |_| true),
            DType::U8 => self.values::<u8>(entry, |_| true),
            other => malformed(format!("tensor `{}` is {other:?}, which is not read", entry.name)),
        }
    }

    /// Values of a tensor, and whether `check` accepts them. Each piece is observed and checked while it is in the cache.
    /// The buffer doubles as bytes arrive: the length that a source without a known end states need not be true. It has
    /// the type of the values from the beginning, so that its alignment is theirs and it is never copied.
    fn values<E: Element + Pod>(
        &mut self,
        entry: &Entry,
        check: impl Fn(&[E]) -> bool,
    ) -> Result<(TensorData, bool), PackError> {
        let Ok(size) = usize::try_from(entry.size()) else {
            return malformed(format!("tensor `{}` is too large for this machine", entry.name));
        };
        let (count, most) = (size / size_of::<E>(), CHUNK / size_of::<E>());
        let (mut values, mut accepted) = (Vec::<E>::new(), true);
        while values.len() < count {
            let (from, left) = (values.len(), count - values.len());
            let next = left.min(most);
            if values.capacity() - from < next {
                values.reserve_exact(next.max(from.min(left)));
            }
            values.resize(from + next, E::zeroed());
            let piece = &mut values[from..];
            let came = self.source.read_exact(bytemuck::cast_slice_mut(piece));
            came.map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
                _ => error,
            })?;
            (self.observe)(bytemuck::cast_slice(piece));
            accepted = accepted && check(piece);
        }
        Ok((TensorData::new(values, entry.shape.clone()), accepted))
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
