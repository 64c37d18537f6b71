//! A level that reads and extends a memory: on the processor in f32 as in `chunked.rs`, elsewhere by its definition.

use super::chunked::Carry;
use super::cpu::{Form, Forward, Memory, forward};
use super::{LevelInput, check, reference, tracked};
use crate::flex::{plain, tensor};
use burn::backend::Flex;
use burn::tensor::{DType, Tensor};

/// The contribution of a level whose tokens read what is in `rho` beside each other, and the memory after them.
///
/// Any split of a stream into calls gives what [`level`](super::level()) gives for the whole, and so do the gradients,
/// which reach `rho` and pass through the memory returned. Where they should end, give a `rho` without autodiff: it is a
/// constant then, and the memory returned is without autodiff too.
///
/// On the processor in f32 without autodiff `rho` is extended in place, unless another tensor shares it.
///
/// # Shapes
/// - `rho`: `[B, H, N, D]`
/// - output: `[B, 1, T, D]`, `[B, H, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn level_with_memory(input: LevelInput, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    in_windows(input, rho, None)
}

/// [`level_with_memory`] in windows of `chunk` tokens, where the form matters at all: on the processor in f32.
///
/// # Panics
/// If the shapes do not fit together, or `chunk` is 0.
pub fn level_with_memory_in_chunks(
    input: LevelInput,
    rho: Tensor<4>,
    chunk: usize,
) -> (Tensor<4>, Tensor<4>) {
    assert!(chunk > 0, "level: windows of no tokens");
    in_windows(input, rho, Some(chunk))
}

fn in_windows(input: LevelInput, rho: Tensor<4>, chunk: Option<usize>) -> (Tensor<4>, Tensor<4>) {
    check(&input);
    let lanes = input.v.dims()[0];
    let [heads, width, neurons] = input.weights.decoder_x().dims();
    crate::assert_shape("level", "rho", rho.dims(), [lanes, heads, neurons, width]);
    if input.v.dtype() != DType::F32 || rho.dtype() != DType::F32 {
        return reference::level_with_memory(&input, rho);
    }
    if let Some(output) = tracked::level_with_memory(&input, &rho, chunk) {
        return output;
    }
    if rho.is_autodiff() {
        return reference::level_with_memory(&input, rho);
    }
    let form = Form { chunk, carried: true };
    match Memory::untracked(&input, form) {
        Some(memory) => untracked(&memory, rho),
        None => reference::level_with_memory(&input, rho),
    }
}

/// A level on the processor without autodiff.
fn untracked(memory: &Memory, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [lanes, _, _, width] = rho.dims();
    let mut after = plain(&rho).unwrap_or_else(|| unreachable!("the memory is where the stream is"));
    // The handle goes, so that the numbers have one owner, if there is no other.
    drop(rho);
    let carry = Carry {
        before: None,
        after: after.storage_mut(),
    };
    let Forward { u, .. } = forward(&memory.operands(), Some(carry), false);
    let u = tensor(u, [lanes, 1, memory.sizes.tokens, width]);
    (
        Tensor::from_primitive::<Flex>(u),
        Tensor::from_primitive::<Flex>(after),
    )
}
