//! Memories of a graph on the backend that computes them, and in that backend's graph of gradients.

use super::edges::Sums;
use super::{Edges, PlaceDecay, WriteOrder};
use crate::backend::graph::{EdgesOn, GraphReadOn, GraphRecallOn, GraphSizes, GraphWriteOn};
use crate::backend::{DragonBackend, On, Operation, record};
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// A read of memories on a backend that takes it. All tensors have autodiff, or none.
pub(super) fn read<B: DragonBackend>(q: &Tensor<4>, rho: &Tensor<5>, edges: &Edges) -> Option<Tensor<4>> {
    let ([lanes, heads, readers, neurons], [.., targets, _, width]) = (q.dims(), rho.dims());
    let sizes = GraphSizes {
        lanes,
        heads,
        readers,
        targets,
        neurons,
        width,
        value_heads: heads,
    };
    if !fits::<B>(sizes, Some(edges), true) {
        return None;
    }
    let (q, rho) = (taken::<B, 4>(q)?, taken::<B, 5>(rho)?);
    let (edges, gates) = edges_on::<B>(Some(edges), Sums::OfReaders)?;
    let input = GraphReadOn {
        sizes,
        q: q.numbers,
        rho: rho.numbers,
        edges,
    };
    let read = B::graph_read(&input);
    Some(match (q.node, rho.node) {
        (Some(q), Some(rho)) => {
            B::give_tracked(recorded::<B, _, 2, 3>(ReadBackward, [q, rho], gates, input, read))
        }
        _ => B::give(read),
    })
}

/// A write into memories on a backend that takes it; takes the memories, if so. All tensors have autodiff, or none, and
/// slopes are not tracked. Without edges, each place writes into its own memory.
pub(super) fn write<B: DragonBackend>(
    q: &Tensor<4>,
    v: &Tensor<4>,
    given: &mut Option<Tensor<5>>,
    edges: Option<&Edges>,
    decay: &PlaceDecay,
) -> Option<Tensor<5>> {
    let memories = given.as_ref()?;
    let ([lanes, heads, readers, neurons], [.., targets, _, width]) = (q.dims(), memories.dims());
    let sizes = GraphSizes {
        lanes,
        heads,
        readers,
        targets,
        neurons,
        width,
        value_heads: v.dims()[1],
    };
    let is_there = B::computes(Operation::Graph, memories.dtype()) && B::has(memories);
    if !(is_there && fits::<B>(sizes, edges, true)) {
        return None;
    }
    let (q, v) = (taken::<B, 4>(q)?, taken::<B, 4>(v)?);
    let (edges, gates) = edges_on::<B>(edges, Sums::OfTargets)?;
    let factors = decay.constants();
    let input = GraphWriteOn {
        sizes,
        q: q.numbers,
        v: v.numbers,
        edges,
        written: factors
            .clone()
            .filter(|_| decay.order == WriteOrder::WriteThenDecay),
        kept: factors,
    };
    let Ok(rho) = B::take(given.take()?) else {
        unreachable!("the backend was asked whether it has the memories");
    };
    let written = B::graph_write(&input, rho.numbers);
    Some(match (q.node, v.node, rho.node) {
        (Some(q), Some(v), Some(rho)) => B::give_tracked(recorded::<B, _, 3, 4>(
            WriteBackward,
            [q, v, rho],
            gates,
            input,
            written,
        )),
        _ => B::give(written),
    })
}

/// A read of one write on a backend that takes it. All tensors have autodiff, or none, and slopes are not tracked.
pub(super) fn recall<B: DragonBackend>(
    q: &Tensor<4>,
    keys: &Tensor<4>,
    v: &Tensor<4>,
    edges: &Edges,
    decay: &PlaceDecay,
) -> Option<Tensor<4>> {
    let ([lanes, heads, readers, neurons], [_, value_heads, targets, width]) = (q.dims(), v.dims());
    let sizes = GraphSizes {
        lanes,
        heads,
        readers,
        targets,
        neurons,
        width,
        value_heads,
    };
    if !fits::<B>(sizes, Some(edges), false) {
        return None;
    }
    let (q, keys, v) = (taken::<B, 4>(q)?, taken::<B, 4>(keys)?, taken::<B, 4>(v)?);
    let (edges, gates) = edges_on::<B>(Some(edges), Sums::OfReaders)?;
    let input = GraphRecallOn {
        sizes,
        q: q.numbers,
        keys: keys.numbers,
        v: v.numbers,
        edges,
        left: decay.constants(),
    };
    let [read, scores] = B::graph_recall(&input);
    Some(match (q.node, keys.node, v.node) {
        (Some(q), Some(keys), Some(v)) => B::give_tracked(recorded::<B, _, 3, 4>(
            RecallBackward,
            [q, keys, v],
            gates,
            (input, scores),
            read,
        )),
        _ => B::give(read),
    })
}

/// Whether a backend takes tensors of these sizes; without edges, each place has one to itself.
fn fits<B: DragonBackend>(sizes: GraphSizes, edges: Option<&Edges>, has_memories: bool) -> bool {
    let edges = edges.map_or(sizes.readers, |edges| edges.adjacency.edge_count());
    let of_edges = [sizes.lanes, sizes.heads, edges];
    let rows = [sizes.queries(), sizes.keys(), sizes.reads()];
    let memories = sizes.memories();
    B::takes(&[&rows[0], &rows[1], &rows[2], &of_edges]) && (!has_memories || B::takes(&[&memories]))
}

/// A tensor on a backend that computes with its numbers.
fn taken<B: DragonBackend, const R: usize>(tensor: &Tensor<R>) -> Option<On<B>> {
    if !B::computes(Operation::Graph, tensor.dtype()) {
        return None;
    }
    B::take(tensor.clone()).ok()
}

/// The edges on a backend, and the place of their gates in the graph of gradients.
fn edges_on<B: DragonBackend>(edges: Option<&Edges>, sums: Sums) -> Option<(EdgesOn<B>, Option<NodeGuard>)> {
    let gates = match edges.and_then(|edges| edges.gates.as_ref()) {
        None => None,
        Some(gates) => Some(taken::<B, 2>(gates)?),
    };
    let (gates, node) = gates.map_or((None, None), |gates| (Some(gates.numbers), gates.node));
    let edges = EdgesOn {
        adjacency: edges.map(|edges| edges.adjacency.clone()),
        factors: edges.and_then(|edges| edges.adjacency.factors(edges.normalisation, sums)),
        gates,
    };
    Some((edges, node))
}

/// The operation that gave `output`, of N tensors, or of M with the gates as the last.
fn recorded<B, O, const N: usize, const M: usize>(
    backward: O,
    nodes: [NodeGuard; N],
    gates: Option<NodeGuard>,
    state: <O as Backward<B, N>>::State,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>>
where
    B: DragonBackend,
    O: Backward<B, N> + Backward<B, M, State = <O as Backward<B, N>>::State>,
{
    let Some(gates) = gates else {
        return record::<B, O, N>(backward, nodes, state, output);
    };
    let all: Vec<_> = nodes.into_iter().chain([gates]).collect();
    let Ok(all) = <[NodeGuard; M]>::try_from(all) else {
        unreachable!("{N} tensors and the gates are {M}");
    };
    record::<B, O, M>(backward, all, state, output)
}

#[derive(Debug)]
struct ReadBackward;

impl<B: DragonBackend, const N: usize> Backward<B, N> for ReadBackward {
    type State = GraphReadOn<B>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::graph_read_back(&ops.state, d, wanted(&ops));
        register::<B, _, N, _>(ops, found, gradients);
    }
}

#[derive(Debug)]
struct WriteBackward;

impl<B: DragonBackend, const N: usize> Backward<B, N> for WriteBackward {
    type State = GraphWriteOn<B>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::graph_write_back(&ops.state, d, wanted(&ops));
        register::<B, _, N, _>(ops, found, gradients);
    }
}

#[derive(Debug)]
struct RecallBackward;

impl<B: DragonBackend, const N: usize> Backward<B, N> for RecallBackward {
    type State = (GraphRecallOn<B>, FloatTensor<B>);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let (input, scores) = &ops.state;
        let found = B::graph_recall_back(input, scores.clone(), d, wanted(&ops));
        register::<B, _, N, _>(ops, found, gradients);
    }
}

/// Which gradients are wanted: those of the parents that have some.
fn wanted<S, const N: usize, const W: usize>(ops: &Ops<S, N>) -> [bool; W] {
    std::array::from_fn(|input| ops.parents.get(input).is_some_and(Option::is_some))
}

/// Registers the gradients of the parents that want them, in their order.
fn register<B: DragonBackend, S, const N: usize, const W: usize>(
    ops: Ops<S, N>,
    found: [Option<FloatTensor<B>>; W],
    gradients: &mut Gradients,
) {
    for (parent, gradient) in ops.parents.into_iter().zip(found) {
        if let (Some(node), Some(gradient)) = (parent, gradient) {
            gradients.register::<B>(node.id, gradient);
        }
    }
}
