//! Factors of a chunk, and loops over its rows.

use super::{EPS, Head};
use crate::matrix::{Matrix, Precision};
use crate::simd::{exp, vectorized};
use std::ops::Range;

/// Most tokens of a chunk.
pub(super) const CHUNK: usize = 64;

/// A number for each token of a chunk.
pub(super) type OfChunk = [f32; CHUNK];

/// Factors of the tokens of a chunk.
#[derive(Debug)]
pub(super) struct Factors {
    pub(super) size: usize,
    /// Sums of the logarithms of alpha.
    sums: [f64; CHUNK],
    /// Reciprocals of the lengths of keys.
    pub(super) lengths: OfChunk,
    /// Of the memory before the chunk, for its read by each token: `e^(A_t) / |q_t|`.
    pub(super) recalled: OfChunk,
    /// Of each update, in the memory after the chunk: `e^(A_C - A_s) / |k_s|`.
    pub(super) written: OfChunk,
    /// Of the memory before the chunk, in that after it.
    pub(super) kept: f32,
}

impl Factors {
    /// Factors of some tokens with these reciprocals of lengths.
    pub(super) fn new(head: &Head<'_>, tokens: &Range<usize>, lengths: OfChunk) -> Self {
        let size = tokens.len();
        let (mut sums, mut sum) = ([0.0; CHUNK], 0.0);
        for (into, log) in sums.iter_mut().zip(&head.log_decay[tokens.clone()]) {
            sum += f64::from(*log);
            *into = sum;
        }
        let (mut recalled, mut written) = ([0.0; CHUNK], [0.0; CHUNK]);
        for token in 0..size {
            recalled[token] = exp(sums[token] as f32) * lengths[token];
            written[token] = exp((sum - sums[token]) as f32) * lengths[token];
        }
        Self {
            size,
            sums,
            lengths,
            recalled,
            written,
            kept: exp(sum as f32),
        }
    }
}

/// Reciprocals of the lengths of keys, from the products of keys among themselves, `[C, C]`.
pub(super) fn lengths(products: &[f32], size: usize) -> OfChunk {
    let mut lengths = [0.0; CHUNK];
    for token in 0..size {
        lengths[token] = (products[token * CHUNK + token] + EPS as f32).sqrt().recip();
    }
    lengths
}

/// `into = left right` or `into += left right`, with the rows of `into` as wide as they are apart.
pub(super) fn multiply(into: &mut [f32], left: Matrix<'_>, right: Matrix<'_>, add: bool) {
    Precision::F32.multiply(into, right.columns, left, right, add);
}

/// A matrix whose rows follow each other.
pub(super) fn rows(data: &[f32], count: usize, width: usize) -> Matrix<'_> {
    Matrix::new(data, count, width, width)
}

/// The leading part of a matrix of scores.
pub(super) fn square(data: &[f32], size: usize) -> Matrix<'_> {
    Matrix::new(data, size, size, CHUNK)
}

/// Adds factors times rows to a row.
#[inline(always)]
pub(super) fn add_rows(into: &mut [f32], others: &[f32], factors: impl Iterator<Item = f32>) {
    for (factor, other) in factors.zip(others.chunks_exact(into.len())) {
        for (into, other) in into.iter_mut().zip(other) {
            *into += factor * other;
        }
    }
}

vectorized! {
    /// What is left of each write for each later token, times the lengths: 0 on and above the diagonal. `into`: `[C, C]`.
    left(factors: &Factors, into: &mut [f32]) {
        for (t, row) in into.chunks_exact_mut(CHUNK).enumerate().take(factors.size) {
            let (sum, length) = (factors.sums[t], factors.lengths[t]);
            for (s, into) in row.iter_mut().enumerate() {
                let difference = (sum - factors.sums[s]) as f32;
                let factor = exp(difference.min(0.0)) * length * factors.lengths[s];
                *into = if s < t { factor } else { 0.0 };
            }
        }
    }

    /// Each row times its factor.
    scale_rows(rows: &[f32], factors: &[f32], width: usize, into: &mut [f32]) {
        for ((into, row), factor) in into.chunks_exact_mut(width).zip(rows.chunks_exact(width)).zip(factors) {
            for (into, x) in into.iter_mut().zip(row) {
                *into = factor * x;
            }
        }
    }

    /// All numbers times a factor.
    scale(numbers: &mut [f32], factor: f32) {
        for x in numbers {
            *x *= factor;
        }
    }

    /// Products of numbers with others, in place.
    multiply_each(numbers: &mut [f32], others: &[f32]) {
        for (x, other) in numbers.iter_mut().zip(others) {
            *x *= other;
        }
    }
}
