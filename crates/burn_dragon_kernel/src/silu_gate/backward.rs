//! The gate in the graph of gradients.

use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

type Input = (Tensor<2>, Tensor<2>);

/// The gate on a backend that computes it; the input again where it does not.
pub(super) fn on_backend<B: DragonBackend>((y, z): Input) -> Result<Tensor<2>, Input> {
    let taken = [&y, &z]
        .into_iter()
        .all(|tensor| B::computes(Operation::SiluGate, tensor.dtype()) && B::has(tensor));
    if !taken || y.is_autodiff() != z.is_autodiff() {
        return Err((y, z));
    }
    let (Ok(y), Ok(z)) = (B::take(y), B::take(z)) else {
        unreachable!("the backend was asked whether it has the tensors");
    };
    let output = B::silu_gate(&y.numbers, &z.numbers);
    let (Some(of_y), Some(of_z)) = (y.node, z.node) else {
        return Ok(B::give(output));
    };
    let state = [y.numbers, z.numbers];
    Ok(B::give_tracked(record::<B, _, 2>(
        GateBackward,
        [of_y, of_z],
        state,
        output,
    )))
}

#[derive(Debug)]
struct GateBackward;

impl<B: DragonBackend> Backward<B, 2> for GateBackward {
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let [y, z] = ops.state;
        let found = B::silu_gate_back(y, z, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
