//! Causal read of the fast-weight memory: each token reads what earlier tokens wrote.
//!
//! ```text
//! read_t = left(t, 0) q_t rho_0 + sum over s < t of left(t, s) (q_t . q_s) v_s
//! rho_T  = left(T, 0) rho_0     + sum over s     of left(T, s) q_s (outer) v_s
//! ```
//!
//! Keys are the queries (`Q = K`), values are the model stream itself, shared by all heads. There is no softmax and no
//! scale. The read is strict: token t does not see itself, and the first token of an empty memory reads zero.
//! (arXiv:2509.26507, appendix E; equation 8 with rotated keys.) `left` is the factor of [`Retention`], 1 by default.

pub mod reference;

use crate::retention::Retention;
use burn::tensor::Tensor;

/// Number of tokens in a block of [`causal_read_with_memory`]: scores are `block x block`, memory is used between
/// blocks.
pub(crate) const BLOCK: usize = 256;

/// Paths of the gradients through a read. The values of the read do not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credit {
    /// Queries, keys, values and carried memories.
    #[default]
    Full,
    /// Queries alone. Keys, values and carried memories are constants, so that no gradient reaches a token through the
    /// reads of later ones (paper section 7.2).
    Queries,
}

impl Credit {
    /// A tensor in its use as key, value or memory: detached unless it is credited.
    pub(crate) fn stored(self, tensor: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Full => tensor,
            Self::Queries => tensor.detach(),
        }
    }
}

/// Causal read of a whole window from an empty memory (the parallel form).
///
/// # Shapes
/// - `q`: `[B, H, T, N]`, rotated
/// - `v`: `[B, 1, T, D]`
/// - output: `[B, H, T, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read(q: Tensor<4>, v: Tensor<4>, retention: &Retention, credit: Credit) -> Tensor<4> {
    causal_read_by_keys(q.clone(), q, v, retention, credit)
}

/// [`causal_read`] with keys that are not the queries: `read_t = sum over s < t of left(t, s) (q_t . k_s) v_s`.
///
/// # Shapes
/// - `q`, `keys`: `[B, H, T, N]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read_by_keys(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    retention: &Retention,
    credit: Credit,
) -> Tensor<4> {
    let [lanes, heads, tokens, _] = q.dims();
    let width = v.dims()[3];
    crate::assert_shape("causal_read", "keys", keys.dims(), q.dims());
    crate::assert_shape("causal_read", "v", v.dims(), [lanes, 1, tokens, width]);
    retention.check("causal_read", lanes, heads, tokens);
    reference::causal_read(q, credit.stored(keys), credit.stored(v), retention)
}

/// Causal read of `T` more tokens, and the memory after them (the recurrent form for one token, chunked for more).
///
/// If `rho` is without autodiff, it and the returned memory are constants.
///
/// # Shapes
/// - `q`: `[B, H, T, N]`, rotated by absolute position
/// - `v`: `[B, 1, T, D]`
/// - `rho`: `[B, H, N, D]`
/// - output: read `[B, H, T, D]`, memory `[B, H, N, D]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read_with_memory(
    q: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
    retention: &Retention,
    credit: Credit,
) -> (Tensor<4>, Tensor<4>) {
    causal_read_by_keys_with_memory(q.clone(), q, v, rho, retention, credit)
}

/// [`causal_read_with_memory`] with keys that are not the queries; the memory is that of the keys.
///
/// # Shapes
/// - `q`, `keys`: `[B, H, T, N]`
///
/// # Panics
/// If the shapes do not fit together.
pub fn causal_read_by_keys_with_memory(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
    retention: &Retention,
    credit: Credit,
) -> (Tensor<4>, Tensor<4>) {
    let [lanes, heads, tokens, neurons] = q.dims();
    let width = v.dims()[3];
    let operation = "causal_read_with_memory";
    crate::assert_shape(operation, "keys", keys.dims(), q.dims());
    crate::assert_shape(operation, "v", v.dims(), [lanes, 1, tokens, width]);
    crate::assert_shape(operation, "rho", rho.dims(), [lanes, heads, neurons, width]);
    retention.check(operation, lanes, heads, tokens);
    let is_constant = !rho.is_autodiff();
    let (keys, v) = (credit.stored(keys), credit.stored(v));
    let (read, memory) = in_blocks(q, keys, v, credit.stored(rho), retention);
    let memory = if is_constant {
        memory.inner()
    } else {
        credit.stored(memory)
    };
    (read, memory)
}

/// Block by block, with the memory in between.
fn in_blocks(
    q: Tensor<4>,
    keys: Tensor<4>,
    v: Tensor<4>,
    rho: Tensor<4>,
    retention: &Retention,
) -> (Tensor<4>, Tensor<4>) {
    let tokens = q.dims()[2];
    if tokens <= BLOCK {
        return reference::causal_read_with_memory(q, keys, v, rho, retention);
    }
    let (mut reads, mut memory) = (Vec::with_capacity(tokens.div_ceil(BLOCK)), rho);
    for start in (0..tokens).step_by(BLOCK) {
        let length = BLOCK.min(tokens - start);
        let [q, keys, v] = [&q, &keys, &v].map(|whole| whole.clone().narrow(2, start, length));
        let within = retention.window(start..start + length);
        let (read, next) = reference::causal_read_with_memory(q, keys, v, memory, &within);
        reads.push(read);
        memory = next;
    }
    (Tensor::cat(reads, 2), memory)
}
