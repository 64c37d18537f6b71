//! Loops over the rows of memories, in blocks of columns that stay in registers.

use crate::simd::LANES;
use std::ops::Range;

/// Columns of a row from a column on: a whole block, or what is left of it.
#[inline(always)]
pub(super) fn part(row: &[f32], start: usize, size: usize) -> &[f32] {
    &row[start..start + size]
}

/// Runs a body with the first column and the size of each block of a row.
///
/// The body stands there twice, once with a constant size, so that its loops are vectors. A closure would be called.
macro_rules! for_blocks {
    ($width:expr, |$column:ident, $size:ident| $body:block) => {
        let whole = $width / LANES * LANES;
        for $column in (0..whole).step_by(LANES) {
            let $size = LANES;
            $body
        }
        if whole < $width {
            let ($column, $size) = (whole, $width - whole);
            $body
        }
    };
}
pub(super) use for_blocks;

/// Adds a row.
#[inline(always)]
pub(super) fn add(sum: &mut [f32], row: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum += x;
    }
}

/// Adds a factor times a row.
#[inline(always)]
pub(super) fn add_times(sum: &mut [f32], factor: f32, row: &[f32]) {
    for (sum, x) in sum.iter_mut().zip(row) {
        *sum += factor * x;
    }
}

/// The sum of a block of the rows that begin at `starts`, each `further` on.
#[inline(always)]
pub(super) fn sum_of_rows(rho: &[f32], starts: &[usize], further: usize, size: usize) -> [f32; LANES] {
    let mut sum = [0.0; LANES];
    for start in starts {
        let row = part(rho, start + further, size);
        add(&mut sum, row);
    }
    sum
}

/// The sum of the products of factors and a block of the rows that begin at the starts beside them.
#[inline(always)]
pub(super) fn weighted_sum(rows: &[f32], terms: &[(f32, usize)], column: usize, size: usize) -> [f32; LANES] {
    let mut sum = [0.0; LANES];
    for (factor, start) in terms {
        let row = part(rows, start + column, size);
        add_times(&mut sum, *factor, row);
    }
    sum
}

/// Neurons that are taken together: their rows of so many places, `width` wide, stay in a second-level cache.
pub(super) fn chunks(neurons: usize, places: usize, width: usize) -> impl Iterator<Item = Range<usize>> {
    /// Numbers: half of the second-level cache of a server, all of that of a small machine.
    const CACHE: usize = 1 << 17;
    let size = (CACHE / (places * width).max(1)).clamp(1, neurons.max(1));
    (0..neurons)
        .step_by(size)
        .map(move |first| first..neurons.min(first + size))
}

/// Rows of a grid that are a task: about 4 MB of memories, less if there are few, whatever the number of threads.
pub(super) fn rows_of_a_task(rows: usize, row: usize, all: usize) -> usize {
    const MOST: usize = 1 << 20;
    const LEAST: usize = 1 << 14;
    let numbers = (all / 16).clamp(LEAST, MOST);
    numbers.div_ceil(row.max(1)).clamp(1, rows.max(1))
}
