//! Cursors over datasets of segments.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it fails"
)]

use burn_dragon_stream::api::{
    DatasetCursor, InMemoryStreamDataset, Order, Shard, StreamCursor, StreamDataset, StreamError,
    StreamSampleId, StreamSegment, VecStreamCursor,
};

fn segment(episode: u64) -> StreamSegment<u64> {
    StreamSegment::of_episode(StreamSampleId::new(0, episode, 0), 0..episode + 1)
}

fn dataset(count: u64) -> InMemoryStreamDataset<u64> {
    (0..count).map(segment).collect()
}

fn episode(segment: &StreamSegment<u64>) -> u64 {
    segment.steps[0].metadata.sample_id.episode_id
}

#[test]
fn shards_of_a_dataset_give_every_segment_once_an_epoch() {
    for (count, shards) in [(5, 2), (2, 5), (12, 4), (7, 1)] {
        let dataset = dataset(count);
        for order in [Order::Given, Order::Shuffled { seed: 3 }] {
            let mut seen = vec![vec![0; count as usize]; 4];
            for shard in 0..shards {
                let mut cursor =
                    DatasetCursor::new(&dataset, order, Shard::new(shard, shards).unwrap()).unwrap();
                while cursor.epoch() < 4 {
                    let epoch = cursor.epoch() as usize;
                    seen[epoch][episode(&cursor.next_segment().unwrap()) as usize] += 1;
                }
            }
            assert!(seen.iter().flatten().all(|&times| times == 1), "{count} {shards}");
        }
    }
}

#[test]
fn a_dataset_cursor_resumes_from_every_position() {
    let dataset = dataset(5);
    let new =
        || DatasetCursor::new(&dataset, Order::Shuffled { seed: 3 }, Shard::new(1, 2).unwrap()).unwrap();
    let mut cursor = new();
    for _ in 0..30 {
        let text = serde_json::to_string(&cursor.position()).unwrap();
        let mut resumed = new();
        resumed.seek(&serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(resumed.next_segment(), cursor.next_segment());
    }
}

#[test]
fn a_position_in_another_dataset_is_refused() {
    let (five, six) = (dataset(5), dataset(6));
    let cursor = |dataset| DatasetCursor::new(dataset, Order::Given, Shard::WHOLE).unwrap();
    let error = cursor(&six).seek(&cursor(&five).position()).unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::OtherCount {
                given: 5,
                expected: 6
            }
        ),
        "{error}"
    );
}

#[test]
fn an_empty_dataset_has_nothing_to_walk_over() {
    let empty = dataset(0);
    assert!(empty.is_empty());
    let error = DatasetCursor::new(&empty, Order::Given, Shard::WHOLE).unwrap_err();
    assert!(matches!(error, StreamError::NoItems), "{error}");
}

#[test]
fn a_list_is_given_once_and_from_any_segment() {
    let mut cursor = VecStreamCursor::new((0..4).map(segment).collect());
    for start in 0..=4 {
        cursor.seek(start).unwrap();
        let mut given = Vec::new();
        while let Some(segment) = cursor.next_segment() {
            given.push(episode(&segment));
        }
        assert!(given.into_iter().eq(start as u64..4));
        assert_eq!(cursor.position(), 4);
    }
    let error = cursor.seek(5).unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::NoSuchSegment {
                position: 5,
                segments: 4
            }
        ),
        "{error}"
    );
    assert_eq!(cursor.position(), 4);
}

#[test]
fn a_segment_written_and_read_again_is_the_same() {
    let text = serde_json::to_string(&segment(3)).unwrap();
    assert_eq!(
        serde_json::from_str::<StreamSegment<u64>>(&text).unwrap(),
        segment(3)
    );
}
