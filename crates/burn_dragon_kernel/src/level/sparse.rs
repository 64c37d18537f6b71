//! Products with a tile of activities that skip its zeros: exact, and worth it where few neurons fire.
//!
//! A tile is `T` rows of `C` neurons. Its pattern is one bit an entry, 64 neurons of one token to a word; the work is
//! done strip by strip of 64 neurons, whose 64 rows of weights then stay in the first-level cache.

use super::elementwise::mark;
#[cfg(target_arch = "x86_64")]
use crate::instructions::Instructions;
use crate::matrix::Precision;
use pulp::{Arch, Simd, WithSimd};

/// Neurons of a strip: the bits of a word.
const STRIP: usize = 64;

/// Density below which a product skips zeros, beside one in f32 that does not: measured, a little under where both take
/// equally long (docs/LOG.md, 2026-11-21).
///
/// The three products differ in what they do for an entry: an update of a row held in registers, a sum over a
/// register's numbers, an update of a row that changes with the neuron.
const ROWS: f64 = 0.48;
const DOTS: f64 = 0.32;
const COLUMNS: f64 = 0.4;

/// Where a tile is above zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Pattern {
    words: Vec<u64>, // [strip, T]
    tokens: usize,
    columns: usize,
    active: u64,
}

impl Pattern {
    /// Marks what is above zero in rows of `columns` neurons.
    pub(super) fn mark(&mut self, tile: &[f32], columns: usize) {
        self.columns = columns;
        self.tokens = tile.len() / columns;
        self.words.resize(columns.div_ceil(STRIP) * self.tokens, 0);
        self.active = mark(tile, columns, &mut self.words);
    }

    /// Entries above zero.
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

/// The widest vectors that may be used.
#[cfg(target_arch = "x86_64")]
fn vectors() -> Arch {
    if Instructions::Avx512.usable() {
        return Arch::new();
    }
    let avx2 = Instructions::Avx2.usable().then(pulp::x86::V3::try_new).flatten();
    avx2.map_or(Arch::Scalar, Arch::V3)
}

/// The vectors that every processor of this kind has.
#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> Arch {
    Arch::new()
}

/// Numbers in a vector of this processor.
fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    vectors().dispatch(Lanes)
}

/// The bits of a word that are set, lowest first.
#[inline(always)]
fn set_bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

/// `NV` vectors from the start of a slice.
#[inline(always)]
fn load<S: Simd, const NV: usize>(from: &[f32]) -> [S::f32s; NV] {
    let (vectors, _) = S::as_simd_f32s(&from[..NV * S::F32_LANES]);
    std::array::from_fn(|i| vectors[i])
}

/// `NV` vectors to the start of a slice.
#[inline(always)]
fn store<S: Simd, const NV: usize>(to: &mut [f32], values: [S::f32s; NV]) {
    let (vectors, _) = S::as_mut_simd_f32s(&mut to[..NV * S::F32_LANES]);
    (0..NV).for_each(|i| vectors[i] = values[i]);
}

/// `sum + the terms' values times their rows`.
#[inline(always)]
fn add_terms<'a, S: Simd, const NV: usize>(
    simd: S,
    sum: [S::f32s; NV],
    mut terms: impl Iterator<Item = (f32, &'a [f32])>,
) -> [S::f32s; NV] {
    let add = |sum: &mut [S::f32s; NV], (value, row): (f32, &[f32])| {
        let (value, row) = (simd.splat_f32s(value), load::<S, NV>(row));
        (0..NV).for_each(|i| sum[i] = simd.mul_add_f32s(value, row[i], sum[i]));
    };
    let mut sums = [sum, [simd.splat_f32s(0.0); NV]];
    while let Some(term) = terms.next() {
        add(&mut sums[0], term);
        // A narrow sum would wait for itself: two of them take turns.
        if NV <= 4
            && let Some(term) = terms.next()
        {
            add(&mut sums[1], term);
        }
    }
    std::array::from_fn(|i| {
        if NV <= 4 {
            simd.add_f32s(sums[0][i], sums[1][i])
        } else {
            sums[0][i]
        }
    })
}

/// Calls a function for blocks of 8, 4, 2 and 1 vectors that make up the width; each gets its first column.
macro_rules! by_blocks {
    ($simd:ident, $self:ident.$function:ident) => {{
        let mut at = 0;
        while at < $self.width {
            let vectors = ($self.width - at) / S::F32_LANES;
            at += S::F32_LANES
                * match vectors {
                    8.. => $self.$function::<S, 8>($simd, at),
                    4.. => $self.$function::<S, 4>($simd, at),
                    2.. => $self.$function::<S, 2>($simd, at),
                    _ => $self.$function::<S, 1>($simd, at),
                };
        }
    }};
}

struct Rows<'a> {
    words: &'a [u64],
    tile: &'a [f32],
    stride: usize,
    weights: &'a [f32],
    into: &'a mut [f32],
    width: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (t, &word) in self.words.iter().enumerate() {
            if word == 0 {
                continue;
            }
            let row = &self.tile[t * self.stride..];
            let place = &mut self.into[t * self.width + at..];
            let terms = set_bits(word).map(|n| (row[n], &self.weights[n * self.width + at..]));
            let sum = add_terms::<S, NV>(simd, load::<S, NV>(place), terms);
            store::<S, NV>(place, sum);
        }
        NV
    }
}

struct Dots<'a> {
    words: &'a [u64],
    left: &'a [f32],
    weights: &'a [f32],
    into: &'a mut [f32],
    stride: usize,
    width: usize,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (t, &word) in self.words.iter().enumerate() {
            let left = load::<S, NV>(&self.left[t * self.width + at..]);
            let row = &mut self.into[t * self.stride..];
            for n in set_bits(word) {
                let weights = load::<S, NV>(&self.weights[n * self.width + at..]);
                // Two sums, so that one does not wait for the other.
                let mut sums = [simd.splat_f32s(0.0); 2];
                for i in 0..NV {
                    sums[i % 2] = simd.mul_add_f32s(left[i], weights[i], sums[i % 2]);
                }
                let dot = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
                row[n] = if at == 0 { dot } else { row[n] + dot };
            }
        }
        NV
    }
}

struct Columns<'a> {
    words: &'a [u64],
    tile: &'a [f32],
    stride: usize,
    right: &'a [f32],
    into: &'a mut [f32],
    width: usize,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Columns<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (group, words) in self.words.chunks(64).enumerate() {
            let first = group * 64;
            for (n, word) in columns_of(words).into_iter().enumerate() {
                if word == 0 {
                    continue;
                }
                let place = &mut self.into[n * self.width + at..];
                let terms = set_bits(word).map(|t| {
                    let t = first + t;
                    (self.tile[t * self.stride + n], &self.right[t * self.width + at..])
                });
                let sum = add_terms::<S, NV>(simd, load::<S, NV>(place), terms);
                store::<S, NV>(place, sum);
            }
        }
        NV
    }
}

/// At most 64 rows of 64 bits as 64 columns.
#[inline(always)]
fn columns_of(rows: &[u64]) -> [u64; 64] {
    let mut bits = [0; 64];
    bits[..rows.len()].copy_from_slice(rows);
    // Blocks of half the size change places, six times over.
    let (mut half, mut low) = (32, u64::MAX >> 32);
    while half > 0 {
        let mut row = 0;
        while row < 64 {
            let swap = ((bits[row] >> half) ^ bits[row + half]) & low;
            bits[row] ^= swap << half;
            bits[row + half] ^= swap;
            row = (row + half + 1) & !half;
        }
        half /= 2;
        low ^= low << half;
    }
    bits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buffer::Buffer;
    use crate::matrix::Matrix;
    use std::time::Instant;

    fn numbers(count: usize, density: f64, seed: u64) -> Buffer {
        let mut buffer = Buffer::zeros(count);
        for (i, value) in buffer.iter_mut().enumerate() {
            let word = crate::mix::mix(seed ^ (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let share = (word >> 40) as f64 / f64::from(1 << 24);
            let fires = (word & 0xFFFF) as f64 / 65536.0 < density;
            *value = if fires { share as f32 + 0.01 } else { 0.0 };
        }
        buffer
    }

    /// The three products against sums in f64, over densities, ragged strips and every block of vectors.
    #[test]
    fn products_that_skip_zeros_equal_those_that_do_not() {
        for (case, &(tokens, columns, width)) in [
            (1, 1, 16),
            (3, 64, 48),
            (65, 70, 128),
            (130, 130, 240),
            (64, 128, 64),
        ]
        .iter()
        .enumerate()
        {
            for density in [0.0, 0.03, 0.4, 1.0] {
                let tile = numbers(tokens * columns, density, case as u64);
                let weights = numbers(columns * width, 1.0, 77);
                let right = numbers(tokens * width, 1.0, 99);
                let mut pattern = Pattern::default();
                pattern.mark(&tile, columns);
                assert_eq!(pattern.active(), tile.iter().filter(|x| **x > 0.0).count() as u64);

                let mut into = Buffer::zeros(tokens * width);
                pattern.add_rows(&tile, &weights, &mut into, width);
                assert_close(&into, |i| {
                    let (t, d) = (i / width, i % width);
                    (0..columns)
                        .map(|n| f64::from(tile[t * columns + n]) * f64::from(weights[n * width + d]))
                        .sum()
                });

                let mut into = Buffer::zeros(columns * width);
                pattern.add_columns(&tile, &right, &mut into, width);
                assert_close(&into, |i| {
                    let (n, d) = (i / width, i % width);
                    (0..tokens)
                        .map(|t| f64::from(tile[t * columns + n]) * f64::from(right[t * width + d]))
                        .sum()
                });

                let mut into = Buffer::zeros(tokens * columns);
                into.fill(-1.0);
                pattern.dots(&right, &weights, &mut into, width);
                assert_close(&into, |i| {
                    let (t, n) = (i / columns, i % columns);
                    if tile[i] > 0.0 {
                        (0..width)
                            .map(|d| f64::from(right[t * width + d]) * f64::from(weights[n * width + d]))
                            .sum()
                    } else {
                        -1.0
                    }
                });
            }
        }
    }

    fn assert_close(given: &[f32], expected: impl Fn(usize) -> f64) {
        for (i, given) in given.iter().enumerate() {
            let expected = expected(i);
            assert!(
                (f64::from(*given) - expected).abs() <= 1e-5 * expected.abs(),
                "{i}: {given} {expected}"
            );
        }
    }

    /// Prints how long each product takes beside the one that skips nothing, for the constants of this file:
    /// `cargo test --release -p burn_dragon_kernel --lib break_even -- --ignored --nocapture`
    #[test]
    #[ignore = "a measurement"]
    fn break_even() {
        const TOKENS: usize = 256;
        const COLUMNS: usize = 256;
        for width in [64, 128, 256] {
            let matrix = |rows, seed| numbers(rows * width, 1.0, seed);
            let (weights, right) = (matrix(COLUMNS, 77), matrix(TOKENS, 99));
            let (mut wide, mut rows) = (matrix(TOKENS, 1), matrix(COLUMNS, 2));
            for density in [0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6] {
                let tile = numbers(TOKENS * COLUMNS, density, 5);
                let mut out = tile.clone();
                let mut pattern = Pattern::default();
                pattern.mark(&tile, COLUMNS);
                let view = |data, rows, columns| Matrix::new(data, rows, columns, columns);
                let ratios = [
                    ratio(
                        || pattern.add_rows(&tile, &weights, &mut wide, width),
                        |into| {
                            Precision::F32.multiply(
                                into,
                                width,
                                view(&tile, TOKENS, COLUMNS),
                                view(&weights, COLUMNS, width),
                                true,
                            )
                        },
                        TOKENS * width,
                    ),
                    ratio(
                        || pattern.dots(&right, &weights, &mut out, width),
                        |into| {
                            let weights = view(&weights, COLUMNS, width).transposed();
                            Precision::F32.multiply(
                                into,
                                COLUMNS,
                                view(&right, TOKENS, width),
                                weights,
                                false,
                            );
                        },
                        TOKENS * COLUMNS,
                    ),
                    ratio(
                        || pattern.add_columns(&tile, &right, &mut rows, width),
                        |into| {
                            let tile = view(&tile, TOKENS, COLUMNS).transposed();
                            Precision::F32.multiply(into, width, tile, view(&right, TOKENS, width), true);
                        },
                        COLUMNS * width,
                    ),
                ];
                let [rows, dots, columns] = ratios;
                println!(
                    "width {width} density {density}: rows {rows:.2} dots {dots:.2} columns {columns:.2} of dense"
                );
            }
        }
    }

    /// The best time of one product over that of another, measured in turn.
    fn ratio(mut sparse: impl FnMut(), dense: impl Fn(&mut [f32]), size: usize) -> f64 {
        let mut into = Buffer::zeros(size);
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        for _ in 0..30 {
            let start = Instant::now();
            sparse();
            ours = ours.min(start.elapsed().as_secs_f64());
            let start = Instant::now();
            dense(&mut into);
            theirs = theirs.min(start.elapsed().as_secs_f64());
        }
        ours / theirs
    }
}
