//! Definition of the causal read, in both forms.

use crate::retention::Retention;
use crate::retention::reference::{Factors, factors};
use burn::tensor::Tensor;

/// `tril(q keys^T, -1) v`, each score times its factor of retention; shapes as in
/// [`causal_read`](super::causal_read()).
pub fn causal_read(q: Tensor<4>, keys: Tensor<4>, v: Tensor<4>, retention: &Retention) -> Tensor<4> {
    let factors = (!retention.keeps_all()).then(|| factors(retention, q.dims()[2], &q));
    read(q, keys, v, factors.map(|factors| factors.between))
}

/// Read before write: `q rho + tril(q keys^T, -1) v`, then `rho + keys^T v`, each term times its factor of retention;
/// shapes as in [`causal_read_with_memory`](super::causal_read_with_memory()).
pub fn causal_read_with_memory(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
    retention: &Retention,
) -> (Tensor<4>, Tensor<4>) {
    let tokens = q.dims()[2];
    let recalled = q.clone().matmul(rho.clone()); // [B, H, T, D]
    let (recalled, kept, written, between) = if retention.keeps_all() {
        (recalled, rho, v.clone(), None)
    } else {
        let left: Factors = factors(retention, tokens, &q);
        let written = v.clone() * left.written; // [B, 1 or H, T, D]
        (
            recalled * left.recalled,
            rho * left.kept,
            written,
            Some(left.between),
        )
    };
    let after = kept + keys.clone().swap_dims(2, 3).matmul(written);
    // One token has nothing before it in its own block.
    let read = if tokens == 1 {
        recalled
    } else {
        recalled + read(q, keys, v, between)
    };
    (read, after)
}

/// Scores below the diagonal, times the factors of retention between their tokens (if any), times `v`.
fn read(q: Tensor<4>, keys: Tensor<4>, v: Tensor<4>, between: Option<Tensor<4>>) -> Tensor<4> {
    let scores = q.matmul(keys.swap_dims(2, 3)); // [B, H, T, T]
    let scores = match between {
        None => scores.tril(-1),
        Some(between) => scores * between,
    };
    scores.matmul(v) // [B, H, T, D]
}
