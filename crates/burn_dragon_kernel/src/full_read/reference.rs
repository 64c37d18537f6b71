//! Definition of the full read.

use burn::tensor::Tensor;

/// `(q keys^T) v`; shapes as in [`full_read`](super::full_read()).
pub fn full_read(q: Tensor<4>, keys: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let scores = q.matmul(keys.swap_dims(2, 3)); // [B, H, T, T]
    scores.matmul(v) // [B, H, T, D]
}

/// `q (rho + keys^T v)`, and that memory; shapes as in [`full_read_with_memory`](super::full_read_with_memory()).
pub fn full_read_with_memory(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
) -> (Tensor<4>, Tensor<4>) {
    let memory = rho + keys.swap_dims(2, 3).matmul(v); // [B, H, N, D]
    (q.matmul(memory.clone()), memory)
}
