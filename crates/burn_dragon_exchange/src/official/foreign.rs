//! Foreign file of tensors: the type and the place of each. Values are read one tensor at a time.

use burn::tensor::{TensorData, bf16, f16};
use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{NO_ROOM, plain};
use burn_dragon_core::api::{FreeMemory, Need};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Limit on the number of dimensions of a tensor.
pub(super) const MOST_DIMENSIONS: usize = 8;

/// Type of the entries of a foreign tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element {
    /// 32 bits.
    F32,
    /// 16 bits, 5 of them exponent.
    F16,
    /// 16 bits, 8 of them exponent.
    Bf16,
    /// 64 bits.
    F64,
    /// Type that weights do not have. Its values are not read.
    Other {
        /// Name of the type in the file.
        name: &'static str,
        /// Size of an entry in bytes.
        size: u64,
    },
}

impl Element {
    /// Size of an entry in bytes.
    pub fn size(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
            Self::F64 => 8,
            Self::Other { size, .. } => size,
        }
    }

    /// Whether it is a float type that can be read.
    pub fn is_float(self) -> bool {
        !matches!(self, Self::Other { .. })
    }

    /// Name of the type; that of `burnpack` where it has one.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F64 => "f64",
            Self::Other { name, .. } => name,
        }
    }
}

/// Tensor of a foreign file. Its entries do not overlap, and all of them lie in the file.
#[derive(Clone, Debug)]
pub struct ForeignTensor {
    /// Type of its entries.
    pub element: Element,
    /// Shape of the tensor.
    pub shape: Vec<usize>,
    strides: Vec<usize>,
    /// Offset of the first entry in the file, in bytes.
    at: u64,
    /// Number of entries from the first to the last, with those between that are not part of the tensor.
    span: usize,
}

impl ForeignTensor {
    /// A tensor whose first entry lies at byte `at` of a file that has `room` entries from there on.
    ///
    /// # Errors
    /// The reason, if its entries overlap or do not fit.
    pub(super) fn new(
        element: Element,
        shape: Vec<usize>,
        strides: Option<Vec<usize>>,
        (at, room): (u64, u64),
    ) -> Result<Self, String> {
        let strides = match strides {
            Some(strides) => strides,
            None => contiguous(&shape).ok_or_else(|| format!("its shape {shape:?} is beyond any memory"))?,
        };
        if shape.len() > MOST_DIMENSIONS {
            return Err(format!(
                "it has {} dimensions, at most {MOST_DIMENSIONS} are read",
                shape.len()
            ));
        }
        if shape.len() != strides.len() {
            return Err(format!(
                "its shape {shape:?} and its strides {strides:?} do not fit"
            ));
        }
        // With a size of 0, the other sizes would be unbounded. No weight is empty.
        if shape.contains(&0) {
            return Err(format!("it holds no number: its shape is {shape:?}"));
        }
        // Entries do not overlap, so their number is at most the span, and at most the room.
        let span = span(&shape, &strides)?;
        if span as u64 > room {
            return Err(format!(
                "its shape {shape:?} needs {span} entries, the file has {room} for it"
            ));
        }
        Ok(Self {
            element,
            shape,
            strides,
            at,
            span,
        })
    }

    /// Number of bytes from its first entry to its last.
    pub(super) fn reach(&self) -> u64 {
        self.span as u64 * self.element.size()
    }

    /// Size of its entries in bytes.
    pub fn bytes(&self) -> u64 {
        let entries: usize = self.shape.iter().product(); // at most the span
        entries as u64 * self.element.size()
    }
}

/// Strides of a row-major tensor.
fn contiguous(shape: &[usize]) -> Option<Vec<usize>> {
    let mut strides = vec![1; shape.len()];
    let mut size = 1usize;
    for (stride, &length) in strides.iter_mut().zip(shape).rev() {
        *stride = size;
        size = size.checked_mul(length)?;
    }
    Some(strides)
}

/// Number of entries from the first to the last, for a shape without a 0. Entries do not overlap if each stride is
/// longer than the reach of all shorter ones.
fn span(shape: &[usize], strides: &[usize]) -> Result<usize, String> {
    let mut dimensions: Vec<(usize, usize)> = strides.iter().copied().zip(shape.iter().copied()).collect();
    dimensions.retain(|&(_, size)| size > 1);
    dimensions.sort_unstable();
    let mut reach = 1usize;
    for (stride, size) in dimensions {
        if stride < reach {
            return Err(format!(
                "its entries overlap: shape {shape:?}, strides {strides:?}"
            ));
        }
        let further = stride
            .checked_mul(size - 1)
            .and_then(|far| far.checked_add(reach));
        reach = further.ok_or_else(|| format!("its shape {shape:?} is beyond any memory"))?;
    }
    Ok(reach)
}

/// Source of the bytes of a foreign file.
#[derive(Debug)]
pub(super) enum Source {
    File(File, u64),
    Bytes(Vec<u8>),
}

impl Source {
    /// A plain file, opened.
    pub(super) fn open(path: &Path) -> Result<Self, CheckpointError> {
        let (file, length) = plain::open(path).map_err(CheckpointError::unread(path))?;
        Ok(Self::File(file, length))
    }

    pub(super) fn length(&self) -> u64 {
        match self {
            Self::File(_, length) => *length,
            Self::Bytes(bytes) => bytes.len() as u64,
        }
    }

    /// Fills `buffer` with the bytes from offset `at` on.
    pub(super) fn read_at(&self, at: u64, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(buffer)
            }
            Self::Bytes(bytes) => {
                let from = usize::try_from(at).unwrap_or(usize::MAX);
                let there = bytes.get(from..).and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(there.ok_or(ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Passes `length` bytes from offset `at` on to `piece`, chunk by chunk.
    pub(super) fn each(&self, mut at: u64, length: u64, mut piece: impl FnMut(&[u8])) -> io::Result<()> {
        let (mut buffer, end) = ([0; 1 << 15], at.saturating_add(length));
        while at < end {
            let next = &mut buffer[..(end - at).min(1 << 15) as usize];
            self.read_at(at, next)?;
            piece(next);
            at += next.len() as u64;
        }
        Ok(())
    }
}

/// Checked foreign file: every tensor lies in it, and the hashes that it contains match.
#[derive(Debug)]
pub struct ForeignFile {
    pub(super) path: PathBuf,
    pub(super) source: Source,
    /// Tensors by their names in the file.
    pub tensors: BTreeMap<String, ForeignTensor>,
    /// Texts by key, if the format has them.
    pub metadata: BTreeMap<String, String>,
    /// Notes for the user on data that was ignored.
    pub notes: Vec<String>,
}

impl ForeignFile {
    /// Path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Values of a tensor: f64 unchanged; f32, f16 and bf16 as f32, which holds them exactly.
    ///
    /// # Errors
    /// If there is no such tensor, its type is not a float type, or the file cannot be read.
    pub fn read(&self, name: &str) -> Result<TensorData, CheckpointError> {
        let corrupt = |reason: String| CheckpointError::corrupt(&self.path, reason);
        let tensor = self
            .tensors
            .get(name)
            .ok_or_else(|| corrupt(format!("there is no tensor `{name}`")))?;
        match tensor.element {
            Element::F32 => self.values(tensor, |four: [u8; 4]| f32::from_le_bytes(four)),
            Element::F16 => self.values(tensor, |two: [u8; 2]| f16::from_le_bytes(two).to_f32()),
            Element::Bf16 => self.values(tensor, |two: [u8; 2]| bf16::from_le_bytes(two).to_f32()),
            Element::F64 => self.values(tensor, |eight: [u8; 8]| f64::from_le_bytes(eight)),
            Element::Other { name: element, .. } => {
                let reason = format!("tensor `{name}` has the type {element}; only float types are read");
                Err(corrupt(reason))
            }
        }
    }

    /// Reads in chunks, so that the bytes of a large tensor and its values are not in memory together. A view that is
    /// not row-major is in memory twice for a moment: as it lies, and as it is viewed.
    fn values<E: burn::tensor::Element, const SIZE: usize>(
        &self,
        tensor: &ForeignTensor,
        value: impl Fn([u8; SIZE]) -> E,
    ) -> Result<TensorData, CheckpointError> {
        let need = Need::of("reading it").with("a tensor", (tensor.span * size_of::<E>()) as u64);
        FreeMemory::room_for(&need, || NO_ROOM.into())
            .map_err(|error| CheckpointError::no_memory(&self.path, error))?;
        let mut values = Vec::with_capacity(tensor.span);
        let length = (tensor.span * SIZE) as u64;
        let read = self.source.each(tensor.at, length, |piece| {
            values.extend(piece.as_chunks::<SIZE>().0.iter().map(|&bytes| value(bytes)));
        });
        read.map_err(CheckpointError::io("read", &self.path))?;
        if contiguous(&tensor.shape).as_ref() != Some(&tensor.strides) {
            values = gathered(&values, &tensor.shape, &tensor.strides);
        }
        Ok(TensorData::new(values, tensor.shape.clone()))
    }
}

/// Entries of a view, in row-major order.
fn gathered<E: Copy>(values: &[E], shape: &[usize], strides: &[usize]) -> Vec<E> {
    let mut starts = vec![0];
    for (&size, &stride) in shape.iter().zip(strides) {
        let wider = starts
            .iter()
            .flat_map(|&start| (0..size).map(move |step| start + step * stride));
        starts = wider.collect();
    }
    starts.into_iter().map(|place| values[place]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_view_is_read_as_it_is_looked_at() {
        let values = [0, 1, 2, 3, 4, 5]; // [3, 2], and its transpose
        assert_eq!(gathered(&values, &[2, 3], &[1, 2]), [0, 2, 4, 1, 3, 5]);
        assert_eq!(gathered(&values, &[3], &[2]), [0, 2, 4]);
        assert_eq!(gathered(&values, &[], &[]), [0]);
    }

    #[test]
    fn entries_that_share_a_place_are_refused() {
        for (shape, strides, expected) in [
            (&[3, 2][..], &[2, 1][..], Ok(6)),
            (&[2, 3], &[1, 2], Ok(6)),
            (&[2, 3], &[1, 4], Ok(10)),
            (&[1, 3], &[0, 1], Ok(3)),
            (&[], &[], Ok(1)),
            (&[2, 3], &[0, 1], Err(())),
            (&[3, 3], &[2, 1], Err(())),
            (&[2, 2], &[1, 1], Err(())),
            (&[2, usize::MAX], &[usize::MAX, 1], Err(())),
        ] {
            assert_eq!(
                span(shape, strides).map_err(|_| ()),
                expected,
                "{shape:?} {strides:?}"
            );
        }
    }

    #[test]
    fn a_tensor_without_entries_or_beyond_any_memory_is_refused() {
        let tensor = |shape: &[usize], strides: Option<&[usize]>| {
            let strides = strides.map(<[usize]>::to_vec);
            ForeignTensor::new(Element::F32, shape.to_vec(), strides, (0, 8))
        };
        let huge = 1 << 62;
        for shape in [&[0][..], &[huge, 4, 0], &[0, huge, 4], &[2, 0, 2]] {
            for strides in [None, Some(vec![1; shape.len()])] {
                let reason = tensor(shape, strides.as_deref()).unwrap_err();
                assert!(
                    reason.contains("no number") || reason.contains("any memory"),
                    "{reason}"
                );
            }
        }
        assert!(tensor(&[huge, 4], None).unwrap_err().contains("any memory"));
        assert!(tensor(&[huge, 4], Some(&[4, 1])).is_err());
        assert_eq!(tensor(&[2, 4], None).unwrap().bytes(), 32);
    }
}
