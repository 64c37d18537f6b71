//! How a level's contribution joins the stream: `norm(v + norm(u))`.
//!
//! On the processor in f32 it is one pass over the rows (`cpu.rs`), with its gradient by hand (`backward.rs`);
//! elsewhere tensor operations (`reference.rs`).

mod backward;
mod cpu;
pub mod reference;

use crate::flex::{is_plain, memory};
use burn::backend::Flex;
use burn::tensor::Tensor;

/// The stream after a level that contributes `u`.
///
/// # Shapes
/// - `v`, `u`, output: `[B, 1, T, D]`
///
/// # Panics
/// If the shapes differ.
pub fn join(v: Tensor<4>, u: Tensor<4>, eps: f64) -> Tensor<4> {
    crate::assert_shape("join", "u", u.dims(), v.dims());
    if is_plain(&v) && is_plain(&u) {
        let joined = cpu::join(&memory(v), memory(u), eps);
        return Tensor::from_primitive::<Flex>(joined.stream);
    }
    backward::tracked(v, u, eps).unwrap_or_else(|(v, u)| reference::join(v, u, eps))
}

#[cfg(test)]
mod tests;
