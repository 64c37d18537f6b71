//! Full read: every token reads all tokens of the window, including itself.
//!
//! ```text
//! read_t = q_t rho_0 + sum over all s of (q_t . q_s) v_s
//! rho_T  = rho_0     + sum over all s of q_s (outer) v_s
//! ```
//!
//! As in the [causal read](crate::causal_read), keys are the queries and values are the stream, without a softmax or a
//! scale. But memory is written before it is read.

pub mod reference;

use crate::causal_read::Credit;
use burn::tensor::Tensor;

/// Full read of a window from an empty memory.
///
/// # Shapes
/// - `q`: `[B, H, T, N]`, rotated
/// - `v`: `[B, 1, T, D]`
/// - output: `[B, H, T, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn full_read(q: Tensor<4>, v: Tensor<4>, credit: Credit) -> Tensor<4> {
    let [lanes, _, tokens, _] = q.dims();
    let width = v.dims()[3];
    crate::assert_shape("full_read", "v", v.dims(), [lanes, 1, tokens, width]);
    let keys = credit.stored(q.clone());
    reference::full_read(q, keys, credit.stored(v))
}

/// Full read of a window that also reads the memory `rho`, `[B, H, N, D]`, and the memory after the window.
///
/// If `rho` is without autodiff, it and the returned memory are constants.
///
/// # Panics
/// If the shapes do not fit together.
pub fn full_read_with_memory(
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
    credit: Credit,
) -> (Tensor<4>, Tensor<4>) {
    let [lanes, heads, tokens, neurons] = q.dims();
    let (width, operation) = (v.dims()[3], "full_read_with_memory");
    crate::assert_shape(operation, "v", v.dims(), [lanes, 1, tokens, width]);
    crate::assert_shape(operation, "rho", rho.dims(), [lanes, heads, neurons, width]);
    let is_constant = !rho.is_autodiff();
    let keys = credit.stored(q.clone());
    let (v, rho) = (credit.stored(v), credit.stored(rho));
    let (read, memory) = reference::full_read_with_memory(q, keys, v, rho);
    let memory = if is_constant {
        memory.inner()
    } else {
        credit.stored(memory)
    };
    (read, memory)
}
