//! The normalisation and its gradient on the processor: sixteen matrices side by side.
//!
//! Loops are written with `for`: a closure that is not inlined is compiled without the vectors of its caller.

use super::{Axis, SINKHORN_EPS, SinkhornForm};
use crate::flex::tensor;
use crate::parallel::*;
use crate::simd::{exp, vectorized};
use burn_flex::FlexTensor;

/// Number of matrices side by side.
const LANES: usize = 16;

/// Matrices of a task.
const TASK: usize = 16 * LANES;

/// One entry of each matrix.
type Entries = [f32; LANES];

/// Each matrix after so many rounds.
pub(crate) fn sinkhorn(logits: &FlexTensor, form: SinkhornForm, rounds: usize) -> FlexTensor {
    let shape = logits.layout().shape().clone();
    let n = shape[2];
    let mut values = logits.storage::<f32>().to_vec();
    values.par_chunks_mut(TASK * n * n).for_each(|matrices| {
        for matrices in matrices.chunks_mut(LANES * n * n) {
            let mut entries = gathered(matrices, n);
            normalise(&mut entries, n, form, rounds);
            scatter(&entries, matrices);
        }
    });
    tensor(values, shape)
}

/// The gradient of the logits from that of the result.
pub(crate) fn sinkhorn_back(
    logits: &FlexTensor,
    d: &FlexTensor,
    form: SinkhornForm,
    rounds: usize,
) -> FlexTensor {
    let shape = logits.layout().shape().clone();
    let n = shape[2];
    let mut gradient = d.storage::<f32>().to_vec();
    gradient
        .par_chunks_mut(TASK * n * n)
        .zip(logits.storage::<f32>().par_chunks(TASK * n * n))
        .for_each(|(gradients, logits)| {
            let size = LANES * n * n;
            let mut history = Vec::new();
            for (gradient, logits) in gradients.chunks_mut(size).zip(logits.chunks(size)) {
                let mut d = gathered(gradient, n);
                back(&mut d, &gathered(logits, n), n, form, rounds, &mut history);
                scatter(&d, gradient);
            }
        });
    tensor(gradient, shape)
}

/// Up to sixteen matrices, entry by entry; those that are missing are zeros.
fn gathered(matrices: &[f32], n: usize) -> Vec<Entries> {
    let mut entries = vec![[0.0; LANES]; n * n];
    for (lane, matrix) in matrices.chunks_exact(n * n).enumerate() {
        for (entry, value) in entries.iter_mut().zip(matrix) {
            entry[lane] = *value;
        }
    }
    entries
}

/// The inverse of [`gathered`].
fn scatter(entries: &[Entries], matrices: &mut [f32]) {
    for (lane, matrix) in matrices.chunks_exact_mut(entries.len()).enumerate() {
        for (value, entry) in matrix.iter_mut().zip(entries) {
            *value = entry[lane];
        }
    }
}

/// Entries of row or column number `line`.
#[inline(always)]
fn line(axis: Axis, line: usize, n: usize) -> impl Iterator<Item = usize> + Clone {
    let (first, stride) = match axis {
        Axis::Rows => (line * n, 1),
        Axis::Columns => (line, n),
    };
    (0..n).map(move |k| first + k * stride)
}

/// `exp(x - max x)` over some entries of each matrix.
#[inline(always)]
fn exponentials(entries: &mut [Entries]) {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for entry in entries.iter() {
        for lane in 0..LANES {
            largest[lane] = largest[lane].max(entry[lane]);
        }
    }
    for entry in entries {
        for lane in 0..LANES {
            entry[lane] = exp(entry[lane] - largest[lane]);
        }
    }
}

/// The matrices before the first step.
#[inline(always)]
fn start(entries: &mut [Entries], n: usize, form: SinkhornForm) {
    match form {
        SinkhornForm::RowsLast => exponentials(entries),
        SinkhornForm::ColumnsLast => {
            for row in entries.chunks_exact_mut(n) {
                exponentials(row);
            }
            divide(entries, n, Axis::Rows, 0.0);
            for value in entries.as_flattened_mut() {
                *value += SINKHORN_EPS as f32;
            }
        }
    }
}

/// One over each entry.
#[inline(always)]
fn recip(mut entries: Entries) -> Entries {
    for entry in &mut entries {
        *entry = entry.recip();
    }
    entries
}

/// Divides each row or column by its sum.
#[inline(always)]
fn divide(entries: &mut [Entries], n: usize, axis: Axis, eps: f32) {
    for number in 0..n {
        let indices = line(axis, number, n);
        let mut sum = [eps; LANES];
        for index in indices.clone() {
            for lane in 0..LANES {
                sum[lane] += entries[index][lane];
            }
        }
        let factor = recip(sum);
        for index in indices {
            for lane in 0..LANES {
                entries[index][lane] *= factor[lane];
            }
        }
    }
}

/// The gradient before [`divide`] from that after it, `d`; `before` are the matrices before it.
#[inline(always)]
fn divide_back(d: &mut [Entries], before: &[Entries], n: usize, axis: Axis, eps: f32) {
    for number in 0..n {
        let indices = line(axis, number, n);
        let (mut sum, mut along) = ([eps; LANES], [0.0; LANES]);
        for index in indices.clone() {
            for lane in 0..LANES {
                sum[lane] += before[index][lane];
                along[lane] += d[index][lane] * before[index][lane];
            }
        }
        let factor = recip(sum);
        for index in indices {
            for lane in 0..LANES {
                d[index][lane] = (d[index][lane] - along[lane] * factor[lane]) * factor[lane];
            }
        }
    }
}

vectorized! {
    /// The rounds, in place.
    normalise(entries: &mut [Entries], n: usize, form: SinkhornForm, rounds: usize) {
        start(entries, n, form);
        let eps = form.eps() as f32;
        form.steps(rounds).for_each(|axis| divide(entries, n, axis, eps));
    }

    /// The gradient of the logits, in place of that of the result.
    back(d: &mut [Entries], logits: &[Entries], n: usize, form: SinkhornForm, rounds: usize, history: &mut Vec<Entries>) {
        let (size, eps) = (n * n, form.eps() as f32);
        let mut entries = logits.to_vec();
        start(&mut entries, n, form);
        history.clear();
        for axis in form.steps(rounds) {
            history.extend_from_slice(&entries);
            divide(&mut entries, n, axis, eps);
        }
        for (axis, before) in form.steps(rounds).rev().zip(history.chunks_exact(size).rev()) {
            divide_back(d, before, n, axis, eps);
        }
        let first = &history[..size];
        match form {
            // The largest entry cancels: a factor of a whole matrix is gone with the first sums.
            SinkhornForm::RowsLast => {
                for (d, first) in d.iter_mut().zip(first) {
                    for lane in 0..LANES {
                        d[lane] *= first[lane];
                    }
                }
            }
            SinkhornForm::ColumnsLast => {
                let eps = SINKHORN_EPS as f32;
                for row in 0..n {
                    let row = row * n..(row + 1) * n;
                    let mut along = [0.0; LANES];
                    for index in row.clone() {
                        for lane in 0..LANES {
                            along[lane] += d[index][lane] * (first[index][lane] - eps);
                        }
                    }
                    for index in row {
                        for lane in 0..LANES {
                            d[index][lane] = (d[index][lane] - along[lane]) * (first[index][lane] - eps);
                        }
                    }
                }
            }
        }
    }
}
