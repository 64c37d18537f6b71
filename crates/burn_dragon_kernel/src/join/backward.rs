//! The join in the graph of gradients: through the outer norm to v, and from there through the inner one to u.

use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

type Input = (Tensor<4>, Tensor<4>, f64);

/// The join of tensors on a backend, both with autodiff or both without; the input again where they are not.
pub(super) fn on_backend<B: DragonBackend>((v, u, eps): Input) -> Result<Tensor<4>, Input> {
    let is_taken = [&v, &u]
        .into_iter()
        .all(|tensor| B::computes(Operation::Join, tensor.dtype()));
    if !is_taken || v.is_autodiff() != u.is_autodiff() || !B::has(&v) || !B::has(&u) {
        return Err((v, u, eps));
    }
    let (Ok(v), Ok(u)) = (B::take(v), B::take(u)) else {
        unreachable!("both are here");
    };
    let (stream, kept) = B::join(v.numbers, u.numbers, eps);
    Ok(match (v.node, u.node) {
        (Some(v), Some(u)) => B::give_tracked(record::<B, _, 2>(JoinBackward, [v, u], kept, stream)),
        _ => B::give(stream),
    })
}

#[derive(Debug)]
struct JoinBackward;

impl<B: DragonBackend> Backward<B, 2> for JoinBackward {
    type State = B::Join;

    fn backward(self, ops: Ops<B::Join, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        for (parent, gradient) in ops.parents.into_iter().zip(B::join_back(ops.state, d)) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
