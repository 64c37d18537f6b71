//! Definition of the short convolution.

use super::ShortConvolution;
use crate::retention::Resets;
use burn::tensor::{Tensor, TensorData, activation};

/// Outputs of a window, `[B, T, E]`; shapes as in [`short_convolution`](super::short_convolution()).
pub fn short_convolution(operands: ShortConvolution) -> Tensor<3> {
    let ShortConvolution {
        x,
        taps,
        bias,
        tail,
        resets,
    } = operands;
    let (tokens, count) = (x.dims()[1], taps.dims()[0]);
    let all = match tail {
        Some(tail) => Tensor::cat(vec![tail, x.clone()], 1),
        None => x.clone(),
    };
    let mut sum = bias.unsqueeze::<3>();
    for tap in 0..count {
        let mut inputs = all.clone().narrow(1, tap, tokens);
        if !resets.is_empty() {
            inputs = inputs * known(&resets, count - 1 - tap, &x);
        }
        sum = sum + inputs * taps.clone().narrow(0, tap, 1).unsqueeze::<3>();
    }
    activation::silu(sum)
}

/// 1 where a token knows the token so far `back`, 0 elsewhere, `[B, T, 1]`.
fn known(resets: &Resets, back: usize, x: &Tensor<3>) -> Tensor<3> {
    let [lanes, tokens, _] = x.dims();
    let known = |lane, t: usize| {
        let crossed = |reset: &usize| *reset <= t && t < *reset + back;
        f64::from(u8::from(!resets.of_lane(lane).iter().any(crossed)))
    };
    let known: Vec<f64> = (0..lanes)
        .flat_map(|lane| (0..tokens).map(move |t| known(lane, t)))
        .collect();
    let data = TensorData::new(known, [lanes, tokens, 1]).convert_dtype(x.dtype());
    Tensor::from_data(data, (&x.device(), x.dtype()))
}
