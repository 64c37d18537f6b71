//! Boundaries between the steps of a stream.

use serde::{Deserialize, Serialize};

/// Boundary between a step and the one before it in its stream.
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
    /// No boundary: the stream continues.
    #[default]
    Continue,
    /// A new episode begins: the memory of the last one is emptied.
    ResetEpisode,
    /// Full reset: memory is emptied, and so is all that is kept between episodes, such as statistics of the source.
    ResetAll,
}

impl StreamBoundary {
    /// Whether a new episode begins here; true for both resets.
    pub fn resets_episode(self) -> bool {
        self != Self::Continue
    }

    /// Whether all that is kept between episodes is reset too.
    pub fn resets_all(self) -> bool {
        self == Self::ResetAll
    }
}
