//! The convolution in the graph of gradients.

use super::ShortConvolution;
use crate::backend::recurrence::operand;
use crate::backend::short_convolution::ShortConvolutionOn;
use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

/// The convolution on a backend that computes it; the operands again where they are not on it.
pub(super) fn on_backend<B: DragonBackend>(
    operands: ShortConvolution,
) -> Result<Tensor<3>, ShortConvolution> {
    let Some(tail) = operands.tail.clone() else {
        return Err(operands);
    };
    let rows = [&operands.x, &tail];
    let taken = rows
        .into_iter()
        .all(|tensor| B::computes(Operation::ShortConvolution, tensor.dtype()) && B::has(tensor))
        && B::has(&operands.taps)
        && B::has(&operands.bias);
    let tracked = [
        operands.x.is_autodiff(),
        operands.taps.is_autodiff(),
        operands.bias.is_autodiff(),
    ];
    if !taken || tracked.contains(&!tail.is_autodiff()) {
        return Err(operands);
    }
    let [x, tail] = [operands.x, tail].map(|tensor| operand::<B, 3>(tensor, false));
    let (taps, bias) = (
        operand::<B, 2>(operands.taps, false),
        operand::<B, 1>(operands.bias, false),
    );
    let on = ShortConvolutionOn {
        x: x.0,
        taps: taps.0,
        bias: bias.0,
        tail: tail.0,
        resets: operands.resets,
    };
    let output = B::short_convolution(&on);
    let (Some(x), Some(taps), Some(bias), Some(tail)) = (x.1, taps.1, bias.1, tail.1) else {
        return Ok(B::give(output));
    };
    let nodes = [x, taps, bias, tail];
    Ok(B::give_tracked(record::<B, _, 4>(
        ConvolutionBackward,
        nodes,
        on,
        output,
    )))
}

#[derive(Debug)]
struct ConvolutionBackward;

impl<B: DragonBackend> Backward<B, 4> for ConvolutionBackward {
    type State = ShortConvolutionOn<B>;

    fn backward(self, ops: Ops<Self::State, 4>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::short_convolution_back(&ops.state, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
