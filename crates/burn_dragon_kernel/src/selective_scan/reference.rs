//! Definition of the selective scan, token by token.

use super::SelectiveScan;
use crate::retention::Resets;
use burn::tensor::{Tensor, TensorData, activation};

/// Definition; shapes as in [`selective_scan`](super::selective_scan()).
pub fn selective_scan(operands: SelectiveScan) -> (Tensor<3>, Tensor<3>) {
    let SelectiveScan {
        x,
        logits,
        rates,
        b,
        c,
        skip,
        memory,
        resets,
    } = operands;
    let (rates, step) = (rates.unsqueeze::<3>(), activation::softplus(logits, 1.0));
    let (tokens, mut h) = (x.dims()[1], memory);
    let mut outputs = Vec::with_capacity(tokens);
    for t in 0..tokens {
        let at = |whole: &Tensor<3>| whole.clone().narrow(1, t, 1); // [B, 1, E]
        let column = |whole: &Tensor<3>| at(whole).swap_dims(1, 2); // [B, S, 1]
        if let Some(open) = open(&resets, t, &h) {
            h = h * open;
        }
        let decay = (at(&step) * rates.clone()).neg().exp(); // [B, S, E]
        h = h * decay + column(&b) * (at(&step) * at(&x));
        outputs.push(at(&c).matmul(h.clone()));
    }
    (Tensor::cat(outputs, 1) + x * skip.unsqueeze(), h)
}

/// 0 for lanes that are emptied before a token, 1 for others, `[B, 1, 1]`; `None` if there is no such lane.
pub(crate) fn open(resets: &Resets, token: usize, like: &Tensor<3>) -> Option<Tensor<3>> {
    let lanes = like.dims()[0];
    let open: Vec<f64> = (0..lanes)
        .map(|lane| f64::from(u8::from(!resets.of_lane(lane).contains(&token))))
        .collect();
    if !open.contains(&0.0) {
        return None;
    }
    let data = TensorData::new(open, [lanes, 1, 1]).convert_dtype(like.dtype());
    Some(Tensor::from_data(data, (&like.device(), like.dtype())))
}
