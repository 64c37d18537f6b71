//! Short convolution: each channel by itself, over a few tokens back, and SiLU of it.
//!
//! ```text
//! p_t = bias + sum over k < K of taps_k x_(t - K + 1 + k)       the last tap is of the token itself; a reset token knows none before it
//! y_t = p_t sigmoid(p_t)
//! ```
//!
//! On the processor in f32 rows of channels are added up by vectors, and the gradient is written by hand (`cpu.rs`). Elsewhere it is a
//! composition of tensor operations (`reference.rs`).

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use crate::retention::Resets;
use burn::tensor::{Tensor, TensorData};

/// Operands of [`short_convolution`].
#[derive(Clone, Debug)]
pub struct ShortConvolution {
    /// Input of the channels, `[B, T, E]`.
    pub x: Tensor<3>,
    /// Weights, the oldest token first, `[K, E]`.
    pub taps: Tensor<2>,
    /// What is added, `[E]`.
    pub bias: Tensor<1>,
    /// The K - 1 inputs before the window, `[B, K - 1, E]`; `None` if K is 1.
    pub tail: Option<Tensor<3>>,
    /// Tokens that know none before them.
    pub resets: Resets,
}

/// Outputs of a window, `[B, T, E]`, and the last K - 1 inputs, `[B, K - 1, E]`: zeros for those before the last reset.
///
/// # Panics
/// If the shapes do not fit together.
pub fn short_convolution(mut operands: ShortConvolution) -> (Tensor<3>, Option<Tensor<3>>) {
    let ([lanes, tokens, channels], [taps, _]) = (operands.x.dims(), operands.taps.dims());
    crate::assert_shape(
        "short_convolution",
        "taps",
        operands.taps.dims(),
        [taps, channels],
    );
    crate::assert_shape("short_convolution", "bias", operands.bias.dims(), [channels]);
    let given = operands.tail.as_ref().map_or([lanes, 0, channels], Tensor::dims);
    crate::assert_shape(
        "short_convolution",
        "the tail",
        given,
        [lanes, taps - 1, channels],
    );
    if tokens > 0 && operands.x.is_autodiff() {
        operands.tail = operands.tail.map(Tensor::autodiff);
    }
    let tail = operands
        .tail
        .clone()
        .map(|tail| last(tail, &operands.x, &operands.resets));
    let y = on_backends!(B, operands = operands => backward::on_backend::<B>(operands))
        .unwrap_or_else(reference::short_convolution);
    (y, tail)
}

/// The last inputs: as many as the tail has.
fn last(tail: Tensor<3>, x: &Tensor<3>, resets: &Resets) -> Tensor<3> {
    let ([lanes, count, _], tokens) = (tail.dims(), x.dims()[1]);
    let inputs = if tokens >= count {
        x.clone().narrow(1, tokens - count, count)
    } else {
        Tensor::cat(vec![tail.narrow(1, tokens, count - tokens), x.clone()], 1)
    };
    if resets.is_empty() {
        return inputs;
    }
    let left = |lane, index: usize| {
        let reset = resets.of_lane(lane).last();
        f64::from(u8::from(
            reset.is_none_or(|&reset| index + tokens >= reset + count),
        ))
    };
    let left: Vec<f64> = (0..lanes)
        .flat_map(|lane| (0..count).map(move |index| left(lane, index)))
        .collect();
    let data = TensorData::new(left, [lanes, count, 1]).convert_dtype(x.dtype());
    inputs * Tensor::from_data(data, (&x.device(), x.dtype()))
}

#[cfg(test)]
mod tests;
