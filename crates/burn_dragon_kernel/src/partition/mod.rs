//! A level whose tokens are divided into parts: each token reads the memory of its part.
//!
//! ```text
//! x = relu(v decoder_x)
//! rho = sum over the tokens s of the part of x_s (outer) v_s
//! a = norm(x rho of the own part)
//! y = relu(a decoder_y) * x
//! u = sum over heads of y encoder
//! ```
//!
//! Each head follows one of several [`Partition`]s of the same tokens, such as the rows and the columns of a board. A memory
//! holds what its part writes at this level. Without order, a token also reads what it wrote itself.
//!
//! On the processor in f32 a part is one task of small products whose operands stay in the first cache. Nothing is kept for
//! the gradient but the input; the gradient is written by hand (`cpu.rs`, `cpu/`). On a GPU each partition is a
//! [`level`](crate::level::level()) whose lanes are the parts (`cube.rs`). Elsewhere it is tensor operations on gathered
//! tokens (`reference.rs`).

mod backward;
pub(crate) mod cpu;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod cube;
pub mod reference;

use crate::backend::on_backends;
use crate::level::LevelWeights;
use burn::tensor::Tensor;
use std::sync::Arc;

/// Division of tokens into parts of the same size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Token numbers, part by part.
    tokens: Arc<[u32]>,
    /// Tokens of a part.
    size: usize,
}

impl Partition {
    /// Partition from the token numbers, part by part, `size` to a part.
    ///
    /// # Panics
    /// If the numbers are not 0 to their count, each once, or the count is no multiple of `size`.
    pub fn new(tokens: Vec<u32>, size: usize) -> Self {
        let count = tokens.len();
        assert!(
            size > 0 && count.is_multiple_of(size),
            "partition: {count} tokens, expected a multiple of {size}"
        );
        let mut seen = vec![false; count];
        for &token in &tokens {
            let fresh = seen
                .get_mut(token as usize)
                .is_some_and(|seen| !std::mem::replace(seen, true));
            assert!(
                fresh,
                "partition: token {token} is outside 0..{count} or in two parts"
            );
        }
        Self {
            tokens: tokens.into(),
            size,
        }
    }

    /// Number of tokens.
    pub fn token_count(&self) -> usize {
        self.tokens.len()
    }

    /// Tokens of each part.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = &[u32]> {
        self.tokens.chunks_exact(self.size)
    }
}

/// Contribution of a level to the stream, with reads of parts.
///
/// Tensors without autodiff beside others with autodiff are constants.
///
/// # Shapes
/// - `v` and output: `[B, 1, T, D]`
/// - `weights`: of H heads; H is a multiple of the number of partitions, and the first heads follow the first partition
///
/// # Panics
/// If the shapes do not fit together, or there is no partition.
pub fn partition_level(
    v: Tensor<4>,
    weights: &LevelWeights,
    partitions: &Arc<[Partition]>,
    eps: f64,
) -> Tensor<4> {
    let ([lanes, _, tokens, _], [heads, width, _]) = (v.dims(), weights.decoder_x().dims());
    crate::assert_shape("partition_level", "v", v.dims(), [lanes, 1, tokens, width]);
    let kinds = partitions.len();
    assert!(
        kinds > 0 && heads.is_multiple_of(kinds),
        "partition_level: {heads} heads, expected a multiple of the {kinds} partitions"
    );
    for partition in partitions.iter() {
        let count = partition.token_count();
        assert!(
            count == tokens,
            "partition_level: a partition of {count} tokens, expected {tokens}"
        );
    }
    let (v, weights) = weights.alike(v);
    on_backends!(B, v = v => backward::level::<B>(&v, &weights, partitions, eps).ok_or(v))
        .unwrap_or_else(|v| elsewhere(v, &weights, partitions, eps))
}

/// The level where no backend has an operation for it.
fn elsewhere(v: Tensor<4>, weights: &LevelWeights, partitions: &[Partition], eps: f64) -> Tensor<4> {
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    if cube::takes(&v, weights) {
        return cube::partition_level(v, weights, partitions, eps);
    }
    reference::partition_level(v, weights, partitions, eps)
}

#[cfg(test)]
mod tests;
