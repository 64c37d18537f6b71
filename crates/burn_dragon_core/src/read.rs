//! Reads: which tokens a token reads.

use crate::shapes::MemoryShape;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{
    Credit, Reach, Retention, causal_read, causal_read_with_memory, full_read, full_read_with_memory,
};
use serde::{Deserialize, Serialize};
use std::num::Saturating;

/// The kind of read, `model.read`.
///
/// ```text
/// causal   read_t = q_t rho + sum over s < t of left(t, s) (q_t . q_s) v_s     rho is read, then written
/// full     read_t = q_t (rho + sum over all s of q_s (outer) v_s)              rho is written, then read
/// ```
///
/// With both, `rho` afterwards is what it was (or what is left of it) and all that the window's tokens wrote. A full read
/// includes the token itself: what a cell of a puzzle or a patch of a picture reads is one sum, the same for all of them, so
/// that a window of T tokens costs 2 T N D multiply-adds a head and no T x T scores. In a full read tokens have no order:
/// memory neither fades nor is emptied within a window.
///
/// **To add one** (a grid's neighbours, a pyramid, a graph's edges, another sequence mixer): a variant, its `Mixer` (here
/// or in a file beside this), and its arm in this file's one `match`. What stands around the read (x before it, norm, y and
/// encoder after it) is the [`Level`](crate::level::Level)'s and stays, gradients and memory cost included: a mixer that the
/// kernel has no fused level for stands between its `perceive` and `speak`. A memory for each place of a picture is a lane
/// for each place. What a mixer is given with every pass, such as a graph's edges, is a field of
/// [`Pass`](crate::pass::Pass) and of `Operands`; what it learns is listed in
/// [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), and the mixer is made of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// Each token reads those before it, and not itself.
    #[default]
    Causal,
    /// Each token reads all of its window, itself included.
    Full,
}

impl Read {
    /// How tokens are mixed: the one place that tells the kinds apart.
    pub(crate) fn mixer(self) -> &'static dyn Mixer {
        match self {
            Self::Causal => &Causal,
            Self::Full => &Full,
        }
    }

    /// Whether tokens come one after the other: what fades and what is emptied needs an order.
    pub(crate) fn is_ordered(self) -> bool {
        self.mixer().is_ordered()
    }
}

/// The operands of a read.
pub(crate) struct Operands<'a> {
    /// Queries, which are the keys too, `[B, H, T, K]`.
    pub q: Tensor<4>,
    /// Values, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// The memory before the window, `[B, H, K, D]`, where one is carried.
    pub rho: Option<Tensor<4>>,
    /// What is left of memory from token to token.
    pub retention: &'a Retention,
    /// How gradients go back.
    pub credit: Credit,
}

/// How tokens are mixed.
pub(crate) trait Mixer: Sync {
    /// The definition in plain tensor operations: what is read, `[B, H, T, D]`, and the memory after the window, where one
    /// is carried. A memory without autodiff is a constant, and so is the one returned.
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>);

    /// Which of the kernel's fused levels has this read; none: the level goes by halves, with [`read`](Self::read) between
    /// them.
    fn reach(&self) -> Option<Reach>;

    /// Whether tokens come one after the other.
    fn is_ordered(&self) -> bool;

    /// FLOPs of one token of a window of so many, in all heads of a level.
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
            v,
            rho,
            retention,
            credit,
        } = operands;
        match rho {
            None => (causal_read(q, v, retention, credit), None),
            Some(rho) => {
                let (read, rho) = causal_read_with_memory(q, v, rho, retention, credit);
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

    /// Scores and what they weigh, without the masked half.
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

    /// A row of the memory for each key, written once and read once.
    fn flops(&self, _tokens: usize, memory: &MemoryShape) -> Saturating<u64> {
        of(4) * of(memory.heads) * of(memory.keys) * of(memory.width)
    }
}
