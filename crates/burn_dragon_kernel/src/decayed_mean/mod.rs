//! Mean over neurons of the decayed means of what each has seen: the normalised decay form of linear attention.
//!
//! ```text
//! w_t    = q_t / (sum of q_t + eps)                                       eps = 1e-6
//! read_t = sum over n of w_tn rho_t-1,n / (z_t-1,n + eps)
//! z_t    = d z_t-1 + q_t                                                  d: a factor of each head and neuron
//! rho_t  = d rho_t-1 + q_t (outer) v_t                                    both are empty before a reset token
//! ```
//!
//! `rho_n / z_n` is the mean of the values that neuron n was active at, with weights that fade. A read is the mean of these
//! over the active neurons, so it is never larger than the values. The memory is `[rho, z]`, z in its last column.
//!
//! Queries are activities, so those below 0 count as 0, and one that is not above 0 has no gradient, as for relu.
//!
//! On the processor in f32 the recurrence runs as it stands, on tiles of neurons, and an inactive neuron costs nothing: its
//! row fades when it is active again (`cpu/`). Factors within a chunk of tokens, `(q d^i) (k d^-j)`, would need bounds on d,
//! and are slower: with one decay a neuron there is no product of matrices that skips inactive ones.

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use crate::causal_read::Credit;
use crate::retention::Resets;
use backward::on_backend;
use burn::tensor::Tensor;

/// Constant added to both divisors.
pub(crate) const EPS: f64 = 1e-6;

/// Operands of [`decayed_mean`].
#[derive(Clone, Debug)]
pub struct DecayedMean {
    /// Queries, which are the keys as well, `[B, H, T, N]`.
    pub q: Tensor<4>,
    /// Values, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Logarithms of d, `[H, N]`, at most 0.
    pub log_decay: Tensor<2>,
    /// Memory before the window, `[B, H, N, D + 1]`.
    pub memory: Tensor<4>,
    /// Tokens before which memory is emptied.
    pub resets: Resets,
    /// Paths of the gradients of q: as query and key, or as query alone.
    pub credit: Credit,
}

/// What a decayed mean is given beside its tensors.
#[derive(Clone, Debug)]
pub(crate) struct DecayedMeanForm {
    pub(crate) resets: Resets,
    pub(crate) credit: Credit,
}

/// Reads of a window, `[B, H, T, D]`, and the memory after it, `[B, H, N, D + 1]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn decayed_mean(operands: DecayedMean) -> (Tensor<4>, Tensor<4>) {
    let [lanes, heads, tokens, neurons] = operands.q.dims();
    let width = operands.v.dims()[3];
    let assert =
        |what, given: [usize; 4], expected| crate::assert_shape("decayed_mean", what, given, expected);
    assert("v", operands.v.dims(), [lanes, 1, tokens, width]);
    assert(
        "the memory",
        operands.memory.dims(),
        [lanes, heads, neurons, width + 1],
    );
    let decay = operands.log_decay.dims();
    crate::assert_shape("decayed_mean", "log_decay", decay, [heads, neurons]);
    on_backends!(B, input = operands => on_backend::<B>(input)).unwrap_or_else(reference::decayed_mean)
}

#[cfg(test)]
mod tests;
