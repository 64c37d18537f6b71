//! Kinds of position encoding.
//!
//! | positions | keys | where |
//! |---|---|---|
//! | `rotary` | pairs of neurons turn | `keys.rs` |
//! | `none` | the neurons themselves | `keys.rs` |
//! | `pope`, `pope_upstream` | each neuron is the length of a vector that turns: two numbers a neuron | `keys.rs` |
//!
//! Slopes by distance (ALiBi) are not a kind: with a linear read they are a factor on memory, which
//! [`DecayConfig`](crate::config::DecayConfig) adds to any of these.

mod form;
mod keys;

pub use keys::Keys;

use crate::shapes::TensorShape;
use burn_dragon_kernel::api::Frequencies;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Kind of position encoding, `model.positions`: a name, or a table `[model.positions]` with a type and its keys.
///
/// **To add one** that turns pairs otherwise (other frequencies, one group for each axis of a grid): a variant, its arms in
/// this file, and its keys in the configuration. Positions that make other keys also have an arm in [`Keys`], and their number
/// of rows of a memory in `numbers_per_neuron`. What they learn is listed in `tensors` and a field
/// of the [`Trunk`](crate::trunk::Trunk). Positions that are learnt and added to the input are part of the family, before the
/// trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Positions {
    /// Rotary: pair i of a head turns by `theta^(-2i/N) / (2 pi)` of a turn a token, so reads depend on distances.
    #[default]
    Rotary,
    /// No rotation: reads do not depend on the positions of tokens.
    None,
    /// Polar (PoPE, arXiv:2509.10534): neuron c is the length of a vector that turns by `theta^(-c/N) / (2 pi)` of a turn a
    /// token, keys by a learnt phase more.
    Pope(PopeConfig),
    /// The public implementation's form of it: lengths by softplus, no phase.
    PopeUpstream,
}

/// Keys of polar positions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PopeConfig {
    /// Length of a vector, from the activity of its neuron.
    pub magnitude: Magnitude,
    /// Phases of the keys before training, a tensor `phase` of each head and neuron.
    pub phase: PhaseStart,
}

/// Length of a vector, from the activity x of its neuron, which is never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Magnitude {
    /// `x`: a silent neuron stays silent.
    #[default]
    Identity,
    /// `softplus(x)`, as in the paper: a silent neuron has the length `ln 2`, so that no neuron is silent.
    Softplus,
    /// `softplus(x) - ln 2`: 0 at 0.
    ShiftedSoftplus,
}

/// Phases before training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseStart {
    /// 0, which the paper found best for texts longer than those of the training.
    #[default]
    Zero,
    /// Uniform in `[-2 pi, 0]`.
    Uniform,
}

impl Positions {
    /// Name of the kind in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rotary => "rotary",
            Self::None => "none",
            Self::Pope(_) => "pope",
            Self::PopeUpstream => "pope_upstream",
        }
    }

    /// Frequencies of the pairs of numbers of a head's key, in turns per token, for a head of `neurons` neurons.
    pub(crate) fn frequencies(self, theta: f64, neurons: usize) -> Frequencies {
        match self {
            Self::Rotary => Frequencies::new(theta, neurons),
            Self::None => Frequencies::from_turns(vec![0.0; neurons / 2]),
            Self::Pope(_) | Self::PopeUpstream => Frequencies::new(theta, 2 * neurons),
        }
    }

    /// Numbers that a key has for each neuron.
    pub(crate) fn numbers_per_neuron(self) -> usize {
        match self {
            Self::Rotary | Self::None => 1,
            Self::Pope(_) | Self::PopeUpstream => 2,
        }
    }

    /// Whether pairs of neurons turn, or stay: what kernels compute.
    pub(crate) fn is_of_pairs(self) -> bool {
        self.numbers_per_neuron() == 1
    }

    /// Tensors that are learnt.
    pub(crate) fn tensors(self, heads: usize, neurons: usize) -> Vec<TensorShape> {
        match self {
            Self::Pope(_) => vec![TensorShape::new("phase", [heads, neurons])],
            Self::Rotary | Self::None | Self::PopeUpstream => Vec::new(),
        }
    }
}
