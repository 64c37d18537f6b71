//! The definition of the causal read, in both forms.

use burn::tensor::Tensor;

/// `tril(q q^T, -1) v`; shapes as in [`causal_read`](super::causal_read()).
pub fn causal_read(q: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let scores = q.clone().matmul(q.swap_dims(2, 3)); // [B, H, T, T], symmetric
    scores.tril(-1).matmul(v) // [B, H, T, D]
}

/// Read before write: `q rho + tril(q q^T, -1) v`, then `rho + q^T v`;
/// shapes as in [`causal_read_with_memory`](super::causal_read_with_memory()).
pub fn causal_read_with_memory(q: Tensor<4>, v: Tensor<4>, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let tokens = q.dims()[2];
    let keys = q.clone().swap_dims(2, 3); // [B, H, N, T]
    let recalled = q.clone().matmul(rho.clone()); // [B, H, T, D]
    // One token has nothing before it in its own block.
    let read = if tokens == 1 {
        recalled
    } else {
        recalled + causal_read(q, v.clone())
    };
    (read, rho + keys.matmul(v))
}
