//! Collation of segments into a batch.

use std::sync::Arc;

use crate::{
    error::StreamError,
    segment::{CollatedStreamBatch, StreamSegment},
};

/// A payload that can be batched with those of other lanes.
///
/// Numbers, text, `Option`, `Vec` and `Arc` become a `Vec`, one entry a lane. Your own type chooses its batch:
///
/// ```
/// use burn_dragon_stream::api::{StreamCollatable, StreamSampleId, StreamSegment, collate_stream_segments};
///
/// struct Frame([f32; 2]);
///
/// impl StreamCollatable for Frame {
///     type Batch = Vec<f32>; // [B, 2], lane after lane
///
///     fn collate(lanes: &[&Self]) -> Vec<f32> {
///         lanes.iter().flat_map(|frame| frame.0).collect()
///     }
/// }
///
/// let lane = |x| StreamSegment::of_episode(StreamSampleId::new(x as u64, 0, 0), [Frame([x, x + 0.5])]);
/// let batch = collate_stream_segments(&[lane(1.0), lane(2.0)])?;
/// assert_eq!(batch.payloads, [[1.0, 1.5, 2.0, 2.5]]);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
pub trait StreamCollatable: Sized {
    /// Batch of the payloads of all lanes at one step.
    type Batch;

    /// Joins the payloads of one step, lane 0 first.
    fn collate(lanes: &[&Self]) -> Self::Batch;
}

/// Implementation whose batch is a list of clones.
macro_rules! listed {
    ($($payload:ty $(where $generic:ident)?),* $(,)?) => {
        $(impl$(<$generic: Clone>)? StreamCollatable for $payload {
            type Batch = Vec<Self>;

            fn collate(lanes: &[&Self]) -> Vec<Self> {
                lanes.iter().copied().cloned().collect()
            }
        })*
    };
}

listed!(
    (), bool, char, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, f32, f64, String,
    Vec<T> where T, Option<T> where T, Arc<T> where T,
);

/// Batch of segments side by side: lane `b` is segment `b`, and step `t` of the batch holds step `t` of each.
///
/// ```
/// use burn_dragon_stream::api::{StreamSampleId, StreamSegment, collate_stream_segments};
///
/// let lane = |source, tokens: [u32; 3]| StreamSegment::of_episode(StreamSampleId::new(source, 0, 0), tokens);
/// let batch = collate_stream_segments(&[lane(0, [1, 2, 3]), lane(1, [4, 5, 6])])?;
/// assert_eq!(batch.payloads, [[1, 4], [2, 5], [3, 6]]);
/// assert_eq!(batch.metadata[2][1].sample_id.source_id, 1);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
///
/// # Errors
/// [`StreamError::NoSegments`] if there are none, [`StreamError::UnequalSegments`] if their numbers of steps differ.
pub fn collate_stream_segments<T: StreamCollatable>(
    segments: &[StreamSegment<T>],
) -> Result<CollatedStreamBatch<T::Batch>, StreamError> {
    let Some(first) = segments.first() else {
        return Err(StreamError::NoSegments);
    };
    let expected = first.len();
    if let Some(lane) = segments.iter().position(|segment| segment.len() != expected) {
        let steps = segments[lane].len();
        return Err(StreamError::UnequalSegments {
            lane,
            steps,
            expected,
        });
    }
    let (mut payloads, mut metadata) = (Vec::with_capacity(expected), Vec::with_capacity(expected));
    for step in 0..expected {
        let lanes = || segments.iter().map(|segment| &segment.steps[step]);
        payloads.push(T::collate(&lanes().map(|step| &step.payload).collect::<Vec<_>>()));
        metadata.push(lanes().map(|step| step.metadata).collect());
    }
    Ok(CollatedStreamBatch { payloads, metadata })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{boundary::StreamBoundary, ids::StreamSampleId, policy::StateCarryPolicy};

    fn lane(source: u64, tokens: &[u32]) -> StreamSegment<u32> {
        StreamSegment::of_episode(StreamSampleId::new(source, 0, 0), tokens.iter().copied())
    }

    #[test]
    fn a_batch_holds_every_step_of_every_lane_in_its_place() {
        let lanes = [lane(0, &[1, 2, 3]), lane(1, &[4, 5, 6]), lane(2, &[7, 8, 9])];
        let batch = collate_stream_segments(&lanes).unwrap();
        assert_eq!((batch.steps(), batch.lanes()), (3, 3));
        for (b, lane) in lanes.iter().enumerate() {
            for (t, step) in lane.steps.iter().enumerate() {
                assert_eq!(
                    (batch.payloads[t][b], batch.metadata[t][b]),
                    (step.payload, step.metadata)
                );
            }
        }
    }

    #[test]
    fn a_batch_says_which_lanes_are_emptied_before_a_step() {
        let mut lanes = [lane(0, &[1, 2]), lane(1, &[3, 4]), lane(2, &[5, 6])];
        lanes[0].steps[0].metadata.boundary = StreamBoundary::Continue;
        lanes[1].steps[1].metadata.boundary = StreamBoundary::ResetAll;
        let batch = collate_stream_segments(&lanes).unwrap();
        let resets = |policy| [0, 1, 2].map(|step| batch.resets(step, policy));
        assert_eq!(
            resets(StateCarryPolicy::UntilBoundary),
            [vec![1, 2], vec![1], vec![]]
        );
        assert!(resets(StateCarryPolicy::Always).iter().all(Vec::is_empty));
        assert_eq!(
            resets(StateCarryPolicy::Never),
            [vec![0, 1, 2], vec![0, 1, 2], vec![]]
        );
    }

    #[test]
    fn segments_of_unequal_length_are_refused() {
        let error =
            collate_stream_segments(&[lane(0, &[1, 2]), lane(1, &[3, 4]), lane(2, &[5])]).unwrap_err();
        assert!(
            matches!(
                error,
                StreamError::UnequalSegments {
                    lane: 2,
                    steps: 1,
                    expected: 2
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn no_segments_make_no_batch_and_empty_ones_an_empty_one() {
        assert!(matches!(
            collate_stream_segments::<u32>(&[]),
            Err(StreamError::NoSegments)
        ));
        let batch = collate_stream_segments(&[lane(0, &[]), lane(1, &[])]).unwrap();
        assert_eq!((batch.steps(), batch.lanes(), batch.payloads.len()), (0, 0, 0));
    }
}
