//! A step on a grid in the graph of gradients.
//!
//! A step has two outputs, and an operation in the graph has one. The operation's output is the read, which is small.
//! The memory is the output of a second operation (`backend/recurrence.rs`). On the way back the first operation has both
//! gradients and needs one pass over the memories. Two operations on the same inputs would need two, and their sum; one output for both
//! would copy each memory.

use super::{Done, Neighbours, Work, Write};
use crate::backend::local_grid::{GridSizes, LocalGridBack, LocalGridOn, LocalGridRun, WriteOn};
use crate::backend::recurrence::{Cell, HandOver, Handed};
use crate::backend::{DragonBackend, Operation, record};
use burn::backend::Autodiff;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{DType, Shape, Tensor};
use std::sync::Arc;

/// A step whose tensors are on a backend that computes it; the step again where they are not.
pub(super) fn on_backend<B: DragonBackend>(work: Work) -> Result<Done, Work> {
    if !is_taken::<B>(&work) {
        return Err(work);
    }
    Ok(if work.query.is_autodiff() {
        tracked::<B>(work)
    } else {
        let (step, _) = step::<B>(work);
        let LocalGridRun { read, memory, .. } = B::local_grid(step, false);
        Done {
            read: read.map(B::give),
            memory: memory.map(B::give),
        }
    })
}

/// Whether the backend computes a step on tensors of these types, has them all, and no axis is empty.
fn is_taken<B: DragonBackend>(work: &Work) -> bool {
    let value = work.write.as_ref().map(|write| &write.value);
    let computes = |dtype: DType| B::computes(Operation::LocalGrid, dtype);
    let dtypes = [work.query.dtype(), work.rho.dtype()];
    let is_full = work.rho.dims().into_iter().all(|size| size > 0);
    let slopes = work.write.as_ref().and_then(|write| write.decay.as_ref());
    let learnt = work.learns_slopes().then(|| slopes.map(|decay| decay.slopes()));
    is_full
        && B::takes(&[&work.rho.dims()])
        && dtypes.into_iter().all(computes)
        && value.is_none_or(|value| computes(value.dtype()) && B::has(value))
        && learnt
            .flatten()
            .is_none_or(|slopes| slopes.dtype() == DType::F32 && B::has(slopes))
        && B::has(&work.query)
        && B::has(&work.rho)
}

/// Places of the tensors in the graph: query, rho, and value and slopes where there are some.
type Nodes = Vec<Option<NodeGuard>>;

/// The step on the backend's tensors.
fn step<B: DragonBackend>(work: Work) -> (LocalGridOn<B>, Nodes) {
    let [lanes, heads, places, neurons, width] = work.rho.dims();
    let sizes = GridSizes {
        lanes,
        heads,
        places,
        neurons,
        width,
    };
    let learns = work.learns_slopes();
    let reads = work
        .reads
        .map(|(grid, neighbourhood)| Arc::new(Neighbours::new(grid, &neighbourhood)));
    let [query, rho] = [take::<B, 4>(work.query), take::<B, 5>(work.rho)];
    let mut nodes = vec![query.1, rho.1];
    let write = work.write.map(|write| {
        let Write { value, decay, order } = write;
        let factors = decay.as_ref().map_or_else(
            || vec![1.0; heads],
            |decay| {
                decay
                    .numbers()
                    .iter()
                    .map(|slope| (-slope).exp() as f32)
                    .collect()
            },
        );
        let shared = value.dims()[1] != heads;
        let value = take::<B, 4>(value);
        nodes.push(value.1);
        let slopes = decay
            .filter(|_| learns)
            .map(|decay| take::<B, 1>(decay.slopes().clone()));
        nodes.extend(slopes.map(|slopes| slopes.1));
        WriteOn {
            value: value.0,
            shared,
            factors,
            order,
        }
    });
    let step = LocalGridOn {
        sizes,
        query: query.0,
        rho: rho.0,
        reads,
        write,
    };
    (step, nodes)
}

/// A tensor that the backend has: its numbers, and its place in the graph.
fn take<B: DragonBackend, const R: usize>(tensor: Tensor<R>) -> (FloatTensor<B>, Option<NodeGuard>) {
    let Ok(on) = B::take(tensor) else {
        unreachable!("the backend was asked whether it has the tensor");
    };
    (on.numbers, on.node)
}

/// A step with autodiff. A memory that is a constant is lifted, so that every tensor has a place in the graph.
fn tracked<B: DragonBackend>(mut work: Work) -> Done {
    let is_constant = !work.rho.is_autodiff();
    let (reads, [lanes, heads, places, _, width]) = (work.reads.is_some(), work.rho.dims());
    work.rho = work.rho.autodiff();
    let (step, nodes) = step::<B>(work);
    let LocalGridRun { read, memory, kept } = B::local_grid(step, true);
    let Some(kept) = kept else {
        unreachable!("what the gradient needs was asked for");
    };
    let mut state = State {
        kept,
        output: if reads { Output::Read } else { Output::Memory },
        memory: Cell::default(),
    };
    let cell = state.memory.clone();
    let constant = |memory: FloatTensor<B>| B::give::<5>(memory);
    match (read, memory) {
        (Some(read), memory) => {
            let read = finish::<B>(nodes, state, read);
            let shape = Shape::new([lanes, heads, places, width]);
            let memory = memory.map(|memory| {
                if is_constant {
                    return constant(memory);
                }
                let handed = Handed { cell, read: shape };
                B::give_tracked(record::<B, _, 1>(HandOver, [read.node()], handed, memory))
            });
            Done {
                read: Some(B::give_tracked(read)),
                memory,
            }
        }
        (None, Some(memory)) if is_constant => Done {
            read: None,
            memory: Some(constant(memory)),
        },
        (None, Some(memory)) => {
            state.output = Output::Memory;
            Done {
                read: None,
                memory: Some(B::give_tracked(finish::<B>(nodes, state, memory))),
            }
        }
        (None, None) => unreachable!("a step reads or writes"),
    }
}

/// The output whose gradient the operation is given.
#[derive(Clone, Copy, Debug)]
enum Output {
    Read,
    Memory,
}

/// What the gradient of a step needs.
#[derive(Clone, Debug)]
struct State<B: DragonBackend> {
    kept: B::LocalGrid,
    output: Output,
    /// Gradient of the memory, where the operation is given that of the read.
    memory: Cell<FloatTensor<B>>,
}

/// The operation that gave `output`, of two to four tensors.
fn finish<B: DragonBackend>(
    nodes: Nodes,
    state: State<B>,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>> {
    match nodes.len() {
        2 => finish_of::<B, 2>(nodes, state, output),
        3 => finish_of::<B, 3>(nodes, state, output),
        _ => finish_of::<B, 4>(nodes, state, output),
    }
}

fn finish_of<B: DragonBackend, const N: usize>(
    nodes: Nodes,
    state: State<B>,
    output: FloatTensor<B>,
) -> FloatTensor<Autodiff<B>> {
    let nodes: Option<Vec<NodeGuard>> = nodes.into_iter().collect();
    let Some(Ok(nodes)) = nodes.map(<[NodeGuard; N]>::try_from) else {
        unreachable!("{N} tensors with autodiff were counted");
    };
    record::<B, _, N>(LocalGridBackward, nodes, state, output)
}

#[derive(Debug)]
struct LocalGridBackward;

impl<B: DragonBackend, const N: usize> Backward<B, N> for LocalGridBackward {
    type State = State<B>;

    fn backward(self, ops: Ops<State<B>, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let State { kept, output, memory } = ops.state;
        let (read, memory) = match output {
            Output::Read => (Some(d), memory.take()),
            Output::Memory => (None, Some(d)),
        };
        let is_needed = |parent: usize| ops.parents.get(parent).is_some_and(Option::is_some);
        let back = LocalGridBack {
            read,
            memory,
            needs_rho: is_needed(1),
            needs_slopes: is_needed(3),
        };
        let found = B::local_grid_back(kept, back);
        let found = [Some(found.query), found.rho, found.value, found.slopes];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
