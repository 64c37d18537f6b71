//! The cross entropy in the graph of gradients: `d (softmax - one at the class)`, computed again from the logits.

use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::tensor::{DType, Int, Tensor};

type Input = (Tensor<3>, Tensor<2, Int>);

/// The cross entropy of logits on a backend; the input again where they are not.
pub(super) fn on_backend<B: DragonBackend>((logits, targets): Input) -> Result<Tensor<2>, Input> {
    let is_taken = B::computes(Operation::CrossEntropy, logits.dtype());
    if !is_taken || !matches!(targets.dtype(), DType::I32 | DType::I64) {
        return Err((logits, targets));
    }
    let Some(classes) = B::take_int(targets.clone()) else {
        return Err((logits, targets));
    };
    let logits = B::take(logits).map_err(|logits| (logits, targets))?;
    let (losses, kept) = B::cross_entropy(logits.numbers, classes);
    Ok(match logits.node {
        None => B::give(losses),
        Some(node) => B::give_tracked(record::<B, _, 1>(CrossEntropyBackward, [node], kept, losses)),
    })
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl<B: DragonBackend> Backward<B, 1> for CrossEntropyBackward {
    type State = B::CrossEntropy;

    fn backward(
        self,
        ops: Ops<B::CrossEntropy, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d = gradients.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            gradients.register::<B>(node.id, B::cross_entropy_back(ops.state, d));
        }
    }
}
