//! The read of the fast-weight memory: what earlier tokens, and only earlier tokens, left for this one.
//!
//! ```text
//! read_t = q_t rho_0 + sum over s < t of (q_t . q_s) v_s          rho_T = rho_0 + sum over s of q_s (outer) v_s
//! ```
//!
//! Keys are the queries (`Q = K`), values are the model stream itself, shared by all heads. There is no softmax and no
//! scale. The read is strict: token t does not see itself, and the first token of an empty memory reads zero.
//! (arXiv:2509.26507, appendix E; equation 8 with rotated keys.)

pub mod reference;

use burn::tensor::Tensor;

/// Tokens per block in [`causal_read_with_memory`]: scores are `block x block`, memory is used between blocks.
pub const BLOCK: usize = 256;

/// The read of a whole window from an empty memory (the parallel form).
///
/// # Shapes
/// - `q`: `[B, H, T, N]`, rotated
/// - `v`: `[B, 1, T, D]`
/// - output: `[B, H, T, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read(q: Tensor<4>, v: Tensor<4>) -> Tensor<4> {
    let [lanes, _, tokens, _] = q.dims();
    let width = v.dims()[3];
    crate::assert_shape("causal_read", "v", v.dims(), [lanes, 1, tokens, width]);
    reference::causal_read(q, v)
}

/// The read of `T` more tokens, and the memory after them (the recurrent form for one token, chunked for more).
///
/// # Shapes
/// - `q`: `[B, H, T, N]`, rotated by absolute position
/// - `v`: `[B, 1, T, D]`
/// - `rho`: `[B, H, N, D]`
/// - output: read `[B, H, T, D]`, memory `[B, H, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read_with_memory(q: Tensor<4>, v: Tensor<4>, rho: Tensor<4>) -> (Tensor<4>, Tensor<4>) {
    let [lanes, heads, tokens, neurons] = q.dims();
    let width = v.dims()[3];
    crate::assert_shape(
        "causal_read_with_memory",
        "v",
        v.dims(),
        [lanes, 1, tokens, width],
    );
    crate::assert_shape(
        "causal_read_with_memory",
        "rho",
        rho.dims(),
        [lanes, heads, neurons, width],
    );
    if tokens <= BLOCK {
        return reference::causal_read_with_memory(q, v, rho);
    }
    let mut memory = rho;
    let mut reads = Vec::with_capacity(tokens.div_ceil(BLOCK));
    for (q, v) in q.split(BLOCK, 2).into_iter().zip(v.split(BLOCK, 2)) {
        let (read, next) = reference::causal_read_with_memory(q, v, memory);
        reads.push(read);
        memory = next;
    }
    (Tensor::cat(reads, 2), memory)
}
