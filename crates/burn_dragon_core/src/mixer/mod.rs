//! Kinds of sequence mixer: recurrences over the tokens of a stream, in the place of the linear read.
//!
//! | mixer | recurrence | where |
//! |---|---|---|
//! | `linear` | `rho = rho + q (outer) v`, read before it is written | the kernels' own; [`Read::Causal`](crate::read::Read::Causal) |
//! | `gated_delta` | `rho = alpha rho + q (outer) beta (v - alpha q rho)`: a write replaces what its key read | `gated_delta.rs` |
//! | `rwkv8` | `rho = d rho + q (outer) v`, `z = d z + q`; what is read are the means `rho / z` of the active neurons | `rwkv8.rs` |
//! | `mamba1`, `mamba2`, `mamba3` | recurrences on the stream itself, which ignore the queries | `mamba/` |
//!
//! A mixer gives the read of each token, `[B, H, T, D]`, and the level goes on with its norm. What it learns is shared by all
//! levels, as the weights of a level are. What it carries is one tensor a level, so that states, their files and their lanes
//! know nothing of the kinds.
//!
//! **To add one**: a variant of [`Mixer`] with a table of keys, an implementation of `Kind` for the table and of `Recurrence`,
//! in a file beside this one, an arm in `Mixer::kind`, and what it learns in [`MixerWeights`].

mod config;
mod gated_delta;
mod mamba;
mod rwkv8;
mod weights;

pub use config::Mixer;
pub use gated_delta::GatedDeltaConfig;
pub use mamba::{Mamba1Config, Mamba2Config, Mamba3Config};
pub use rwkv8::Rwkv8Config;
pub use weights::MixerWeights;

use crate::config::ConfigError;
use crate::read::{Operands, Rule};
use crate::seed::Rng;
use crate::shapes::TensorShape;
use crate::tracking::{alike, constant_as};
use burn::tensor::Tensor;
use burn_dragon_kernel::api::{Credit, Resets};
use std::fmt::Debug;
use std::num::Saturating;

/// Sizes of a trunk that its mixer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// Number of heads (H).
    pub(crate) heads: usize,
    /// Width of a key (K): the number of neurons of a head, or twice as much with polar positions.
    pub(crate) keys: usize,
    /// Model width (D).
    pub(crate) width: usize,
}

/// A kind of mixer, as its keys say.
pub(crate) trait Kind {
    /// Name in configurations.
    fn name(&self) -> &'static str;

    /// Checks the keys.
    ///
    /// # Errors
    /// The first key that is wrong.
    fn validate(&self, sizes: Sizes) -> Result<(), ConfigError>;

    /// Whether queries may turn with their positions; if not, only `model.positions = "none"` has a meaning.
    fn turns(&self) -> bool;

    /// Tensors that are learnt; their names begin with `mixer.`.
    fn tensors(&self, sizes: Sizes) -> Vec<TensorShape>;

    /// Initial values of a tensor, named without `mixer.`; `None` for those that are drawn as the trunk's weights.
    fn initial(&self, field: &str, shape: &[usize], rng: &mut Rng) -> Option<Vec<f32>>;

    /// Shape of the memory of a lane and a level, without the lanes: three axes.
    fn memory(&self, sizes: Sizes) -> [usize; 3];

    /// FLOPs of a token in a level.
    fn flops(&self, sizes: Sizes) -> Saturating<u64>;

    /// Approximate number of values that a training step keeps of one token in a level, in windows of `tokens`.
    fn kept(&self, sizes: Sizes, tokens: usize) -> Saturating<u64>;

    /// The recurrence, with its weights.
    ///
    /// # Panics
    /// If a weight is not there.
    fn recurrence(&self, learnt: &MixerWeights, eps: f64) -> Box<dyn Recurrence>;
}

/// A recurrence over the tokens of a window.
pub(crate) trait Recurrence: Debug + Send + Sync {
    /// Read of each token, `[B, H or 1, T, D]`, which knows earlier tokens and itself at most, and the memory after the window.
    /// Any split of a stream into windows gives the same reads.
    fn run(&self, window: Window<'_>) -> (Tensor<4>, Tensor<4>);
}

/// A window of a stream.
pub(crate) struct Window<'a> {
    /// Values, `[B, 1, T, D]`.
    pub(crate) v: Tensor<4>,
    /// Memory before the window, `[B, ...]` with the axes of [`Kind::memory`].
    pub(crate) memory: Tensor<4>,
    /// Tokens before which memory is emptied.
    pub(crate) resets: &'a Resets,
    queries: &'a dyn Fn() -> (Tensor<4>, Option<Tensor<4>>),
    credit: Credit,
}

impl Window<'_> {
    /// Queries, `[B, H, T, K]`, and keys, where they are not the queries or have no gradient. To be called once: they are
    /// computed by each call.
    pub(crate) fn queries_and_keys(&self) -> (Tensor<4>, Option<Tensor<4>>) {
        let (q, keys) = (self.queries)();
        let detached = (self.credit == Credit::Queries).then(|| q.clone());
        let keys = keys.or(detached).map(|keys| stored(self.credit, keys));
        (q, keys)
    }

    /// Queries alone, which are the keys as well, for a mixer whose queries do not turn.
    pub(crate) fn queries(&self) -> Tensor<4> {
        (self.queries)().0
    }

    /// Paths of the gradients through the read.
    pub(crate) fn credit(&self) -> Credit {
        self.credit
    }
}

/// A tensor in its use as key, value or memory: detached unless it is credited.
fn stored(credit: Credit, tensor: Tensor<4>) -> Tensor<4> {
    match credit {
        Credit::Full => tensor,
        Credit::Queries => tensor.detach(),
    }
}

/// Rule of a read by a recurrence.
#[derive(Debug)]
struct Mixed {
    recurrence: Box<dyn Recurrence>,
    sizes: Sizes,
    memory: [usize; 3],
}

impl Rule for Mixed {
    fn read(&self, operands: Operands<'_>) -> (Tensor<4>, Option<Tensor<4>>) {
        let Operands {
            queries,
            v,
            rho,
            retention,
            credit,
        } = operands;
        let [lanes, _, tokens, width] = v.dims();
        let [heads, rows, columns] = self.memory;
        let empty = || Tensor::zeros([lanes, heads, rows, columns], (&v.device(), v.dtype()));
        let memory = alike(rho.clone().unwrap_or_else(empty), &v);
        let (read, memory) = self.recurrence.run(Window {
            v: stored(credit, v),
            memory: stored(credit, memory),
            resets: &retention.resets,
            queries,
            credit,
        });
        let read = read.expand([lanes, self.sizes.heads, tokens, width]);
        let memory = rho.map(|rho| constant_as(stored(credit, memory), &rho));
        (read, memory)
    }
}
