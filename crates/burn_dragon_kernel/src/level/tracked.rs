//! A level with autodiff on the processor: one operation, of as many tensors as there are gradients.

use super::LevelInput;
use super::backward::{Carried, LevelGradients, backward};
use super::chunked::Carry;
use super::cpu::{Form, Forward, Memory, forward};
use super::tile::{Read, Sizes};
use crate::causal_read::Credit;
use crate::flex::{plain, tensor, with_autodiff};
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn::tensor::{DType, Float, Tensor};
use burn_flex::FlexTensor;
use std::sync::Arc;

/// A tensor on the processor with autodiff.
type Tracked = FloatTensor<Autodiff<Flex>>;

/// A level and the tensors that it is differentiated by: v, decoder_x, decoder_y, encoder, then rho and the slopes,
/// where they are no constants.
struct Level {
    memory: Memory,
    nodes: Vec<NodeGuard>,
}

impl Level {
    /// The level of an input, where its tensors are on the processor and with autodiff.
    fn new(input: &LevelInput, form: Form) -> Option<Self> {
        let (weights, learnt) = (&input.weights, input.retention.is_learnt());
        if learnt && input.retention.decay.as_ref().map(Tensor::dtype) != Some(DType::F32) {
            return None;
        }
        let tensors = [
            with_autodiff(&input.v)?,
            with_autodiff(weights.decoder_x())?,
            with_autodiff(weights.decoder_y())?,
            with_autodiff(weights.encoder())?,
        ];
        let [v, weights @ ..] = tensors
            .each_ref()
            .map(|tensor: &Tracked| tensor.primitive().to_contiguous());
        let untracked = LevelInput {
            rotation: input.rotation.clone().inner(),
            ..input.clone()
        };
        Some(Self {
            memory: Memory::new(&untracked, v, weights.each_ref(), form)?,
            nodes: tensors.into_iter().map(|tensor| tensor.node()).collect(),
        })
    }

    /// The operation that gave `output`.
    fn finish(mut self, input: &LevelInput, kept: Kept, output: FlexTensor) -> Option<Tracked> {
        if let Some(slopes) = input
            .retention
            .decay
            .as_ref()
            .filter(|slopes| slopes.is_tracked())
        {
            if slopes.dtype() != DType::F32 {
                return None;
            }
            self.nodes.push(with_autodiff(slopes)?.node());
        }
        let state = (self.memory, kept);
        Some(match self.nodes.len() {
            4 => finish::<4>(self.nodes, state, output),
            5 => finish::<5>(self.nodes, state, output),
            _ => finish::<6>(self.nodes, state, output),
        })
    }
}

fn finish<const N: usize>(nodes: Vec<NodeGuard>, state: (Memory, Kept), output: FlexTensor) -> Tracked {
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else {
        unreachable!("{N} tensors were counted");
    };
    match LevelBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(state, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

/// The contribution of a level, where its tensors are on the processor and with autodiff.
pub(super) fn level(input: &LevelInput, chunk: Option<usize>) -> Option<Tensor<4>> {
    let form = Form {
        chunk,
        carried: false,
    };
    let level = Level::new(input, form)?;
    let Forward { u, reads, .. } = forward(&level.memory.operands(), None, true);
    let kept = Kept {
        reads: reads.into(),
        rho: None,
        extends: false,
    };
    let u = level.finish(input, kept, tensor(u, input.v.dims()))?;
    Some(Tensor::from_primitive::<Autodiff<Flex>>(u))
}

/// [`level`], with a memory: the contribution, and the memory after the stream.
pub(super) fn level_with_memory(
    input: &LevelInput,
    rho: &Tensor<4>,
    chunk: Option<usize>,
) -> Option<(Tensor<4>, Tensor<4>)> {
    let form = Form { chunk, carried: true };
    let level = Level::new(input, form)?;
    if rho.is_autodiff() && input.credit == Credit::Full {
        return extended(input, level, rho);
    }
    let before = plain(&rho.clone().inner())?;
    let (u, after, kept) = run(&level, before, false);
    let u = level.finish(input, kept, tensor(u, input.v.dims()))?;
    let after = Tensor::<4, Float>::from_primitive::<Flex>(tensor(after, rho.dims()));
    let after = if rho.is_autodiff() {
        after.autodiff()
    } else {
        after
    };
    Some((Tensor::from_primitive::<Autodiff<Flex>>(u), after))
}

/// With a memory that gradients pass: one operation of one tensor, u and then the memory, that is cut in two.
fn extended(input: &LevelInput, mut level: Level, rho: &Tensor<4>) -> Option<(Tensor<4>, Tensor<4>)> {
    let tracked = with_autodiff(rho)?;
    let before = tracked.primitive().to_contiguous();
    let (mut u, mut after, kept) = run(&level, before, true);
    let (contribution, whole) = (u.len(), u.len() + after.len());
    u.append(&mut after);
    level.nodes.push(tracked.node());
    let both = level.finish(input, kept, tensor(u, [whole]))?;
    let both = Tensor::<1, Float>::from_primitive::<Autodiff<Flex>>(both);
    let u = both.clone().narrow(0, 0, contribution).reshape(input.v.dims());
    let after = both.narrow(0, contribution, whole - contribution);
    Some((u, after.reshape(rho.dims())))
}

/// The forward pass with a memory: u, the memory after the stream, and what the gradient needs.
fn run(level: &Level, before: FlexTensor, extends: bool) -> (Vec<f32>, Vec<f32>, Kept) {
    let numbers: &[f32] = before.storage();
    let mut after = vec![0.0; numbers.len()];
    let carry = Carry {
        before: Some(numbers),
        after: &mut after,
    };
    let Forward { u, reads, .. } = forward(&level.memory.operands(), Some(carry), true);
    let kept = Kept {
        reads: reads.into(),
        rho: Some(before),
        extends,
    };
    (u, after, kept)
}

/// What the gradient needs beside the level.
#[derive(Clone, Debug)]
struct Kept {
    reads: Arc<[Vec<Read>]>,
    /// The memory before the stream.
    rho: Option<FlexTensor>,
    /// Whether the memory after it is part of the output, behind u, and the one before it a parent.
    extends: bool,
}

#[derive(Debug)]
struct LevelBackward;

impl<const N: usize> Backward<Flex, N> for LevelBackward {
    type State = (Memory, Kept);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let (memory, kept) = ops.state;
        let output = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let Sizes {
            lanes, tokens, width, ..
        } = memory.sizes;
        let (du, after) = output.storage::<f32>().split_at(lanes * tokens * width);
        let carried = kept.rho.as_ref().map(|rho| Carried {
            before: rho.storage(),
            gradient: kept.extends.then_some(after),
        });
        let sums = backward(&memory.operands(), &kept.reads, du, carried);
        let sums = into_tensors(sums, memory.sizes, kept.extends);
        for (parent, gradient) in ops.parents.into_iter().zip(sums) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}

/// Of v, decoder_x, decoder_y, encoder, of rho where a memory passes gradients, and of the slopes.
fn into_tensors(sums: LevelGradients, sizes: Sizes, extends: bool) -> Vec<FlexTensor> {
    let Sizes {
        lanes,
        heads,
        tokens,
        neurons,
        width,
    } = sizes;
    let mut tensors = vec![
        tensor(sums.v, [lanes, 1, tokens, width]),
        tensor(sums.decoder_x, [heads, width, neurons]),
        tensor(sums.decoder_y, [heads, width, neurons]),
        tensor(sums.encoder, [heads * neurons, width]),
    ];
    if extends {
        tensors.push(tensor(sums.rho, [lanes, heads, neurons, width]));
    }
    tensors.push(tensor(sums.slopes, [heads]));
    tensors
}
