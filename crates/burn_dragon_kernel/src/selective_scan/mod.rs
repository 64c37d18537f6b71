//! Selective scan: a recurrence of each channel whose steps, writes and reads the tokens choose (arXiv:2312.00752).
//!
//! ```text
//! step_t = softplus(logits_t)                                  a number a channel
//! h_t    = exp(-step_t rates) h_t-1 + step_t x_t b_t           S states a channel; h is empty before a reset token
//! y_t    = c_t . h_t + skip x_t
//! ```
//!
//! On the processor in f32, sixteen channels run side by side through all tokens, and the gradient is written by hand: it computes
//! the states again, from those that the forward pass keeps at every sixteenth token (`cpu.rs`, `gradient.rs`). Elsewhere it is a composition of
//! tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub(crate) mod gradient;
pub mod reference;

use crate::backend::on_backends;
use crate::retention::Resets;
use burn::tensor::Tensor;

/// Operands of [`selective_scan`].
#[derive(Clone, Debug)]
pub struct SelectiveScan {
    /// Input of the channels, `[B, T, E]`.
    pub x: Tensor<3>,
    /// What softplus makes steps of, `[B, T, E]`.
    pub logits: Tensor<3>,
    /// Rates of decay of the states, `[S, E]`, at least 0, in 1/steps.
    pub rates: Tensor<2>,
    /// Directions of the writes, `[B, T, S]`.
    pub b: Tensor<3>,
    /// Directions of the reads, `[B, T, S]`.
    pub c: Tensor<3>,
    /// Share of the input that passes by, `[E]`.
    pub skip: Tensor<1>,
    /// States before the window, `[B, S, E]`.
    pub memory: Tensor<3>,
    /// Tokens before which the states are emptied.
    pub resets: Resets,
}

impl SelectiveScan {
    /// The operands with autodiff, if any of them has it.
    fn lifted(mut self) -> Self {
        let three = [&self.x, &self.logits, &self.b, &self.c, &self.memory];
        if !(three.into_iter().any(Tensor::is_autodiff)
            || self.rates.is_autodiff()
            || self.skip.is_autodiff())
        {
            return self;
        }
        for tensor in [
            &mut self.x,
            &mut self.logits,
            &mut self.b,
            &mut self.c,
            &mut self.memory,
        ] {
            *tensor = tensor.clone().autodiff();
        }
        self.rates = self.rates.autodiff();
        self.skip = self.skip.autodiff();
        self
    }
}

/// Outputs of a window, `[B, T, E]`, and the states after it, `[B, S, E]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn selective_scan(operands: SelectiveScan) -> (Tensor<3>, Tensor<3>) {
    let ([lanes, tokens, channels], [states, _]) = (operands.x.dims(), operands.rates.dims());
    let assert =
        |what, given: [usize; 3], expected| crate::assert_shape("selective_scan", what, given, expected);
    assert("logits", operands.logits.dims(), [lanes, tokens, channels]);
    assert("b", operands.b.dims(), [lanes, tokens, states]);
    assert("c", operands.c.dims(), [lanes, tokens, states]);
    assert("the memory", operands.memory.dims(), [lanes, states, channels]);
    crate::assert_shape(
        "selective_scan",
        "rates",
        operands.rates.dims(),
        [states, channels],
    );
    crate::assert_shape("selective_scan", "skip", operands.skip.dims(), [channels]);
    let all = on_backends!(B, operands = operands.lifted() => backward::on_backend::<B>(operands));
    match all {
        Ok(all) => {
            let y = all.clone().narrow(1, 0, tokens);
            (y, all.narrow(1, tokens, states))
        }
        Err(operands) => reference::selective_scan(operands),
    }
}

#[cfg(test)]
mod tests;
