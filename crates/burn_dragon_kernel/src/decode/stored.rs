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
pub(super) struct Halves(pub(super) [u32; LINE]);

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
    /// value exact.
    #[inline(always)]
    fn stochastic([first, second]: [Line; 2], seed: u32) -> Self {
        let mut words = [0; LINE];
        for (i, word) in words.iter_mut().enumerate() {
            let noise = scramble(seed ^ i as u32);
            let [low, high] = [noise & !UPPER, noise >> 16];
            *word = rounded(first.0[i].to_bits(), low) >> 16 | rounded(second.0[i].to_bits(), high);
        }
        Self(words)
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
fn scramble(mut word: u32) -> u32 {
    word = (word ^ (word >> 16)).wrapping_mul(0x7FEB_352D);
    word = (word ^ (word >> 15)).wrapping_mul(0x846C_A68B);
    word ^ (word >> 16)
}

/// Cache line of a stored row. Rows of the model's width fill whole cache lines.
pub(super) trait Stored: Copy + Default + Debug + Send + Sync {
    /// Share of active neurons, in percent, below which the int8 prefilter runs first.
    const SPARSE: usize;

    /// Number of cache lines of a row of `lines` lines.
    fn size(lines: usize) -> usize;

    /// Rows of `lines` lines each, rounded to the nearest.
    fn pack(rows: Vec<Line>, lines: usize) -> Vec<Self>;

    /// The numbers of a row, and zeros that fill its last cache line.
    fn numbers(row: &[Self]) -> impl Iterator<Item = f32>;

    /// The scalar product of two rows.
    fn dot<S: Simd>(simd: S, a: &[Line], row: &[Self]) -> f32;

    /// Lines `2 i` and `2 i + 1` of a row; zeros after its end.
    fn pair<S: Simd>(simd: S, row: &[Self], i: usize) -> [S::V; 2];

    /// Replaces lines `2 i` and `2 i + 1` of a row. Rounding is stochastic; `seed` chooses it.
    fn set_pair<S: Simd>(simd: S, row: &mut [Self], i: usize, pair: [S::V; 2], seed: u32);

    /// Multiplies numbers by a factor, and sets what is less than `least` to zero. Rounding is to the nearest.
    fn scale(rows: &mut [Self], factor: f32, least: f32);

    /// `sum += by[0] rows[0] + ...`, row by row.
    #[inline(always)]
    fn add_rows<S: Simd, const R: usize>(simd: S, by: [S::V; R], rows: [&[Self]; R], sum: &mut [Line]) {
        for (i, sum) in sum.chunks_mut(2).enumerate() {
            let rows = rows.map(|row| Self::pair(simd, row, i));
            for (line, sum) in sum.iter_mut().enumerate() {
                let mut total = simd.load(sum);
                for r in 0..R {
                    total = simd.fma(by[r], rows[r][line], total);
                }
                simd.store(sum, total);
            }
        }
    }
}

impl Stored for Line {
    const SPARSE: usize = 40;

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
    fn pair<S: Simd>(simd: S, row: &[Self], i: usize) -> [S::V; 2] {
        let second = row.get(2 * i + 1).map_or(simd.splat(0.0), |line| simd.load(line));
        [simd.load(&row[2 * i]), second]
    }

    #[inline(always)]
    fn set_pair<S: Simd>(simd: S, row: &mut [Self], i: usize, pair: [S::V; 2], _seed: u32) {
        for (line, v) in row[2 * i..].iter_mut().zip(pair) {
            simd.store(line, v);
        }
    }

    #[inline(always)]
    fn scale(rows: &mut [Self], factor: f32, least: f32) {
        for entry in rows.iter_mut().flat_map(|line| &mut line.0) {
            *entry = scaled(*entry, factor, least);
        }
    }
}

impl Stored for Halves {
    const SPARSE: usize = 40;

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
    fn pair<S: Simd>(simd: S, row: &[Self], i: usize) -> [S::V; 2] {
        simd.widen(&row[i])
    }

    #[inline(always)]
    fn set_pair<S: Simd>(simd: S, row: &mut [Self], i: usize, pair: [S::V; 2], seed: u32) {
        let lines = pair.map(|v| {
            let mut line = Line::default();
            simd.store(&mut line, v);
            line
        });
        row[i] = Self::stochastic(lines, scramble(seed.wrapping_add(i as u32)));
    }

    #[inline(always)]
    fn scale(rows: &mut [Self], factor: f32, least: f32) {
        for halves in rows {
            let lines = halves
                .widened()
                .map(|line| Line(line.0.map(|entry| scaled(entry, factor, least))));
            *halves = Self::nearest(lines);
        }
    }
}

/// A number times a factor; zero if that is less than `least`.
#[inline(always)]
fn scaled(number: f32, factor: f32, least: f32) -> f32 {
    let scaled = number * factor;
    if scaled.abs() < least { 0.0 } else { scaled }
}
