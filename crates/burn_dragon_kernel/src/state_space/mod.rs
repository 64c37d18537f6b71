//! State space with one decay a head: a linear read of a memory that fades as the token says (arXiv:2405.21060).
//!
//! ```text
//! read_t = alpha_t c_t m_t-1
//! m_t    = alpha_t m_t-1 + b_t (outer) x_t          m is empty before a reset token
//! ```
//!
//! The read is before the write. A read after it is `c_t m_t = read_t + (c_t . b_t) x_t`.
//!
//! Windows are computed in chunks of products of matrices (`chunked.rs`), single tokens by the definition (`reference.rs`).

mod chunked;
pub mod reference;

use crate::retention::Resets;
use burn::tensor::Tensor;

/// Operands of [`state_space`].
#[derive(Clone, Debug)]
pub struct StateSpace {
    /// Directions of the reads, `[B, H or 1, T, S]`.
    pub c: Tensor<4>,
    /// Directions of the writes, `[B, H or 1, T, S]`.
    pub b: Tensor<4>,
    /// What is written, `[B, H, T, P]`.
    pub x: Tensor<4>,
    /// Logarithms of alpha, `[B, H, T]`, at most 0.
    pub log_decay: Tensor<3>,
    /// Memory before the window, `[B, H, S, P]`.
    pub memory: Tensor<4>,
    /// Tokens before which memory is emptied.
    pub resets: Resets,
}

/// Reads of a window, `[B, H, T, P]`, and the memory after it, `[B, H, S, P]`.
///
/// # Panics
/// If the shapes do not fit together.
pub fn state_space(operands: StateSpace) -> (Tensor<4>, Tensor<4>) {
    let ([lanes, heads, tokens, width], [_, groups, _, states]) = (operands.x.dims(), operands.c.dims());
    let assert =
        |what, given: [usize; 4], expected| crate::assert_shape("state_space", what, given, expected);
    assert("c", operands.c.dims(), [lanes, groups, tokens, states]);
    assert("b", operands.b.dims(), [lanes, groups, tokens, states]);
    assert(
        "the memory",
        operands.memory.dims(),
        [lanes, heads, states, width],
    );
    let decays = operands.log_decay.dims();
    crate::assert_shape("state_space", "log_decay", decays, [lanes, heads, tokens]);
    assert!(
        groups == 1 || groups == heads,
        "state_space: directions of {groups} heads; expected one of each of the {heads} heads, or one of all"
    );
    if tokens == 1 {
        reference::state_space(operands)
    } else {
        chunked::state_space(operands)
    }
}

#[cfg(test)]
mod tests;
