//! The scan in the graph of gradients.
//!
//! It has two outputs, and an operation in the graph has one: `[B, T + S, E]`, the rows of the tokens and then those of the states.

use super::SelectiveScan;
use crate::backend::selective_scan::SelectiveScanOn;
use crate::backend::{DragonBackend, On, Operation, record};
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::tensor::FloatTensor;
use burn::tensor::Tensor;

/// The scan on a backend that computes it; the operands again where they are not on it.
pub(super) fn on_backend<B: DragonBackend>(operands: SelectiveScan) -> Result<Tensor<3>, SelectiveScan> {
    let three = [
        &operands.x,
        &operands.logits,
        &operands.b,
        &operands.c,
        &operands.memory,
    ];
    let taken = three
        .into_iter()
        .all(|tensor| B::computes(Operation::SelectiveScan, tensor.dtype()) && B::has(tensor))
        && B::computes(Operation::SelectiveScan, operands.rates.dtype())
        && B::has(&operands.rates)
        && B::has(&operands.skip);
    if !taken {
        return Err(operands);
    }
    let [x, logits, b, c, memory] = [
        operands.x,
        operands.logits,
        operands.b,
        operands.c,
        operands.memory,
    ]
    .map(take::<B, 3>);
    let (rates, skip) = (take::<B, 2>(operands.rates), take::<B, 1>(operands.skip));
    let nodes = [
        x.node,
        logits.node,
        rates.node,
        b.node,
        c.node,
        skip.node,
        memory.node,
    ];
    let on = SelectiveScanOn {
        x: x.numbers,
        logits: logits.numbers,
        rates: rates.numbers,
        b: b.numbers,
        c: c.numbers,
        skip: skip.numbers,
        memory: memory.numbers,
        resets: operands.resets,
    };
    let [
        Some(x),
        Some(logits),
        Some(rates),
        Some(b),
        Some(c),
        Some(skip),
        Some(memory),
    ] = nodes
    else {
        return Ok(B::give(B::selective_scan(&on, false).0));
    };
    let (output, checkpoints) = B::selective_scan(&on, true);
    let nodes = [x, logits, rates, b, c, skip, memory];
    let state = (on, checkpoints);
    Ok(B::give_tracked(record::<B, _, 7>(
        ScanBackward,
        nodes,
        state,
        output,
    )))
}

/// A tensor that the backend has.
fn take<B: DragonBackend, const R: usize>(tensor: Tensor<R>) -> On<B> {
    let Ok(on) = B::take(tensor) else {
        unreachable!("the backend was asked whether it has the tensor");
    };
    on
}

#[derive(Debug)]
struct ScanBackward;

impl<B: DragonBackend> Backward<B, 7> for ScanBackward {
    type State = (SelectiveScanOn<B>, Option<FloatTensor<B>>);

    fn backward(self, ops: Ops<Self::State, 7>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let d = gradients.consume::<B>(&ops.node);
        let (on, Some(checkpoints)) = ops.state else {
            unreachable!("a recorded scan keeps its checkpoints");
        };
        let found = B::selective_scan_back(&on, checkpoints, d);
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                gradients.register::<B>(node.id, gradient);
            }
        }
    }
}
