//! The definition of the causal read, in both forms.

use crate::retention::Retention;
use crate::retention::reference::{Factors, factors};
use burn::tensor::Tensor;

/// `tril(q keys^T, -1) v`, each score times what is left for it; shapes as in [`causal_read`](super::causal_read()).
pub fn causal_read(q: Tensor<4>, keys: Tensor<4>, v: Tensor<4>, retention: &Retention) -> Tensor<4> {
    let tokens = q.dims()[2];
    let scores = q.matmul(keys.swap_dims(2, 3)); // [B, H, T, T]
    let scores = if retention.keeps_all() {
        scores.tril(-1)
    } else {
        let between = factors(retention, tokens, &scores).between;
        scores * between
    };
    scores.matmul(v) // [B, H, T, D]
}

/// Read before write: `q rho + tril(q keys^T, -1) v`, then `rho + keys^T v`, each term times what is left of it;
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
    let (recalled, kept, written) = if retention.keeps_all() {
        (recalled, rho, v.clone())
    } else {
        let factors: Factors = factors(retention, tokens, &q);
        let written = v.clone() * factors.written; // [B, 1 or H, T, D]
        (recalled * factors.recalled, rho * factors.kept, written)
    };
    let after = kept + keys.clone().swap_dims(2, 3).matmul(written);
    // One token has nothing before it in its own block.
    let read = if tokens == 1 {
        recalled
    } else {
        recalled + causal_read(q, keys, v, retention)
    };
    (read, after)
}
