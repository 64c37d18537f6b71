//! Definition of the decayed mean, token by token.

use super::{DecayedMean, EPS};
use crate::causal_read::Credit;
use crate::retention::reference::open_at;
use burn::tensor::{Tensor, activation};

/// Definition; shapes as in [`decayed_mean`](super::decayed_mean()).
pub fn decayed_mean(operands: DecayedMean) -> (Tensor<4>, Tensor<4>) {
    let DecayedMean {
        q,
        v,
        log_decay,
        memory,
        resets,
        credit,
    } = operands;
    let [_, heads, tokens, neurons] = q.dims();
    let width = v.dims()[3];
    let q = activation::relu(q);
    let keys = match credit {
        Credit::Full => q.clone(),
        Credit::Queries => q.clone().detach(),
    };
    let weights = q.clone() / (q.sum_dim(3) + EPS); // [B, H, T, N]
    let seen = Tensor::cat(vec![v.clone(), v.clone().narrow(3, 0, 1).ones_like()], 3); // [B, 1, T, D + 1]
    let decay = log_decay.exp().reshape([1, heads, neurons, 1]);
    let mut memory = memory;
    let mut reads = Vec::with_capacity(tokens);
    for t in 0..tokens {
        let at = |whole: &Tensor<4>| whole.clone().narrow(2, t, 1);
        if let Some(open) = open_at(&resets, t, &memory) {
            memory = memory * open;
        }
        let rho = memory.clone().narrow(3, 0, width);
        let z = memory.clone().narrow(3, width, 1); // [B, H, N, 1]
        reads.push(at(&weights).matmul(rho / (z + EPS)));
        memory = memory * decay.clone() + at(&keys).swap_dims(2, 3).matmul(at(&seen));
    }
    (Tensor::cat(reads, 2), memory)
}
