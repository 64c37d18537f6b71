//! The gradient of the cross entropy, by hand: `d (softmax - one at the class)`, computed again from the logits.

use super::cpu::Rows;
use crate::flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::NoCheckpointing};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::{Autodiff, Flex};
use burn::tensor::{Float, Tensor};

/// The cross entropy of logits on the processor with autodiff; the logits again where they are others.
pub(super) fn tracked(logits: Tensor<3>, classes: Vec<usize>) -> Result<Tensor<2>, Tensor<3>> {
    let [lanes, tokens, _] = logits.dims();
    let (logits, node) = flex::tracked(logits)?;
    let rows = Rows::new(logits, classes);
    let losses = flex::tensor(rows.losses(), [lanes, tokens]);
    let output = match CrossEntropyBackward
        .prepare::<NoCheckpointing>([node])
        .compute_bound()
        .stateful()
    {
        OpsKind::Tracked(prepared) => prepared.finish(rows, losses),
        OpsKind::UnTracked(prepared) => prepared.finish(losses),
    };
    Ok(Tensor::<2, Float>::from_primitive::<Autodiff<Flex>>(output))
}

#[derive(Debug)]
struct CrossEntropyBackward;

impl Backward<Flex, 1> for CrossEntropyBackward {
    type State = Rows;

    fn backward(self, ops: Ops<Rows, 1>, gradients: &mut Gradients, _checkpointer: &mut Checkpointer) {
        let d = gradients.consume::<Flex>(&ops.node).to_contiguous();
        let logits = ops.state.back(d.storage());
        for parent in ops.parents.into_iter().flatten() {
            gradients.register::<Flex>(parent.id, logits.clone());
        }
    }
}
