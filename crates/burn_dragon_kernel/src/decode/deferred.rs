//! Memory whose writes are deferred: rows of few bytes that are read and not written, but once in 16 tokens.
//!
//! ```text
//! read = q rho + sum over the last tokens s of (q . q_s) v_s        pending: q_s, not yet part of rho
//! rho += sum of q_s (outer) v_s                                     once in 16 tokens
//! ```
//!
//! `pending` has a line for each neuron: its q in the last 16 tokens. It is read like a continuation of the row, by
//! 16 numbers. The vectors `v_s` are in [`Recent`], for all chunks. This is the same function; only the order of the
//! sums is another. It has two uses. Rows are read and not written, so fewer bytes move. And they are rounded 16 times
//! less often. Their rounding is stochastic: to the nearest, a sum would stop to grow once its terms are below a 512th
//! of it.
//!
//! Rows in bf16 are here, those in int8 in `blocks.rs`.

use super::carried::{LEAST, Query, copy_rows, part, part_mut, replace_rows, scale_lines};
use super::cpu::{AHEAD, fetch};
use super::list::ones;
use super::simd::{LINE, Line, Simd};
use super::stored::{Halves, Stored};
use crate::mix::mix;
use std::fmt::Debug;
use std::ops::Range;

/// Rows in a compact form, two for each pair of neurons.
pub(super) trait CompactRows: Clone + Debug {
    /// Empty rows of `row` lines each.
    fn new(count: usize, row: usize) -> Self;

    /// Prefetches the rows of a pair.
    fn fetch<S: Simd>(&self, simd: S, pair: usize);

    /// `sum += by[0] first + by[1] second` of a pair's rows.
    fn add_pair<S: Simd>(&self, simd: S, pair: usize, by: [f32; 2], sum: &mut [Line]);

    /// Adds writes to both rows of a pair. The seed chooses the rounding.
    fn write<S: Simd>(&mut self, simd: S, pair: usize, writes: &Writes, recent: &[Line], seed: u64);

    /// Multiplies some rows by a factor.
    fn scale(&mut self, rows: Range<usize>, factor: f32);

    /// Copies some rows into `[rows, D]`.
    fn copy(&self, rows: Range<usize>, row: usize, into: &mut [f32]);

    /// Replaces some rows by `from`, `[rows, D]`.
    fn replace(&mut self, rows: Range<usize>, width: usize, from: &[f32]);
}

/// Rows with deferred writes.
#[derive(Clone, Debug)]
pub(super) struct Deferred<R> {
    rows: R,
    pending: Vec<Line>, // [L, B, rows], divided by the scale
}

impl<R: CompactRows> Deferred<R> {
    /// Empty rows of `row` lines each.
    pub(super) fn new(count: usize, row: usize) -> Self {
        Self {
            rows: R::new(count, row),
            pending: vec![Line::default(); count],
        }
    }

    /// The rows of a level and a lane: one of `of` parts.
    fn range(&self, index: usize, of: usize) -> Range<usize> {
        let count = self.pending.len() / of;
        index * count..(index + 1) * count
    }

    /// `read = q rho` with what is pending, of which q becomes the newest; after the token `last` of the 16, all of it is
    /// written.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "one read and write of a memory")]
    pub(super) fn recall<S: Simd>(
        &mut self,
        simd: S,
        [index, of]: [usize; 2],
        [ask, write]: [f32; 2],
        query: &Query<'_>,
        (recent, newest): (&[Line], usize),
        last: usize,
        read: &mut [Line],
    ) {
        let first = self.range(index, of).start / 2;
        let (rows, pending) = (&self.rows, part_mut(&mut self.pending, index, of));
        let mut scores = simd.splat(0.0);
        for &pair in query.pairs.iter().take(2 * AHEAD) {
            rows.fetch(simd, first + pair as usize);
            fetch(simd, &pending[pair as usize * 2..][..2]);
        }
        for (k, &pair) in query.pairs.iter().enumerate() {
            let pair = pair as usize;
            if let Some(&next) = query.pairs.get(k + 2 * AHEAD) {
                rows.fetch(simd, first + next as usize);
                fetch(simd, &pending[next as usize * 2..][..2]);
            }
            let [[q0, q1], [k0, k1]] = query.pair(pair);
            rows.add_pair(simd, first + pair, [ask * q0, ask * q1], read);
            let [ask0, ask1] = [simd.splat(ask * q0), simd.splat(ask * q1)];
            let [first, second] = [2 * pair, 2 * pair + 1];
            scores = simd.fma(ask0, simd.load(&pending[first]), scores);
            scores = simd.fma(ask1, simd.load(&pending[second]), scores);
            pending[first].0[newest] = write * k0;
            pending[second].0[newest] = write * k1;
        }
        let mut line = Line::default();
        simd.store(&mut line, scores);
        for (score, v) in line.0.iter().zip(recent.chunks_exact(read.len())) {
            Line::add(simd, simd.splat(*score), v, read);
        }
        if newest == last {
            self.write(simd, [index, of], recent, query.seed);
        }
    }

    /// Adds what is pending to the rows, pair by pair.
    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, [index, of]: [usize; 2], recent: &[Line], seed: u64) {
        let first = self.range(index, of).start / 2;
        let (row, pending) = (
            recent.len() / LINE,
            part_mut(&mut self.pending, index, of).chunks_exact_mut(2),
        );
        for (pair, pending) in pending.enumerate() {
            let written = simd.nonzero(simd.load(&pending[0])) | simd.nonzero(simd.load(&pending[1]));
            if written != 0 {
                let mut writes = Writes::default();
                for token in ones(written) {
                    let token = token as usize;
                    writes.starts[writes.count] = token * row;
                    writes.q[writes.count] = [pending[0].0[token], pending[1].0[token]];
                    writes.count += 1;
                }
                let seed = mix(seed.wrapping_add(pair as u64));
                self.rows.write(simd, first + pair, &writes, recent, seed);
                pending.fill(Line::default());
            }
        }
    }

    pub(super) fn scale(&mut self, [index, of]: [usize; 2], factor: f32) {
        let range = self.range(index, of);
        self.rows.scale(range, factor);
        scale_lines(part_mut(&mut self.pending, index, of), factor);
    }

    pub(super) fn copy(&self, [index, of]: [usize; 2], recent: &[Line], row: usize, into: &mut [f32]) {
        self.rows.copy(self.range(index, of), row, into);
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

    pub(super) fn replace(&mut self, [index, of]: [usize; 2], width: usize, from: &[f32]) {
        self.rows.replace(self.range(index, of), width, from);
        part_mut(&mut self.pending, index, of).fill(Line::default());
    }
}

/// Pending writes of a pair: of the tokens at which it was active.
#[derive(Default)]
pub(super) struct Writes {
    starts: [usize; LINE], // of the token's row, in lines
    q: [[f32; 2]; LINE],
    count: usize,
}

impl Writes {
    /// Adds the writes to two lines of both rows of a pair, of which the first is line `at`.
    #[inline(always)]
    pub(super) fn add<S: Simd>(
        &self,
        simd: S,
        pair: [[S::V; 2]; 2],
        recent: &[Line],
        at: usize,
    ) -> [[S::V; 2]; 2] {
        let [mut one, mut two] = pair;
        let last = at + 1 == recent.len() / LINE; // the second line is only padding
        for (q, start) in self.q[..self.count].iter().zip(&self.starts) {
            let lines = &recent[start + at..];
            let v0 = simd.load(&lines[0]);
            let v1 = if last {
                simd.splat(0.0)
            } else {
                simd.load(&lines[1])
            };
            let (q0, q1) = (simd.splat(q[0]), simd.splat(q[1]));
            one = [simd.fma(q0, v0, one[0]), simd.fma(q0, v1, one[1])];
            two = [simd.fma(q1, v0, two[0]), simd.fma(q1, v1, two[1])];
        }
        [one, two]
    }
}

/// Rows in bf16.
#[derive(Clone, Debug)]
pub(super) struct HalfRows {
    rows: Vec<Halves>,
    size: usize,
}

impl CompactRows for HalfRows {
    fn new(count: usize, row: usize) -> Self {
        let size = Halves::size(row);
        Self {
            rows: vec![Halves::default(); count * size],
            size,
        }
    }

    #[inline(always)]
    fn fetch<S: Simd>(&self, simd: S, pair: usize) {
        fetch(simd, &self.rows[pair * 2 * self.size..][..2 * self.size]);
    }

    #[inline(always)]
    fn add_pair<S: Simd>(&self, simd: S, pair: usize, by: [f32; 2], sum: &mut [Line]) {
        let (first, second) = self.rows[pair * 2 * self.size..][..2 * self.size].split_at(self.size);
        Halves::add_two(simd, [simd.splat(by[0]), simd.splat(by[1])], [first, second], sum);
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, pair: usize, writes: &Writes, recent: &[Line], seed: u64) {
        let rows = &mut self.rows[pair * 2 * self.size..][..2 * self.size];
        let (first, second) = rows.split_at_mut(self.size);
        for (i, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let pair = [simd.widen(first), simd.widen(second)];
            let [one, two] = writes.add(simd, pair, recent, 2 * i);
            let lower = (seed as u32).wrapping_add(2 * i as u32);
            *first = Halves::stochastic(simd, one, lower ^ (seed >> 32) as u32);
            *second = Halves::stochastic(simd, two, lower.wrapping_add(1) ^ (seed >> 32) as u32);
        }
    }

    fn scale(&mut self, rows: Range<usize>, factor: f32) {
        let rows = &mut self.rows[rows.start * self.size..rows.end * self.size];
        rows.iter_mut().for_each(|halves| halves.scale(factor, LEAST));
    }

    fn copy(&self, rows: Range<usize>, row: usize, into: &mut [f32]) {
        copy_rows(
            &self.rows[rows.start * self.size..rows.end * self.size],
            row,
            into,
        );
    }

    fn replace(&mut self, rows: Range<usize>, width: usize, from: &[f32]) {
        replace_rows(
            &mut self.rows[rows.start * self.size..rows.end * self.size],
            width,
            from,
        );
    }
}
