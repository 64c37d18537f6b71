//! A level that reads and extends a memory: on the processor in f32 as in `chunked.rs`, elsewhere by its definition.

use super::backward::{Carried, Tracked, backward, memory, register, tensors};
use super::chunked::chunk_length;
use super::cpu::{Forward, Memory, forward};
use super::tile::Read;
use super::{LevelInput, check, reference};
use crate::flex::{plain, tensor, with_autodiff};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Float, Tensor};
use burn_flex::FlexTensor;
use std::sync::Arc;

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
    let [lanes, _, tokens, _] = input.v.dims();
    let [heads, width, neurons] = input.weights.decoder_x().dims();
    crate::assert_shape("level", "rho", rho.dims(), [lanes, heads, neurons, width]);
    let is_constant = input.v.is_autodiff() && !rho.is_autodiff();
    if input.v.dtype() != DType::F32 || rho.dtype() != DType::F32 || !input.is_plain() || is_constant {
        return reference::level_with_memory(&input, rho);
    }
    let chunk = chunk.unwrap_or_else(|| chunk_length(tokens, width, true));
    if let Some(tensors) = tensors(&input)
        && let Some(rho) = with_autodiff(&rho.clone().autodiff())
        && let Some(output) = tracked(&input, tensors, rho, chunk)
    {
        return output;
    }
    if rho.is_autodiff() {
        return reference::level_with_memory(&input, rho);
    }
    match Memory::untracked(&input, Some(chunk)) {
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
    let Forward { u, .. } = forward(&memory.operands(), Some(after.storage_mut()), false);
    let u = tensor(u, [lanes, 1, memory.sizes.tokens, width]);
    (
        Tensor::from_primitive::<Flex>(u),
        Tensor::from_primitive::<Flex>(after),
    )
}

/// A level on the processor with autodiff: one operation of one tensor, u and then the memory, that is cut in two.
fn tracked(
    input: &LevelInput,
    tensors: [Tracked; 4],
    rho: Tracked,
    chunk: usize,
) -> Option<(Tensor<4>, Tensor<4>)> {
    let memory = memory(input, &tensors, Some(chunk))?;
    let before = rho.primitive().to_contiguous();
    let mut after = before.storage::<f32>().to_vec();
    let Forward { mut u, reads, .. } = forward(&memory.operands(), Some(&mut after), true);
    let (contribution, whole) = (u.len(), u.len() + after.len());
    u.append(&mut after);
    let both = tensor(u, [whole]);
    let [v, decoder_x, decoder_y, encoder] = tensors;
    let nodes = [v, decoder_x, decoder_y, encoder, rho].map(|tensor| tensor.node());
    let both = match MemoryBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish((memory, before.clone(), reads.into()), both),
        OpsKind::UnTracked(prepared) => prepared.finish(both),
    };
    let both = Tensor::<1, Float>::from_primitive::<Autodiff<Flex>>(both);
    let u = both.clone().narrow(0, 0, contribution).reshape(input.v.dims());
    let after = both.narrow(0, contribution, whole - contribution);
    Some((u, after.reshape(before.layout().shape().clone())))
}

#[derive(Debug)]
struct MemoryBackward;

impl Backward<Flex, 5> for MemoryBackward {
    type State = (Memory, FlexTensor, Arc<[Read]>);

    fn backward(self, ops: Ops<Self::State, 5>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (memory, rho, reads) = ops.state;
        let both = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let before = rho.storage();
        let (du, gradient) = both
            .storage::<f32>()
            .split_at(both.storage::<f32>().len() - before.len());
        let carried = Carried { before, gradient };
        let mut sums = backward(&memory.operands(), &reads, du, Some(carried));
        let shape = [
            memory.sizes.lanes,
            memory.sizes.heads,
            memory.sizes.neurons,
            memory.sizes.width,
        ];
        let drho = tensor(std::mem::take(&mut sums.rho), shape);
        let [v, decoder_x, decoder_y, encoder] = sums.into_tensors(memory.sizes);
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(parents, [v, decoder_x, decoder_y, encoder, drho], gradients);
    }
}
