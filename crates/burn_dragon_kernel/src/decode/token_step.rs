//! Step of a token, phase by phase: the shared data, and the sums between the phases.

use super::angles::Angles;
use super::carried::Recent;
use super::cpu::{Chunk, FirstHalf, Readout, SecondHalf, Stream};
use super::low_bit::{LowBitStacks, Speech, WholeInputs};
use super::memory::MemoryPrecision;
use super::prefilter::Coarsen;
use super::row::{Join, add, norm};
use super::simd::{Isa, LINE, Line, Shorts};
use super::weights::{Sizes, Weights};
use super::work_queue::{End, MOST_PARTS, WorkItem, WorkQueue};
use super::workers::{Help, Work};
use crate::low_bit::GROUP;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Approximate number of matrix entries that a part works on: 256 KiB, which leaves room in a core's own cache.
const PART: usize = 1 << 16;

/// Neurons of a chunk whose sum of y in a byte times bytes fits i32: `2^16 * 255 * 127`.
const MOST_NEURONS: usize = 1 << 16;

/// Data of the step of a token, shared by all threads that work on it.
///
/// Chunks depend on the model's sizes alone, and their results are summed in their order. So the bits do not depend on
/// which thread did which chunk.
#[derive(Debug)]
pub(super) struct TokenStep {
    weights: Arc<Weights>,
    isa: Isa,
    stream: RwLock<Stream>,
    chunks: Vec<Mutex<Chunk>>,
    readouts: Vec<Mutex<Vocabulary>>,
    queue: WorkQueue,
    speaks_apart: bool, // a phase of its own
    help: Help,
}

/// A range of the vocabulary and its logits.
#[derive(Clone, Debug)]
struct Vocabulary {
    tokens: Range<usize>,
    logits: Vec<f32>, // [B, tokens]
}

/// Work of a phase: level by level its first half and its second, then the readout, and nothing. Where y of all chunks must
/// be known before any is used, its use is a phase of its own.
enum Phase {
    First(usize),
    Second(usize),
    Speech(usize),
    Readout,
    Rest,
}

impl TokenStep {
    pub(super) fn new(weights: Arc<Weights>, lanes: usize, memory: MemoryPrecision, isa: Isa) -> Self {
        let sizes = weights.sizes();
        let Sizes {
            heads,
            neurons,
            width,
            vocab,
            ..
        } = sizes;
        let chunk = part(neurons, width, heads);
        // Rows in whole numbers have few bytes, so that more of them are one part; groups are whole.
        let chunk = if weights.matrices.low_bit().is_some() {
            (2 * chunk).min(MOST_NEURONS).max(chunk).next_multiple_of(GROUP)
        } else {
            chunk
        };
        let chunks: Vec<_> = (0..heads)
            .flat_map(|head| ranges(neurons, chunk).map(move |range| (head, range)))
            .enumerate()
            .map(|(index, place)| Mutex::new(Chunk::new(&weights, lanes, memory, index, place)))
            .collect();
        let readouts = ranges(vocab, part(vocab, width, 1))
            .map(|tokens| Vocabulary {
                logits: vec![0.0; tokens.len() * lanes],
                tokens,
            })
            .map(Mutex::new)
            .collect();
        let (line, coarse) = (Line::default(), Shorts::default());
        Self {
            isa,
            stream: RwLock::new(Stream {
                v: vec![line; lanes * sizes.row()],
                a: vec![line; lanes * heads * sizes.row()],
                coarse_v: vec![coarse; lanes * sizes.coarse_row()],
                coarse_a: vec![coarse; lanes * heads * sizes.coarse_row()],
                cos: vec![0.0; lanes * weights.turns.len()],
                sin: vec![0.0; lanes * weights.turns.len()],
                positions: vec![0; lanes],
                recent: Recent::new(sizes, lanes, memory),
                whole: WholeInputs::new(&weights, lanes),
            }),
            queue: WorkQueue::default(),
            help: Help::at_most(chunks.len() - 1),
            speaks_apart: weights.matrices.low_bit().is_some_and(LowBitStacks::speaks_apart),
            chunks,
            readouts,
            weights,
        }
    }

    /// Another step with a copy of the memory, at rest.
    pub(super) fn fork(&self) -> Self {
        Self {
            weights: self.weights.clone(),
            isa: self.isa,
            stream: RwLock::new(self.read().clone()),
            chunks: self
                .chunks
                .iter()
                .map(|chunk| Mutex::new(lock(chunk).clone()))
                .collect(),
            readouts: self
                .readouts
                .iter()
                .map(|part| Mutex::new(lock(part).clone()))
                .collect(),
            queue: WorkQueue::default(),
            speaks_apart: self.speaks_apart,
            help: self.help.fork(),
        }
    }

    pub(super) fn weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    pub(super) fn chunks(&self) -> &[Mutex<Chunk>] {
        &self.chunks
    }

    /// Begins a token of each lane; at rest.
    pub(super) fn begin(&self, tokens: &[u32], positions: &[u64]) {
        let row = self.weights.sizes().row();
        let mut stream = self.write();
        for (v, &token) in stream.v.chunks_exact_mut(row).zip(tokens) {
            v.copy_from_slice(&self.weights.embed[token as usize * row..][..row]);
        }
        stream.positions.copy_from_slice(positions);
        let Stream { v, recent, .. } = &mut *stream;
        recent.begin();
        recent.record(0, v);
        let pairs = self.weights.turns.len();
        let together = positions.iter().all(|&position| position == positions[0]);
        let positions = if together { &positions[..1] } else { positions };
        self.coarsen_stream(&mut stream);
        let Stream { cos, sin, .. } = &mut *stream;
        cos.resize(positions.len() * pairs, 0.0);
        sin.resize(positions.len() * pairs, 0.0);
        let tables = cos.chunks_exact_mut(pairs).zip(sin.chunks_exact_mut(pairs));
        for ((cos, sin), &position) in tables.zip(positions) {
            self.isa.run(Angles {
                position,
                turns: &self.weights.turns,
                cos,
                sin,
            });
        }
        drop(stream);
        self.queue.open(0, self.chunks.len());
    }

    fn work_on(&self, phase: &Phase, index: usize) {
        let (weights, stream) = (&*self.weights, &*self.read());
        match *phase {
            Phase::First(level) => {
                let chunk = &mut *lock(&self.chunks[index]);
                self.isa.run(FirstHalf {
                    weights,
                    stream,
                    chunk,
                    level,
                });
            }
            Phase::Second(level) => {
                let chunk = &mut *lock(&self.chunks[index]);
                self.isa.run(SecondHalf {
                    weights,
                    stream,
                    chunk,
                    level,
                });
            }
            Phase::Speech(_) => {
                let chunk = &mut *lock(&self.chunks[index]);
                self.isa.run(Speech {
                    weights,
                    stream,
                    chunk,
                });
            }
            Phase::Readout => {
                let Vocabulary { tokens, logits } = &mut *lock(&self.readouts[index]);
                self.isa.run(Readout {
                    weights,
                    stream,
                    tokens: tokens.clone(),
                    logits,
                });
            }
            Phase::Rest => {}
        }
    }

    fn phase(&self, phase: usize) -> Phase {
        let each = if self.speaks_apart { 3 } else { 2 };
        let (levels, level) = (self.weights.sizes().levels, phase / each);
        match phase % each {
            0 if level == levels => Phase::Readout,
            _ if level >= levels => Phase::Rest,
            0 => Phase::First(level),
            1 => Phase::Second(level),
            _ => Phase::Speech(level),
        }
    }

    /// `a = norm(sum of the chunks' reads)`, head by head of each lane.
    fn gather_reads(&self) {
        let sizes = self.weights.sizes();
        let (heads, width, row) = (sizes.heads, sizes.width, sizes.row());
        let mut stream = self.write();
        stream.a.fill(Line::default());
        for chunk in &self.chunks {
            let chunk = lock(chunk);
            for (index, lane) in chunk.lanes.iter().enumerate() {
                let a = &mut stream.a[(index * heads + chunk.head) * row..][..row];
                self.isa.run(add(a, &lane.read));
            }
        }
        let Stream {
            a, coarse_a, whole, ..
        } = &mut *stream;
        for a in a.chunks_exact_mut(row) {
            self.isa.run(norm(a, width, self.weights.eps));
        }
        if whole.a.are_used() {
            whole.a.quantise(self.isa, a);
        } else {
            self.coarsen(a, coarse_a);
        }
    }

    /// The scales of y, after all of it is known.
    fn gather_largest(&self) {
        let mut stream = self.write();
        let y = &mut stream.whole.y;
        y.begin();
        for chunk in &self.chunks {
            let chunk = lock(chunk);
            for (index, lane) in chunk.lanes.iter().enumerate() {
                y.see(index, chunk.head, lane.largest());
            }
        }
        y.end();
    }

    /// `v = norm(v + norm(sum of the chunks' u))` of each lane, after a level.
    fn gather_speech(&self, level: usize) {
        let sizes = self.weights.sizes();
        let (row, mut stream) = (sizes.row(), self.write());
        let Stream { v, a, .. } = &mut *stream;
        let u = &mut a[..v.len()]; // of no more use at this level
        u.fill(Line::default());
        for chunk in &self.chunks {
            for (u, lane) in u.chunks_exact_mut(row).zip(&lock(chunk).lanes) {
                self.isa.run(add(u, &lane.u));
            }
        }
        for (v, u) in v.chunks_exact_mut(row).zip(u.chunks_exact_mut(row)) {
            self.isa.run(Join {
                v,
                u,
                width: sizes.width,
                eps: self.weights.eps,
            });
        }
        self.coarsen_stream(&mut stream);
        if level + 1 < sizes.levels {
            let Stream { v, recent, .. } = &mut *stream;
            recent.record(level + 1, v);
        }
    }

    /// The copies of the stream by which neurons are prefiltered, or the whole numbers that it is multiplied in.
    fn coarsen_stream(&self, stream: &mut Stream) {
        if stream.whole.v.are_used() {
            stream.whole.v.quantise(self.isa, &stream.v);
        } else {
            self.coarsen(&stream.v, &mut stream.coarse_v);
        }
    }

    /// Coarse copies of rows.
    fn coarsen(&self, rows: &[Line], coarse: &mut [Shorts]) {
        let sizes = self.weights.sizes();
        let coarse = coarse.chunks_exact_mut(sizes.coarse_row());
        for (row, z) in rows.chunks_exact(sizes.row()).zip(coarse) {
            self.isa.run(Coarsen { row, z });
        }
    }

    /// Copies the logits of the token that was done, `[B, V]`.
    pub(super) fn logits(&self, into: &mut [f32]) {
        for readout in &self.readouts {
            let Vocabulary { tokens, logits } = &*lock(readout);
            let lanes = into.chunks_exact_mut(self.weights.sizes().vocab);
            for (into, logits) in lanes.zip(logits.chunks_exact(tokens.len())) {
                into[tokens.clone()].copy_from_slice(logits);
            }
        }
    }

    pub(super) fn read(&self) -> RwLockReadGuard<'_, Stream> {
        self.stream.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, Stream> {
        self.stream.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for TokenStep {
    /// Whether no token is in progress.
    fn at_rest(&self) -> bool {
        self.queue.at_rest()
    }

    /// Works on one part, if one is left; the thread that does the last part of a phase also does the sums after it.
    fn work(&self, end: End) -> bool {
        let Some(WorkItem { phase, index }) = self.queue.claim(end) else {
            return false;
        };
        let now = self.phase(phase);
        self.work_on(&now, index);
        if self.queue.finish() {
            match now {
                Phase::First(_) => self.gather_reads(),
                Phase::Second(_) if self.speaks_apart => self.gather_largest(),
                Phase::Second(level) | Phase::Speech(level) => self.gather_speech(level),
                Phase::Readout | Phase::Rest => {}
            }
            let parts = match self.phase(phase + 1) {
                Phase::First(_) | Phase::Second(_) | Phase::Speech(_) => self.chunks.len(),
                Phase::Readout => self.readouts.len(),
                Phase::Rest => 0,
            };
            self.queue.open(phase + 1, parts);
        }
        true
    }

    fn help(&self) -> &Help {
        &self.help
    }
}

/// Locks a mutex, also after a panic; [`Help`] reports panics.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Columns of a `[D, columns]` matrix in a part, whole strips; `times` such matrices together have not too many parts.
fn part(columns: usize, width: usize, times: usize) -> usize {
    let most = MOST_PARTS / times;
    (PART / width)
        .max(columns.div_ceil(most.max(1)))
        .max(1)
        .next_multiple_of(LINE)
}

/// `0..end` in pieces of `size`, the last one shorter.
fn ranges(end: usize, size: usize) -> impl Iterator<Item = Range<usize>> {
    (0..end)
        .step_by(size)
        .map(move |start| start..end.min(start + size))
}
