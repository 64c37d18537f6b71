//! The steps and their gradients on the processor: the streams of some tokens at a time.

mod logits;
mod mixtures;

use super::HyperStep;
use crate::flex::contiguous;
use crate::norm::cpu::rows_of_a_task;
use burn_flex::FlexTensor;

/// Sizes of the streams of a step.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    streams: usize,
    width: usize,
}

impl Sizes {
    /// Of streams `[M, n, D]`.
    fn of(x: &FlexTensor) -> Self {
        let shape = x.layout().shape();
        Self {
            streams: shape[1],
            width: shape[2],
        }
    }

    /// Numbers of a token.
    fn token(self) -> usize {
        self.streams * self.width
    }

    /// Tokens of a task.
    fn task(self) -> usize {
        rows_of_a_task(self.token())
    }
}

/// The result of a step.
pub(crate) fn step(step: HyperStep, inputs: &[FlexTensor]) -> FlexTensor {
    let inputs: Vec<FlexTensor> = inputs.iter().cloned().map(contiguous).collect();
    match (step, &inputs[..]) {
        (HyperStep::Logits { eps }, [x, projection, bias]) => logits::logits([x, projection, bias], eps),
        (HyperStep::Read, [x, pre]) => mixtures::read(x, pre),
        (HyperStep::Write, [x, res, post, y]) => mixtures::write([x, res, post, y]),
        _ => unreachable!("{step:?} of {} tensors", inputs.len()),
    }
}

/// The gradients of the inputs of a step, in their order.
pub(crate) fn step_back(step: HyperStep, inputs: &[FlexTensor], d: FlexTensor) -> Vec<FlexTensor> {
    let inputs: Vec<FlexTensor> = inputs.iter().cloned().map(contiguous).collect();
    let d = contiguous(d);
    match (step, &inputs[..]) {
        (HyperStep::Logits { eps }, [x, projection, _]) => logits::logits_back(x, projection, &d, eps).into(),
        (HyperStep::Read, [x, pre]) => mixtures::read_back(x, pre, &d).into(),
        (HyperStep::Write, [x, res, post, y]) => mixtures::write_back([x, res, post, y], d).into(),
        _ => unreachable!("{step:?} of {} tensors", inputs.len()),
    }
}
