//! Datasets: segments by index.

use crate::segment::{StreamSegment, StreamStep};

/// Segments by index, from any storage.
pub trait StreamDataset {
    /// Payload of a step.
    type Payload;

    /// Number of segments.
    fn len(&self) -> usize;

    /// Segment `index`, from 0; `None` unless it is below [`len`](StreamDataset::len).
    fn get(&self, index: usize) -> Option<StreamSegment<Self::Payload>>;

    /// Whether there is no segment.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<D: StreamDataset + ?Sized> StreamDataset for &D {
    type Payload = D::Payload;

    fn len(&self) -> usize {
        (**self).len()
    }

    fn get(&self, index: usize) -> Option<StreamSegment<Self::Payload>> {
        (**self).get(index)
    }
}

/// Segments kept in memory; [`get`](StreamDataset::get) returns a copy.
///
/// ```
/// use burn_dragon_stream::api::{InMemoryStreamDataset, StreamDataset, StreamSampleId, StreamSegment};
///
/// let dataset = InMemoryStreamDataset::new(vec![
///     StreamSegment::of_episode(StreamSampleId::new(0, 0, 0), [1, 2, 3]),
///     StreamSegment::of_episode(StreamSampleId::new(0, 1, 0), [4, 5]),
/// ]);
/// assert_eq!(dataset.len(), 2);
/// assert_eq!(dataset.get(1).map(|segment| segment.len()), Some(2));
/// assert_eq!(dataset.get(2), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InMemoryStreamDataset<T> {
    segments: Vec<StreamSegment<T>>,
}

impl<T> InMemoryStreamDataset<T> {
    /// A dataset of these segments.
    pub fn new(segments: Vec<StreamSegment<T>>) -> Self {
        Self { segments }
    }

    /// Segments, borrowed.
    pub fn segments(&self) -> &[StreamSegment<T>] {
        &self.segments
    }

    /// Steps of all segments, one after another.
    pub fn steps(&self) -> impl Iterator<Item = &StreamStep<T>> {
        self.segments.iter().flat_map(|segment| &segment.steps)
    }
}

impl<T: Clone> StreamDataset for InMemoryStreamDataset<T> {
    type Payload = T;

    fn len(&self) -> usize {
        self.segments.len()
    }

    fn get(&self, index: usize) -> Option<StreamSegment<T>> {
        self.segments.get(index).cloned()
    }
}

impl<T> FromIterator<StreamSegment<T>> for InMemoryStreamDataset<T> {
    fn from_iter<I: IntoIterator<Item = StreamSegment<T>>>(segments: I) -> Self {
        Self::new(segments.into_iter().collect())
    }
}
