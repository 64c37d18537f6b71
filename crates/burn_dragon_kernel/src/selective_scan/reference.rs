//! Definition of the selective scan, token by token.

use super::SelectiveScan;
use crate::retention::reference::open_at;
use burn::tensor::{Tensor, activation};

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
        if let Some(open) = open_at(&resets, t, &h.clone().unsqueeze_dim(1)) {
            h = h * open.squeeze_dim::<3>(1);
        }
        let decay = (at(&step) * rates.clone()).neg().exp(); // [B, S, E]
        h = h * decay + column(&b) * (at(&step) * at(&x));
        outputs.push(at(&c).matmul(h.clone()));
    }
    (Tensor::cat(outputs, 1) + x * skip.unsqueeze(), h)
}
