//! The gated delta rule in chunks of tokens: products of matrices and a triangular solution in place of a loop over tokens.
//!
//! Within a chunk, with `A_t` the sum of the logarithms of alpha up to t, and `left_ts = e^(A_t - A_s)`, 0 across a reset:
//!
//! ```text
//! before_t = e^(A_t) q_t rho                                            what is read of the memory before the chunk
//! (I + beta left (K K^T)) U = beta (v - e^A K rho)                      U: the updates; left below the diagonal
//! read_t   = before_t + sum over s < t of left_ts (q_t . k_s) u_s
//! rho'     = e^(A_C) rho + sum of e^(A_C - A_s) k_s (outer) u_s
//! ```
//!
//! This is the WY form of the product of the tokens' changes (arXiv:2406.06484, section 3; arXiv:2412.06464, section 3.3).
//! Every exponent is a difference that is at most 0.

use super::{GatedDelta, unit};
use crate::retention::Retention;
use crate::retention::reference::factors;
use crate::triangular::triangular_solve;
use burn::tensor::Tensor;

/// Tokens of a chunk.
const CHUNK: usize = 64;

/// Reads and memory; shapes as in [`gated_delta`](super::gated_delta()).
pub(super) fn gated_delta(operands: GatedDelta) -> (Tensor<4>, Tensor<4>) {
    let GatedDelta {
        q,
        keys,
        v,
        beta,
        log_decay,
        memory,
        resets,
    } = operands;
    let tokens = q.dims()[2];
    let (q, keys) = (unit(q), keys.map(unit));
    let (mut rho, mut reads) = (memory, Vec::with_capacity(tokens.div_ceil(CHUNK)));
    for first in (0..tokens).step_by(CHUNK) {
        let size = CHUNK.min(tokens - first);
        let part = |whole: &Tensor<4>| whole.clone().narrow(2, first, size);
        let numbers = |whole: &Tensor<3>| whole.clone().narrow(2, first, size).unsqueeze_dim::<4>(3);
        let chunk = Chunk {
            q: part(&q),
            keys: keys.as_ref().map(part),
            v: part(&v),
            beta: numbers(&beta),
            left: Left::new(
                &Retention {
                    decay: None,
                    resets: resets.window(first..first + size),
                },
                log_decay.as_ref().map(numbers),
                size,
                &rho,
            ),
        };
        let (read, after) = chunk.run(rho);
        reads.push(read);
        rho = after;
    }
    (Tensor::cat(reads, 2), rho)
}

/// What is left within a chunk: factors of decay and resets.
struct Left {
    /// For token t of the write of token s, `[B, H, C, C]`, strictly lower triangular.
    between: Tensor<4>,
    /// For each token of the memory before the chunk, `[B, H, C, 1]`.
    recalled: Tensor<4>,
    /// In the memory after the chunk of each write, `[B, H, C, 1]`.
    written: Tensor<4>,
    /// In the memory after the chunk of that before it, `[B, H, 1, 1]`.
    kept: Tensor<4>,
}

impl Left {
    /// Factors of a chunk of `size` tokens; `log_decay`: `[B, H, C, 1]`.
    fn new(resets: &Retention, log_decay: Option<Tensor<4>>, size: usize, like: &Tensor<4>) -> Self {
        let open = factors(resets, size, like);
        let Some(log_decay) = log_decay else {
            return Self {
                between: open.between,
                recalled: open.recalled,
                written: open.written,
                kept: open.kept,
            };
        };
        let sums = log_decay.cumsum(2);
        let last = sums.clone().narrow(2, size - 1, 1);
        // Exponents above the diagonal are of no use, and might be infinite.
        let between = (sums.clone() - sums.clone().swap_dims(2, 3)).tril(0).exp();
        Self {
            between: between * open.between,
            recalled: sums.clone().exp() * open.recalled,
            written: (last.clone() - sums).exp() * open.written,
            kept: last.exp() * open.kept,
        }
    }
}

/// A chunk of tokens; `keys` are the queries, where there are none.
struct Chunk {
    q: Tensor<4>,
    keys: Option<Tensor<4>>,
    v: Tensor<4>,
    /// `[B, H, C, 1]`
    beta: Tensor<4>,
    left: Left,
}

impl Chunk {
    /// Reads, and the memory after the chunk.
    fn run(self, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
        let Self {
            q,
            keys,
            v,
            beta,
            left,
        } = self;
        let given = |from: &Tensor<4>| {
            let of_keys = keys.as_ref().unwrap_or(&q).clone().swap_dims(2, 3);
            let scores = from.clone().matmul(of_keys) * left.between.clone(); // [B, H, C, C]
            let before = from.clone().matmul(rho.clone()) * left.recalled.clone(); // [B, H, C, D]
            (scores, before)
        };
        let (scores, before) = given(&q);
        let (among_keys, replaced) = match &keys {
            Some(keys) => given(keys),
            None => (scores.clone(), before.clone()),
        };
        let updates = solved(among_keys * beta.clone(), (v - replaced) * beta);
        let read = before + scores.matmul(updates.clone());
        let keys = keys.as_ref().unwrap_or(&q).clone();
        let after = rho * left.kept + keys.swap_dims(2, 3).matmul(updates * left.written);
        (read, after)
    }
}

/// The solution for all heads of all lanes.
fn solved(matrix: Tensor<4>, right: Tensor<4>) -> Tensor<4> {
    let [lanes, heads, size, width] = right.dims();
    let matrix = matrix.reshape([lanes * heads, size, size]);
    let right = right.reshape([lanes * heads, size, width]);
    triangular_solve(matrix, right).reshape([lanes, heads, size, width])
}
