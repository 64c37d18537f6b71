//! The scan in the graph of gradients.
//!
//! It has two outputs, and an operation in the graph has one: `[B, T + S, E]`, the rows of the tokens and then those of the states.

use super::SelectiveScan;
use crate::backend::recurrence::operand;
use crate::backend::selective_scan::SelectiveScanOn;
use crate::backend::{DragonBackend, Operation, record};
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
    .map(|tensor| operand::<B, 3>(tensor, false));
    let (rates, skip) = (
        operand::<B, 2>(operands.rates, false),
        operand::<B, 1>(operands.skip, false),
    );
    let nodes = [x.1, logits.1, rates.1, b.1, c.1, skip.1, memory.1];
    let on = SelectiveScanOn {
        x: x.0,
        logits: logits.0,
        rates: rates.0,
        b: b.0,
        c: c.0,
        skip: skip.0,
        memory: memory.0,
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
