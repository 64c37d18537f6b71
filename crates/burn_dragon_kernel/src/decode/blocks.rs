//! Memory rows in int8: blocks of 32 numbers with a scale.
//!
//! A number is a whole one within 127 times its block's scale, the largest magnitude divided by 127. Rounding is stochastic,
//! as in bf16 (`deferred.rs`), so that what is less than a step adds up on average.

use super::carried::LEAST;
use super::cpu::fetch;
use super::deferred::{CompactRows, Writes};
use super::simd::{Bytes, COARSE, LINE, Line, Simd};
use super::stored::scramble;
use crate::low_bit::{nearest, within};
use std::ops::Range;

/// Largest whole number.
const MOST: f32 = 127.0;

/// Rows in blocks, and the scale of each block.
#[derive(Clone, Debug)]
pub(super) struct BlockRows {
    blocks: Vec<Bytes>,
    scales: Vec<f32>,
    size: usize, // blocks of a row
}

impl BlockRows {
    /// A block's numbers in f32.
    #[inline(always)]
    fn widened<S: Simd>(&self, simd: S, at: usize) -> [S::V; 2] {
        let (scale, zero) = (simd.splat(self.scales[at]), simd.splat(0.0));
        let [first, second] = simd.widen_bytes(&self.blocks[at]);
        [simd.fma(scale, first, zero), simd.fma(scale, second, zero)]
    }

    /// Replaces a block by numbers, rounded at random.
    #[inline(always)]
    fn set<S: Simd>(&mut self, simd: S, at: usize, pair: [S::V; 2], seed: u32) {
        let (factor, scale) = scales(simd.largest(pair));
        let mut lines = [Line::default(); 2];
        simd.store(&mut lines[0], pair[0]);
        simd.store(&mut lines[1], pair[1]);
        self.scales[at] = scale;
        let (first, second) = self.blocks[at].0.split_at_mut(LINE);
        for (i, (first, second)) in first.iter_mut().zip(second).enumerate() {
            let noise = scramble(seed.wrapping_add(i as u32));
            *first = rounded(lines[0].0[i] * factor, noise & 0xFFFF);
            *second = rounded(lines[1].0[i] * factor, noise >> 16);
        }
    }

    /// Replaces a block by numbers, rounded to the nearest.
    fn set_nearest(&mut self, at: usize, numbers: &[f32]) {
        let largest = numbers
            .iter()
            .fold(0.0, |most: f32, number| most.max(number.abs()));
        let (factor, scale) = scales(largest);
        self.scales[at] = scale;
        self.blocks[at] = Bytes::default();
        for (whole, number) in self.blocks[at].0.iter_mut().zip(numbers) {
            *whole = rounded(number * factor, 1 << 15);
        }
    }

    /// A row's numbers in f32, with those that fill its last block.
    fn numbers(&self, row: usize) -> impl Iterator<Item = f32> {
        let places = row * self.size..(row + 1) * self.size;
        let blocks = self.blocks[places.clone()].iter().zip(&self.scales[places]);
        blocks.flat_map(|(block, scale)| block.0.map(|whole| scale * f32::from(whole)))
    }
}

/// What numbers of a block are multiplied by, and what their whole numbers are; a block of smaller numbers than
/// [`LEAST`] becomes zeros.
#[inline(always)]
fn scales(largest: f32) -> (f32, f32) {
    if largest < LEAST {
        return (0.0, 0.0);
    }
    (MOST / largest, largest / MOST)
}

/// A whole number near a number within [`MOST`], by 16 bits of noise.
#[inline(always)]
fn rounded(number: f32, noise: u32) -> i8 {
    const STEP: f32 = 1.0 / (1 << 16) as f32;
    let shifted = number + (noise as f32 * STEP - 0.5);
    nearest(within(shifted, [-MOST, MOST])) as i8
}

impl CompactRows for BlockRows {
    fn new(count: usize, row: usize) -> Self {
        let size = (row * LINE).div_ceil(COARSE);
        Self {
            blocks: vec![Bytes::default(); count * size],
            scales: vec![0.0; count * size],
            size,
        }
    }

    #[inline(always)]
    fn fetch<S: Simd>(&self, simd: S, pair: usize) {
        let first = pair * 2 * self.size;
        for two in self.blocks[first..][..2 * self.size].as_chunks::<2>().0 {
            simd.prefetch(two);
        }
        fetch(simd, &self.scales[first..][..1]);
    }

    #[inline(always)]
    fn add_pair<S: Simd>(&self, simd: S, pair: usize, by: [f32; 2], sum: &mut [Line]) {
        let places = pair * 2 * self.size..(pair + 1) * 2 * self.size;
        let (first, second) = self.blocks[places.clone()].split_at(self.size);
        let (scales, others) = self.scales[places].split_at(self.size);
        let rows = first.iter().zip(second).zip(scales.iter().zip(others));
        for (sum, ((first, second), (scale, other))) in sum.chunks_mut(2).zip(rows) {
            let by = [simd.splat(by[0] * scale), simd.splat(by[1] * other)];
            let (first, second) = (simd.widen_bytes(first), simd.widen_bytes(second));
            for (i, sum) in sum.iter_mut().enumerate() {
                let total = simd.fma(by[0], first[i], simd.load(sum));
                simd.store(sum, simd.fma(by[1], second[i], total));
            }
        }
    }

    #[inline(always)]
    fn write<S: Simd>(&mut self, simd: S, pair: usize, writes: &Writes, recent: &[Line], seed: u64) {
        let seed = (seed ^ seed >> 32) as u32;
        for i in 0..self.size {
            let at = [2 * pair * self.size + i, (2 * pair + 1) * self.size + i];
            let both = [self.widened(simd, at[0]), self.widened(simd, at[1])];
            let sums = writes.add(simd, both, recent, 2 * i);
            for (row, sum) in sums.into_iter().enumerate() {
                // Every block has seeds of its own.
                let seed = seed.wrapping_add(((2 * i + row) * LINE) as u32);
                self.set(simd, at[row], sum, seed);
            }
        }
    }

    fn scale(&mut self, rows: Range<usize>, factor: f32) {
        for scale in &mut self.scales[rows.start * self.size..rows.end * self.size] {
            let scaled = *scale * factor;
            *scale = if scaled * MOST < LEAST { 0.0 } else { scaled };
        }
    }

    fn copy(&self, rows: Range<usize>, _row: usize, into: &mut [f32]) {
        let width = into.len() / rows.len();
        for (to, row) in into.chunks_exact_mut(width).zip(rows) {
            to.iter_mut()
                .zip(self.numbers(row))
                .for_each(|(to, from)| *to = from);
        }
    }

    fn replace(&mut self, rows: Range<usize>, width: usize, from: &[f32]) {
        for (row, from) in rows.zip(from.chunks_exact(width)) {
            for (i, numbers) in from.chunks(COARSE).enumerate() {
                self.set_nearest(row * self.size + i, numbers);
            }
        }
    }
}
