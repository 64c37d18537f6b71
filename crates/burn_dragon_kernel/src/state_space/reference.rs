//! Definition of the state space, token by token.

use super::StateSpace;
use crate::retention::reference::open_at;
use burn::tensor::Tensor;

/// Definition; shapes as in [`state_space`](super::state_space()).
pub fn state_space(operands: StateSpace) -> (Tensor<4>, Tensor<4>) {
    let StateSpace {
        c,
        b,
        x,
        log_decay,
        memory,
        resets,
    } = operands;
    let (tokens, mut m) = (x.dims()[2], memory);
    let mut reads = Vec::with_capacity(tokens);
    for t in 0..tokens {
        let at = |whole: &Tensor<4>| whole.clone().narrow(2, t, 1); // [B, H or 1, 1, S]
        if let Some(open) = open_at(&resets, t, &m) {
            m = m * open;
        }
        let decay = log_decay.clone().narrow(2, t, 1).exp();
        m = m * decay.unsqueeze_dim::<4>(3); // [B, H, 1, 1]
        reads.push((at(&c).swap_dims(2, 3) * m.clone()).sum_dim(2)); // [B, H, 1, P]
        m = m + at(&b).swap_dims(2, 3) * at(&x);
    }
    (Tensor::cat(reads, 2), m)
}
