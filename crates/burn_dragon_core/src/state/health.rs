//! How a memory is doing: how much is in it, in how many directions, and how far two of them are apart.

use super::{DragonState, StateError};
use burn::tensor::{DType, Tensor};

impl DragonState {
    /// Frobenius norm of each memory: one list per level, one number per lane.
    pub fn norms(&self) -> Vec<Vec<f64>> {
        self.rho.iter().map(norms).collect()
    }

    /// In how many directions of the width each head's memory is spread: per level, lane and head.
    ///
    /// The participation ratio of the spectrum of `G = rho^T rho`, `[D, D]`, of the head's block `rho`, `[N, D]`:
    ///
    /// ```text
    /// effective rank = tr(G)^2 / tr(G^2) = (sum of s_i^2)^2 / (sum of s_i^4)     s_i the singular values of rho
    /// ```
    ///
    /// 1 where all of it lies in one direction, `min(N, D)` where it lies in all of them evenly, 0 where it is empty.
    pub fn effective_ranks(&self) -> Vec<Vec<Vec<f64>>> {
        self.rho.iter().map(effective_ranks).collect()
    }

    /// How far the memories of two states are apart: per level and lane, `|a - b| / max(|a|, |b|)` in Frobenius norm,
    /// 0 where both are empty.
    ///
    /// Memories are compared as they lie, each turned by its own position. States at different positions are to be
    /// [rebased](Self::rebase) first.
    ///
    /// # Errors
    /// If the states differ in shape or number of lanes.
    pub fn distances(&self, other: &Self) -> Result<Vec<Vec<f64>>, StateError> {
        let form = |state: &Self| {
            let shapes: Vec<_> = state.rho.iter().map(Tensor::dims).collect();
            (state.lanes(), shapes)
        };
        let ((lanes, a), (others, b)) = (form(self), form(other));
        if (lanes, &a) != (others, &b) {
            let words = |lanes, shapes| format!("{lanes} lanes in memories of {shapes:?}");
            return Err(StateError::Unlike {
                index: 1,
                given: words(others, b),
                expected: words(lanes, a),
            });
        }
        let pairs = self.rho.iter().zip(&other.rho);
        Ok(pairs.map(|(a, b)| distances(a, b)).collect())
    }
}

fn distances(a: &Tensor<4>, b: &Tensor<4>) -> Vec<f64> {
    let a = precise(a);
    let b = precise(b).to_device(&a.device()).cast(a.dtype());
    let apart = norms(&(a.clone() - b.clone()));
    let sizes = norms(&a).into_iter().zip(norms(&b)).map(|(a, b)| a.max(b));
    let relative = |(apart, size): (f64, f64)| if size > 0.0 { apart / size } else { apart };
    apart.into_iter().zip(sizes).map(relative).collect()
}

fn norms(rho: &Tensor<4>) -> Vec<f64> {
    let rho = precise(rho);
    // Row by row first: a sum of millions of squares in f32 would lose its small ones.
    let rows = numbers((rho.clone() * rho.clone()).sum_dim(3));
    let lanes = rho.dims()[0].max(1);
    let of = |rows: &[f64]| rows.iter().sum::<f64>().sqrt();
    rows.chunks(rows.len().div_ceil(lanes).max(1)).map(of).collect()
}

fn effective_ranks(rho: &Tensor<4>) -> Vec<Vec<f64>> {
    let rho = precise(rho);
    let [_, heads, _, width] = rho.dims();
    let gram = numbers(rho.clone().swap_dims(2, 3).matmul(rho)); // [B, H, D, D]
    let ranks: Vec<f64> = gram
        .chunks(width * width)
        .map(|gram| participation_ratio(gram, width))
        .collect();
    ranks.chunks(heads).map(<[f64]>::to_vec).collect()
}

/// `tr(G)^2 / tr(G^2)` of a symmetric `[D, D]`.
fn participation_ratio(gram: &[f64], width: usize) -> f64 {
    let trace: f64 = (0..width).map(|i| gram[i * width + i]).sum();
    if trace == 0.0 {
        return 0.0;
    }
    // Divided first: the fourth power of a large norm is beyond f32, and might be beyond f64.
    1.0 / gram.iter().map(|entry| (entry / trace).powi(2)).sum::<f64>()
}

/// The same numbers in f32 at least, without autodiff.
fn precise(rho: &Tensor<4>) -> Tensor<4> {
    let rho = rho.clone().inner();
    match rho.dtype() {
        DType::F32 | DType::F64 => rho,
        _ => rho.cast(DType::F32),
    }
}

fn numbers(tensor: Tensor<4>) -> Vec<f64> {
    match tensor.into_data().convert::<f64>().try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("data converted to f64 is f64: {error}"),
    }
}
