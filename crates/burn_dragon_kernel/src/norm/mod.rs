//! Layer norm without parameters: the only nonlinearity per token beside relu.
//!
//! `(v - mean) / sqrt(variance + eps)` over the last axis, with the biased variance.
//!
//! On the processor in f32 it is one pass over the rows, in place where nobody else holds them (`cpu.rs`), with its
//! gradient by hand (`backward.rs`); elsewhere tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::flex::{is_plain, memory};
use burn::backend::Flex;
use burn::tensor::Tensor;

/// Layer norm over the last axis.
///
/// # Shapes
/// - `v`, output: `[..., D]`
pub fn norm<const R: usize>(v: Tensor<R>, eps: f64) -> Tensor<R> {
    if is_plain(&v) {
        let (a, _) = cpu::norm(memory(v), eps);
        return Tensor::from_primitive::<Flex>(a);
    }
    backward::tracked(v, eps).unwrap_or_else(|v| reference::norm(v, eps))
}

#[cfg(test)]
mod tests;
