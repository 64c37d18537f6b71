//! A corpus as the lengths of its documents, and the spans of tokens read from it.

use std::{num::NonZeroUsize, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{error::StreamError, fingerprint::Fingerprint, hash::fold};

/// Tokens of one document that are read in a row.
///
/// They are *inputs*: the target of each is the next token of the same document. So a document of `n` tokens has
/// `n - 1` inputs, and no prediction crosses documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Number of the document, from 0.
    pub document: usize,
    /// First input, in tokens from the document's start.
    pub start: usize,
    /// Number of inputs, at least 1.
    pub len: usize,
    /// Whether memory is emptied before the first input.
    pub begins: bool,
}

impl Span {
    /// Range of the inputs, in tokens from the document's start.
    pub fn inputs(&self) -> Range<usize> {
        self.start..self.start + self.len
    }

    /// Range of the targets: that of the inputs, one token later.
    pub fn targets(&self) -> Range<usize> {
        self.start + 1..self.start + self.len + 1
    }
}

/// Inputs that are always read in a row: a document, or one part of a document that is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) document: usize,
    pub(crate) start: usize,
    pub(crate) inputs: usize,
}

/// Corpus, as the lengths of its documents. Clones share the lengths.
///
/// ```
/// use burn_dragon_stream::api::Documents;
///
/// let documents = Documents::from_lengths(&[5, 1, 9])?;
/// assert_eq!(documents.count(), 3);
/// assert_eq!(documents.inputs(), 4 + 8); // a document of one token has nothing to predict
/// # Ok::<(), burn_dragon_stream::api::StreamError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Documents {
    /// Start of each document in the tokens of the corpus, and the end of the last one.
    bounds: Arc<[usize]>,
    /// Chunks, in the order of the text.
    chunks: Arc<[Chunk]>,
    inputs: usize,
    fingerprint: Fingerprint,
}

impl Documents {
    /// Documents of these lengths in tokens, one after another.
    ///
    /// # Errors
    /// [`StreamError::NoDocument`] if none has 2 tokens or more, [`StreamError::TooLong`] if a `usize` cannot count
    /// all tokens.
    pub fn from_lengths(lengths: &[usize]) -> Result<Self, StreamError> {
        let mut bounds = Vec::with_capacity(lengths.len() + 1);
        let mut end = 0usize;
        bounds.push(end);
        for &length in lengths {
            end = end.checked_add(length).ok_or(StreamError::TooLong)?;
            bounds.push(end);
        }
        Self::from_bounds(bounds)
    }

    /// Documents that start at these tokens of a text of `tokens` tokens; each ends where the next one starts. Tokens
    /// before the first start belong to no document.
    ///
    /// # Errors
    /// [`StreamError::NoDocument`] if none has 2 tokens or more, [`StreamError::Starts`] if a start is below the one
    /// before it or past the end.
    pub fn from_starts(starts: &[usize], tokens: usize) -> Result<Self, StreamError> {
        let bounds: Vec<usize> = starts.iter().copied().chain([tokens]).collect();
        match bounds.windows(2).position(|pair| pair[0] > pair[1]) {
            Some(document) => {
                let (start, next) = (bounds[document], bounds[document + 1]);
                Err(StreamError::Starts {
                    document,
                    start,
                    next,
                })
            }
            None => Self::from_bounds(bounds),
        }
    }

    fn from_bounds(bounds: Vec<usize>) -> Result<Self, StreamError> {
        if bounds.windows(2).all(|pair| pair[1] - pair[0] < 2) {
            let documents = bounds.len() - 1;
            return Err(StreamError::NoDocument { documents });
        }
        Ok(Self::with_chunks(bounds.into(), None))
    }

    /// The same documents, with each of more than `inputs` inputs cut into even chunks of at most that many.
    ///
    /// A chunk is read as a document of its own: memory is emptied before it, and other lanes may read the other
    /// chunks. Use this for a few long documents on many lanes.
    ///
    /// ```
    /// use std::num::NonZeroUsize;
    /// use burn_dragon_stream::api::Documents;
    ///
    /// let novels = Documents::from_lengths(&[1001, 301])?;
    /// let chunks = novels.cut(NonZeroUsize::new(400).unwrap());
    /// assert_eq!((novels.chunks(), chunks.chunks()), (2, 4)); // 334 + 333 + 333, and 300
    /// assert_eq!(novels.inputs(), chunks.inputs());
    /// # Ok::<(), burn_dragon_stream::api::StreamError>(())
    /// ```
    pub fn cut(&self, inputs: NonZeroUsize) -> Self {
        Self::with_chunks(self.bounds.clone(), Some(inputs.get()))
    }

    fn with_chunks(bounds: Arc<[usize]>, longest: Option<usize>) -> Self {
        let lengths = || bounds.windows(2).map(|pair| pair[1] - pair[0]);
        let mut chunks = Vec::new();
        for (document, length) in lengths().enumerate() {
            let inputs = length.saturating_sub(1);
            let parts = longest.map_or(inputs.min(1), |longest| inputs.div_ceil(longest));
            chunks.extend((0..parts).map(|part| even(document, inputs, part, parts)));
        }
        let cut = longest.map_or(0, |longest| longest as u64);
        let fingerprint = Fingerprint {
            documents: bounds.len() - 1,
            tokens: bounds[bounds.len() - 1] - bounds[0],
            digest: lengths().fold(cut, |hash, length| fold(hash, length as u64)),
        };
        let inputs = chunks.iter().map(|chunk| chunk.inputs).sum();
        Self {
            bounds,
            chunks: chunks.into(),
            inputs,
            fingerprint,
        }
    }

    /// Number of documents, including those without an input.
    pub fn count(&self) -> usize {
        self.bounds.len() - 1
    }

    /// Number of chunks; a document with inputs that is not cut counts as one.
    pub fn chunks(&self) -> usize {
        self.chunks.len()
    }

    /// Number of inputs in one epoch.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Fingerprint of this corpus.
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Range of a span's inputs in the tokens of the corpus.
    ///
    /// ```
    /// use burn_dragon_stream::api::{Documents, Span};
    ///
    /// let documents = Documents::from_starts(&[0, 5, 6], 15)?;
    /// let span = Span { document: 2, start: 3, len: 2, begins: false };
    /// assert_eq!(documents.inputs_of(&span), 9..11);
    /// assert_eq!(documents.targets_of(&span), 10..12);
    /// # Ok::<(), burn_dragon_stream::api::StreamError>(())
    /// ```
    ///
    /// # Panics
    /// If the corpus has no such document.
    pub fn inputs_of(&self, span: &Span) -> Range<usize> {
        let start = self.bounds[span.document] + span.start;
        start..start + span.len
    }

    /// Range of a span's targets in the tokens of the corpus; see [`Documents::inputs_of`].
    ///
    /// # Panics
    /// If the corpus has no such document.
    pub fn targets_of(&self, span: &Span) -> Range<usize> {
        let Range { start, end } = self.inputs_of(span);
        start + 1..end + 1
    }

    pub(crate) fn chunk(&self, index: usize) -> Chunk {
        self.chunks[index]
    }
}

/// Part `part` of `parts` of a document's inputs; the first ones are longer by one if they do not divide evenly.
fn even(document: usize, inputs: usize, part: usize, parts: usize) -> Chunk {
    let (each, longer) = (inputs / parts, inputs % parts);
    Chunk {
        document,
        start: part * each + part.min(longer),
        inputs: each + usize::from(part < longer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_every_input_once_and_none_is_too_long() {
        let lengths = [0, 1, 2, 3, 50, 101, 7];
        for longest in 1..60 {
            let documents = Documents::from_lengths(&lengths).unwrap();
            let documents = documents.cut(NonZeroUsize::new(longest).unwrap());
            let mut next = vec![0; lengths.len()];
            for chunk in documents.chunks.iter() {
                assert_eq!(chunk.start, next[chunk.document]);
                assert!((1..=longest).contains(&chunk.inputs), "{chunk:?}");
                next[chunk.document] += chunk.inputs;
            }
            assert!(
                next.iter()
                    .zip(lengths)
                    .all(|(&end, length)| end == length.saturating_sub(1))
            );
            assert_eq!(documents.inputs(), next.iter().sum::<usize>());
        }
    }

    #[test]
    fn starts_and_lengths_describe_the_same_corpus() {
        let lengths = Documents::from_lengths(&[5, 0, 1, 9]).unwrap();
        let starts = Documents::from_starts(&[0, 5, 5, 6], 15).unwrap();
        assert_eq!(lengths.fingerprint(), starts.fingerprint());
        assert_eq!(lengths.bounds, starts.bounds);
    }

    #[test]
    fn a_fingerprint_sees_what_count_and_length_do_not() {
        let print = |lengths: &[usize]| Documents::from_lengths(lengths).unwrap().fingerprint();
        assert_ne!(print(&[5, 9]), print(&[9, 5]));
        assert_ne!(print(&[5, 9]), print(&[5, 9, 0]));
        let whole = Documents::from_lengths(&[5, 9]).unwrap();
        assert_ne!(
            whole.fingerprint(),
            whole.cut(NonZeroUsize::new(3).unwrap()).fingerprint()
        );
    }

    #[test]
    fn a_corpus_without_a_prediction_is_refused() {
        for lengths in [&[][..], &[1], &[0, 1, 1]] {
            let error = Documents::from_lengths(lengths).unwrap_err();
            assert!(
                matches!(error, StreamError::NoDocument { documents } if documents == lengths.len()),
                "{error}"
            );
        }
        assert!(matches!(
            Documents::from_starts(&[], 10),
            Err(StreamError::NoDocument { documents: 0 })
        ));
    }

    #[test]
    fn starts_that_go_back_are_refused() {
        let error = Documents::from_starts(&[0, 6, 5], 10).unwrap_err();
        assert!(
            matches!(
                error,
                StreamError::Starts {
                    document: 1,
                    start: 6,
                    next: 5
                }
            ),
            "{error}"
        );
        let error = Documents::from_starts(&[0, 11], 10).unwrap_err();
        assert!(
            matches!(
                error,
                StreamError::Starts {
                    document: 1,
                    start: 11,
                    next: 10
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn more_tokens_than_a_machine_can_count_are_refused() {
        assert!(matches!(
            Documents::from_lengths(&[usize::MAX, 2]),
            Err(StreamError::TooLong)
        ));
    }
}
