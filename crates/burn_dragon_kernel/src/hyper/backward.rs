//! The steps in the graph of gradients.

use super::HyperStep;
use crate::backend::{DragonBackend, On, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

type OfLogits = (Tensor<3>, Tensor<2>, Tensor<2>);
type OfRead = (Tensor<3>, Tensor<2>);
type OfWrite = (Tensor<3>, Tensor<3>, Tensor<2>, Tensor<2>);

/// The logits on a backend; the input again where they are not.
pub(super) fn logits<B: DragonBackend>(input: OfLogits, eps: f64) -> Result<Tensor<2>, OfLogits> {
    let (x, projection, bias) = &input;
    let inputs = [take::<B, 3>(x), take::<B, 2>(projection), take::<B, 2>(bias)];
    step(HyperStep::Logits { eps }, inputs).ok_or(input)
}

/// The read on a backend; the input again where it is not.
pub(super) fn read<B: DragonBackend>(input: OfRead) -> Result<Tensor<2>, OfRead> {
    let (x, pre) = &input;
    step(HyperStep::Read, [take::<B, 3>(x), take::<B, 2>(pre)]).ok_or(input)
}

/// The write on a backend; the input again where it is not.
pub(super) fn write<B: DragonBackend>(input: OfWrite) -> Result<Tensor<3>, OfWrite> {
    let (x, res, post, y) = &input;
    let inputs = [
        take::<B, 3>(x),
        take::<B, 3>(res),
        take::<B, 2>(post),
        take::<B, 2>(y),
    ];
    step(HyperStep::Write, inputs).ok_or(input)
}

fn take<B: DragonBackend, const R: usize>(tensor: &Tensor<R>) -> Option<On<B>> {
    if !B::computes(Operation::Hyper, tensor.dtype()) {
        return None;
    }
    B::take(tensor.clone()).ok()
}

/// A step on tensors that are all on the backend, with autodiff or without.
fn step<B: DragonBackend, const N: usize, const R: usize>(
    step: HyperStep,
    inputs: [Option<On<B>>; N],
) -> Option<Tensor<R>> {
    let (mut numbers, mut nodes) = (Vec::with_capacity(N), Vec::with_capacity(N));
    for input in inputs {
        let On { numbers: input, node } = input?;
        numbers.push(input);
        nodes.extend(node);
    }
    if nodes.is_empty() {
        return Some(B::give(B::hyper(step, &numbers)));
    }
    let nodes = <[_; N]>::try_from(nodes).ok()?;
    let output = B::hyper(step, &numbers);
    Some(B::give_tracked(record::<B, _, N>(
        HyperBackward { step },
        nodes,
        numbers,
        output,
    )))
}

#[derive(Debug)]
struct HyperBackward {
    step: HyperStep,
}

impl<B: DragonBackend, const N: usize> Backward<B, N> for HyperBackward {
    type State = Vec<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::hyper_back(self.step, &ops.state, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
