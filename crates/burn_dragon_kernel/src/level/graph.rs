//! Level on the backend that computes it, and in that backend's autodiff graph: one operation, with one parent for each
//! gradient.

use super::{LevelInput, LevelOutput, LevelWeights};
use crate::activity::Activity;
use crate::backend::level::{HalfOn, LevelOn, LevelRun, MemoryOn, Sizes, WeightsOn};
use crate::backend::{DragonBackend, On, Operation, record};
use crate::causal_read::Credit;
use crate::matrix::Precision;
use crate::retention::{Decay, Retention};
use burn::backend::Autodiff;
use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Tensor};

/// The stream and the weights on a backend that takes the operation on them, and their places in the graph, v first;
/// no places where none of them has autodiff.
pub(super) fn half<B: DragonBackend>(
    operation: Operation,
    v: &Tensor<4>,
    weights: &LevelWeights,
    precision: Precision,
    chunk: Option<usize>,
) -> Option<(HalfOn<B>, Option<[NodeGuard; 4]>)> {
    let (decoder_x, decoder_y, encoder) = (weights.decoder_x(), weights.decoder_y(), weights.encoder());
    let dtypes = [v.dtype(), decoder_x.dtype(), decoder_y.dtype(), encoder.dtype()];
    if !dtypes.into_iter().all(|dtype| B::computes(operation, dtype)) {
        return None;
    }
    let autodiff = [
        decoder_x.is_autodiff(),
        decoder_y.is_autodiff(),
        encoder.is_autodiff(),
    ];
    if autodiff
        .into_iter()
        .any(|is_autodiff| is_autodiff != v.is_autodiff())
    {
        return None;
    }
    let sizes = Sizes::of(v, weights);
    if !B::fits(&sizes, chunk) {
        return None;
    }
    let v = B::take(v.clone()).ok()?;
    let decoder_x = B::take(decoder_x.clone()).ok()?;
    let decoder_y = B::take(decoder_y.clone()).ok()?;
    let encoder = B::take(encoder.clone()).ok()?;
    let half = HalfOn {
        sizes,
        v: v.numbers,
        weights: WeightsOn {
            decoder_x: decoder_x.numbers,
            decoder_y: decoder_y.numbers,
            encoder: encoder.numbers,
            laid_out: weights.laid_out(),
        },
        precision,
    };
    let nodes = match (v.node, decoder_x.node, decoder_y.node, encoder.node) {
        (Some(v), Some(decoder_x), Some(decoder_y), Some(encoder)) => {
            Some([v, decoder_x, decoder_y, encoder])
        }
        _ => None,
    };
    Some((half, nodes))
}

impl Sizes {
    fn of(v: &Tensor<4>, weights: &LevelWeights) -> Self {
        let [lanes, _, tokens, width] = v.dims();
        let [heads, _, neurons] = weights.decoder_x().dims();
        Self {
            lanes,
            heads,
            tokens,
            neurons,
            width,
        }
    }

    /// So many active entries of x and y.
    pub(super) fn activity(&self, [x, y]: [u64; 2]) -> Activity {
        Activity {
            x: x as usize,
            y: y as usize,
            entries: self.lanes * self.heads * self.tokens * self.neurons,
        }
    }
}

/// A level whose tensors are on a backend that takes it; takes the memory, if so.
pub(super) fn level<B: DragonBackend>(input: &mut LevelInput) -> Option<LevelOutput> {
    let (v, weights) = (&input.v, &input.weights);
    let (half, nodes) = half::<B>(Operation::Level, v, weights, input.precision, input.chunk)?;
    let sizes = half.sizes;
    let slopes = slopes(&input.retention, nodes.is_some())?;
    let rotation = input.rotation.clone().inner();
    let level = LevelOn {
        half,
        angles: [
            B::take(rotation.cos).ok()?.numbers,
            B::take(rotation.sin).ok()?.numbers,
        ],
        eps: input.eps,
        dropout: input.dropout,
        slopes,
        learns_slopes: input.retention.is_learnt(),
        resets: input.retention.resets.clone(),
        credit: input.credit,
        reach: input.reach,
        chunk: input.chunk,
        count: input.count,
    };
    let (u, memory, active) = match nodes {
        None => untracked(level, input)?,
        Some(nodes) => tracked(level, nodes, input)?,
    };
    Some(LevelOutput {
        u,
        memory,
        activity: input.count.then(|| sizes.activity(active)),
    })
}

/// The contribution, the memory after the stream, and active entries of x and y.
type Outcome = (Tensor<4>, Option<Tensor<4>>, [u64; 2]);

/// Without autodiff: the memory is extended in place, unless another tensor shares it.
fn untracked<B: DragonBackend>(level: LevelOn<B>, input: &mut LevelInput) -> Option<Outcome> {
    if !takes_memory::<B>(input) || input.memory.as_ref().is_some_and(Tensor::is_autodiff) {
        return None;
    }
    let memory = match input.memory.take() {
        None => MemoryOn::None,
        Some(memory) => MemoryOn::Extended(numbers::<B>(memory)),
    };
    let LevelRun {
        u, memory, active, ..
    } = B::level(level, memory, false);
    Some((B::give(u), memory.map(B::give), active))
}

/// With autodiff: an operation of v, decoder_x, decoder_y, encoder, then of the memory and the slopes, where they are
/// no constants.
fn tracked<B: DragonBackend>(
    level: LevelOn<B>,
    nodes: [NodeGuard; 4],
    input: &mut LevelInput,
) -> Option<Outcome> {
    if !takes_memory::<B>(input) {
        return None;
    }
    let decay = input.retention.decay.as_ref().map(Decay::slopes);
    let learnt = decay.filter(|slopes| slopes.is_tracked()).cloned();
    let slopes = learnt.map(B::take).transpose().ok()?;
    let dims = input.v.dims();
    let given = input.memory.take();
    let memory_dims = given.as_ref().map(Tensor::dims);
    let is_autodiff = given.as_ref().is_some_and(Tensor::is_autodiff);
    let mut nodes = Vec::from(nodes);
    let passes = is_autodiff && input.credit == Credit::Full;
    let memory = match given {
        None => MemoryOn::None,
        Some(memory) if passes => {
            let memory = here::<B, 4>(memory);
            nodes.extend(memory.node);
            MemoryOn::Passed(memory.numbers)
        }
        Some(memory) => MemoryOn::Constant(numbers::<B>(memory.inner())),
    };
    nodes.extend(slopes.and_then(|slopes| slopes.node));
    let LevelRun {
        u,
        memory,
        active,
        kept,
    } = B::level(level, memory, true);
    let Some(kept) = kept else {
        unreachable!("what the gradient needs was asked for");
    };
    let u = finish::<B>(nodes, kept, u);
    if let (true, Some(memory_dims)) = (passes, memory_dims) {
        let (u, memory) = cut_in_two(B::give_tracked(u), dims, memory_dims);
        return Some((u, Some(memory), active));
    }
    let memory = memory.map(B::give::<4>);
    let memory = memory.map(|memory| if is_autodiff { memory.autodiff() } else { memory });
    Some((B::give_tracked(u), memory, active))
}

/// Whether the memory, if there is one, is the backend's to read.
fn takes_memory<B: DragonBackend>(input: &LevelInput) -> bool {
    let takes = |memory: &Tensor<4>| B::computes(Operation::Level, memory.dtype()) && B::has(memory);
    input.memory.as_ref().is_none_or(takes)
}

/// A tensor that the backend has.
fn here<B: DragonBackend, const R: usize>(tensor: Tensor<R>) -> On<B> {
    B::take(tensor).unwrap_or_else(|_| unreachable!("the backend was asked whether it has the tensor"))
}

/// The numbers of a memory without autodiff.
fn numbers<B: DragonBackend>(memory: Tensor<4>) -> FloatTensor<B> {
    here::<B, 4>(memory).numbers
}

/// The contribution and the memory, one behind the other.
fn cut_in_two(both: Tensor<1>, u: [usize; 4], memory: [usize; 4]) -> (Tensor<4>, Tensor<4>) {
    let [first, second] = [u, memory].map(|shape| shape.into_iter().product());
    (
        both.clone().narrow(0, 0, first).reshape(u),
        both.narrow(0, first, second).reshape(memory),
    )
}

/// The operation that gave `output`, of four to six tensors.
fn finish<B: DragonBackend>(
    nodes: Vec<NodeGuard>,
    kept: B::Level,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>> {
    match nodes.len() {
        4 => finish_of::<B, 4>(nodes, kept, output),
        5 => finish_of::<B, 5>(nodes, kept, output),
        _ => finish_of::<B, 6>(nodes, kept, output),
    }
}

fn finish_of<B: DragonBackend, const N: usize>(
    nodes: Vec<NodeGuard>,
    kept: B::Level,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>> {
    let Ok(nodes) = <[NodeGuard; N]>::try_from(nodes) else {
        unreachable!("{N} tensors were counted");
    };
    record::<B, _, N>(LevelBackward, nodes, kept, output)
}

#[derive(Debug)]
struct LevelBackward;

impl<B: DragonBackend, const N: usize> Backward<B, N> for LevelBackward {
    type State = B::Level;

    fn backward(self, ops: Ops<B::Level, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        register::<B, N>(
            ops.parents.map(|parent| parent.map(|node| node.id)),
            B::level_back(ops.state, d),
            gradients,
        );
    }
}

/// Registers the gradients of the parents that need them, in their order.
pub(super) fn register<B: DragonBackend, const N: usize>(
    parents: [Option<NodeId>; N],
    found: impl IntoIterator<Item = FloatTensor<B>>,
    gradients: &mut Gradients,
) {
    for (parent, gradient) in parents.into_iter().zip(found) {
        if let Some(node) = parent {
            gradients.register::<B>(node, gradient);
        }
    }
}

/// The slopes as numbers, where memory decays; None where the backend cannot give their gradient: with no autodiff
/// beside them, or in another precision.
fn slopes(retention: &Retention, autodiff: bool) -> Option<Option<Vec<f64>>> {
    let Some(decay) = &retention.decay else {
        return Some(None);
    };
    if retention.is_learnt() && !(autodiff && decay.slopes().dtype() == DType::F32) {
        return None;
    }
    Some(Some(decay.numbers().to_vec()))
}
