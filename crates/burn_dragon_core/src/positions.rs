//! Kinds of position encoding.

use burn_dragon_kernel::api::Frequencies;
use serde::{Deserialize, Serialize};

/// Kind of position encoding, `model.positions`.
///
/// A kind gives the angle by which each pair of neurons of a key or query turns at a position. Slopes by distance
/// (ALiBi) are not a kind: with a linear read they are a factor on memory, which
/// [`DecayConfig`](crate::config::DecayConfig) adds to any of these.
///
/// **To add one** that turns pairs otherwise (other frequencies, one group for each axis of a grid): a variant, its arm
/// in this file's one `match`, and its keys in the configuration. Positions that make other keys (PoPE:
/// `[mu cos, mu sin]`, two numbers a neuron) also set the number of rows of a memory in
/// [`TrunkConfig::memory`](crate::config::TrunkConfig::memory), list the tensors that they learn in
/// [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), and need the kernel's `rotation` operation to make
/// keys of that width. Until the kernel's `decode` makes such keys too, `TrunkConfig::is_plain` must be false for them.
/// Positions that are learnt and added to the input are part of the family, before the trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Rotary: pair i of a head turns by `theta^(-2i/N) / (2 pi)` of a turn a token, so reads depend on distances.
    #[default]
    Rotary,
    /// No rotation: reads do not depend on the positions of tokens.
    None,
}

impl Positions {
    /// Frequencies of the pairs of a head of `neurons` neurons, in turns per token: the one place that distinguishes
    /// the kinds.
    pub(crate) fn frequencies(self, theta: f64, neurons: usize) -> Frequencies {
        match self {
            Self::Rotary => Frequencies::new(theta, neurons),
            Self::None => Frequencies::from_turns(vec![0.0; neurons / 2]),
        }
    }
}
