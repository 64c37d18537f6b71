//! Level up to the read: x, and the read of its tokens.
//!
//! A causal read uses scores, `[T, T]`, and a memory beside them. A read of the whole window uses the window's memory
//! alone, `q (q^T v)`, which is computed one tile of neurons at a time.

use super::elementwise::add;
use super::head::Head;
use super::rho::{Carry, Rho};
use super::scratch::Scratch;
use super::shared::Shared;
use crate::backend::level::Sizes;
use crate::buffer::Buffer;
use crate::matrix::{Matrix, Packing};

/// Result of the read of a head: all that the gradient needs of the level up to the read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) a: Buffer,      // [T, D], normed
    pub(super) scale: Buffer,  // [T], one over the deviation
    pub(super) scores: Buffer, // [T, T], strictly causal; blocks above the diagonal are not written; none of a whole window's read
}

impl Head<'_> {
    /// Computes x, scores and the normed read. The tokens read `rho`, and write to it after that.
    pub(super) fn first_half(&self, scratch: &mut Scratch, read: &mut Read, rho: &mut Rho<'_>, write: bool) {
        let Sizes {
            tokens,
            neurons,
            width,
            ..
        } = self.sizes;
        let x = scratch.x.sized(tokens * neurons);
        let scores = read.scores.sized(tokens * tokens);
        let recalled = scratch.da.sized(tokens * width);
        let v = scratch.v.share(self.precision, self.v, width);
        let written = self.written(v, &mut scratch.late);
        for (index, tile) in self.sizes.tiles().enumerate() {
            let x = &mut x[self.place(&tile)];
            let q = scratch.q.sized(x.len());
            self.project(&tile, v, x);
            self.rotate(&tile, x, q, false);
            self.add_scores(tile.len(), q, &mut scratch.factor, scores, index == 0);
            let q = Matrix::new(q, tokens, tile.len(), tile.len());
            if let Some(rows) = rho.rows(&tile, width) {
                self.precision.multiply(recalled, width, q, rows, index > 0);
            }
            if write {
                rho.write(self, &tile, q, written.right);
            }
        }
        self.read_scores([scores, recalled], v, rho, [&mut read.a, &mut read.scale]);
        if write {
            rho.written();
        }
    }

    /// The normed read and one over its deviation, from the scores and from the read of `rho`.
    pub(super) fn read_scores(
        &self,
        [scores, recalled]: [&mut [f32]; 2],
        v: Shared<'_>,
        rho: &Rho<'_>,
        [a, scale]: [&mut Buffer; 2],
    ) {
        let Sizes { tokens, width, .. } = self.sizes;
        self.make_strict(scores);
        self.fade_below_diagonal(scores);
        let a = a.sized(tokens * width);
        self.read(scores, v, a);
        match (rho.is_empty(), self.powers) {
            (true, _) => {}
            (false, None) => add(a, recalled),
            (false, Some(_)) => self.add_recalled(recalled, a),
        }
        self.norm(a, scale.sized(tokens));
    }

    /// Computes x and the normed read of the whole window, for full reach. The tokens write to `rho`, if there is one,
    /// and read it after that.
    pub(super) fn read_whole(&self, scratch: &mut Scratch, read: &mut Read, mut rho: Option<Carry<'_>>) {
        let Sizes {
            tokens,
            neurons,
            width,
            ..
        } = self.sizes;
        let x = scratch.x.sized(tokens * neurons);
        let v = scratch.v.share(self.precision, self.v, width);
        let a = read.a.sized(tokens * width);
        for (index, tile) in self.sizes.tiles().enumerate() {
            let (count, x) = (tile.len(), &mut x[self.place(&tile)]);
            let q = scratch.q.sized(x.len());
            self.project(&tile, v, x);
            self.rotate(&tile, x, q, false);
            let q = Matrix::new(q, tokens, count, count);
            let (memory, add) = match &mut rho {
                None => (scratch.tile.sized(count * width), false),
                Some(rho) => (rho.rows(&tile, width), true),
            }; // [C, D]
            self.precision
                .multiply(memory, width, q.transposed(), v.right, add);
            let memory = Matrix::new(memory, count, width, width);
            self.precision.multiply(a, width, q, memory, index > 0);
        }
        self.norm(a, read.scale.sized(tokens));
    }

    /// Adds a tile's part of the scores, blocks on and below the diagonal.
    fn add_scores(&self, count: usize, q: &[f32], room: &mut Packing, scores: &mut [f32], first: bool) {
        let tokens = self.sizes.tokens;
        let keys = room.right(self.precision, Matrix::new(q, tokens, count, count).transposed());
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&q[rows.start * count..], rows.len(), count, count);
            let into = &mut scores[rows.start * tokens..];
            self.precision
                .multiply(into, tokens, left, keys.leading(count, rows.end), !first);
        }
    }

    /// Clears the diagonal and what lies above it within the blocks: a token does not read itself.
    fn make_strict(&self, scores: &mut [f32]) {
        let tokens = self.sizes.tokens;
        for rows in self.sizes.blocks() {
            for t in rows.clone() {
                scores[t * tokens + t..t * tokens + rows.end].fill(0.0);
            }
        }
    }

    /// Strict scores times the stream, into `[T, D]`.
    fn read(&self, scores: &[f32], v: Shared<'_>, into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&scores[rows.start * tokens..], rows.len(), rows.end, tokens);
            let into = &mut into[rows.start * width..];
            self.precision
                .multiply(into, width, left, v.right.leading(rows.end, width), false);
        }
    }
}
