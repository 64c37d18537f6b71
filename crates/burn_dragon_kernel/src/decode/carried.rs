//! Carried memory of a chunk of neurons.
//!
//! In f32 with f32 weights, a token reads the rows of its active pairs and writes them in the same pass. Otherwise
//! writes are deferred, for rows that are written need twice the bandwidth:
//!
//! ```text
//! read = q rho + sum over the last tokens s of (q . q_s) v_s        pending: q_s, not yet part of rho
//! rho += sum of q_s (outer) v_s                                     once in 16 tokens
//! ```
//!
//! `pending` has a line for each neuron: its q in the last 16 tokens. It is read like a continuation of the row, by
//! 16 numbers. The vectors `v_s` are in [`Recent`], for all chunks. This is the same function; only the order of the
//! sums is another. Rows in bf16 are rounded when they are written, so 16 times less often than the tokens are. Their
//! rounding is stochastic: to the nearest, a sum would stop to grow once its terms are below a 512th of it.

use super::cpu::{AHEAD, fetch};
use super::simd::{LINE, Line, Simd};
use super::stored::{Halves, Stored};
use super::weights::Sizes;
use crate::matrix::Precision;
use crate::mix::mix;
use std::ops::Range;

/// Smallest scale of a memory: below it, the rows are multiplied by the scale, once in 40 tokens at a slope of 0.7.
const LEAST_SCALE: f64 = 1.0 / (1u64 << 40) as f64;

/// Threshold below which an entry is flushed to zero (2^-80). Smaller ones cannot change the normalised read, beside
/// the epsilon of the norm, and could lead to subnormal numbers, which are slow on some processors.
const LEAST: f32 = f32::EPSILON * f32::EPSILON * f32::EPSILON / 2048.0;

/// Form of the carried memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Rows in f32, written at every token.
    Direct,
    /// Rows of this precision, with deferred writes.
    Deferred(Precision),
}

/// The stream at the beginning of a level, in the last 16 tokens; empty if writes are not deferred.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    rows: Vec<Line>,         // [L, B, 16] rows
    newest: Vec<usize>,      // [L], which of the 16 is that of this token
    pub(super) row: usize,   // lines
    pub(super) lanes: usize, // B
}

impl Recent {
    pub(super) fn new(sizes: Sizes, lanes: usize, form: Form) -> Self {
        let kept = if form == Form::Direct { 0 } else { LINE };
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
    Direct(Vec<Line>),
    F32(Deferred<Line>),
    Bf16(Deferred<Halves>),
}

#[derive(Clone, Debug)]
struct Deferred<R> {
    rows: Vec<R>,
    pending: Vec<Line>, // [L, B, neurons], divided by the scale
}

impl<R: Stored> Deferred<R> {
    fn new(count: usize, row: usize) -> Self {
        Self {
            rows: vec![R::default(); count * R::size(row)],
            pending: vec![Line::default(); count],
        }
    }
}

/// Part of a memory, by index: one of `of`.
fn part<T>(all: &[T], index: usize, of: usize) -> &[T] {
    let size = all.len() / of;
    &all[index * size..][..size]
}

/// The same, to be changed.
fn part_mut<T>(all: &mut [T], index: usize, of: usize) -> &mut [T] {
    let size = all.len() / of;
    &mut all[index * size..][..size]
}

/// A token's question to a memory, and what is written: pairs with an active member, by q before its rotation.
pub(super) struct Query<'a> {
    pub(super) x: &'a [Line],
    pub(super) pairs: &'a [u32],
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    pub(super) v: &'a [Line],
    /// Number that differs for every token, level and chunk: it chooses the rounding.
    pub(super) seed: u64,
}

impl Query<'_> {
    /// q of a pair.
    #[inline(always)]
    fn pair(&self, pair: usize) -> [f32; 2] {
        let x = |member: usize| self.x[2 * pair / LINE].0[2 * pair % LINE + member];
        let (cos, sin) = (self.cos[pair], self.sin[pair]);
        [x(0) * cos - x(1) * sin, x(1) * cos + x(0) * sin]
    }
}

impl Memory {
    /// An empty memory. Chunks write what is pending at different tokens, by their index.
    pub(super) fn new(form: Form, sizes: Sizes, lanes: usize, neurons: usize, index: usize) -> Self {
        let (count, row) = (sizes.levels * lanes * neurons, sizes.row());
        let rows = match form {
            Form::Direct => Rows::Direct(vec![Line::default(); count * row]),
            Form::Deferred(Precision::F32) => Rows::F32(Deferred::new(count, row)),
            Form::Deferred(Precision::Bf16) => Rows::Bf16(Deferred::new(count, row)),
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
        let (recent, newest) = recent.of(level, lane);
        let last = newest == self.last;
        match &mut self.rows {
            Rows::Direct(rows) => recall_directly(simd, part_mut(rows, index, of), factors, query, read),
            Rows::F32(memory) => {
                let tokens = Tokens { recent, newest, last };
                memory.recall(simd, [index, of], factors, query, &tokens, read);
            }
            Rows::Bf16(memory) => {
                let tokens = Tokens { recent, newest, last };
                memory.recall(simd, [index, of], factors, query, &tokens, read);
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
                Rows::Direct(rows) => Line::scale(part_mut(rows, index, of), factor, LEAST),
                Rows::F32(memory) => memory.scale([index, of], factor),
                Rows::Bf16(memory) => memory.scale([index, of], factor),
            }
        }
    }

    /// Copies a level's memory of one lane, `[neurons, D]`.
    pub(super) fn copy(&self, level: usize, lane: usize, recent: &Recent, into: &mut [f32]) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        let (scale, row) = (self.scales[index] as f32, recent.row);
        let (recent, _) = recent.of(level, lane);
        match &self.rows {
            Rows::Direct(rows) => copy_rows(part(rows, index, of), row, into),
            Rows::F32(memory) => memory.copy([index, of], recent, row, into),
            Rows::Bf16(memory) => memory.copy([index, of], recent, row, into),
        }
        into.iter_mut().for_each(|to| *to *= scale);
    }

    /// Replaces a level's memory of one lane by `from`, `[neurons, D]`. Nothing is pending then.
    pub(super) fn replace(&mut self, level: usize, lane: usize, width: usize, from: &[f32]) {
        let (index, of) = (level * self.lanes + lane, self.scales.len());
        self.scales[index] = 1.0;
        match &mut self.rows {
            Rows::Direct(rows) => replace_rows(part_mut(rows, index, of), width, from),
            Rows::F32(memory) => memory.replace([index, of], width, from),
            Rows::Bf16(memory) => memory.replace([index, of], width, from),
        }
    }
}

/// `read = q rho`, then `rho += q v`, in one pass over the rows of the listed pairs.
#[inline(always)]
fn recall_directly<S: Simd>(
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
        let [q0, q1] = query.pair(pair);
        let [ask0, ask1] = [simd.splat(ask * q0), simd.splat(ask * q1)];
        let [write0, write1] = [simd.splat(write * q0), simd.splat(write * q1)];
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

/// The last 16 tokens of a level and lane.
struct Tokens<'a> {
    recent: &'a [Line], // 16 rows
    newest: usize,
    last: bool, // whether what is pending is written after this token
}

impl<R: Stored> Deferred<R> {
    #[inline(always)]
    fn recall<S: Simd>(
        &mut self,
        simd: S,
        [index, of]: [usize; 2],
        [ask, write]: [f32; 2],
        query: &Query<'_>,
        tokens: &Tokens<'_>,
        read: &mut [Line],
    ) {
        let (rows, pending) = (
            part_mut(&mut self.rows, index, of),
            part_mut(&mut self.pending, index, of),
        );
        let size = R::size(query.v.len());
        let mut scores = simd.splat(0.0);
        for (k, &pair) in query.pairs.iter().enumerate() {
            let pair = pair as usize;
            if let Some(&next) = query.pairs.get(k + AHEAD) {
                fetch(simd, &rows[next as usize * 2 * size..][..2 * size]);
                fetch(simd, &pending[next as usize * 2..][..2]);
            }
            let q = query.pair(pair);
            let by = q.map(|q| simd.splat(ask * q));
            let (first, second) = rows[pair * 2 * size..][..2 * size].split_at(size);
            R::add_rows(simd, by, [first, second], read);
            for (member, pending) in pending[2 * pair..][..2].iter_mut().enumerate() {
                scores = simd.fma(by[member], simd.load(pending), scores);
                pending.0[tokens.newest] = write * q[member];
            }
        }
        let mut line = Line::default();
        simd.store(&mut line, scores);
        for (score, v) in line.0.into_iter().zip(tokens.recent.chunks_exact(read.len())) {
            Line::add_rows(simd, [simd.splat(score)], [v], read);
        }
        if tokens.last {
            write_pending(simd, rows, pending, tokens.recent, query.seed);
        }
    }

    fn scale(&mut self, [index, of]: [usize; 2], factor: f32) {
        R::scale(part_mut(&mut self.rows, index, of), factor, LEAST);
        Line::scale(part_mut(&mut self.pending, index, of), factor, LEAST);
    }

    fn copy(&self, [index, of]: [usize; 2], recent: &[Line], row: usize, into: &mut [f32]) {
        copy_rows(part(&self.rows, index, of), row, into);
        let pending = part(&self.pending, index, of);
        let width = into.len() / pending.len();
        for (into, pending) in into.chunks_exact_mut(width).zip(pending) {
            for (q, v) in pending.0.into_iter().zip(recent.chunks_exact(row)) {
                into.iter_mut()
                    .zip(Line::numbers(v))
                    .for_each(|(to, v)| *to += q * v);
            }
        }
    }

    fn replace(&mut self, [index, of]: [usize; 2], width: usize, from: &[f32]) {
        replace_rows(part_mut(&mut self.rows, index, of), width, from);
        part_mut(&mut self.pending, index, of).fill(Line::default());
    }
}

/// Adds what is pending to the rows, pair by pair.
#[inline(always)]
fn write_pending<S: Simd, R: Stored>(
    simd: S,
    rows: &mut [R],
    pending: &mut [Line],
    recent: &[Line],
    seed: u64,
) {
    let row = recent.len() / LINE;
    let size = R::size(row);
    let pairs = rows.chunks_exact_mut(2 * size).zip(pending.chunks_exact_mut(2));
    for (pair, (rows, pending)) in pairs.enumerate() {
        if pending.iter().all(|line| line.0 == [0.0; LINE]) {
            continue;
        }
        let seeds = mix(seed.wrapping_add(pair as u64));
        let (first, second) = rows.split_at_mut(size);
        for i in 0..row.div_ceil(2) {
            let lines = 2 * i..row.min(2 * i + 2);
            let rows = [R::pair(simd, first, i), R::pair(simd, second, i)];
            let [one, two] = add_tokens(simd, rows, pending, recent, row, lines);
            R::set_pair(simd, first, i, one, seeds as u32);
            R::set_pair(simd, second, i, two, (seeds >> 32) as u32);
        }
        pending.fill(Line::default());
    }
}

/// Two rows' pairs of lines plus the pending writes of 16 tokens to them.
#[inline(always)]
fn add_tokens<S: Simd>(
    simd: S,
    mut rows: [[S::V; 2]; 2],
    pending: &[Line],
    recent: &[Line],
    row: usize,
    lines: Range<usize>,
) -> [[S::V; 2]; 2] {
    for token in 0..LINE {
        let v = &recent[token * row..][lines.clone()];
        let v = [
            simd.load(&v[0]),
            v.get(1).map_or(simd.splat(0.0), |v| simd.load(v)),
        ];
        for (row, pending) in rows.iter_mut().zip(pending) {
            let q = simd.splat(pending.0[token]);
            *row = [simd.fma(q, v[0], row[0]), simd.fma(q, v[1], row[1])];
        }
    }
    rows
}

/// Copies rows of `row` lines into `[neurons, D]`.
fn copy_rows<R: Stored>(rows: &[R], row: usize, into: &mut [f32]) {
    let size = R::size(row);
    let width = into.len() / (rows.len() / size);
    for (to, from) in into.chunks_exact_mut(width).zip(rows.chunks_exact(size)) {
        to.iter_mut()
            .zip(R::numbers(from))
            .for_each(|(to, from)| *to = from);
    }
}

/// Replaces rows by `from`, `[neurons, D]`.
fn replace_rows<R: Stored>(rows: &mut [R], width: usize, from: &[f32]) {
    let row = width.div_ceil(LINE);
    for (to, from) in rows.chunks_exact_mut(R::size(row)).zip(from.chunks_exact(width)) {
        let mut lines = vec![Line::default(); row];
        for (to, from) in lines.iter_mut().zip(from.chunks(LINE)) {
            to.0[..from.len()].copy_from_slice(from);
        }
        to.copy_from_slice(&R::pack(lines, row));
    }
}
