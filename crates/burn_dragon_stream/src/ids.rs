//! Identifiers of samples.

use serde::{Deserialize, Serialize};

/// Identifier of a step's source, episode and segment. Two steps are of one episode if source and episode are equal.
///
/// ```
/// use burn_dragon_stream::api::StreamSampleId;
///
/// let id = StreamSampleId::new(3, 0, 17);
/// assert!(id.same_episode(StreamSampleId::new(3, 0, 18)));
/// assert!(!id.same_episode(StreamSampleId::new(3, 1, 17)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamSampleId {
    /// The recording, file or environment.
    pub source_id: u64,
    /// An uninterrupted part of a source: a document, a clip, a game.
    pub episode_id: u64,
    /// A part of an episode.
    pub segment_id: u64,
}

impl StreamSampleId {
    /// Identifier of a segment of an episode of a source.
    pub fn new(source_id: u64, episode_id: u64, segment_id: u64) -> Self {
        Self {
            source_id,
            episode_id,
            segment_id,
        }
    }

    /// Whether both are of one episode of one source.
    pub fn same_episode(self, other: Self) -> bool {
        (self.source_id, self.episode_id) == (other.source_id, other.episode_id)
    }
}
