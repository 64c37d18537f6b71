//! Products with a tile of activities that skip its zeros: exact, and faster if few neurons are active.
//!
//! A tile is `T` rows of `C` neurons. Its pattern is one bit an entry, 64 neurons of one token to a word; the work is
//! done strip by strip of 64 neurons, whose 64 rows of weights then stay in the first-level cache.

use super::elementwise::mark;
use super::sparse::{Columns, Dots, Rows, lanes, vectors};
use crate::matrix::Precision;

/// Neurons of a strip: the bits of a word.
const STRIP: usize = 64;

/// Density below which a product skips zeros, compared with one in f32 that does not. It is a little below the measured
/// density at which both take the same time (docs/LOG.md, 2026-11-21).
///
/// The three products differ in their work for an entry: an update of a row held in registers, a sum over a
/// register's numbers, an update of a row that changes with the neuron.
const ROWS: f64 = 0.48;
const DOTS: f64 = 0.32;
const COLUMNS: f64 = 0.4;

/// Bit mask of the entries of a tile that are above zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    words: Vec<u64>, // [strip, T]
    tokens: usize,
    columns: usize,
    active: u64,
}

impl Pattern {
    /// Marks the entries above zero, in rows of `columns` neurons.
    pub(super) fn mark(&mut self, tile: &[f32], columns: usize) {
        self.columns = columns;
        self.tokens = tile.len() / columns;
        self.words.resize(columns.div_ceil(STRIP) * self.tokens, 0);
        self.active = mark(tile, columns, &mut self.words);
    }

    /// Number of entries above zero.
    pub(super) fn active(&self) -> u64 {
        self.active
    }

    /// Whether [`add_rows`](Self::add_rows) is faster than a product that skips nothing.
    pub(super) fn rows_pay(&self, precision: Precision, width: usize) -> bool {
        self.pays(ROWS, precision, width)
    }

    /// Whether [`dots`](Self::dots) is faster than a product that skips nothing.
    pub(super) fn dots_pay(&self, precision: Precision, width: usize) -> bool {
        self.pays(DOTS, precision, width)
    }

    /// Whether [`add_columns`](Self::add_columns) is faster than a product that skips nothing.
    pub(super) fn columns_pay(&self, precision: Precision, width: usize) -> bool {
        self.pays(COLUMNS, precision, width)
    }

    fn pays(&self, break_even: f64, precision: Precision, width: usize) -> bool {
        let density = self.active as f64 / (self.tokens * self.columns) as f64;
        density * precision.speed() < break_even && width.is_multiple_of(lanes())
    }

    /// `into += tile weights`: `[T, C]` times `[C, D]`.
    pub(super) fn add_rows(&self, tile: &[f32], weights: &[f32], into: &mut [f32], width: usize) {
        for (strip, words) in self.strips() {
            vectors().dispatch(Rows {
                words,
                tile: &tile[strip..],
                stride: self.columns,
                weights: &weights[strip * width..],
                into,
                width,
            });
        }
    }

    /// `into = left weights^T` where the tile is active, untouched elsewhere: `[T, D]` times `[C, D]` transposed.
    pub(super) fn dots(&self, left: &[f32], weights: &[f32], into: &mut [f32], width: usize) {
        for (strip, words) in self.strips() {
            vectors().dispatch(Dots {
                words,
                left,
                weights: &weights[strip * width..],
                into: &mut into[strip..],
                stride: self.columns,
                width,
            });
        }
    }

    /// `into += tile^T right`: `[T, C]` transposed times `[T, D]`.
    pub(super) fn add_columns(&self, tile: &[f32], right: &[f32], into: &mut [f32], width: usize) {
        for (strip, words) in self.strips() {
            vectors().dispatch(Columns {
                words,
                tile: &tile[strip..],
                stride: self.columns,
                right,
                into: &mut into[strip * width..],
                width,
            });
        }
    }

    /// First neuron and words of each strip.
    fn strips(&self) -> impl Iterator<Item = (usize, &[u64])> {
        let words = self.words.chunks_exact(self.tokens.max(1));
        words.enumerate().map(|(strip, words)| (strip * STRIP, words))
    }
}

#[cfg(test)]
#[path = "pattern_tests.rs"]
mod tests;
