//! The gated delta rule on a backend, and in its graph of gradients.

use super::GatedDelta;
use crate::backend::recurrence::{OutputGradients, Ran, Recurrence, operand, outputs};
use crate::backend::{DragonBackend, Operation};
use crate::retention::Resets;
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// The outputs on a backend that has all tensors, where keys are the queries; the operands again elsewhere.
pub(super) fn on_backend<B: DragonBackend>(input: GatedDelta) -> Result<(Tensor<4>, Tensor<4>), GatedDelta> {
    if !is_taken::<B>(&input) {
        return Err(input);
    }
    let GatedDelta {
        q,
        v,
        beta,
        log_decay,
        memory,
        resets,
        ..
    } = input;
    let log_decay = log_decay.unwrap_or_else(|| Tensor::zeros(beta.dims(), (&beta.device(), beta.dtype())));
    let lifted = [&q, &v, &memory].into_iter().any(Tensor::is_autodiff)
        || [&beta, &log_decay].into_iter().any(Tensor::is_autodiff);
    let [q, v, memory] = [q, v, memory].map(|tensor| operand::<B, 4>(tensor, lifted));
    let [beta, log_decay] = [beta, log_decay].map(|tensor| operand::<B, 3>(tensor, lifted));
    let nodes = [q.1, v.1, beta.1, log_decay.1, memory.1];
    let operands = [q.0, v.0, beta.0, log_decay.0, memory.0];
    let (found, kept) = B::gated_delta(&operands, &resets);
    let rule = Rule { resets };
    Ok(outputs::<B, _, 5>(rule, nodes, Ran { operands, kept }, found))
}

fn is_taken<B: DragonBackend>(input: &GatedDelta) -> bool {
    let GatedDelta {
        q,
        keys,
        v,
        beta,
        log_decay,
        memory,
        ..
    } = input;
    let computes = |dtype| B::computes(Operation::GatedDelta, dtype);
    let takes =
        |tensor: &Tensor<4>| computes(tensor.dtype()) && B::has(tensor) && !tensor.dims().contains(&0);
    let gates = |tensor: &Tensor<3>| computes(tensor.dtype()) && B::has(tensor);
    keys.is_none()
        && takes(q)
        && takes(v)
        && takes(memory)
        && gates(beta)
        && log_decay.as_ref().is_none_or(gates)
}

/// What the gradient needs beside tensors.
#[derive(Clone, Debug)]
struct Rule {
    resets: Resets,
}

impl<B: DragonBackend> Recurrence<B, 5> for Rule {
    fn back(&self, ran: Ran<B, 5>, d: OutputGradients<B>, needed: [bool; 5]) -> [Option<FloatTensor<B>>; 5] {
        B::gated_delta_back(&ran, &self.resets, d, needed[4])
    }
}
