//! Lanes: the rows of a batch, each a stream of its own.

use std::num::NonZeroUsize;

use crate::{
    documents::{Documents, Span},
    error::StreamError,
    lane::{DocumentCursor, LanePosition},
    order::Order,
    shard::Shard,
};

/// Window that one lane reads in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LaneWindow {
    /// Spans, in the order in which they are read.
    pub spans: Vec<Span>,
}

impl LaneWindow {
    /// Number of inputs.
    pub fn len(&self) -> usize {
        self.spans.iter().map(|span| span.len).sum()
    }

    /// Whether there is no input.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Inputs before which memory is emptied, in tokens from the window's start, ascending.
    ///
    /// ```
    /// use burn_dragon_stream::api::{Documents, Lanes, Order};
    ///
    /// let documents = Documents::from_lengths(&[4, 3, 6])?; // 3, 2 and 5 inputs
    /// let mut lanes = Lanes::new(&documents, Order::Given, 1)?;
    /// assert_eq!(lanes.next(6)[0].resets(), [0, 3, 5]);
    /// assert_eq!(lanes.next(6)[0].resets(), [4]); // goes on in the third document
    /// # Ok::<(), burn_dragon_stream::api::StreamError>(())
    /// ```
    pub fn resets(&self) -> Vec<usize> {
        let mut start = 0;
        let mut resets = Vec::new();
        for span in &self.spans {
            if span.begins {
                resets.push(start);
            }
            start += span.len;
        }
        resets
    }
}

/// Resets of every lane of a step: [`LaneWindow::resets`] of each.
pub fn resets(windows: &[LaneWindow]) -> Vec<Vec<usize>> {
    windows.iter().map(LaneWindow::resets).collect()
}

/// Continuing streams over one corpus; lane `b` of `B` is shard `b` of `B`.
///
/// Together the lanes visit every input of an epoch once. Each advances through its own documents, so one lane may be
/// in epoch 3 while another is in epoch 2.
///
/// ```
/// use burn_dragon_stream::api::{Documents, Lanes, Order};
///
/// let documents = Documents::from_lengths(&[300, 20, 1000, 45])?;
/// let mut lanes = Lanes::new(&documents, Order::Shuffled { seed: 1337 }, 2)?;
/// lanes.next(64);
/// let saved = lanes.positions();
/// let next = lanes.next(64);
/// assert!(next.iter().all(|window| window.len() == 64));
///
/// let mut resumed = Lanes::new(&documents, Order::Shuffled { seed: 1337 }, 2)?;
/// resumed.seek(&saved)?;
/// assert_eq!(resumed.next(64), next);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lanes {
    cursors: Vec<DocumentCursor>,
}

impl Lanes {
    /// `lanes` lanes, each at its first document.
    ///
    /// # Errors
    /// [`StreamError::NoLanes`] if `lanes` is 0.
    pub fn new(documents: &Documents, order: Order, lanes: usize) -> Result<Self, StreamError> {
        Self::of_shard(documents, order, lanes, Shard::WHOLE)
    }

    /// `lanes` lanes of one of several processes, which `shard` names. All lanes of all processes together partition
    /// the epochs.
    ///
    /// # Errors
    /// [`StreamError::NoLanes`] if `lanes` is 0, [`StreamError::TooManyShards`] if all lanes together cannot be
    /// counted.
    pub fn of_shard(
        documents: &Documents,
        order: Order,
        lanes: usize,
        shard: Shard,
    ) -> Result<Self, StreamError> {
        if lanes == 0 {
            return Err(StreamError::NoLanes);
        }
        let cursor = |lane| DocumentCursor::new(documents, order, shard.part(lane, lanes)?);
        let cursors = (0..lanes).map(cursor).collect::<Result<_, _>>()?;
        Ok(Self { cursors })
    }

    /// Maximum context: memory is emptied also within a document, after every `max_context` of its inputs. With `None`
    /// it is emptied between documents only. See [`DocumentCursor::with_max_context`].
    pub fn with_max_context(self, max_context: Option<NonZeroUsize>) -> Self {
        let cursors = self.cursors.into_iter();
        let cursors = cursors
            .map(|cursor| cursor.with_max_context(max_context))
            .collect();
        Self { cursors }
    }

    /// Number of lanes.
    pub fn count(&self) -> usize {
        self.cursors.len()
    }

    /// Documents that the lanes read.
    pub fn documents(&self) -> &Documents {
        self.cursors[0].documents()
    }

    /// Next window of every lane, of exactly `tokens` inputs each.
    pub fn next(&mut self, tokens: usize) -> Vec<LaneWindow> {
        let windows = self.cursors.iter_mut().map(|cursor| cursor.next(tokens));
        windows.map(|spans| LaneWindow { spans }).collect()
    }

    /// Next window of these lanes, in this order; the other lanes do not advance.
    ///
    /// # Errors
    /// [`StreamError::LaneOutOfRange`] and [`StreamError::LaneTwice`]; then no lane has advanced.
    pub fn next_of(&mut self, lanes: &[usize], tokens: usize) -> Result<Vec<LaneWindow>, StreamError> {
        let mut asked = vec![false; self.count()];
        for &lane in lanes {
            let Some(asked) = asked.get_mut(lane) else {
                return Err(StreamError::LaneOutOfRange {
                    lane,
                    lanes: self.count(),
                });
            };
            if std::mem::replace(asked, true) {
                return Err(StreamError::LaneTwice { lane });
            }
        }
        let windows = lanes.iter().map(|&lane| self.cursors[lane].next(tokens));
        Ok(windows.map(|spans| LaneWindow { spans }).collect())
    }

    /// Position of every lane.
    pub fn positions(&self) -> Vec<LanePosition> {
        self.cursors.iter().map(DocumentCursor::position).collect()
    }

    /// Moves each lane to a position that [`positions`](Self::positions()) returned for the same corpus and order.
    ///
    /// # Errors
    /// [`StreamError::LaneCount`] and those of [`DocumentCursor::seek`]; then no lane has moved.
    pub fn seek(&mut self, positions: &[LanePosition]) -> Result<(), StreamError> {
        let (given, expected) = (positions.len(), self.count());
        if given != expected {
            return Err(StreamError::LaneCount { given, expected });
        }
        let mut cursors = self.cursors.clone();
        for (cursor, position) in cursors.iter_mut().zip(positions) {
            cursor.seek(position)?;
        }
        self.cursors = cursors;
        Ok(())
    }
}
