//! Names of the public API, at their public paths.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn_dragon_stream::api::{
    alignment::{resolve_stream_target_alignment, resolve_stream_window_alignment, resolve_target_alignment},
    boundary::StreamBoundary,
    collate::{StreamCollatable, collate_stream_segments},
    cursor::{StreamCursor, VecStreamCursor},
    dataset::{InMemoryStreamDataset, StreamDataset},
    expert::{Walk, WalkPosition},
    ids::StreamSampleId,
    policy::{FusionCarryPolicy, StateCarryPolicy, TargetAlignmentPolicy},
    segment::{CollatedStreamBatch, StreamSegment, StreamStepMetadata},
    window::TbpttWindow,
};

/// From a dataset to a batch, through every module by its name.
fn first_batch<T: Clone + StreamCollatable>(
    dataset: &impl StreamDataset<Payload = T>,
    lanes: usize,
) -> CollatedStreamBatch<T::Batch> {
    let segments = (0..dataset.len()).map(|index| dataset.get(index).unwrap());
    let mut cursor = VecStreamCursor::new(segments.collect());
    let batch: Vec<_> = std::iter::from_fn(|| cursor.next_segment()).take(lanes).collect();
    collate_stream_segments(&batch).unwrap()
}

#[test]
fn a_stream_is_read_by_the_curated_names() {
    let segment =
        |source| StreamSegment::of_episode(StreamSampleId::new(source, 0, 0), [source, source + 10]);
    let dataset = InMemoryStreamDataset::new(vec![segment(1), segment(2), segment(3)]);
    let batch = first_batch(&dataset, 2);
    assert_eq!(batch.payloads, [[1, 2], [11, 12]]);
    assert_eq!(batch.resets(0, StateCarryPolicy::default()), [0, 1]);

    let steps: Vec<StreamStepMetadata> = segment(1).metadata();
    let same = TargetAlignmentPolicy::default();
    let target = resolve_target_alignment(same, 1, 1, None);
    assert_eq!(target.unwrap().target_index, 1);
    assert_eq!(resolve_stream_target_alignment(same, &steps, 1, None), target);
    assert_eq!(
        resolve_stream_window_alignment(same, &steps, 1, 2, None)
            .unwrap()
            .window,
        0..2
    );

    assert_eq!(TbpttWindow::new(4, 2).detach_prefix_steps(), 2);
    assert!(FusionCarryPolicy::default().carries(StreamBoundary::default()));
}

#[test]
fn the_expert_names_walk() {
    use burn_dragon_stream::api::{Order, Shard};

    let mut walk = Walk::new(2, Order::Given, Shard::WHOLE).unwrap();
    walk.advance();
    walk.advance();
    let WalkPosition { epoch, index, .. } = walk.position();
    assert_eq!((epoch, index, walk.item()), (1, 0, 0));
}
