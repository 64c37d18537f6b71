//! Carried memory of a chunk of neurons.
//!
//! In f32 a token reads the rows of its active pairs and writes them in the same pass. In bf16 and int8, writes are
//! deferred (`deferred.rs`).

use super::blocks::BlockRows;
use super::cpu::{AHEAD, fetch};
use super::deferred::{Deferred, HalfRows};
use super::memory::MemoryPrecision;
use super::simd::{LINE, Line, Simd};
use super::stored::Stored;
use super::weights::Sizes;

/// Smallest scale of a memory: below it, the rows are multiplied by the scale, once in 40 tokens at a slope of 0.7.
const LEAST_SCALE: f64 = 1.0 / (1u64 << 40) as f64;

/// Threshold below which an entry is flushed to zero (2^-80). Smaller ones cannot change the normalised read, beside
/// the epsilon of the norm, and could lead to subnormal numbers, which are slow on some processors.
pub(super) const LEAST: f32 = f32::EPSILON * f32::EPSILON * f32::EPSILON / 2048.0;

/// The stream at the beginning of a level, in the last 16 tokens; empty unless writes are deferred.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    rows: Vec<Line>,         // [L, B, 16] rows
    newest: Vec<usize>,      // [L], which of the 16 is that of this token
    pub(super) row: usize,   // lines
    pub(super) lanes: usize, // B
}

impl Recent {
    pub(super) fn new(sizes: Sizes, lanes: usize, memory: MemoryPrecision) -> Self {
        let kept = if memory == MemoryPrecision::F32 { 0 } else { LINE };
        Self {
            rows: vec![Line::default(); sizes.levels * lanes * kept * sizes.row()],
            newest: vec![LINE - 1; sizes.levels],
            row: sizes.row(),
            lanes,
        }
    }

    /// Begins a token at all levels.
    pub(super) fn begin(&mut self) {
        self.newest
            .iter_mut()
            .for_each(|newest| *newest = (*newest + 1) % LINE);
    }

    /// Records the stream of all lanes at the beginning of a level.
    pub(super) fn record(&mut self, level: usize, v: &[Line]) {
        if self.rows.is_empty() {
            return;
        }
        for (lane, v) in v.chunks_exact(self.row).enumerate() {
            let first = ((level * self.lanes + lane) * LINE + self.newest[level]) * self.row;
            self.rows[first..][..self.row].copy_from_slice(v);
        }
    }

    /// Forgets the tokens of a level. What is pending must have been cleared.
    pub(super) fn clear(&mut self, level: usize) {
        self.newest[level] = LINE - 1;
    }

    /// The 16 rows of a lane, and which of them is that of this token.
    pub(super) fn of(&self, level: usize, lane: usize) -> (&[Line], usize) {
        let size = if self.rows.is_empty() { 0 } else { LINE * self.row };
        let first = (level * self.lanes + lane) * size;
        (&self.rows[first..][..size], self.newest[level])
    }
}

/// Memory of a chunk: of all levels and lanes, its neurons' rows, each to be multiplied by the memory's scale.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    rows: Rows,
    scales: Vec<f64>, // [L, B]
    lanes: usize,
    last: usize, // of the 16 recent tokens, the one after which this chunk writes what is pending
}

/// Rows of a memory, `[L, B, neurons]`.
#[derive(Clone, Debug)]
enum Rows {
    F32(Vec<Line>),
    Bf16(Deferred<HalfRows>),
    Int8(Deferred<BlockRows>),
}

/// Part of a memory, by index: one of `of`.
pub(super) fn part<T>(all: &[T], index: usize, of: usize) -> &[T] {
    let size = all.len() / of;
    &all[index * size..][..size]
}

/// The same, to be changed.
pub(super) fn part_mut<T>(all: &mut [T], index: usize, of: usize) -> &mut [T] {
    let size = all.len() / of;
    &mut all[index * size..][..size]
}

/// A token's question to a memory, and what is written: pairs of rows that an active neuron asks.
pub(super) struct Query<'a> {
    pub(super) x: &'a [Line],
    /// Pairs with an active member; for polar keys, active neurons, of which each has a pair of rows.
    pub(super) pairs: &'a [u32],
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    /// Cosines and sines by which polar keys turn more than the queries; `None` for pairs of neurons.
    pub(super) further: Option<&'a [[f32; 2]]>,
    pub(super) v: &'a [Line],
    /// Number that differs for every token, level and chunk: it chooses the rounding.
    pub(super) seed: u64,
}

impl Query<'_> {
    /// Numbers with which a pair of rows is read, and with which it is written.
    #[inline(always)]
    pub(super) fn pair(&self, pair: usize) -> [[f32; 2]; 2] {
        let (cos, sin) = (self.cos[pair], self.sin[pair]);
        match self.further {
            None => {
                let x = |member: usize| self.x[2 * pair / LINE].0[2 * pair % LINE + member];
                [[x(0) * cos - x(1) * sin, x(1) * cos + x(0) * sin]; 2]
            }
            Some(further) => {
                let (x, [c, s]) = (self.x[pair / LINE].0[pair % LINE], further[pair]);
                [[cos, sin], [cos * c - sin * s, sin * c + cos * s]].map(|key| key.map(|part| x * part))
            }
        }
    }
}

impl Memory {
    /// An empty memory of `count` rows a level and lane. Chunks write what is pending at different tokens, by their index.
    pub(super) fn new(
        precision: MemoryPrecision,
        sizes: Sizes,
        lanes: usize,
        count: usize,
        index: usize,
    ) -> Self {
        let (count, row) = (sizes.levels * lanes * count, sizes.row());
        let rows = match precision {
            MemoryPrecision::F32 => Rows::F32(vec![Line::default(); count * row]),
            MemoryPrecision::Bf16 => Rows::Bf16(Deferred::new(count, row)),
            MemoryPrecision::Int8 => Rows::Int8(Deferred::new(count, row)),
        };
        Self {
            rows,
            scales: vec![1.0; sizes.levels * lanes],
            lanes,
            last: index % LINE,
        }
    }

    /// Adds the read `q rho` to `read`, then writes `rho += q v` or makes it pending.
    #[inline(always)]
    pub(super) fn recall<S: Simd>(
        &mut self,
        simd: S,
        [level, lane]: [usize; 2],
        query: &Query<'_>,
        recent: &Recent,
        read: &mut [Line],
    ) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        let scale = self.scales[index];
        // Both exactly 1 where nothing decays.
        let factors = [scale as f32, scale.recip() as f32];
        match &mut self.rows {
            Rows::F32(rows) => recall_f32(simd, part_mut(rows, index, of), factors, query, read),
            Rows::Bf16(memory) => {
                memory.recall(
                    simd,
                    [index, of],
                    factors,
                    query,
                    recent.of(level, lane),
                    self.last,
                    read,
                );
            }
            Rows::Int8(memory) => {
                memory.recall(
                    simd,
                    [index, of],
                    factors,
                    query,
                    recent.of(level, lane),
                    self.last,
                    read,
                );
            }
        }
    }

    /// Decays a level's memory of one lane: its scale decreases. The rows do not change until the scale is below
    /// [`LEAST_SCALE`]; then they are multiplied by it.
    #[inline(always)]
    pub(super) fn fade(&mut self, level: usize, lane: usize, left: f64) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        let scale = &mut self.scales[index];
        *scale *= left;
        if *scale < LEAST_SCALE {
            let factor = std::mem::replace(scale, 1.0) as f32;
            match &mut self.rows {
                Rows::F32(rows) => scale_lines(part_mut(rows, index, of), factor),
                Rows::Bf16(memory) => memory.scale([index, of], factor),
                Rows::Int8(memory) => memory.scale([index, of], factor),
            }
        }
    }

    /// Copies a level's memory of one lane, `[rows, D]`.
    pub(super) fn copy(&self, level: usize, lane: usize, recent: &Recent, into: &mut [f32]) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        let (scale, row) = (self.scales[index] as f32, recent.row);
        let (recent, _) = recent.of(level, lane);
        match &self.rows {
            Rows::F32(rows) => copy_rows(part(rows, index, of), row, into),
            Rows::Bf16(memory) => memory.copy([index, of], recent, row, into),
            Rows::Int8(memory) => memory.copy([index, of], recent, row, into),
        }
        into.iter_mut().for_each(|to| *to *= scale);
    }

    /// Replaces a level's memory of one lane by `from`, `[rows, D]`. Nothing is pending then.
    pub(super) fn replace(&mut self, level: usize, lane: usize, width: usize, from: &[f32]) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        self.scales[index] = 1.0;
        match &mut self.rows {
            Rows::F32(rows) => replace_rows(part_mut(rows, index, of), width, from),
            Rows::Bf16(memory) => memory.replace([index, of], width, from),
            Rows::Int8(memory) => memory.replace([index, of], width, from),
        }
    }
}

/// `read = q rho`, then `rho += q v`, in one pass over the rows of the listed pairs.
#[inline(always)]
fn recall_f32<S: Simd>(
    simd: S,
    rows: &mut [Line],
    [ask, write]: [f32; 2],
    query: &Query<'_>,
    read: &mut [Line],
) {
    let row = query.v.len();
    for (k, &pair) in query.pairs.iter().enumerate() {
        let pair = pair as usize;
        if let Some(&next) = query.pairs.get(k + AHEAD) {
            fetch(simd, &rows[next as usize * 2 * row..][..2 * row]);
        }
        let [[q0, q1], [k0, k1]] = query.pair(pair);
        let [ask0, ask1] = [simd.splat(ask * q0), simd.splat(ask * q1)];
        let [write0, write1] = [simd.splat(write * k0), simd.splat(write * k1)];
        let (first, second) = rows[pair * 2 * row..][..2 * row].split_at_mut(row);
        for (((read, v), first), second) in read.iter_mut().zip(query.v).zip(first).zip(second) {
            let (r0, r1, v) = (simd.load(first), simd.load(second), simd.load(v));
            let sum = simd.fma(ask1, r1, simd.fma(ask0, r0, simd.load(read)));
            simd.store(read, sum);
            simd.store(first, simd.fma(write0, v, r0));
            simd.store(second, simd.fma(write1, v, r1));
        }
    }
}

/// Multiplies numbers by a factor; what is less than [`LEAST`] then is zero.
#[inline(always)]
pub(super) fn scale_lines(lines: &mut [Line], factor: f32) {
    for entry in lines.iter_mut().flat_map(|line| &mut line.0) {
        let scaled = *entry * factor;
        *entry = if scaled.abs() < LEAST { 0.0 } else { scaled };
    }
}

/// Copies rows of `row` lines into `[rows, D]`.
pub(super) fn copy_rows<R: Stored>(rows: &[R], row: usize, into: &mut [f32]) {
    let size = R::size(row);
    let width = into.len() / (rows.len() / size);
    for (to, from) in into.chunks_exact_mut(width).zip(rows.chunks_exact(size)) {
        to.iter_mut()
            .zip(R::numbers(from))
            .for_each(|(to, from)| *to = from);
    }
}

/// Replaces rows by `from`, `[rows, D]`.
pub(super) fn replace_rows<R: Stored>(rows: &mut [R], width: usize, from: &[f32]) {
    let row = width.div_ceil(LINE);
    for (to, from) in rows.chunks_exact_mut(R::size(row)).zip(from.chunks_exact(width)) {
        let mut lines = vec![Line::default(); row];
        for (to, from) in lines.iter_mut().zip(from.chunks(LINE)) {
            to.0[..from.len()].copy_from_slice(from);
        }
        to.copy_from_slice(&R::pack(lines, row));
    }
}
