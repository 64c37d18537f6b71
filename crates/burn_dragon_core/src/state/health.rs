//! Measurements of memories: norms, effective ranks, distances.

use super::{DragonState, StateError};
use burn::tensor::{DType, Tensor};

impl DragonState {
    /// Frobenius norms of the memories: one list for each level, one number for each lane.
    pub fn norms(&self) -> Vec<Vec<f64>> {
        self.rho.iter().map(norms).collect()
    }

    /// Effective rank of each head's memory, by level, lane and head: the number of directions of the width over which
    /// it is spread.
    ///
    /// It is the participation ratio of the spectrum of `G = rho^T rho`, `[D, D]`, of the head's block `rho`, `[N, D]`:
    ///
    /// ```text
    /// effective rank = tr(G)^2 / tr(G^2) = (sum of s_i^2)^2 / (sum of s_i^4)     s_i the singular values of rho
    /// ```
    ///
    /// It is 1 if all of the memory is in one direction, `min(N, D)` if it is spread evenly over all, and 0 if it is
    /// empty.
    pub fn effective_ranks(&self) -> Vec<Vec<Vec<f64>>> {
        self.rho.iter().map(effective_ranks).collect()
    }

    /// Distances between the memories of two states, by level and lane: `|a - b| / max(|a|, |b|)` in Frobenius norm, 0
    /// if both are empty.
    ///
    /// Memories are compared as they are, each rotated by its own position. [Rebase](Self::rebase) states at different
    /// positions first.
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
    // Divided first: the fourth power of a large norm overflows f32, and could overflow f64.
    1.0 / gram.iter().map(|entry| (entry / trace).powi(2)).sum::<f64>()
}

/// The same values in f32 or more, without autodiff.
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
