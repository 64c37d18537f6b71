//! One lane: an endless stream of tokens over the documents of a corpus.

use std::num::NonZeroUsize;

use serde::{Deserialize, Serialize};

use crate::{
    documents::{Documents, Span},
    error::StreamError,
    fingerprint::Fingerprint,
    order::Order,
    shard::Shard,
    walk::{Walk, WalkPosition},
};

/// Cursor over one shard of a corpus, document after document and epoch after epoch. It gives [`Span`]s without
/// padding.
///
/// Where a document ends inside a window, the next one begins in the same window, and its span has `begins` set. A
/// [`Walk`] decides which documents a shard reads, and in what order.
///
/// ```
/// use burn_dragon_stream::api::{DocumentCursor, Documents, Order, Shard, Span};
///
/// let documents = Documents::from_lengths(&[6, 4])?;
/// let mut cursor = DocumentCursor::new(&documents, Order::Given, Shard::WHOLE)?;
/// // 5 inputs in the first document, 3 in the second.
/// assert_eq!(cursor.next(4), [Span { document: 0, start: 0, len: 4, begins: true }]);
/// let position = cursor.position();
/// let window = cursor.next(4);
/// assert_eq!(
///     window,
///     [
///         Span { document: 0, start: 4, len: 1, begins: false },
///         Span { document: 1, start: 0, len: 3, begins: true },
///     ]
/// );
/// cursor.seek(&position)?;
/// assert_eq!(cursor.next(4), window);
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug)]
pub struct DocumentCursor {
    documents: Documents,
    walk: Walk,
    /// Next input, counted from the start of the chunk.
    offset: usize,
    max_context: Option<NonZeroUsize>,
}

/// Position of a [`DocumentCursor`]: its next input. A cursor that resumes from it gives the same spans as one that
/// never stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LanePosition {
    /// Document, as a place in the order of an epoch.
    pub walk: WalkPosition,
    /// Next input, counted from the start of the document, or of the chunk if the document is cut.
    pub offset: usize,
    /// Corpus that this position belongs to.
    pub corpus: Fingerprint,
}

impl DocumentCursor {
    /// A cursor at the first document of its shard.
    ///
    /// # Errors
    /// [`StreamError::TooManyShards`] beyond 2^62 shards.
    pub fn new(documents: &Documents, order: Order, shard: Shard) -> Result<Self, StreamError> {
        let walk = Walk::new(documents.chunks(), order, shard)?;
        let documents = documents.clone();
        Ok(Self {
            documents,
            walk,
            offset: 0,
            max_context: None,
        })
    }

    /// Maximum context: memory is emptied also within a document, after every `max_context` of its inputs. With `None`
    /// it is emptied between documents only.
    ///
    /// Shards are staggered: at a document's start, shard `k` of `n` has already counted `k / n` of the context. So
    /// lanes that begin documents together empty their memories at different steps, and a batch has memories of every
    /// age.
    pub fn with_max_context(self, max_context: Option<NonZeroUsize>) -> Self {
        Self { max_context, ..self }
    }

    /// Spans of exactly the next `tokens` inputs; no span crosses a document's end. Every span but the first begins a
    /// document or, with a maximum context, a new memory.
    pub fn next(&mut self, tokens: usize) -> Vec<Span> {
        let mut spans = Vec::new();
        let mut left = tokens;
        while left > 0 {
            let span = self.next_span(left);
            left -= span.len;
            spans.push(span);
        }
        spans
    }

    /// Next span, of at most `longest` inputs.
    fn next_span(&mut self, longest: usize) -> Span {
        let chunk = self.documents.chunk(self.walk.item());
        let (in_context, context) = match self.max_context {
            None => (self.offset, usize::MAX),
            Some(max) => ((self.offset + self.stagger(max)) % max, max.get()),
        };
        let span = Span {
            document: chunk.document,
            start: chunk.start + self.offset,
            len: longest.min(chunk.inputs - self.offset).min(context - in_context),
            begins: self.offset == 0 || in_context == 0,
        };
        self.offset += span.len;
        if self.offset == chunk.inputs {
            self.offset = 0;
            self.walk.advance();
        }
        span
    }

    /// Inputs of the context that count as read at the start of each document.
    fn stagger(&self, max: NonZeroUsize) -> usize {
        let shard = self.walk.shard();
        (max.get() as u128 * shard.index() as u128 / shard.count() as u128) as usize
    }

    /// Documents that the cursor reads.
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// Epoch of the next input, from 0. Lanes with longer documents are in earlier epochs than others.
    pub fn epoch(&self) -> u64 {
        self.walk.epoch()
    }

    /// Current position, as a value.
    pub fn position(&self) -> LanePosition {
        LanePosition {
            walk: self.walk.position(),
            offset: self.offset,
            corpus: self.documents.fingerprint(),
        }
    }

    /// Moves to a position of a cursor over the same corpus, in the same order and of the same shard.
    ///
    /// # Errors
    /// [`StreamError::OtherCorpus`], [`StreamError::OtherOrder`], [`StreamError::OtherShard`],
    /// [`StreamError::NoSuchPosition`] and [`StreamError::NoSuchOffset`]; the cursor stays where it was.
    pub fn seek(&mut self, position: &LanePosition) -> Result<(), StreamError> {
        let expected = self.documents.fingerprint();
        if position.corpus != expected {
            return Err(StreamError::OtherCorpus {
                given: position.corpus,
                expected,
            });
        }
        let mut walk = self.walk.clone();
        walk.seek(&position.walk)?;
        let inputs = self.documents.chunk(walk.item()).inputs;
        if position.offset >= inputs {
            return Err(StreamError::NoSuchOffset {
                offset: position.offset,
                inputs,
            });
        }
        (self.walk, self.offset) = (walk, position.offset);
        Ok(())
    }
}
