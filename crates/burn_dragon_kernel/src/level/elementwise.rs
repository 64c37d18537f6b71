//! Elementwise work between the products, compiled for the widest vectors that the processor has.

#[cfg(target_arch = "x86_64")]
use crate::instructions::Instructions;
use crate::simd::{self, vectorized};

vectorized! {
    /// `x = max(x, 0)`.
    relu(x: &mut [f32]) {
        x.iter_mut().for_each(|x| *x = x.max(0.0));
    }

    /// `y = max(y, 0) x`.
    gate(y: &mut [f32], x: &[f32]) {
        y.iter_mut().zip(x).for_each(|(y, x)| *y = y.max(0.0) * x);
    }

    /// `y = max(gate, 0) x`.
    gated(gate: &[f32], x: &[f32], y: &mut [f32]) {
        gate.iter().zip(x).zip(y).for_each(|((gate, x), y)| *y = gate.max(0.0) * x);
    }

    /// `y = round(y per_unit) / per_unit`, half to even.
    round_to_units(y: &mut [f32], per_unit: f32) {
        y.iter_mut().for_each(|y| *y = (*y * per_unit).round_ties_even() / per_unit);
    }

    /// The largest number of a row.
    largest(row: &[f32]) -> f32 {
        simd::largest(row)
    }

    /// Gradients of `y = gate x`, whose own gradient is `scale dy`: `dx = scale dy gate`, and the gate's buffer takes
    /// its gradient, `scale dy x`. Both are 0 where y is 0, for any dy there.
    gate_back(gate: &mut [f32], x: &[f32], y: &[f32], dy: &[f32], scale: f32, dx: &mut [f32]) {
        for ((((gate, x), y), dy), dx) in gate.iter_mut().zip(x).zip(y).zip(dy).zip(dx) {
            let dy = if *y > 0.0 { scale * dy } else { 0.0 };
            *dx = dy * gate.max(0.0);
            *gate = dy * x;
        }
    }

    /// `dx = dx + more` where x is active, else 0.
    relu_back(dx: &mut [f32], more: &[f32], x: &[f32]) {
        for ((dx, more), x) in dx.iter_mut().zip(more).zip(x) {
            *dx = if *x > 0.0 { *dx + more } else { 0.0 };
        }
    }

    /// `dx = dx` where x is active, else 0.
    where_active(dx: &mut [f32], x: &[f32]) {
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = if *x > 0.0 { *dx } else { 0.0 };
        }
    }

    /// `[R, C]` rows, `stride` apart, into `[C, R]`.
    transpose(from: &[f32], stride: usize, columns: usize, to: &mut [f32]) {
        const SIDE: usize = 16;
        let rows = to.len().checked_div(columns).unwrap_or(0);
        for first_row in (0..rows).step_by(SIDE) {
            for first_column in (0..columns).step_by(SIDE) {
                for column in first_column..(first_column + SIDE).min(columns) {
                    let to = &mut to[column * rows..(column + 1) * rows];
                    for row in first_row..(first_row + SIDE).min(rows) {
                        to[row] = from[row * stride + column];
                    }
                }
            }
        }
    }

    /// `row = factor row`.
    scale(row: &mut [f32], factor: f32) {
        row.iter_mut().for_each(|x| *x *= factor);
    }

    /// `to = factor from`.
    scaled(to: &mut [f32], from: &[f32], factor: f32) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to = factor * from);
    }

    /// `sum += factor part`.
    add_scaled(sum: &mut [f32], part: &[f32], factor: f32) {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += factor * part);
    }

    /// Multiplies a row by powers, the last of them first.
    fade(row: &mut [f32], powers: &[f32]) {
        row.iter_mut().zip(powers.iter().rev()).for_each(|(x, power)| *x *= power);
    }

    /// `sum += part`.
    add(sum: &mut [f32], part: &[f32]) {
        sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
    }

    /// The sum of the products of two arrays, in f64.
    dot(left: &[f32], right: &[f32]) -> f64 {
        products(left, right)
    }

    /// Norms a row; returns one over its standard deviation. Sums are in f64: if a read is nearly the same in all
    /// columns, an error of the mean would remain in each of them.
    norm_row(row: &mut [f32], eps: f64) -> f32 {
        let width = row.len() as f64;
        let mean = total(row) / width;
        row.iter_mut().for_each(|value| *value = (f64::from(*value) - mean) as f32);
        let scale = (products(row, row) / width + eps).sqrt().recip() as f32;
        row.iter_mut().for_each(|value| *value *= scale);
        scale
    }

    /// The gradient of a row before the norm from the one after it, in place: `scale (d - mean(d) - a mean(d a))`. Sums
    /// are in f64: a rounding error along the mean would be multiplied by all that the values have in common.
    norm_row_back(gradient: &mut [f32], a: &[f32], scale: f32) {
        let width = a.len() as f64;
        let (mean, along) = (total(gradient) / width, products(gradient, a) / width);
        for (d, a) in gradient.iter_mut().zip(a) {
            *d = (f64::from(scale) * (f64::from(*d) - mean - f64::from(*a) * along)) as f32;
        }
    }
}

/// Number of sums in f64 that run side by side, with any vectors, so that they have the same order everywhere.
const SUMS: usize = 8;

/// The sum of a row, in f64.
#[inline(always)]
fn total(row: &[f32]) -> f64 {
    let (lanes, rest) = row.as_chunks::<SUMS>();
    let mut sums = [0.0; SUMS];
    for lane in lanes {
        sums.iter_mut()
            .zip(lane)
            .for_each(|(sum, x)| *sum += f64::from(*x));
    }
    sums.iter().sum::<f64>() + rest.iter().map(|x| f64::from(*x)).sum::<f64>()
}

/// The sum of the products of two rows, in f64.
#[inline(always)]
fn products(left: &[f32], right: &[f32]) -> f64 {
    let product = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
    let ((lefts, left), (rights, right)) = (left.as_chunks::<SUMS>(), right.as_chunks::<SUMS>());
    let mut sums = [0.0; SUMS];
    for (left, right) in lefts.iter().zip(rights) {
        let terms = left.iter().zip(right).map(product);
        sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
    }
    sums.iter().sum::<f64>() + left.iter().zip(right).map(product).sum::<f64>()
}

/// The sum of the products of two arrays, times a weight each, in f64.
#[inline(always)]
pub(super) fn weighted_dot(left: &[f32], right: &[f32], weight: impl Fn(usize) -> f64) -> f64 {
    let term = |i: usize| weight(i) * f64::from(left[i]) * f64::from(right[i]);
    let whole = left.len() / SUMS * SUMS;
    let mut sums = [0.0; SUMS];
    for first in (0..whole).step_by(SUMS) {
        (0..SUMS).for_each(|i| sums[i] += term(first + i));
    }
    sums.iter().sum::<f64>() + (whole..left.len()).map(term).sum::<f64>()
}

/// Marks the entries above zero: bit `i % 64` of word `[i / 64, t]` for entry `i` of row `t`. Returns their number.
pub(super) fn mark(tile: &[f32], columns: usize, words: &mut [u64]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    if Instructions::Avx512.usable() {
        // SAFETY: the processor has the features that the function is compiled for.
        return unsafe { mark_avx512(tile, columns, words) };
    }
    mark_with(tile, columns, words, |row| {
        row.iter()
            .enumerate()
            .fold(0, |bits, (i, x)| bits | u64::from(*x > 0.0) << i)
    })
}

/// `above_zero` gives one bit for each of at most 64 numbers.
#[inline(always)]
fn mark_with(tile: &[f32], columns: usize, words: &mut [u64], above_zero: impl Fn(&[f32]) -> u64) -> u64 {
    let tokens = tile.len() / columns;
    let mut active = 0;
    for (t, row) in tile.chunks_exact(columns).enumerate() {
        for (strip, part) in row.chunks(64).enumerate() {
            let bits = above_zero(part);
            words[strip * tokens + t] = bits;
            active += u64::from(bits.count_ones());
        }
    }
    active
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
fn mark_avx512(tile: &[f32], columns: usize, words: &mut [u64]) -> u64 {
    use std::arch::x86_64::{_CMP_GT_OQ, _mm512_cmp_ps_mask, _mm512_maskz_loadu_ps, _mm512_setzero_ps};
    mark_with(tile, columns, words, |row| {
        row.chunks(16).enumerate().fold(0, |bits, (i, part)| {
            let within = u16::MAX >> (16 - part.len());
            // SAFETY: the mask keeps the load within `part`.
            let values = unsafe { _mm512_maskz_loadu_ps(within, part.as_ptr()) };
            bits | u64::from(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(values, _mm512_setzero_ps())) << (16 * i)
        })
    })
}
