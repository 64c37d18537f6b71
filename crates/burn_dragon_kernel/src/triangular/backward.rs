//! The solution in the graph of gradients.

use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// The solution on a backend that has both tensors; the tensors again where they are not.
pub(super) fn on_backend<B: DragonBackend>(input: [Tensor<3>; 2]) -> Result<Tensor<3>, [Tensor<3>; 2]> {
    let is_taken = |tensor: &Tensor<3>| {
        B::computes(Operation::TriangularSolve, tensor.dtype())
            && B::has(tensor)
            && tensor.dims().iter().all(|&size| size > 0)
    };
    if !input.iter().all(is_taken) {
        return Err(input);
    }
    let is_autodiff = input.iter().any(Tensor::is_autodiff);
    // A constant is lifted, so that both tensors have a place in the graph.
    let lifted = input.map(|tensor| if is_autodiff { tensor.autodiff() } else { tensor });
    let [matrix, right] = lifted.map(|tensor| {
        B::take(tensor).unwrap_or_else(|_| unreachable!("the backend was asked whether it has the tensor"))
    });
    let output = B::triangular_solve(&matrix.numbers, &right.numbers);
    let (Some(first), Some(second)) = (matrix.node, right.node) else {
        return Ok(B::give(output));
    };
    let state = [matrix.numbers, output.clone()];
    Ok(B::give_tracked(record::<B, _, 2>(
        SolveBackward,
        [first, second],
        state,
        output,
    )))
}

#[derive(Debug)]
struct SolveBackward;

impl<B: DragonBackend> Backward<B, 2> for SolveBackward {
    /// The matrix and the solution.
    type State = [FloatTensor<B>; 2];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let [matrix, solution] = &ops.state;
        let found = B::triangular_solve_back(matrix, solution, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
