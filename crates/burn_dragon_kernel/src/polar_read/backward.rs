//! Polar scores in the graph of gradients.

use crate::backend::{DragonBackend, Operation, record};
use crate::rotation::Rotation;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// Lengths and phases.
type Input = (Tensor<4>, Tensor<4>);

/// The scores on a backend, for lengths and phases that are both with autodiff or both without; the input again where they
/// are not.
pub(super) fn scores<B: DragonBackend>(input: Input, rotation: &Rotation) -> Result<Tensor<4>, Input> {
    let (lengths, phase) = &input;
    let tables = rotation.clone().inner();
    let tensors = [lengths, phase, &tables.cos, &tables.sin];
    let is_taken = |tensor: &Tensor<4>| B::computes(Operation::PolarScores, tensor.dtype()) && B::has(tensor);
    if !tensors.into_iter().all(is_taken) || lengths.is_autodiff() != phase.is_autodiff() {
        return Err(input);
    }
    let [lengths, phase, cos, sin] = tensors.map(|tensor| match B::take(tensor.clone()) {
        Ok(tensor) => tensor,
        Err(_) => unreachable!("all are here"),
    });
    let kept = [lengths.numbers, phase.numbers, cos.numbers, sin.numbers];
    let scores = B::polar_scores(&kept);
    Ok(match (lengths.node, phase.node) {
        (Some(lengths), Some(phase)) => {
            let nodes = [lengths, phase];
            B::give_tracked(record::<B, _, 2>(ScoresBackward, nodes, kept, scores))
        }
        _ => B::give(scores),
    })
}

#[derive(Debug)]
struct ScoresBackward;

impl<B: DragonBackend> Backward<B, 2> for ScoresBackward {
    type State = [FloatTensor<B>; 4];

    fn backward(self, ops: Ops<Self::State, 2>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let found = B::polar_scores_back(&ops.state, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
