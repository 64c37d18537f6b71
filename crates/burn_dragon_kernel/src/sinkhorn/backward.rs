//! The normalisation in the graph of gradients.

use super::SinkhornForm;
use crate::backend::{DragonBackend, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

type Input = (Tensor<3>, SinkhornForm, usize);

/// The normalisation of matrices on a backend; the input again where they are not.
pub(super) fn on_backend<B: DragonBackend>((logits, form, rounds): Input) -> Result<Tensor<3>, Input> {
    if !B::computes(Operation::Sinkhorn, logits.dtype()) {
        return Err((logits, form, rounds));
    }
    let logits = B::take(logits).map_err(|logits| (logits, form, rounds))?;
    let Some(node) = logits.node else {
        return Ok(B::give(B::sinkhorn(&logits.numbers, form, rounds)));
    };
    let output = B::sinkhorn(&logits.numbers, form, rounds);
    let backward = SinkhornBackward { form, rounds };
    Ok(B::give_tracked(record::<B, _, 1>(
        backward,
        [node],
        logits.numbers,
        output,
    )))
}

#[derive(Debug)]
struct SinkhornBackward {
    form: SinkhornForm,
    rounds: usize,
}

impl<B: DragonBackend> Backward<B, 1> for SinkhornBackward {
    type State = FloatTensor<B>;

    fn backward(
        self,
        ops: Ops<FloatTensor<B>, 1>,
        gradients: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let d = gradients.consume::<B>(&ops.node);
        let [parent] = ops.parents;
        if let Some(node) = parent {
            let gradient = B::sinkhorn_back(&ops.state, d, self.form, self.rounds);
            gradients.register::<B>(node.id, gradient);
        }
    }
}
