//! Definition of the join.

use crate::norm::reference::norm;
use burn::tensor::Tensor;

/// `norm(v + norm(u))` in plain tensor operations; see [`join`](super::join).
pub fn join(v: Tensor<4>, u: Tensor<4>, eps: f64) -> Tensor<4> {
    norm(v + norm(u, eps), eps)
}
