//! Rows as they are stored: in f32, or rounded to bf16.
//!
//! A bf16 is the upper half of an f32, so widening is exact. All arithmetic is in f32, and in the same order for both
//! forms: a product with a bf16 row has the bits of the product with the f32 row of the same numbers.

use super::row;
use super::simd::{LINE, Line, Simd};
use std::fmt::Debug;

/// Upper half of an f32: sign, exponent, and the upper 7 bits of the fraction.
const UPPER: u32 = 0xFFFF_0000;

/// Bits of an infinity; those of a NaN, without its sign, are above.
const INFINITY: u32 = 0x7F80_0000;

/// Two lines in bf16, one cache line: number i of the first line is the lower half of word i, that of the second line
/// the upper half. So a word becomes two f32 with a shift and a mask.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Halves(pub(crate) [u32; LINE]);

impl Halves {
    /// Both lines in f32.
    #[inline(always)]
    pub(super) fn widened(&self) -> [Line; 2] {
        [
            Line(self.0.map(|word| f32::from_bits(word << 16))),
            Line(self.0.map(|word| f32::from_bits(word & UPPER))),
        ]
    }

    /// Two lines, each number rounded to the nearest, ties to even.
    fn nearest([first, second]: [Line; 2]) -> Self {
        let round = |number: f32| {
            let bits = number.to_bits();
            rounded(bits, 0x7FFF + (bits >> 16 & 1))
        };
        Self(std::array::from_fn(|i| {
            round(first.0[i]) >> 16 | round(second.0[i])
        }))
    }

    /// Two lines, each number rounded up or down in magnitude at random, with a probability that makes the expected
    /// value exact. The seed chooses the rounding.
    #[inline(always)]
    pub(super) fn stochastic<S: Simd>(simd: S, pair: [S::V; 2], seed: u32) -> Self {
        let mut lines = [Line::default(); 2];
        simd.store(&mut lines[0], pair[0]);
        simd.store(&mut lines[1], pair[1]);
        let mut words = [0; LINE];
        for (i, word) in words.iter_mut().enumerate() {
            let noise = scramble(scramble(seed).wrapping_add(i as u32));
            let [low, high] = [noise & !UPPER, noise >> 16];
            *word = rounded(lines[0].0[i].to_bits(), low) >> 16 | rounded(lines[1].0[i].to_bits(), high);
        }
        Self(words)
    }

    /// Multiplies the numbers by a factor, and sets what is less than `least` to zero. Rounding is to the nearest.
    #[inline(always)]
    pub(super) fn scale(&mut self, factor: f32, least: f32) {
        let scaled = |number: f32| {
            let scaled = number * factor;
            if scaled.abs() < least { 0.0 } else { scaled }
        };
        *self = Self::nearest(self.widened().map(|line| Line(line.0.map(scaled))));
    }

    /// `sum += by[0] rows[0] + by[1] rows[1]`, in this order.
    #[inline(always)]
    pub(super) fn add_two<S: Simd>(simd: S, by: [S::V; 2], rows: [&[Self]; 2], sum: &mut [Line]) {
        let (sums, last) = sum.as_chunks_mut::<2>();
        for ((sum, first), second) in sums.iter_mut().zip(rows[0]).zip(rows[1]) {
            let (first, second) = (simd.widen(first), simd.widen(second));
            for i in 0..2 {
                let total = simd.fma(by[0], first[i], simd.load(&sum[i]));
                simd.store(&mut sum[i], simd.fma(by[1], second[i], total));
            }
        }
        for sum in last {
            let [first, second] = [simd.widen(&rows[0][sums.len()]), simd.widen(&rows[1][sums.len()])];
            let total = simd.fma(by[0], first[0], simd.load(sum));
            simd.store(sum, simd.fma(by[1], second[0], total));
        }
    }
}

/// The upper half of a number whose lower half is carried with `more`, below 2^16. A NaN stays one.
#[inline(always)]
fn rounded(bits: u32, more: u32) -> u32 {
    let nan = bits & !(1 << 31) > INFINITY;
    let quiet = if nan { 1 << 22 } else { more };
    (if nan { bits | quiet } else { bits + quiet }) & UPPER
}

/// A hash of 32 bits, every bit of which depends on every bit of the word.
#[inline(always)]
pub(super) fn scramble(mut word: u32) -> u32 {
    word = (word ^ (word >> 16)).wrapping_mul(0x7FEB_352D);
    word = (word ^ (word >> 15)).wrapping_mul(0x846C_A68B);
    word ^ (word >> 16)
}

/// Cache line of a stored row. Rows of the model's width fill whole cache lines.
pub(super) trait Stored: Copy + Default + Debug + Send + Sync {
    /// Share of active neurons, in percent, below which the int8 prefilter runs first.
    const SPARSE: usize;
    /// Number of rows that are prefetched ahead of the current one where all rows are read; 0 for none.
    const AHEAD: usize;

    /// Number of cache lines of a row of `lines` lines.
    fn size(lines: usize) -> usize;

    /// Rows of `lines` lines each, rounded to the nearest.
    fn pack(rows: Vec<Line>, lines: usize) -> Vec<Self>;

    /// The numbers of a row, and zeros that fill its last cache line.
    fn numbers(row: &[Self]) -> impl Iterator<Item = f32>;

    /// The scalar product of two rows.
    fn dot<S: Simd>(simd: S, a: &[Line], row: &[Self]) -> f32;

    /// `sum += by row`.
    fn add<S: Simd>(simd: S, by: S::V, row: &[Self], sum: &mut [Line]);
}

impl Stored for Line {
    const SPARSE: usize = 40;
    const AHEAD: usize = 0;

    fn size(lines: usize) -> usize {
        lines
    }

    fn pack(rows: Vec<Line>, _lines: usize) -> Vec<Self> {
        rows
    }

    fn numbers(row: &[Self]) -> impl Iterator<Item = f32> {
        row.iter().flat_map(|line| line.0)
    }

    #[inline(always)]
    fn dot<S: Simd>(simd: S, a: &[Line], row: &[Self]) -> f32 {
        row::dot(simd, a, row)
    }

    #[inline(always)]
    fn add<S: Simd>(simd: S, by: S::V, row: &[Self], sum: &mut [Line]) {
        for (sum, line) in sum.iter_mut().zip(row) {
            let total = simd.fma(by, simd.load(line), simd.load(sum));
            simd.store(sum, total);
        }
    }
}

impl Stored for Halves {
    const SPARSE: usize = 20;
    const AHEAD: usize = 8;

    fn size(lines: usize) -> usize {
        lines.div_ceil(2)
    }

    fn pack(rows: Vec<Line>, lines: usize) -> Vec<Self> {
        let pairs = rows.chunks_exact(lines).flat_map(|row| row.chunks(2));
        let halves = pairs.map(|pair| Self::nearest([pair[0], pair.get(1).copied().unwrap_or_default()]));
        halves.collect()
    }

    fn numbers(row: &[Self]) -> impl Iterator<Item = f32> {
        row.iter().flat_map(Self::widened).flat_map(|line| line.0)
    }

    #[inline(always)]
    fn dot<S: Simd>(simd: S, a: &[Line], row: &[Self]) -> f32 {
        let mut sums = [simd.splat(0.0); 2];
        let (pairs, last) = a.as_chunks::<2>();
        for (a, halves) in pairs.iter().zip(row) {
            let b = simd.widen(halves);
            for i in 0..2 {
                sums[i] = simd.fma(simd.load(&a[i]), b[i], sums[i]);
            }
        }
        for (a, halves) in last.iter().zip(&row[pairs.len()..]) {
            let [b, _] = simd.widen(halves);
            sums[0] = simd.fma(simd.load(a), b, sums[0]);
        }
        simd.sum(simd.add(sums[0], sums[1]))
    }

    #[inline(always)]
    fn add<S: Simd>(simd: S, by: S::V, row: &[Self], sum: &mut [Line]) {
        let (sums, last) = sum.as_chunks_mut::<2>();
        for (sum, halves) in sums.iter_mut().zip(row) {
            let v = simd.widen(halves);
            for i in 0..2 {
                let total = simd.fma(by, v[i], simd.load(&sum[i]));
                simd.store(&mut sum[i], total);
            }
        }
        for sum in last {
            let [v, _] = simd.widen(&row[sums.len()]);
            let total = simd.fma(by, v, simd.load(sum));
            simd.store(sum, total);
        }
    }
}
