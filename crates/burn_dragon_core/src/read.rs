//! Kinds of read: the tokens that a token reads.

use crate::shapes::MemoryShape;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{
    Credit, Reach, Retention, causal_read_by_keys, causal_read_by_keys_with_memory, full_read,
    full_read_with_memory,
};
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// Kind of read: the tokens that a token reads, `model.read`.
///
/// ```text
/// causal   read_t = q_t rho + sum over s < t of left(t, s) (q_t . q_s) v_s     rho is read, then written
/// full     read_t = q_t (rho + sum over all s of q_s (outer) v_s)              rho is written, then read
/// ```
///
/// With both, `rho` after the window is `rho` before it, faded where memory fades, plus all that the window's tokens
/// wrote.
///
/// A full read includes the token itself. All tokens, such as the cells of a puzzle or the patches of a picture, read
/// the same sum. So a window of T tokens costs 2 T N D multiply-adds a head, without T x T scores. In a full read
/// tokens have no order: memory neither fades nor is emptied within a window.
///
/// **To add one** (a grid's neighbours, a pyramid, a graph's edges, another sequence mixer): a variant, its `Mixer`
/// (here or in a file beside this), and its arm in this file's one `match`. The [`Level`](crate::level::Level) computes
/// the rest (x before the read; norm, y and encoder after it) and does not change, nor do its gradients and its cost in
/// memory. A mixer without a fused level in the kernel runs between the kernel's `perceive` and `speak`. For a memory
/// at each place of a picture, use a lane for each place. An input of every pass, such as a graph's edges, is a field
/// of [`Pass`](crate::pass::Pass) and of `Operands`. A tensor that is learnt is listed in
/// [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), and the mixer is made with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// Each token reads the tokens before it, not itself.
    #[default]
    Causal,
    /// Each token reads all tokens of its window, including itself.
    Full,
}

impl Read {
    /// Mixer of this kind: the one place that distinguishes the kinds.
    pub(crate) fn mixer(self) -> &'static dyn Mixer {
        match self {
            Self::Causal => &Causal,
            Self::Full => &Full,
        }
    }

    /// Whether tokens have an order, which decay and resets need.
    pub(crate) fn is_ordered(self) -> bool {
        self.mixer().is_ordered()
    }
}

/// Operands of a read.
pub(crate) struct Operands<'a> {
    /// Queries, `[B, H, T, K]`.
    pub q: Tensor<4>,
    /// Keys, if they are not the queries; for a causal read.
    pub keys: Option<Tensor<4>>,
    /// Values, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Memory before the window, `[B, H, K, D]`, if one is carried.
    pub rho: Option<Tensor<4>>,
    /// Decay and resets of memory.
    pub retention: &'a Retention,
    /// Paths of the gradients through the read.
    pub credit: Credit,
}

/// Sequence mixer of a level.
pub(crate) trait Mixer: Sync {
    /// Definition in plain tensor operations: the result of the read, `[B, H, T, D]`, and the memory after the window,
    /// if one is carried. If the given memory is without autodiff, it is a constant, and so is the returned one.
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>);

    /// Fused level of the kernel that has this read. If there is none, the level runs in two halves, with
    /// [`read`](Self::read) between them.
    fn reach(&self) -> Option<Reach>;

    /// Whether tokens have an order.
    fn is_ordered(&self) -> bool;

    /// FLOPs of one token of a window of `tokens`, in all heads of a level.
    fn flops(&self, tokens: usize, memory: &MemoryShape) -> Saturating<u64>;
}

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

/// [`Read::Causal`].
struct Causal;

impl Mixer for Causal {
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>) {
        let Operands {
            q,
            keys,
            v,
            rho,
            retention,
            credit,
        } = operands;
        let keys = keys.unwrap_or_else(|| q.clone());
        match rho {
            None => (causal_read_by_keys(q, keys, v, retention, credit), None),
            Some(rho) => {
                let (read, rho) = causal_read_by_keys_with_memory(q, keys, v, rho, retention, credit);
                (read, Some(rho))
            }
        }
    }

    fn reach(&self) -> Option<Reach> {
        Some(Reach::Causal)
    }

    fn is_ordered(&self) -> bool {
        true
    }

    /// Scores and the weighted sum of values, without the masked half.
    fn flops(&self, tokens: usize, memory: &MemoryShape) -> Saturating<u64> {
        of(tokens) * of(memory.heads) * (of(memory.keys) + of(memory.width))
    }
}

/// [`Read::Full`].
struct Full;

impl Mixer for Full {
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>) {
        let Operands {
            q, v, rho, credit, ..
        } = operands;
        match rho {
            None => (full_read(q, v, credit), None),
            Some(rho) => {
                let (read, rho) = full_read_with_memory(q, v, rho, credit);
                (read, Some(rho))
            }
        }
    }

    fn reach(&self) -> Option<Reach> {
        Some(Reach::Full)
    }

    fn is_ordered(&self) -> bool {
        false
    }

    /// Write and read of each row of the memory, once a token.
    fn flops(&self, _tokens: usize, memory: &MemoryShape) -> Saturating<u64> {
        of(4) * of(memory.heads) * of(memory.keys) * of(memory.width)
    }
}
