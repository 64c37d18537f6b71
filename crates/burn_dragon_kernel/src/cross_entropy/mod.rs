//! The cross entropy of a softmax with a class, in nats: `-log softmax(logits)[target]`.
//!
//! On the processor in f32 it is one pass over the rows, with its gradient by hand in the place of the logits where
//! nobody else holds them (`cpu.rs`, `backward.rs`); elsewhere tensor operations (`reference.rs`).

mod backward;
mod cpu;
pub mod reference;

use crate::flex::{self, is_plain, memory};
use burn::backend::Flex;
use burn::tensor::{DType, Int, Tensor};
use burn_flex::FlexTensor;

/// The cross entropy of every token.
///
/// # Shapes
/// - `logits`: `[B, T, V]`
/// - `targets`, output: `[B, T]`
///
/// # Panics
/// If the shapes do not fit together, or a target is not below V.
pub fn cross_entropy(logits: Tensor<3>, targets: Tensor<2, Int>) -> Tensor<2> {
    let [lanes, tokens, _] = logits.dims();
    crate::assert_shape("cross entropy", "targets", targets.dims(), [lanes, tokens]);
    let Some(classes) = classes(&targets) else {
        return reference::cross_entropy(logits, targets);
    };
    if is_plain(&logits) {
        let rows = cpu::Rows::new(memory(logits), classes);
        return Tensor::from_primitive::<Flex>(flex::tensor(rows.losses(), [lanes, tokens]));
    }
    backward::tracked(logits, classes).unwrap_or_else(|logits| reference::cross_entropy(logits, targets))
}

/// The targets of a tensor on the processor.
fn classes(targets: &Tensor<2, Int>) -> Option<Vec<usize>> {
    let memory = Tensor::<2, Int>::try_into_primitive::<Flex>(targets.clone().inner()).ok()?;
    let memory: FlexTensor = memory.to_contiguous();
    let class = |target: i64| usize::try_from(target).unwrap_or(usize::MAX);
    match memory.dtype() {
        DType::I32 => Some(
            memory
                .storage::<i32>()
                .iter()
                .map(|&target| class(target.into()))
                .collect(),
        ),
        DType::I64 => Some(
            memory
                .storage::<i64>()
                .iter()
                .map(|&target| class(target))
                .collect(),
        ),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
