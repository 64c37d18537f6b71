//! Spectrum of features: how many dimensions they use.

use super::features::Features;
use super::moments::{Moments, covariance};

/// Sweeps of Jacobi rotations. Convergence is quadratic: about 8 are needed.
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

/// Eigenvalues of a symmetric matrix, `[width, width]`, by cyclic Jacobi rotations, in no order.
pub(super) fn eigenvalues(mut matrix: Vec<f64>, width: usize) -> Vec<f64> {
    let whole: f64 = matrix.iter().map(|value| value * value).sum();
    for _ in 0..SWEEPS {
        let mut off = 0.0;
        for p in 0..width {
            for q in p + 1..width {
                off += matrix[p * width + q].powi(2);
                rotate(&mut matrix, width, p, q);
            }
        }
        if off <= 1e-32 * whole {
            break;
        }
    }
    (0..width).map(|i| matrix[i * width + i]).collect()
}

/// The rotation of rows and columns p and q that makes their entry 0.
fn rotate(matrix: &mut [f64], width: usize, p: usize, q: usize) {
    let entry = matrix[p * width + q];
    if entry == 0.0 {
        return;
    }
    let theta = (matrix[q * width + q] - matrix[p * width + p]) / (2.0 * entry);
    let tangent = theta.signum() / (theta.abs() + theta.hypot(1.0));
    let cos = 1.0 / tangent.hypot(1.0);
    let sin = tangent * cos;
    for k in 0..width {
        let (a, b) = (matrix[k * width + p], matrix[k * width + q]);
        matrix[k * width + p] = cos * a - sin * b;
        matrix[k * width + q] = sin * a + cos * b;
    }
    let (head, tail) = matrix.split_at_mut(q * width);
    for (a, b) in head[p * width..(p + 1) * width]
        .iter_mut()
        .zip(&mut tail[..width])
    {
        (*a, *b) = (cos * *a - sin * *b, sin * *a + cos * *b);
    }
}
