//! Positions: how a query knows where a key stands.

use burn_dragon_kernel::api::Frequencies;
use serde::{Deserialize, Serialize};

/// The kind of positions, `model.positions`.
///
/// A kind says by what angle each pair of neurons turns at a position; the read's keys and queries are what is turned.
/// Slopes by distance (ALiBi) are no kind of their own: on a linear read they are a factor on what memory keeps, which
/// [`DecayConfig`](crate::config::DecayConfig) gives beside any of these.
///
/// **To add one** that turns pairs otherwise (other frequencies, one group for each axis of a grid): a variant, its arm in
/// this file's one `match`, and its keys in the configuration. Positions that make other keys (PoPE: `[mu cos, mu sin]`, two
/// numbers a neuron) also say how many rows a memory then has, in [`TrunkConfig::memory`](crate::config::TrunkConfig::memory),
/// list what they learn in [`TrunkConfig::tensors`](crate::config::TrunkConfig::tensors), and need the kernel's `rotation`
/// operation to make keys of that width; until its `decode` makes them too, `TrunkConfig::is_plain` is to say that it does not. Positions that are learnt and added to the input stand before the trunk, in the
/// family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Positions {
    /// Pair i of a head turns by `theta^(-2i/N) / (2 pi)` of a turn a token: reads depend on distances.
    #[default]
    Rotary,
    /// Nothing turns: reads do not depend on where tokens stand.
    None,
}

impl Positions {
    /// Turns per token of the pairs of a head of so many neurons: the one place that tells the kinds apart.
    pub(crate) fn frequencies(self, theta: f64, neurons: usize) -> Frequencies {
        match self {
            Self::Rotary => Frequencies::new(theta, neurons),
            Self::None => Frequencies::from_turns(vec![0.0; neurons / 2]),
        }
    }
}
