//! A token, phase by phase: what is shared, and the sums between the phases.

use super::Activity;
use super::angles::Angles;
use super::cpu::{Chunk, FirstHalf, Join, Readout, SecondHalf, Stream, add, norm};
use super::simd::{Isa, LINE, Line};
use super::team;
use super::turnstile::{End, MOST_PARTS, Part, Turnstile};
use super::weights::{Sizes, Weights};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Numbers of a matrix that a part works on, about: 256 KiB, which leaves room in a core's own cache.
const PART: usize = 1 << 16;

/// All that a token needs, for whoever works on it.
///
/// Chunks are cut by the model's sizes alone, and what they give is summed in their order: the bits do not depend on
/// who did what.
#[derive(Debug)]
pub(super) struct Stage {
    weights: Arc<Weights>,
    isa: Isa,
    stream: RwLock<Stream>,
    chunks: Vec<Mutex<Chunk>>,
    readouts: Vec<Mutex<Vocabulary>>,
    turnstile: Turnstile,
    helpers: AtomicUsize,
    most_helpers: AtomicUsize,
}

/// A range of the vocabulary and its logits.
#[derive(Clone, Debug)]
struct Vocabulary {
    strips: Range<usize>,
    logits: Vec<Line>, // [strips, B]
}

/// What a phase does. Phase 2l is the first half of level l, 2l + 1 the second, 2L the readout.
enum Phase {
    First(usize),
    Second(usize),
    Readout,
}

impl Stage {
    pub(super) fn new(weights: Arc<Weights>, lanes: usize, isa: Isa) -> Self {
        let sizes = weights.sizes();
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = sizes;
        let row = vec![Line::default(); sizes.row()];
        let chunks: Vec<_> = (0..heads)
            .flat_map(|head| ranges(neurons, part(neurons, width, heads)).map(move |range| (head, range)))
            .map(|(head, range)| Mutex::new(Chunk::new(&weights, lanes, head, range)))
            .collect();
        let strips = sizes.vocab.div_ceil(LINE);
        let readouts = ranges(strips, part(sizes.vocab, width, 1) / LINE)
            .map(|strips| Vocabulary {
                logits: vec![Line::default(); strips.len() * lanes],
                strips,
            })
            .map(Mutex::new)
            .collect();
        let most_helpers = AtomicUsize::new(team::helpers().min(chunks.len() - 1));
        Self {
            isa,
            stream: RwLock::new(Stream {
                v: row.repeat(lanes),
                a: row.repeat(lanes * heads),
                cos: vec![0.0; lanes * neurons / 2],
                sin: vec![0.0; lanes * neurons / 2],
            }),
            chunks,
            readouts,
            turnstile: Turnstile::default(),
            helpers: AtomicUsize::new(0),
            most_helpers,
            weights,
        }
    }

    /// A stage of its own with the same memory; at rest.
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
            turnstile: Turnstile::default(),
            helpers: AtomicUsize::new(0),
            most_helpers: AtomicUsize::new(self.most_helpers.load(Ordering::Relaxed)),
        }
    }

    pub(super) fn weights(&self) -> &Arc<Weights> {
        &self.weights
    }

    /// Begins a token of each lane; at rest.
    pub(super) fn begin(&self, tokens: &[u32], positions: &[u64]) {
        let row = self.weights.sizes().row();
        let mut stream = self.write();
        for (v, &token) in stream.v.chunks_exact_mut(row).zip(tokens) {
            v.copy_from_slice(&self.weights.embed[token as usize * row..][..row]);
        }
        let pairs = self.weights.turns.len();
        let together = positions.iter().all(|&position| position == positions[0]);
        let positions = if together { &positions[..1] } else { positions };
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
        self.turnstile.open(0, self.chunks.len());
    }

    /// Whether no token is being worked on.
    pub(super) fn at_rest(&self) -> bool {
        self.turnstile.at_rest()
    }

    /// Works on one part, if there is one left; who does the last of a phase also does what follows it.
    pub(super) fn work(&self, end: End) -> bool {
        let Some(Part { phase, index }) = self.turnstile.claim(end) else {
            return false;
        };
        let (weights, level) = (&*self.weights, phase / 2);
        let step = self.phase(phase);
        {
            let stream = &*self.read();
            match step {
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
                Phase::Readout => {
                    let Vocabulary { strips, logits } = &mut *lock(&self.readouts[index]);
                    self.isa.run(Readout {
                        weights,
                        stream,
                        strips: strips.clone(),
                        logits,
                    });
                }
            }
        }
        if self.turnstile.finish() {
            match step {
                Phase::First(_) => self.gather_reads(),
                Phase::Second(_) => self.gather_speech(),
                Phase::Readout => {}
            }
            let next = phase + 1;
            let parts = match level {
                _ if next < 2 * weights.sizes().levels => self.chunks.len(),
                _ if next == 2 * weights.sizes().levels => self.readouts.len(),
                _ => 0,
            };
            self.turnstile.open(next, parts);
        }
        true
    }

    fn phase(&self, phase: usize) -> Phase {
        match phase {
            _ if phase == 2 * self.weights.sizes().levels => Phase::Readout,
            _ if phase.is_multiple_of(2) => Phase::First(phase / 2),
            _ => Phase::Second(phase / 2),
        }
    }

    /// `a = norm(sum of the chunks' reads)`, head by head of each lane.
    fn gather_reads(&self) {
        let Sizes { heads, width, .. } = self.weights.sizes();
        let row = self.weights.sizes().row();
        let mut stream = self.write();
        stream.a.fill(Line::default());
        for chunk in &self.chunks {
            let chunk = lock(chunk);
            for (index, lane) in chunk.lanes.iter().enumerate() {
                let a = &mut stream.a[(index * heads + chunk.head) * row..][..row];
                self.isa.run(add(a, &lane.read));
            }
        }
        for a in stream.a.chunks_exact_mut(row) {
            self.isa.run(norm(a, width, self.weights.eps));
        }
    }

    /// `v = norm(v + norm(sum of the chunks' u))` of each lane.
    fn gather_speech(&self) {
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
    }

    /// Copies the logits of the token that was done, `[B, V]`.
    pub(super) fn logits(&self, into: &mut [f32]) {
        let vocab = self.weights.sizes().vocab;
        let lanes = into.len() / vocab;
        for readout in &self.readouts {
            let Vocabulary { strips, logits } = &*lock(readout);
            for (strip, logits) in strips.clone().zip(logits.chunks_exact(lanes)) {
                let place = strip * LINE..vocab.min((strip + 1) * LINE);
                for (into, line) in into.chunks_exact_mut(vocab).zip(logits) {
                    into[place.clone()].copy_from_slice(&line.0[..place.len()]);
                }
            }
        }
    }

    pub(super) fn activity(&self) -> Vec<Activity> {
        let sizes = self.weights.sizes();
        let mut levels = vec![
            Activity {
                x: 0,
                y: 0,
                entries: 0
            };
            sizes.levels
        ];
        for chunk in &self.chunks {
            let chunk = lock(chunk);
            for (level, [x, y]) in levels.iter_mut().zip(&chunk.active) {
                level.x += x;
                level.y += y;
                level.entries += chunk.lanes.len() * chunk.neurons.len();
            }
        }
        levels
    }

    /// The memory of a level, `[B, H, N, D]`.
    pub(super) fn memory(&self, level: usize) -> Vec<f32> {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights.sizes();
        let lanes = lock(&self.chunks[0]).lanes.len();
        let mut rho = vec![0.0; lanes * heads * neurons * width];
        self.each_memory(level, |chunk, place, at| {
            let row = width.div_ceil(LINE);
            let rows = rho[at..].chunks_exact_mut(width);
            for (to, from) in rows.zip(chunk.rho[place].chunks_exact(row)) {
                for (to, from) in to.chunks_mut(LINE).zip(from) {
                    to.copy_from_slice(&from.0[..to.len()]);
                }
            }
        });
        rho
    }

    /// Takes over the memory of a level, `[B, H, N, D]`.
    pub(super) fn restore(&self, level: usize, rho: &[f32]) {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.weights.sizes();
        let lanes = lock(&self.chunks[0]).lanes.len();
        crate::assert_shape("decode", "rho", [rho.len()], [lanes * heads * neurons * width]);
        self.each_memory(level, |chunk, place, at| {
            let row = width.div_ceil(LINE);
            let rows = rho[at..].chunks_exact(width);
            for (to, from) in chunk.rho[place].chunks_exact_mut(row).zip(rows) {
                for (to, from) in to.iter_mut().zip(from.chunks(LINE)) {
                    to.0[..from.len()].copy_from_slice(from);
                }
            }
        });
    }

    /// Each chunk with the rows of one lane's memory in it, and where they begin in `[B, H, N, D]`.
    fn each_memory(&self, level: usize, mut visit: impl FnMut(&mut Chunk, Range<usize>, usize)) {
        let Sizes {
            levels,
            heads,
            neurons,
            width,
            ..
        } = self.weights.sizes();
        assert!(level < levels, "decode: level {level} of {levels}");
        for chunk in &self.chunks {
            let mut chunk = lock(chunk);
            for lane in 0..chunk.lanes.len() {
                let place = chunk.memory(level, lane);
                let first = (lane * heads + chunk.head) * neurons + chunk.neurons.start;
                visit(&mut chunk, place, first * width);
            }
        }
    }

    /// At most this many threads beside the caller's.
    pub(super) fn limit_helpers(&self, most: usize) {
        self.most_helpers
            .store(most.min(team::helpers()), Ordering::Relaxed);
    }

    /// Whether more helpers may come than are here.
    pub(super) fn wants_help(&self) -> bool {
        self.helpers.load(Ordering::Relaxed) < self.most_helpers.load(Ordering::Relaxed)
    }

    /// A helper comes; false if it is not needed.
    pub(super) fn admit(&self) -> bool {
        let most = self.most_helpers.load(Ordering::Relaxed);
        let come = |here| (here < most).then_some(here + 1);
        self.helpers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, come)
            .is_ok()
    }

    /// A helper goes.
    pub(super) fn dismiss(&self) {
        self.helpers.fetch_sub(1, Ordering::Relaxed);
    }

    fn read(&self) -> RwLockReadGuard<'_, Stream> {
        self.stream.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Stream> {
        self.stream.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
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
