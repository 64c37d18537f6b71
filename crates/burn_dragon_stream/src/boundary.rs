//! What lies between a step and the one before it.

use serde::{Deserialize, Serialize};

/// What lies between a step and the one before it in its stream.
///
/// ```
/// use burn_dragon_stream::api::StreamBoundary;
///
/// assert!(!StreamBoundary::default().resets_episode());
/// assert!(StreamBoundary::ResetEpisode.resets_episode());
/// assert!(StreamBoundary::ResetAll.resets_episode());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamBoundary {
    /// Nothing: the stream goes on.
    #[default]
    Continue,
    /// A new episode begins: what was remembered of the last one is forgotten.
    ResetEpisode,
    /// Everything begins anew: also what outlives an episode, such as statistics of the source.
    ResetAll,
}

impl StreamBoundary {
    /// Whether a new episode begins here; true for both resets.
    pub fn resets_episode(self) -> bool {
        self != Self::Continue
    }

    /// Whether what outlives an episode is forgotten too.
    pub fn resets_all(self) -> bool {
        self == Self::ResetAll
    }
}
