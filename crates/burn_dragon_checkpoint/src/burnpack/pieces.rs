//! Pieces of a container, which are read in order and then checked and hashed by any thread.

use super::index::Entry;
use super::{PackError, malformed};
use crate::hash::{Algorithm, hex};
use crate::stored::all_finite;
use crate::tree_hash::{Node, PIECE, node};
use burn::tensor::{Bytes, DType, TensorData, bf16, f16};
use burn_dragon_kernel::api::machine::use_huge_pages;
use bytemuck::Pod;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Header and index, which the caller has read.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    /// The bytes of the file.
    pub plain: &'a [u8],
    /// The bytes that are hashed in their place.
    pub hashed: &'a [u8],
}

/// Buffer of a tensor. It has the alignment of its values from the beginning, so that it is never copied.
trait Buffer: Send {
    /// The first `bytes` bytes of the tensor, of `all`.
    fn first(&mut self, bytes: usize, all: usize) -> &mut [u8];
    fn into_bytes(self: Box<Self>) -> Bytes;
}

impl<W: Pod + Send + Sync> Buffer for Vec<W> {
    fn first(&mut self, bytes: usize, all: usize) -> &mut [u8] {
        let (count, most) = (bytes / size_of::<W>(), all / size_of::<W>());
        if count == most && self.is_empty() {
            *self = vec![W::zeroed(); most]; // zeros of the system, which are not written
            use_huge_pages(self);
        } else if count > self.len() {
            self.reserve_exact(count - self.len());
            self.resize(count, W::zeroed());
        }
        bytemuck::cast_slice_mut(self)
    }

    fn into_bytes(self: Box<Self>) -> Bytes {
        Bytes::from_elems(*self)
    }
}

/// Tensors of a container, and how much of each is there.
pub(super) struct Parts {
    /// For each tensor its bytes in the file, its type and its buffer.
    tensors: Vec<(Range<u64>, DType, Box<dyn Buffer>)>,
    length: u64,
}

impl Parts {
    /// The empty tensors of a container of `length` bytes.
    pub(super) fn new(entries: &[Entry], length: u64) -> Self {
        let data: u64 = entries.last().map_or(0, |entry| entry.range.end);
        let start = length - data;
        let buffer = |entry: &Entry| -> Box<dyn Buffer> {
            match entry.dtype.size() {
                1 => Box::new(Vec::<u8>::new()),
                2 => Box::new(Vec::<u16>::new()),
                4 => Box::new(Vec::<u32>::new()),
                _ => Box::new(Vec::<u64>::new()),
            }
        };
        let tensor = |entry: &Entry| {
            let range = start + entry.range.start..start + entry.range.end;
            (range, entry.dtype, buffer(entry))
        };
        Self {
            tensors: entries.iter().map(tensor).collect(),
            length,
        }
    }

    /// Pieces of the bytes `range` of the file. It begins at a multiple of a piece.
    ///
    /// # Errors
    /// If a tensor is larger than this machine can address.
    pub(super) fn pieces<'a>(
        &'a mut self,
        head: Head<'a>,
        range: Range<u64>,
    ) -> Result<Vec<Piece<'a>>, PackError> {
        let mut cutter = Cutter::new(range.clone());
        let head_end = head.plain.len() as u64;
        if let Some(here) = overlap(&(0..head_end), &range) {
            let (plain, hashed) = (&head.plain[here.clone()], &head.hashed[here]);
            cutter.push(Span::Head { plain, hashed });
        }
        let mut end = head_end;
        for (place, (bytes, dtype, buffer)) in self.tensors.iter_mut().enumerate() {
            cutter.zeros(&(end..bytes.start));
            end = bytes.end;
            let Some(here) = overlap(bytes, &range) else {
                continue;
            };
            let Ok(all) = usize::try_from(bytes.end - bytes.start) else {
                return malformed("it holds a tensor that is too large for this machine");
            };
            let values = &mut buffer.first(here.end, all)[here];
            cutter.push(Span::Values {
                place,
                dtype: *dtype,
                values,
            });
        }
        cutter.zeros(&(end..self.length));
        Ok(cutter.pieces)
    }

    /// The tensors, by name.
    pub(super) fn into_tensors(self, entries: Vec<Entry>) -> BTreeMap<String, TensorData> {
        let tensors = self.tensors.into_iter().zip(entries);
        tensors
            .map(|((_, dtype, buffer), entry)| {
                let data = TensorData::from_bytes(buffer.into_bytes(), entry.shape, dtype);
                (entry.name, data)
            })
            .collect()
    }
}

/// Common bytes of `of` and `range`, counted from the beginning of `of`.
fn overlap(of: &Range<u64>, range: &Range<u64>) -> Option<Range<usize>> {
    let (start, end) = (of.start.max(range.start), of.end.min(range.end));
    let within = |at: u64| usize::try_from(at - of.start).ok();
    (start < end)
        .then(|| Some(within(start)?..within(end)?))
        .flatten()
}

/// Bytes of one kind.
enum Span<'a> {
    Head {
        plain: &'a [u8],
        hashed: &'a [u8],
    },
    Zeros {
        length: usize,
    },
    Values {
        place: usize,
        dtype: DType,
        values: &'a mut [u8],
    },
}

impl<'a> Span<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Head { plain, .. } => plain.len(),
            Self::Zeros { length } => *length,
            Self::Values { values, .. } => values.len(),
        }
    }

    /// The first `at` bytes, and the rest.
    fn split(self, at: usize) -> (Self, Self) {
        match self {
            Self::Head { plain, hashed } => {
                let ((a, b), (c, d)) = (plain.split_at(at), hashed.split_at(at));
                (
                    Self::Head { plain: a, hashed: c },
                    Self::Head { plain: b, hashed: d },
                )
            }
            Self::Zeros { length } => (Self::Zeros { length: at }, Self::Zeros { length: length - at }),
            Self::Values { place, dtype, values } => {
                let (first, rest) = values.split_at_mut(at);
                let of = |values: &'a mut [u8]| Self::Values { place, dtype, values };
                (of(first), of(rest))
            }
        }
    }

    /// The bytes as they are hashed, or as they are in the file.
    fn bytes(&self, plain_head: bool) -> &[u8] {
        match self {
            Self::Head { plain, .. } if plain_head => plain,
            Self::Head { hashed, .. } => hashed,
            Self::Zeros { length } => &ZEROS[..*length],
            Self::Values { values, .. } => values,
        }
    }
}

/// Padding is shorter than the alignment.
const ZEROS: [u8; super::ALIGNMENT as usize] = [0; super::ALIGNMENT as usize];

/// Bytes that are read and hashed at a time, from byte `at` of the file.
pub(super) struct Piece<'a> {
    at: u64,
    spans: Vec<Span<'a>>,
}

impl Piece<'_> {
    fn read(&mut self, source: &mut impl Read) -> Result<(), PackError> {
        let mut fill = |bytes: &mut [u8]| {
            source.read_exact(bytes).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => ErrorKind::UnexpectedEof.into(),
                _ => error,
            })
        };
        for span in &mut self.spans {
            match span {
                Span::Head { .. } => {} // the reader of the index has read it
                Span::Values { values, .. } => fill(values)?,
                Span::Zeros { length } => {
                    let mut padding = ZEROS;
                    fill(&mut padding[..*length])?;
                    if padding != ZEROS {
                        return malformed("the padding between its tensors is not zero");
                    }
                }
            }
        }
        Ok(())
    }

    fn slices(&self, plain_head: bool) -> impl Iterator<Item = &[u8]> {
        self.spans.iter().map(move |span| span.bytes(plain_head))
    }

    /// Places of the tensors with a number that is not finite.
    fn not_finite(&self) -> impl Iterator<Item = usize> {
        self.spans.iter().filter_map(|span| match span {
            Span::Values { place, dtype, values } => (!is_finite(*dtype, values)).then_some(*place),
            _ => None,
        })
    }
}

/// Whether all numbers are finite, of f32, f16 and bf16. A piece begins at a multiple of their size.
fn is_finite(dtype: DType, values: &[u8]) -> bool {
    match dtype {
        DType::F32 => all_finite(bytemuck::cast_slice(values), |value: f32| value.is_finite()),
        DType::F16 => all_finite(bytemuck::cast_slice(values), |value: f16| value.is_finite()),
        DType::BF16 => all_finite(bytemuck::cast_slice(values), |value: bf16| value.is_finite()),
        _ => true,
    }
}

/// Cutter of spans into pieces.
struct Cutter<'a> {
    range: Range<u64>,
    at: u64,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Cutter<'a> {
    fn new(range: Range<u64>) -> Self {
        Self {
            at: range.start,
            range,
            pieces: Vec::new(),
        }
    }

    fn zeros(&mut self, of: &Range<u64>) {
        if let Some(here) = overlap(of, &self.range) {
            self.push(Span::Zeros { length: here.len() });
        }
    }

    fn push(&mut self, mut span: Span<'a>) {
        while span.len() > 0 {
            let within = self.at % PIECE;
            if within == 0 {
                let (at, spans) = (self.at, Vec::new());
                self.pieces.push(Piece { at, spans });
            }
            let room = usize::try_from(PIECE - within).unwrap_or(usize::MAX);
            let here = room.min(span.len());
            let (now, later) = span.split(here);
            self.at += now.len() as u64;
            if let Some(piece) = self.pieces.last_mut() {
                piece.spans.push(now);
            }
            span = later;
        }
    }
}

/// A pass over the pieces of a container of `length` bytes.
pub(super) struct Pass {
    length: u64,
    algorithm: Option<Algorithm>,
    /// SHA-256 is computed in the order of the bytes.
    sha256: Mutex<Sha256>,
}

/// What a pass has found.
#[derive(Default)]
pub(super) struct Found {
    /// Places of the tensors with a number that is not finite.
    pub not_finite: BTreeSet<usize>,
    /// By its beginning, the node of each piece with the replaced index, and with the plain one.
    nodes: BTreeMap<u64, (Node, Node)>,
}

/// Nodes of all pieces, in order.
pub(super) struct Nodes {
    pub hashed: Vec<Node>,
    pub plain: Vec<Node>,
}

impl Found {
    pub(super) fn join(&mut self, other: Self) {
        self.not_finite.extend(other.not_finite);
        self.nodes.extend(other.nodes);
    }

    pub(super) fn nodes(&self) -> Nodes {
        let (hashed, plain) = self.nodes.values().copied().unzip();
        Nodes { hashed, plain }
    }
}

/// Source of the pieces: whoever locks it reads the next one.
struct Feed<'a, R> {
    source: &'a mut R,
    pieces: std::vec::IntoIter<Piece<'a>>,
    error: Option<PackError>,
}

/// Number of bytes from which more threads are worth their start.
const MANY: u64 = 4 * PIECE;

/// Limit on the number of threads: one reads at a time, which takes as long as the work of two others.
const MOST_THREADS: usize = 4;

impl Pass {
    pub(super) fn new(length: u64, algorithm: Option<Algorithm>) -> Self {
        Self {
            length,
            algorithm,
            sha256: Mutex::default(),
        }
    }

    /// Reads, checks and hashes pieces.
    ///
    /// # Errors
    /// If the source fails, or padding is not zero.
    pub(super) fn run<'a, R: Read + Send>(
        &self,
        source: &'a mut R,
        pieces: Vec<Piece<'a>>,
    ) -> Result<Found, PackError> {
        let threads = match pieces.len() as u64 * PIECE < MANY {
            true => 1,
            false => thread::available_parallelism().map_or(1, |cores| cores.get().min(MOST_THREADS)),
        };
        let feed = Mutex::new(Feed {
            source,
            pieces: pieces.into_iter(),
            error: None,
        });
        let mut found = Found::default();
        thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().spawn_scoped(scope, || self.work(&feed));
            // Where no thread is to be had, this one does the work.
            let others: Vec<_> = (1..threads).map_while(|number| spawn(number).ok()).collect();
            found.join(self.work(&feed));
            for other in others {
                match other.join() {
                    Ok(more) => found.join(more),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        let feed = feed.into_inner().unwrap_or_else(PoisonError::into_inner);
        feed.error.map_or(Ok(found), Err)
    }

    fn work<R: Read>(&self, feed: &Mutex<Feed<'_, R>>) -> Found {
        let mut found = Found::default();
        loop {
            let mut reading = locked(feed);
            let Some(mut piece) = reading.pieces.next() else {
                return found;
            };
            if let Err(error) = piece.read(reading.source) {
                reading.error = Some(error);
                reading.pieces = Vec::new().into_iter();
                return found;
            }
            match self.algorithm {
                Some(Algorithm::Sha256) => {
                    let mut sha256 = locked(&self.sha256); // before the next piece can be read
                    drop(reading);
                    piece.slices(false).for_each(|slice| sha256.update(slice));
                }
                Some(Algorithm::Blake3) => {
                    drop(reading);
                    found.nodes.insert(piece.at, self.nodes_of(&piece));
                }
                None => drop(reading),
            }
            found.not_finite.extend(piece.not_finite());
        }
    }

    /// Nodes of a piece with the replaced index, and with the plain one.
    fn nodes_of(&self, piece: &Piece<'_>) -> (Node, Node) {
        let node = |plain_head| node(piece.at, self.length, piece.slices(plain_head));
        let hashed = node(false);
        let has_head = matches!(piece.spans.first(), Some(Span::Head { .. }));
        (hashed, if has_head { node(true) } else { hashed })
    }

    /// SHA-256 of all pieces, if it is the algorithm.
    pub(super) fn in_order(self) -> Option<String> {
        let sha256 = self.sha256.into_inner().unwrap_or_else(PoisonError::into_inner);
        (self.algorithm == Some(Algorithm::Sha256)).then(|| hex(&sha256.finalize()))
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
