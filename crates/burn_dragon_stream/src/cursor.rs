//! Cursors: segments one after another.

use crate::{
    dataset::StreamDataset,
    error::StreamError,
    order::Order,
    segment::StreamSegment,
    shard::Shard,
    walk::{Walk, WalkPosition},
};

/// Source of segments, one after another.
pub trait StreamCursor {
    /// Payload of a step.
    type Payload;

    /// Next segment; `None` at the end.
    fn next_segment(&mut self) -> Option<StreamSegment<Self::Payload>>;
}

/// Cursor over a list of segments: each once, in the order of the list.
///
/// ```
/// use burn_dragon_stream::api::{StreamCursor, StreamSampleId, StreamSegment, VecStreamCursor};
///
/// let segment = |episode| StreamSegment::of_episode(StreamSampleId::new(0, episode, 0), [episode; 4]);
/// let mut cursor = VecStreamCursor::new(vec![segment(0), segment(1)]);
/// assert_eq!(cursor.next_segment(), Some(segment(0)));
/// assert_eq!(cursor.position(), 1);
/// assert_eq!(cursor.next_segment(), Some(segment(1)));
/// assert_eq!(cursor.next_segment(), None);
/// cursor.seek(1)?;
/// assert_eq!(cursor.next_segment(), Some(segment(1)));
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VecStreamCursor<T> {
    segments: Vec<StreamSegment<T>>,
    next: usize,
}

impl<T> VecStreamCursor<T> {
    /// A cursor before the first of these segments.
    pub fn new(segments: Vec<StreamSegment<T>>) -> Self {
        Self { segments, next: 0 }
    }

    /// Number of segments given so far.
    pub fn position(&self) -> usize {
        self.next
    }

    /// Moves to before segment `position`, from 0, or to the end.
    ///
    /// # Errors
    /// [`StreamError::NoSuchSegment`] past the end.
    pub fn seek(&mut self, position: usize) -> Result<(), StreamError> {
        let segments = self.segments.len();
        if position > segments {
            return Err(StreamError::NoSuchSegment { position, segments });
        }
        self.next = position;
        Ok(())
    }
}

impl<T: Clone> StreamCursor for VecStreamCursor<T> {
    type Payload = T;

    fn next_segment(&mut self) -> Option<StreamSegment<T>> {
        let segment = self.segments.get(self.next)?.clone();
        self.next += 1;
        Some(segment)
    }
}

/// Endless cursor over one shard of a dataset, epoch after epoch, in any [`Order`] and from any position.
///
/// ```
/// use burn_dragon_stream::api::{
///     DatasetCursor, InMemoryStreamDataset, Order, Shard, StreamCursor, StreamSampleId, StreamSegment,
/// };
///
/// let segment = |episode| StreamSegment::of_episode(StreamSampleId::new(0, episode, 0), [episode; 4]);
/// let dataset: InMemoryStreamDataset<_> = (0..5).map(segment).collect();
/// let new = || DatasetCursor::new(&dataset, Order::Shuffled { seed: 1337 }, Shard::new(0, 2)?);
/// let mut cursor = new()?;
/// cursor.next_segment();
/// let (position, next) = (cursor.position(), cursor.next_segment());
///
/// let mut resumed = new()?;
/// resumed.seek(&position)?;
/// assert_eq!(resumed.next_segment(), next);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DatasetCursor<D> {
    dataset: D,
    walk: Walk,
}

impl<D: StreamDataset> DatasetCursor<D> {
    /// A cursor before the first segment of its shard. A reference to a dataset is a dataset too.
    ///
    /// # Errors
    /// [`StreamError::NoItems`] if the dataset is empty, [`StreamError::TooManyShards`] beyond 2^62 shards.
    pub fn new(dataset: D, order: Order, shard: Shard) -> Result<Self, StreamError> {
        let walk = Walk::new(dataset.len(), order, shard)?;
        Ok(Self { dataset, walk })
    }

    /// Epoch of the next segment, from 0.
    pub fn epoch(&self) -> u64 {
        self.walk.epoch()
    }

    /// Current position, as a value.
    pub fn position(&self) -> WalkPosition {
        self.walk.position()
    }

    /// Moves to a position of a cursor over the same number of segments, in the same order and of the same shard.
    ///
    /// # Errors
    /// [`StreamError::OtherCount`], [`StreamError::OtherOrder`], [`StreamError::OtherShard`] and
    /// [`StreamError::NoSuchPosition`]; the cursor stays where it was.
    pub fn seek(&mut self, position: &WalkPosition) -> Result<(), StreamError> {
        self.walk.seek(position)
    }
}

impl<D: StreamDataset> StreamCursor for DatasetCursor<D> {
    type Payload = D::Payload;

    /// `None` only if the dataset has no segment at an index below its length.
    fn next_segment(&mut self) -> Option<StreamSegment<D::Payload>> {
        let segment = self.dataset.get(self.walk.item())?;
        self.walk.advance();
        Some(segment)
    }
}
