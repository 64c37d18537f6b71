//! Spectrum of features: how many dimensions they use.

use super::features::Features;
use super::moments::{Moments, covariance};
use rayon::prelude::*;

/// QL iterations for an eigenvalue. Convergence is cubic: about 2 are needed.
const SWEEPS: usize = 60;

/// Effective rank (Roy and Vetterli, 2007): `exp(-sum of p_i ln p_i)` with `p_i = s_i / sum of s`, s the singular values of the
/// centred rows.
///
/// It is the width if all directions vary equally, 1 if only one varies, and 0 if none does.
pub fn effective_rank(features: &Features) -> f64 {
    let eigenvalues = eigenvalues(covariance(features), features.width());
    // Those below the rounding of the largest are not there.
    let floor = eigenvalues.iter().fold(0f64, |most, &value| most.max(value)) * 1e-14;
    let singular: Vec<f64> = eigenvalues
        .iter()
        .filter(|&&value| value > floor)
        .map(|value| value.sqrt())
        .collect();
    let sum: f64 = singular.iter().sum();
    if sum == 0.0 {
        return 0.0;
    }
    let entropy: f64 = singular
        .iter()
        .map(|value| value / sum)
        .map(|share| -share * share.ln())
        .sum();
    entropy.exp()
}

/// Mean over the columns of their standard deviation.
pub fn deviation(features: &Features) -> f64 {
    let deviations = Moments::of(features).deviation;
    deviations.iter().sum::<f64>() / deviations.len() as f64
}

/// Eigenvalues of a symmetric matrix, `[width, width]`, in no order: reflections make it tridiagonal, QL iterations with implicit
/// shifts diagonal (Golub and Van Loan, Matrix Computations, 8.3).
pub(super) fn eigenvalues(matrix: Vec<f64>, width: usize) -> Vec<f64> {
    let (mut diagonal, mut beside) = tridiagonal(matrix, width);
    beside.push(0.0);
    for start in 0..width {
        for _ in 0..SWEEPS {
            let is_split =
                |&i: &usize| beside[i].abs() <= f64::EPSILON * (diagonal[i].abs() + diagonal[i + 1].abs());
            let end = (start..width - 1).find(is_split).unwrap_or(width - 1);
            if end == start {
                break;
            }
            sweep(&mut diagonal, &mut beside, start, end);
        }
    }
    diagonal
}

/// Diagonal, and the entries beside it, of a tridiagonal matrix with the same eigenvalues.
fn tridiagonal(mut matrix: Vec<f64>, width: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = Vec::with_capacity(width);
    for k in 0..width.saturating_sub(1) {
        let rest = k + 1;
        let mut axis: Vec<f64> = matrix[k * width + rest..(k + 1) * width].to_vec();
        let length = axis.iter().map(|value| value * value).sum::<f64>().sqrt();
        let first = if axis[0] > 0.0 { -length } else { length };
        beside.push(first);
        axis[0] -= first;
        let square: f64 = axis.iter().map(|value| value * value).sum();
        if square == 0.0 {
            continue;
        }
        // (I - 2 a a^T / |a|^2) A (I - 2 a a^T / |a|^2) = A - a q^T - q a^T
        let row = |i: usize| &matrix[(rest + i) * width + rest..(rest + i + 1) * width];
        let product = |i: usize| row(i).iter().zip(&axis).map(|(a, b)| a * b).sum::<f64>() * 2.0 / square;
        let mut q: Vec<f64> = (0..axis.len()).into_par_iter().map(product).collect();
        let half = q.iter().zip(&axis).map(|(a, b)| a * b).sum::<f64>() / square;
        q.iter_mut().zip(&axis).for_each(|(q, axis)| *q -= half * axis);
        matrix[rest * width..]
            .par_chunks_mut(width)
            .enumerate()
            .for_each(|(i, row)| {
                let entries = row[rest..].iter_mut().zip(axis.iter().zip(&q));
                entries.for_each(|(entry, (a, b))| *entry -= axis[i] * b + q[i] * a);
            });
    }
    ((0..width).map(|i| matrix[i * width + i]).collect(), beside)
}

/// A QL iteration on the block from `start` to `end`, with the shift of Wilkinson.
fn sweep(diagonal: &mut [f64], beside: &mut [f64], start: usize, end: usize) {
    let half = (diagonal[start + 1] - diagonal[start]) / (2.0 * beside[start]);
    let root = half.hypot(1.0).copysign(half);
    let mut g = diagonal[end] - diagonal[start] + beside[start] / (half + root);
    let (mut sin, mut cos, mut shift) = (1.0, 1.0, 0.0);
    for i in (start..end).rev() {
        let (f, b) = (sin * beside[i], cos * beside[i]);
        let length = f.hypot(g);
        beside[i + 1] = length;
        if length == 0.0 {
            diagonal[i + 1] -= shift;
            beside[end] = 0.0;
            return;
        }
        (sin, cos) = (f / length, g / length);
        let moved = diagonal[i + 1] - shift;
        let next = (diagonal[i] - moved) * sin + 2.0 * cos * b;
        shift = sin * next;
        diagonal[i + 1] = moved + shift;
        g = cos * next - b;
    }
    diagonal[start] -= shift;
    beside[start] = g;
    beside[end] = 0.0;
}
