//! Products of the streams with a matrix, divided by the streams' length afterwards.

use super::Sizes;
use crate::flex::tensor;
use crate::matrix::{Matrix, Precision};
use crate::parallel::*;
use crate::simd::{dot, vectorized};
use burn_flex::FlexTensor;

/// Rows of a product that one task computes: fixed, so that the bits do not depend on the threads.
const ROWS: usize = 64;

/// `[M, K]`.
pub(super) fn logits([x, projection, bias]: [&FlexTensor; 3], eps: f64) -> FlexTensor {
    let (size, count) = (Sizes::of(x).token(), bias.layout().num_elements());
    let tokens = x.layout().shape()[0];
    let (projection, bias) = (projection.storage::<f32>(), bias.storage::<f32>());
    let mut logits = vec![0.0; tokens * count];
    logits
        .par_chunks_mut(ROWS * count)
        .zip(x.storage::<f32>().par_chunks(ROWS * size))
        .for_each(|(logits, x)| {
            let rows = Matrix::new(x, x.len() / size, size, size);
            let right = Matrix::new(projection, size, count, count);
            Precision::F32.multiply(logits, count, rows, right, false);
            finish(logits, x, bias, eps as f32);
        });
    tensor(logits, [tokens, count])
}

/// The gradients of the streams, the matrix and the bias.
///
/// With `r = 1 / rms` and `g = r dz`: `dP = x^T g`, and `dx = g P^T - x (x . g P^T) r^2 / (n D)`.
pub(super) fn logits_back(
    x: &FlexTensor,
    projection: &FlexTensor,
    d: &FlexTensor,
    eps: f64,
) -> [FlexTensor; 3] {
    let (size, count) = (Sizes::of(x).token(), projection.layout().shape()[1]);
    let right = Matrix::new(projection.storage(), size, count, count).transposed();
    let (rows, d) = (x.storage::<f32>(), d.storage::<f32>());
    let (mut dx, mut g) = (vec![0.0; rows.len()], d.to_vec());
    dx.par_chunks_mut(ROWS * size)
        .zip(g.par_chunks_mut(ROWS * count))
        .zip(rows.par_chunks(ROWS * size))
        .for_each(|((dx, g), x)| {
            let factors = divide(g, x, count, eps as f32);
            let left = Matrix::new(g, factors.len(), count, count);
            Precision::F32.multiply(dx, size, left, right, false);
            turn(dx, x, &factors);
        });
    [
        tensor(dx, x.layout().shape().clone()),
        tensor(of_projection(rows, &g, size, count), [size, count]),
        tensor(sum_rows(d, count), [1, count]),
    ]
}

/// `x^T g`, some rows of it in each task.
fn of_projection(x: &[f32], g: &[f32], size: usize, count: usize) -> Vec<f32> {
    let tokens = x.len() / size;
    let mut gradient = vec![0.0; size * count];
    gradient
        .par_chunks_mut(ROWS * count)
        .enumerate()
        .for_each(|(task, gradient)| {
            let first = (task * ROWS).min(x.len());
            let left = Matrix::new(&x[first..], tokens, gradient.len() / count, size).transposed();
            let right = Matrix::new(g, tokens, count, count);
            Precision::F32.multiply(gradient, count, left, right, false);
        });
    gradient
}

vectorized! {
    /// From products to logits, row by row.
    finish(logits: &mut [f32], x: &[f32], bias: &[f32], eps: f32) {
        let size = x.len() / (logits.len() / bias.len()).max(1);
        for (logits, x) in logits.chunks_exact_mut(bias.len()).zip(x.chunks_exact(size)) {
            let factor = (dot(x, x) / size as f32 + eps).sqrt().recip();
            logits.iter_mut().zip(bias).for_each(|(z, bias)| *z = *z * factor + bias);
        }
    }

    /// Divides rows of `count` entries by the lengths of rows of x; gives one over them.
    divide(g: &mut [f32], x: &[f32], count: usize, eps: f32) -> Vec<f32> {
        let size = x.len() / (g.len() / count).max(1);
        let rows = g.chunks_exact_mut(count).zip(x.chunks_exact(size));
        let mut factors = Vec::with_capacity(rows.len());
        for (g, x) in rows {
            let factor = (dot(x, x) / size as f32 + eps).sqrt().recip();
            g.iter_mut().for_each(|g| *g *= factor);
            factors.push(factor);
        }
        factors
    }

    /// `dx -= x (x . dx) r^2 / size` for rows, one for each factor r.
    turn(dx: &mut [f32], x: &[f32], factors: &[f32]) {
        let size = x.len() / factors.len().max(1);
        for ((dx, x), factor) in dx.chunks_exact_mut(size).zip(x.chunks_exact(size)).zip(factors) {
            let along = dot(dx, x) * factor * factor / size as f32;
            dx.iter_mut().zip(x).for_each(|(dx, x)| *dx -= along * x);
        }
    }

    /// The sum of rows of `count` entries.
    sum_rows(rows: &[f32], count: usize) -> Vec<f32> {
        let mut sums = vec![0.0; count];
        for row in rows.chunks_exact(count) {
            sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
        }
        sums
    }
}
