//! One head of one lane, in tiles of neurons.
//!
//! A tile is `T` rows of at most `width` neurons, laid out by itself; tile `k` of a neuron-wide buffer starts at
//! `k * T * width`. The elementwise work between the products happens while a tile is in cache.

use super::elementwise::{relu, turn};
use crate::dropout::DropoutMask;
use crate::matrix::{Matrix, multiply};
use std::ops::Range;

/// Entries of a tile: 256 KiB of f32, a quarter of a core's second-level cache.
const TILE_ENTRIES: usize = 1 << 16;

/// Rows of a block of scores; blocks above the diagonal are never computed.
const BLOCK: usize = 64;

/// Sizes of a level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sizes {
    pub(super) lanes: usize,
    pub(super) heads: usize,
    pub(super) tokens: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
}

impl Sizes {
    /// Neurons of a full tile: even, so that pairs stay together.
    fn tile_width(&self) -> usize {
        let fitting = (TILE_ENTRIES / self.tokens.max(1)).clamp(32, 512) & !1;
        fitting.min(self.neurons)
    }

    /// The tiles' neurons.
    pub(super) fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, neurons) = (self.tile_width(), self.neurons);
        (0..neurons.div_ceil(width)).map(move |tile| tile * width..((tile + 1) * width).min(neurons))
    }

    /// The score blocks' rows.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let tokens = self.tokens;
        (0..tokens.div_ceil(BLOCK)).map(move |block| block * BLOCK..((block + 1) * BLOCK).min(tokens))
    }
}

/// The memory of a level, borrowed: everything that all heads and lanes share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operands<'a> {
    pub(super) sizes: Sizes,
    pub(super) v: &'a [f32],
    pub(super) decoder_x: &'a [f32],
    pub(super) decoder_y: &'a [f32],
    pub(super) encoder: &'a [f32],
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    pub(super) eps: f32,
    pub(super) dropout: Option<DropoutMask>,
}

impl<'a> Operands<'a> {
    /// One head of one lane.
    pub(super) fn head(&self, lane: usize, head: usize) -> Head<'a> {
        let Sizes {
            tokens,
            neurons,
            width,
            heads,
            ..
        } = self.sizes;
        let matrix = head * width * neurons..(head + 1) * width * neurons;
        let table = tokens * (neurons / 2);
        let table = if self.cos.len() > table {
            lane * table..(lane + 1) * table
        } else {
            0..table
        };
        Head {
            sizes: self.sizes,
            v: &self.v[lane * tokens * width..(lane + 1) * tokens * width],
            decoder_x: &self.decoder_x[matrix.clone()],
            decoder_y: &self.decoder_y[matrix.clone()],
            encoder: &self.encoder[matrix],
            cos: &self.cos[table.clone()],
            sin: &self.sin[table],
            eps: self.eps,
            dropout: self
                .dropout
                .map(|mask| (mask, ((lane * heads + head) * tokens * neurons) as u64)),
        }
    }
}

/// One head of one lane.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head<'a> {
    pub(super) sizes: Sizes,
    pub(super) v: &'a [f32],         // [T, D]
    pub(super) decoder_x: &'a [f32], // [D, N]
    pub(super) decoder_y: &'a [f32], // [D, N]
    pub(super) encoder: &'a [f32],   // [N, D]
    cos: &'a [f32],                  // [T, N/2]
    sin: &'a [f32],                  // [T, N/2]
    eps: f32,
    dropout: Option<(DropoutMask, u64)>,
}

/// Buffers of one head of one lane, used again and again by one thread.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) x: Vec<f32>,      // [T, N], tile by tile
    pub(super) q: Vec<f32>,      // a tile
    pub(super) gate: Vec<f32>,   // a tile
    pub(super) tile: Vec<f32>,   // a tile
    pub(super) dx: Vec<f32>,     // [T, N], tile by tile
    pub(super) scores: Vec<f32>, // [T, T]
    pub(super) turned: Vec<f32>, // [T, T]
    pub(super) a: Vec<f32>,      // [T, D]
    pub(super) scale: Vec<f32>,  // [T], one over the deviation
    pub(super) da: Vec<f32>,     // [T, D]
}

/// A buffer of at least `size` entries, whatever they hold.
pub(super) fn sized(buffer: &mut Vec<f32>, size: usize) -> &mut [f32] {
    if buffer.len() < size {
        buffer.resize(size, 0.0);
    }
    &mut buffer[..size]
}

impl<'a> Head<'a> {
    /// The stream, `[T, D]`.
    pub(super) fn stream(&self) -> Matrix<'a> {
        Matrix::new(self.v, self.sizes.tokens, self.sizes.width, self.sizes.width)
    }

    /// Columns of a `[D, N]` matrix.
    pub(super) fn columns(&self, matrix: &'a [f32], neurons: &Range<usize>) -> Matrix<'a> {
        Matrix::new(
            &matrix[neurons.start..],
            self.sizes.width,
            neurons.len(),
            self.sizes.neurons,
        )
    }

    /// Rows of the encoder.
    pub(super) fn encoder_rows(&self, neurons: &Range<usize>) -> Matrix<'a> {
        let width = self.sizes.width;
        Matrix::new(
            &self.encoder[neurons.start * width..],
            neurons.len(),
            width,
            width,
        )
    }

    /// Where a tile lies in a neuron-wide buffer.
    pub(super) fn place(&self, neurons: &Range<usize>) -> Range<usize> {
        neurons.start * self.sizes.tokens..neurons.end * self.sizes.tokens
    }

    /// `relu(v decoder_x)` of some neurons.
    pub(super) fn project(&self, neurons: &Range<usize>, x: &mut [f32]) {
        multiply(
            x,
            neurons.len(),
            self.stream(),
            self.columns(self.decoder_x, neurons),
            false,
        );
        relu(x);
    }

    /// Turns a tile by the positions' angles; `back` turns the other way.
    pub(super) fn rotate(&self, neurons: &Range<usize>, x: &[f32], q: &mut [f32], back: bool) {
        let (count, pairs) = (neurons.len(), self.sizes.neurons / 2);
        let sign = if back { -1.0 } else { 1.0 };
        for t in 0..self.sizes.tokens {
            let angles = t * pairs + neurons.start / 2..t * pairs + neurons.end / 2;
            let row = t * count..(t + 1) * count;
            turn(
                &x[row.clone()],
                &mut q[row],
                &self.cos[angles.clone()],
                &self.sin[angles],
                sign,
            );
        }
    }

    /// Adds a tile's part of the scores, blocks on and below the diagonal.
    pub(super) fn add_scores(&self, count: usize, q: &[f32], scores: &mut [f32], first: bool) {
        let tokens = self.sizes.tokens;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&q[rows.start * count..], rows.len(), count, count);
            let right = Matrix::new(q, rows.end, count, count);
            multiply(
                &mut scores[rows.start * tokens..],
                tokens,
                left,
                right.transposed(),
                !first,
            );
        }
    }

    /// Clears the diagonal and what lies above it within the blocks: a token does not read itself.
    pub(super) fn make_strict(&self, scores: &mut [f32]) {
        let tokens = self.sizes.tokens;
        for rows in self.sizes.blocks() {
            for t in rows.clone() {
                scores[t * tokens + t..t * tokens + rows.end].fill(0.0);
            }
        }
    }

    /// Strict scores times the stream, into `[T, D]`.
    pub(super) fn read(&self, scores: &[f32], into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&scores[rows.start * tokens..], rows.len(), rows.end, tokens);
            let right = Matrix::new(self.v, rows.end, width, width);
            multiply(&mut into[rows.start * width..], width, left, right, false);
        }
    }

    /// Adds the transposed strict scores times `[T, D]`.
    pub(super) fn add_read_back(&self, scores: &[f32], from: &[f32], into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&scores[rows.start * tokens..], rows.len(), rows.end, tokens);
            let right = Matrix::new(&from[rows.start * width..], rows.len(), width, width);
            multiply(into, width, left.transposed(), right, true);
        }
    }

    /// `left stream^T` below the diagonal, then added to its own transpose: a symmetric matrix without a diagonal.
    pub(super) fn symmetric_outer(&self, left: &[f32], into: &mut [f32]) {
        let Sizes { tokens, width, .. } = self.sizes;
        for rows in self.sizes.blocks() {
            let left = Matrix::new(&left[rows.start * width..], rows.len(), width, width);
            let right = Matrix::new(self.v, rows.end, width, width);
            multiply(
                &mut into[rows.start * tokens..],
                tokens,
                left,
                right.transposed(),
                false,
            );
        }
        for t in 0..tokens {
            into[t * tokens + t] = 0.0;
            for s in 0..t {
                into[s * tokens + t] = into[t * tokens + s];
            }
        }
    }

    /// Norms the rows of `[T, D]` in place and keeps one over each row's deviation.
    pub(super) fn norm(&self, rows: &mut [f32], scale: &mut [f32]) {
        let width = self.sizes.width as f32;
        for (row, scale) in rows.chunks_exact_mut(self.sizes.width).zip(scale) {
            let mean = row.iter().sum::<f32>() / width;
            row.iter_mut().for_each(|value| *value -= mean);
            let variance = row.iter().map(|value| value * value).sum::<f32>() / width;
            *scale = (variance + self.eps).sqrt().recip();
            row.iter_mut().for_each(|value| *value *= *scale);
        }
    }

    /// The gradient before the norm from the gradient after it, in place: `scale (d - mean(d) - a mean(d a))`.
    pub(super) fn norm_back(&self, gradient: &mut [f32], a: &[f32], scale: &[f32]) {
        let width = self.sizes.width;
        let rows = gradient
            .chunks_exact_mut(width)
            .zip(a.chunks_exact(width))
            .zip(scale);
        for ((gradient, a), scale) in rows {
            let mean = gradient.iter().sum::<f32>() / width as f32;
            let along = gradient.iter().zip(a).map(|(d, a)| d * a).sum::<f32>() / width as f32;
            gradient
                .iter_mut()
                .zip(a)
                .for_each(|(d, a)| *d = scale * (*d - mean - a * along));
        }
    }

    /// The dropout factor of an entry of a tile's row `t`.
    pub(super) fn kept(&self, t: usize, neuron: usize) -> f32 {
        match &self.dropout {
            None => 1.0,
            Some((mask, first)) => mask.factor(first + (t * self.sizes.neurons + neuron) as u64) as f32,
        }
    }

    /// Whether any entry may be dropped.
    pub(super) fn drops(&self) -> bool {
        self.dropout.is_some()
    }

    /// x, scores and what was read and normed: the first half of a level.
    pub(super) fn first_half(&self, scratch: &mut Scratch) {
        let Sizes {
            tokens,
            neurons,
            width,
            ..
        } = self.sizes;
        let x = sized(&mut scratch.x, tokens * neurons);
        let scores = sized(&mut scratch.scores, tokens * tokens);
        for (index, tile) in self.sizes.tiles().enumerate() {
            let x = &mut x[self.place(&tile)];
            let q = sized(&mut scratch.q, x.len());
            self.project(&tile, x);
            self.rotate(&tile, x, q, false);
            self.add_scores(tile.len(), q, scores, index == 0);
        }
        self.make_strict(scores);
        let a = sized(&mut scratch.a, tokens * width);
        self.read(scores, a);
        self.norm(a, sized(&mut scratch.scale, tokens));
    }
}
