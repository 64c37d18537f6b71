//! Rotation in the graph of gradients: a gradient is turned back.

use super::Rotation;
use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// The rotation on a backend that has x and the tables, which are constants; x again where it has not.
pub(super) fn on_backend<B: DragonBackend>(
    x: Tensor<4>,
    rotation: &Rotation,
) -> Result<Tensor<4>, Tensor<4>> {
    let tables = [&rotation.cos, &rotation.sin];
    let is_taken = |tensor: &Tensor<4>| {
        B::computes(Operation::Rotation, tensor.dtype()) && B::has(tensor) && !tensor.dims().contains(&0)
    };
    if !is_taken(&x) || !tables.iter().all(|table| is_taken(table) && !table.is_tracked()) {
        return Err(x);
    }
    let constant = |table: &Tensor<4>| {
        let taken = B::take(table.clone().inner());
        taken
            .unwrap_or_else(|_| unreachable!("the backend was asked whether it has the tensor"))
            .numbers
    };
    let tables = tables.map(constant);
    let x = B::take(x)?;
    let output = B::rotate(x.numbers, &tables, 1.0);
    let Some(node) = x.node else {
        return Ok(B::give(output));
    };
    Ok(B::give_tracked(record::<B, _, 1>(
        RotationBackward,
        [node],
        tables,
        output,
    )))
}

#[derive(Debug)]
struct RotationBackward;

impl<B: DragonBackend> Backward<B, 1> for RotationBackward {
    /// Cosines and sines.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            gradients.register::<B>(node.id, B::rotate(d, &ops.state, -1.0));
        }
    }
}
