//! Definition of the gated delta rule, token by token.

use super::{GatedDelta, unit};
use crate::retention::reference::open_at;
use burn::tensor::Tensor;

/// Definition; shapes as in [`gated_delta`](super::gated_delta()).
pub fn gated_delta(operands: GatedDelta) -> (Tensor<4>, Tensor<4>) {
    let GatedDelta {
        q,
        keys,
        v,
        beta,
        log_decay,
        memory,
        resets,
    } = operands;
    let (tokens, mut rho) = (q.dims()[2], memory);
    let q = unit(q);
    let keys = keys.map_or_else(|| q.clone(), unit);
    let mut reads = Vec::with_capacity(tokens);
    for t in 0..tokens {
        let at = |whole: &Tensor<4>| whole.clone().narrow(2, t, 1); // [B, H, 1, K]
        let number = |whole: &Tensor<3>| whole.clone().narrow(2, t, 1).unsqueeze_dim::<4>(3); // [B, H, 1, 1]
        if let Some(open) = open_at(&resets, t, &rho) {
            rho = rho * open;
        }
        if let Some(decay) = &log_decay {
            rho = rho * number(decay).exp();
        }
        let read = at(&q).matmul(rho.clone()); // [B, H, 1, D]
        let update = (at(&v) - at(&keys).matmul(rho.clone())) * number(&beta);
        rho = rho + at(&keys).swap_dims(2, 3).matmul(update);
        reads.push(read);
    }
    (Tensor::cat(reads, 2), rho)
}
