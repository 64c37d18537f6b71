//! Steps with their metadata: segments of one stream, and batches of segments.

use serde::{Deserialize, Serialize};

use crate::{boundary::StreamBoundary, ids::StreamSampleId, policy::StateCarryPolicy};

/// Metadata of one step of a stream, independent of the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamStepMetadata {
    /// Source, episode and segment of the step.
    pub sample_id: StreamSampleId,
    /// Boundary between this step and the one before it.
    pub boundary: StreamBoundary,
    /// Number of the step in its stream, from 0.
    pub step_index: u64,
    /// Time of the step by the clock of its source, in the unit of the source: tokens, frames or milliseconds.
    pub absolute_time: u64,
}

impl StreamStepMetadata {
    /// Whether an episode begins here, so that memory is emptied before this step.
    ///
    /// ```
    /// use burn_dragon_stream::api::{StreamBoundary, StreamStepMetadata};
    ///
    /// let boundary = StreamBoundary::ResetEpisode;
    /// assert!(StreamStepMetadata { boundary, ..Default::default() }.should_reset_state());
    /// assert!(!StreamStepMetadata::default().should_reset_state());
    /// ```
    pub fn should_reset_state(&self) -> bool {
        self.boundary.resets_episode()
    }
}

/// One step: a payload and its metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamStep<T> {
    /// Metadata of the step.
    pub metadata: StreamStepMetadata,
    /// Payload: a token, a frame, an observation.
    pub payload: T,
}

/// Steps that follow one another in one stream.
///
/// ```
/// use burn_dragon_stream::api::{StreamSampleId, StreamSegment};
///
/// let segment = StreamSegment::of_episode(StreamSampleId::new(0, 7, 0), "mira".bytes());
/// assert_eq!(segment.len(), 4);
/// assert!(segment.steps[0].metadata.should_reset_state()); // an episode begins
/// assert_eq!(segment.steps[3].payload, b'a');
/// assert_eq!(segment.steps[3].metadata.absolute_time, 3);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StreamSegment<T> {
    /// The steps, in order of time.
    pub steps: Vec<StreamStep<T>>,
}

impl<T> StreamSegment<T> {
    /// A whole episode. Its first step resets, the others continue, and time counts steps from 0.
    pub fn of_episode(sample_id: StreamSampleId, payloads: impl IntoIterator<Item = T>) -> Self {
        let step = |(index, payload)| {
            let boundary = match index {
                0 => StreamBoundary::ResetEpisode,
                _ => StreamBoundary::Continue,
            };
            let metadata = StreamStepMetadata {
                sample_id,
                boundary,
                step_index: index,
                absolute_time: index,
            };
            StreamStep { metadata, payload }
        };
        (0..).zip(payloads).map(step).collect()
    }

    /// Number of steps.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Metadata of each step, in order.
    pub fn metadata(&self) -> Vec<StreamStepMetadata> {
        self.steps.iter().map(|step| step.metadata).collect()
    }
}

impl<T> Default for StreamSegment<T> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<T> FromIterator<StreamStep<T>> for StreamSegment<T> {
    fn from_iter<I: IntoIterator<Item = StreamStep<T>>>(steps: I) -> Self {
        Self {
            steps: steps.into_iter().collect(),
        }
    }
}

/// Batch of segments of equal length, step by step.
///
/// `T` holds the payloads of all lanes at one step: it is the `Batch` of
/// [`StreamCollatable`](crate::api::StreamCollatable).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CollatedStreamBatch<T> {
    /// Payloads of all lanes, one entry a step.
    pub payloads: Vec<T>,
    /// Metadata of each step of each lane: `metadata[step][lane]`.
    pub metadata: Vec<Vec<StreamStepMetadata>>,
}

impl<T> CollatedStreamBatch<T> {
    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.metadata.len()
    }

    /// Number of lanes.
    pub fn lanes(&self) -> usize {
        self.metadata.first().map_or(0, Vec::len)
    }

    /// Lanes whose memory is emptied before step `step`, ascending; empty if there is no such step.
    pub fn resets(&self, step: usize, policy: StateCarryPolicy) -> Vec<usize> {
        let lanes = self.metadata.get(step).into_iter().flatten().enumerate();
        lanes
            .filter_map(|(lane, metadata)| (!policy.carries(metadata.boundary)).then_some(lane))
            .collect()
    }
}
