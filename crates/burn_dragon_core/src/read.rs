//! Kinds of read: the tokens that a token reads.

use crate::mixer::{Mixer, MixerWeights, Sizes};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{
    Credit, Reach, Retention, causal_read_by_keys, causal_read_by_keys_with_memory, full_read,
    full_read_with_memory,
};
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::num::Saturating;
use std::sync::Arc;

/// Kind of read: the tokens that a token reads, `model.read`.
///
/// ```text
/// causal   read_t = q_t rho + sum over s < t of left(t, s) (q_t . q_s) v_s     rho is read, then written
/// full     read_t = q_t (rho + sum over all s of q_s (outer) v_s)              rho is written, then read
/// mixed    another recurrence over the tokens before it                       mixer/
/// ```
///
/// With the first two, `rho` after the window is `rho` before it, faded where memory fades, plus all that the window's tokens
/// wrote.
///
/// A full read includes the token itself. All tokens, such as the cells of a puzzle or the patches of a picture, read
/// the same sum. So a window of T tokens costs 2 T N D multiply-adds a head, without T x T scores. In a full read
/// tokens have no order: memory neither fades nor is emptied within a window.
///
/// **To add one** (a grid's neighbours, a pyramid, a graph's edges): a variant, its `Rule` (here or in a file beside this),
/// and its arm in this file's one `match`; for another recurrence over tokens, see [`Mixer`]. The
/// [`Level`](crate::level::Level) computes the rest (x before the read; norm, y and encoder after it) and does not change, nor
/// do its gradients and its cost in memory. A rule without a fused level in the kernel runs between the kernel's `perceive` and
/// `speak`. For a memory at each place of a picture, use a lane for each place. An input of every pass, such as a graph's
/// edges, is a field of [`Pass`](crate::pass::Pass) and of `Operands`. A tensor that is learnt is listed in
/// [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), and the rule is made with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// Each token reads the tokens before it, not itself.
    #[default]
    Causal,
    /// Each token reads all tokens of its window, including itself.
    Full,
    /// Another sequence mixer in the place of the causal read.
    Mixed(Mixer),
}

impl Read {
    /// The causal read of a mixer.
    pub fn of(mixer: Mixer) -> Self {
        match mixer {
            Mixer::Linear {} => Self::Causal,
            mixer => Self::Mixed(mixer),
        }
    }

    /// The mixer, if it is not the linear read of this file.
    pub fn mixer(&self) -> Option<&Mixer> {
        match self {
            Self::Mixed(mixer) => Some(mixer),
            Self::Causal | Self::Full => None,
        }
    }

    /// Whether tokens have an order, which decay and resets need.
    pub(crate) fn is_ordered(&self) -> bool {
        *self != Self::Full
    }

    /// FLOPs of one token of a window of `tokens`, in all heads of a level.
    pub(crate) fn flops(&self, tokens: usize, sizes: Sizes) -> Saturating<u64> {
        let (heads, keys, width) = (of(sizes.heads), of(sizes.keys), of(sizes.width));
        match self {
            // Scores and the weighted sum of values, without the masked half.
            Self::Causal => of(tokens) * heads * (keys + width),
            // Write and read of each row of the memory, once a token.
            Self::Full => of(4) * heads * keys * width,
            Self::Mixed(mixer) => mixer.flops(sizes),
        }
    }
}

fn of(size: usize) -> Saturating<u64> {
    Saturating(size as u64)
}

/// Read of a level: its rule, with what it learns.
#[derive(Clone, Debug)]
pub struct Reader(Arc<dyn Rule>);

impl Reader {
    /// The read of a kind, with what its mixer learns: the one place that distinguishes the kinds.
    ///
    /// # Panics
    /// If a mixer's weights are not given.
    pub(crate) fn new(read: &Read, learnt: Option<&MixerWeights>, sizes: Sizes, eps: f64) -> Self {
        Self(match read {
            Read::Causal => return Self::causal(),
            Read::Full => return Self::full(),
            Read::Mixed(mixer) => mixer.rule(learnt, sizes, eps),
        })
    }

    /// The rule.
    pub(crate) fn rule(&self) -> &dyn Rule {
        &*self.0
    }
}

impl Reader {
    /// The causal read of a fast-weight memory.
    pub fn causal() -> Self {
        Self(Arc::new(Causal))
    }

    /// The full read.
    pub fn full() -> Self {
        Self(Arc::new(Full))
    }
}

/// Operands of a read.
pub(crate) struct Operands<'a> {
    /// Computes the queries, `[B, H, T, K]`, and the keys, if they are not the queries.
    pub queries: &'a dyn Fn() -> (Tensor<4>, Option<Tensor<4>>),
    /// Values, `[B, 1, T, D]`.
    pub v: Tensor<4>,
    /// Memory before the window, `[B, H, K, D]`, if one is carried.
    pub rho: Option<Tensor<4>>,
    /// Decay and resets of memory.
    pub retention: &'a Retention,
    /// Paths of the gradients through the read.
    pub credit: Credit,
}

/// Rule of a read.
pub(crate) trait Rule: Debug + Send + Sync {
    /// Result of the read, `[B, H, T, D]`, and the memory after the window, if one is carried. If the given memory is without
    /// autodiff, it is a constant, and so is the returned one.
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>);

    /// Fused level of the kernel that has this read. If there is none, the level runs in two halves, with
    /// [`read`](Self::read) between them.
    fn reach(&self) -> Option<Reach> {
        None
    }
}

/// [`Read::Causal`].
#[derive(Debug)]
struct Causal;

impl Rule for Causal {
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>) {
        let Operands {
            queries,
            v,
            rho,
            retention,
            credit,
        } = operands;
        let (q, keys) = queries();
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
}

/// [`Read::Full`].
#[derive(Debug)]
struct Full;

impl Rule for Full {
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>) {
        let Operands {
            queries,
            v,
            rho,
            credit,
            ..
        } = operands;
        let (q, _) = queries();
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
}
