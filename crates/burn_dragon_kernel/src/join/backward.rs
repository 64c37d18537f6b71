//! The gradient of the join, by hand: through the outer norm to v, and from there through the inner one to u.

use super::cpu::{Joined, join, join_back};
use crate::flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor};

/// The join of tensors on the processor with autodiff; the tensors again where they are others.
pub(super) fn tracked(v: Tensor<4>, u: Tensor<4>, eps: f64) -> Result<Tensor<4>, (Tensor<4>, Tensor<4>)> {
    let (kept_v, kept_u) = (v.clone(), u.clone());
    let (Ok((v, v_node)), Ok((u, u_node))) = (flex::tracked(v), flex::tracked(u)) else {
        return Err((kept_v, kept_u));
    };
    drop((kept_v, kept_u));
    let joined = join(&v, u, eps);
    let stream = joined.stream.clone();
    let nodes = [v_node, u_node];
    let output = match JoinBackward
        .prepare::<NoCheckpointing>(nodes)
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(joined, stream),
        OpsKind::UnTracked(prepared) => prepared.finish(stream),
    };
    Ok(Tensor::<4, Float>::from_primitive::<Autodiff<Flex>>(output))
}

#[derive(Debug)]
struct JoinBackward;

impl Backward<Flex, 2> for JoinBackward {
    type State = Joined;

    fn backward(self, ops: Ops<Joined, 2>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<Flex>(&ops.node).to_contiguous();
        for (parent, gradient) in ops.parents.into_iter().zip(join_back(ops.state, d)) {
            if let Some(node) = parent {
                gradients.register::<Flex>(node.id, gradient);
            }
        }
    }
}
