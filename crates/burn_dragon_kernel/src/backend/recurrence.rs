//! Recurrences over the tokens of a window in the graph of gradients: reads, and the memory after the window.
//!
//! A recurrence has two outputs, and an operation in the graph has one. The operation's output is the read. The memory is
//! the output of a second operation, whose only parent is the first: on the way back it comes first, leaves its gradient in
//! a [`Cell`], and gives the read a gradient of zeros. The first operation then has both gradients.

use super::{DragonBackend, record};
use burn::backend::TensorMetadata;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::{Shape, Tensor};
use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

/// A recurrence with `N` operands on a backend.
pub(crate) trait Recurrence<B: DragonBackend, const N: usize>: Clone + Send + Debug + 'static {
    /// Gradients of the operands that are needed, from those of the outputs.
    fn back(&self, ran: Ran<B, N>, d: OutputGradients<B>, needed: [bool; N]) -> [Option<FloatTensor<B>>; N];
}

/// What the gradient of a recurrence needs.
#[derive(Clone, Debug)]
pub(crate) struct Ran<B: DragonBackend, const N: usize> {
    pub(crate) operands: [FloatTensor<B>; N],
    /// Whatever else it keeps.
    pub(crate) kept: Vec<FloatTensor<B>>,
}

/// Gradients of the outputs of a recurrence.
#[derive(Clone, Debug)]
pub(crate) struct OutputGradients<B: DragonBackend> {
    pub(crate) read: FloatTensor<B>,
    /// `None` if nothing depends on the memory after the window.
    pub(crate) memory: Option<FloatTensor<B>>,
}

/// A tensor that the backend was found to have: its numbers, and its place in the graph where it is to have one.
pub(crate) fn operand<B: DragonBackend, const R: usize>(
    tensor: Tensor<R>,
    lifted: bool,
) -> (FloatTensor<B>, Option<NodeGuard>) {
    let tensor = if lifted { tensor.autodiff() } else { tensor };
    let Ok(on) = B::take(tensor) else {
        unreachable!("the backend was asked whether it has the tensor");
    };
    (on.numbers, on.node)
}

/// Outputs of a recurrence, read and memory: in the graph if all operands are.
pub(crate) fn outputs<B: DragonBackend, R: Recurrence<B, N>, const N: usize>(
    recurrence: R,
    nodes: [Option<NodeGuard>; N],
    ran: Ran<B, N>,
    [read, memory]: [FloatTensor<B>; 2],
) -> (Tensor<4>, Tensor<4>) {
    let nodes: Option<Vec<NodeGuard>> = nodes.into_iter().collect();
    let Some(Ok(nodes)) = nodes.map(<[NodeGuard; N]>::try_from) else {
        return (B::give(read), B::give(memory));
    };
    let (cell, shape) = (Cell::default(), read.shape());
    let state = State {
        recurrence,
        ran,
        memory: cell.clone(),
    };
    let read = record::<B, _, N>(RecurrenceBackward(PhantomData::<R>), nodes, state, read);
    let handed = Handed { cell, read: shape };
    let memory = record::<B, _, 1>(HandOver, [read.node()], handed, memory);
    (B::give_tracked(read), B::give_tracked(memory))
}

#[derive(Clone, Debug)]
struct State<B: DragonBackend, R, const N: usize> {
    recurrence: R,
    ran: Ran<B, N>,
    memory: Cell<FloatTensor<B>>,
}

/// The operation whose output is the read.
#[derive(Debug)]
struct RecurrenceBackward<R>(PhantomData<R>);

impl<B: DragonBackend, R: Recurrence<B, N>, const N: usize> Backward<B, N> for RecurrenceBackward<R> {
    type State = State<B, R, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let read = gradients.consume::<B>(&ops.node);
        let State {
            recurrence,
            ran,
            memory,
        } = ops.state;
        let d = OutputGradients {
            read,
            memory: memory.take(),
        };
        let needed = ops.parents.each_ref().map(Option::is_some);
        let found = recurrence.back(ran, d, needed);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let (Some(node), Some(gradient)) = (parent, gradient) {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}

/// Gradient of a memory, handed from one operation to the next.
#[derive(Debug)]
pub(crate) struct Cell<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Cell<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Default for Cell<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Cell<T> {
    fn put(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
    }

    /// The gradient, once.
    pub(crate) fn take(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The memory beside a read.
#[derive(Debug)]
pub(crate) struct HandOver;

/// Where the gradient of the memory goes, and the shape of the read.
#[derive(Clone, Debug)]
pub(crate) struct Handed<T> {
    pub(crate) cell: Cell<T>,
    pub(crate) read: Shape,
}

impl<B: DragonBackend> Backward<B, 1> for HandOver {
    type State = Handed<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let Handed { cell, read } = ops.state;
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let zeros = B::float_zeros(read, &d.device(), d.dtype().into());
            cell.put(d);
            gradients.register::<B>(node.id, zeros);
        }
    }
}
