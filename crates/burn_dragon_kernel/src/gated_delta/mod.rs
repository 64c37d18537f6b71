//! Gated delta rule: a recurrence that replaces what a key reads (arXiv:2412.06464).
//!
//! ```text
//! q, k                                                       made vectors of length 1: over sqrt(|k|^2 + 1e-6)
//! read_t   = alpha_t q_t rho_t-1
//! update_t = beta_t (v_t - alpha_t k_t rho_t-1)
//! rho_t    = alpha_t rho_t-1 + k_t (outer) update_t          rho is empty before a reset token
//! ```
//!
//! The read is before the write. A read after it is `q_t rho_t = read_t + (q_t . k_t) update_t`.
//!
//! The definition goes token by token (`reference.rs`). Windows are computed in chunks of 64 tokens: in tensor operations
//! (`chunked.rs`), and on the processor in f32, where keys are the queries, by an operation of its own, with its gradient (`cpu/`).

mod backward;
mod chunked;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use crate::retention::Resets;
use backward::on_backend;
use burn::tensor::Tensor;

/// Constant added to the square of a key's length.
const EPS: f64 = 1e-6;

/// Operands of [`gated_delta`].
#[derive(Clone, Debug)]
pub struct GatedDelta {
    /// Queries, `[B, H, T, K]`.
    pub q: Tensor<4>,
    /// Keys, `[B, H, T, K]`; `None` if they are the queries, which saves a product.
    pub keys: Option<Tensor<4>>,
    /// Values, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Shares of what was read that writes replace, `[B, H, T]`, in `[0, 1]`.
    pub beta: Tensor<3>,
    /// Logarithms of alpha, `[B, H, T]`, at most 0; `None` for 0.
    pub log_decay: Option<Tensor<3>>,
    /// Memory before the window, `[B, H, K, D]`.
    pub memory: Tensor<4>,
    /// Tokens before which memory is emptied.
    pub resets: Resets,
}

/// Reads of a window, `[B, H, T, D]`, and the memory after it, `[B, H, K, D]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn gated_delta(operands: GatedDelta) -> (Tensor<4>, Tensor<4>) {
    let [lanes, heads, tokens, keys] = operands.q.dims();
    let width = operands.v.dims()[3];
    let assert =
        |what, given: [usize; 4], expected| crate::assert_shape("gated_delta", what, given, expected);
    if let Some(given) = &operands.keys {
        assert("keys", given.dims(), [lanes, heads, tokens, keys]);
    }
    assert("v", operands.v.dims(), [lanes, 1, tokens, width]);
    assert("the memory", operands.memory.dims(), [lanes, heads, keys, width]);
    crate::assert_shape(
        "gated_delta",
        "beta",
        operands.beta.dims(),
        [lanes, heads, tokens],
    );
    if let Some(decay) = &operands.log_decay {
        crate::assert_shape("gated_delta", "log_decay", decay.dims(), [lanes, heads, tokens]);
    }
    on_backends!(B, input = operands => on_backend::<B>(input)).unwrap_or_else(chunked::gated_delta)
}

/// Vectors of length 1.
fn unit(keys: Tensor<4>) -> Tensor<4> {
    let squares = keys.clone().powi_scalar(2).sum_dim(3);
    keys * (squares + EPS).sqrt().recip()
}

#[cfg(test)]
mod tests;
