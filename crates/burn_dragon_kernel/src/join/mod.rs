//! Join of a level's contribution with the stream: `norm(v + norm(u))`.
//!
//! On the processor in f32 it is one pass over the rows, in place unless another tensor shares them (`cpu.rs`), and its
//! gradient is written by hand; elsewhere it is tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
pub(crate) mod cube;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::Tensor;

/// Stream after a level whose contribution is `u`: `norm(v + norm(u))`.
///
/// # Shapes
/// - `v`, `u`, output: `[B, 1, T, D]`
///
/// # Panics
/// If the shapes differ.
pub fn join(v: Tensor<4>, u: Tensor<4>, eps: f64) -> Tensor<4> {
    crate::assert_shape("join", "u", u.dims(), v.dims());
    on_backends!(B, input = (v, u, eps) => on_backend::<B>(input))
        .unwrap_or_else(|(v, u, eps)| reference::join(v, u, eps))
}

#[cfg(test)]
mod tests;
