//! The norm and its gradient on the processor, row by row and in place.

use crate::parallel::*;
use crate::simd::{dot, sum, vectorized};
use burn_flex::FlexTensor;

/// Entries of the rows that one task takes: about 50 us of work, so that small tensors wake no thread.
const CHUNK: usize = 1 << 17;

/// Rows of a task.
pub(crate) fn rows_of_a_task(width: usize) -> usize {
    (CHUNK / width).max(1)
}

/// The length of the rows.
pub(crate) fn width(tensor: &FlexTensor) -> usize {
    tensor.layout().shape().last().copied().unwrap_or(1)
}

/// Data that the gradient needs: normed rows, and one over each row's standard deviation.
#[derive(Clone, Debug)]
pub(crate) struct Normed {
    a: FlexTensor,
    scales: Vec<f32>,
}

/// The normed rows.
pub(crate) fn norm(mut v: FlexTensor, eps: f64) -> (FlexTensor, Normed) {
    let width = width(&v);
    let rows = rows_of_a_task(width);
    let v_rows = v.storage_mut::<f32>();
    let mut scales = vec![0.0; v_rows.len() / width];
    v_rows
        .par_chunks_mut(rows * width)
        .zip(scales.par_chunks_mut(rows))
        .for_each(|(v, scales)| norm_rows(v, scales, eps as f32));
    (v.clone(), Normed { a: v, scales })
}

/// The gradient before the norm from the gradient `d` after it.
pub(crate) fn norm_back(Normed { a, scales }: &Normed, mut d: FlexTensor) -> FlexTensor {
    let width = width(a);
    let rows = rows_of_a_task(width);
    d.storage_mut::<f32>()
        .par_chunks_mut(rows * width)
        .zip(a.storage::<f32>().par_chunks(rows * width))
        .zip(scales.par_chunks(rows))
        .for_each(|((d, a), scales)| norm_rows_back(d, a, scales));
    d
}

/// Norms a row in place and returns one over its standard deviation.
#[inline(always)]
pub(crate) fn norm_row(row: &mut [f32], eps: f32) -> f32 {
    let width = row.len() as f32;
    let mean = sum(row) / width;
    row.iter_mut().for_each(|x| *x -= mean);
    let scale = (dot(row, row) / width + eps).sqrt().recip();
    row.iter_mut().for_each(|x| *x *= scale);
    scale
}

/// `d = scale (d - mean(d) - a mean(d a))` for one row.
#[inline(always)]
pub(crate) fn norm_row_back(d: &mut [f32], a: &[f32], scale: f32) {
    let width = d.len() as f32;
    let (mean, along) = (sum(d) / width, dot(d, a) / width);
    d.iter_mut()
        .zip(a)
        .for_each(|(d, a)| *d = scale * (*d - mean - a * along));
}

vectorized! {
    /// Norms rows in place, one for each scale.
    norm_rows(v: &mut [f32], scales: &mut [f32], eps: f32) {
        let width = v.len() / scales.len();
        for (row, scale) in v.chunks_exact_mut(width).zip(scales) {
            *scale = norm_row(row, eps);
        }
    }

    /// [`norm_row_back`] for rows, one for each scale.
    norm_rows_back(d: &mut [f32], a: &[f32], scales: &[f32]) {
        let width = d.len() / scales.len();
        let rows = d.chunks_exact_mut(width).zip(a.chunks_exact(width)).zip(scales);
        for ((d, a), scale) in rows {
            norm_row_back(d, a, *scale);
        }
    }
}
