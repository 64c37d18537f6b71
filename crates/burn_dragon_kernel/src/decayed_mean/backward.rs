//! The decayed mean on a backend, and in its graph of gradients.

use super::{DecayedMean, DecayedMeanForm};
use crate::backend::recurrence::{OutputGradients, Ran, Recurrence, operand, outputs};
use crate::backend::{DragonBackend, Operation};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// The outputs on a backend that has all tensors; the operands again where it has not.
pub(super) fn on_backend<B: DragonBackend>(
    input: DecayedMean,
) -> Result<(Tensor<4>, Tensor<4>), DecayedMean> {
    let DecayedMean {
        q,
        v,
        log_decay,
        memory,
        ..
    } = &input;
    let dtypes = [q.dtype(), v.dtype(), log_decay.dtype(), memory.dtype()];
    let computes = dtypes
        .into_iter()
        .all(|dtype| B::computes(Operation::DecayedMean, dtype));
    let has = B::has(q) && B::has(v) && B::has(log_decay) && B::has(memory);
    let is_empty = q.dims().contains(&0) || v.dims().contains(&0);
    if !computes || !has || is_empty {
        return Err(input);
    }
    let lifted = q.is_autodiff() || v.is_autodiff() || log_decay.is_autodiff() || memory.is_autodiff();
    let DecayedMean {
        q,
        v,
        log_decay,
        memory,
        resets,
        credit,
    } = input;
    let form = DecayedMeanForm { resets, credit };
    let (q, v) = (operand::<B, 4>(q, lifted), operand::<B, 4>(v, lifted));
    let (log_decay, memory) = (
        operand::<B, 2>(log_decay, lifted),
        operand::<B, 4>(memory, lifted),
    );
    let nodes = [q.1, v.1, log_decay.1, memory.1];
    let operands = [q.0, v.0, log_decay.0, memory.0];
    let [read, memory] = B::decayed_mean(&operands, &form);
    let ran = Ran {
        operands,
        kept: vec![read.clone()],
    };
    Ok(outputs::<B, _, 4>(form, nodes, ran, [read, memory]))
}

impl<B: DragonBackend> Recurrence<B, 4> for DecayedMeanForm {
    fn back(&self, ran: Ran<B, 4>, d: OutputGradients<B>, needed: [bool; 4]) -> [Option<FloatTensor<B>>; 4] {
        B::decayed_mean_back(&ran.operands, &ran.kept[0], self, d, needed[3])
    }
}
