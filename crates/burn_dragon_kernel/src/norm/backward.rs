//! The norm in the graph of gradients: `scale (d - mean(d) - a mean(d a))` with `a` the normed row.

use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::Tensor;

/// The norm of a tensor on a backend; the input again where it is not.
pub(super) fn on_backend<B: DragonBackend, const R: usize>(
    (v, eps): (Tensor<R>, f64),
) -> Result<Tensor<R>, (Tensor<R>, f64)> {
    if !B::computes(Operation::Norm, v.dtype()) {
        return Err((v, eps));
    }
    let v = B::take(v).map_err(|v| (v, eps))?;
    let (a, kept) = B::norm(v.numbers, eps);
    Ok(match v.node {
        None => B::give(a),
        Some(node) => B::give_tracked(record::<B, _, 1>(NormBackward, [node], kept, a)),
    })
}

#[derive(Debug)]
struct NormBackward;

impl<B: DragonBackend> Backward<B, 1> for NormBackward {
    type State = B::Norm;

    fn backward(self, ops: Ops<B::Norm, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            gradients.register::<B>(node.id, B::norm_back(ops.state, d));
        }
    }
}
