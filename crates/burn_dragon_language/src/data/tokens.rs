//! Tokens of a text: ids in memory or in mapped files, and the documents in them.

use std::{borrow::Cow, ops::Range};

use burn_dragon_core::api::{FreeMemory, Need};

use super::document::Document;
#[cfg(feature = "train")]
use super::shards::Mapped;
use super::source::Documents;
use crate::{
    error::LanguageError,
    tokenizer::{Tokenizer, TokenizerSpec, Unknown},
};

/// Token ids: in memory, or in files that are mapped into it.
#[derive(Debug, Clone, Default)]
pub struct TokenIds(Store);

#[derive(Debug, Clone)]
enum Store {
    Memory(Vec<u32>),
    #[cfg(feature = "train")]
    Mapped(Mapped),
}

impl Default for Store {
    fn default() -> Self {
        Self::Memory(Vec::new())
    }
}

/// Number of ids that are read at once where all are.
const PIECE: usize = 1 << 14;

impl TokenIds {
    #[cfg(feature = "train")]
    pub(super) fn mapped(ids: Mapped) -> Self {
        Self(Store::Mapped(ids))
    }

    /// Number of ids.
    pub fn len(&self) -> usize {
        match &self.0 {
            Store::Memory(ids) => ids.len(),
            #[cfg(feature = "train")]
            Store::Mapped(ids) => ids.len(),
        }
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids of a range: borrowed if they are in memory.
    ///
    /// # Panics
    /// If the range does not lie within the ids.
    pub fn read(&self, range: Range<usize>) -> Cow<'_, [u32]> {
        match &self.0 {
            Store::Memory(ids) => Cow::Borrowed(&ids[range]),
            #[cfg(feature = "train")]
            Store::Mapped(ids) => Cow::Owned(ids.read(range)),
        }
    }

    /// One id.
    ///
    /// # Panics
    /// If there are not so many ids.
    pub fn at(&self, at: usize) -> u32 {
        self.read(at..at + 1)[0]
    }

    /// All ids, some thousands at a time.
    pub fn pieces(&self) -> impl Iterator<Item = Cow<'_, [u32]>> {
        let starts = (0..self.len()).step_by(PIECE);
        starts.map(|start| self.read(start..self.len().min(start + PIECE)))
    }
}

impl From<Vec<u32>> for TokenIds {
    fn from(ids: Vec<u32>) -> Self {
        Self(Store::Memory(ids))
    }
}

impl FromIterator<u32> for TokenIds {
    fn from_iter<I: IntoIterator<Item = u32>>(ids: I) -> Self {
        Vec::from_iter(ids).into()
    }
}

impl PartialEq for TokenIds {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.pieces().eq(other.pieces())
    }
}

impl Eq for TokenIds {}

/// A sequence of documents as one sequence of token ids.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids. If the tokenizer has an end-of-text token, it follows each document.
    pub ids: TokenIds,
    /// Index of the first token of each document, ascending; the first is 0.
    pub starts: Vec<usize>,
    /// Number of bytes of text that the ids stand for; 0 for bare ids.
    pub bytes: usize,
    /// Symbols that the tokenizer does not know, in the order of the text.
    pub unknown: Vec<Unknown>,
    /// Tokens with a loss; all of them if absent.
    pub counted: Option<Counted>,
}

/// Tokens with a loss, of a text in which not all have one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Ranges of their indices, ascending and apart.
    ranges: Vec<Range<usize>>,
    /// Number of bytes of text that they stand for.
    bytes: usize,
}

impl Counted {
    /// Ranges of their indices, ascending and apart.
    pub fn ranges(&self) -> &[Range<usize>] {
        &self.ranges
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ranges.iter().map(Range::len).sum()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Whether token `at` is one of them.
    pub fn has(&self, at: usize) -> bool {
        let begun = self.ranges.partition_point(|range| range.start <= at);
        begun
            .checked_sub(1)
            .is_some_and(|last| at < self.ranges[last].end)
    }

    /// Whether a token of the range is one of them.
    pub fn meets(&self, range: Range<usize>) -> bool {
        let ended = self.ranges.partition_point(|counted| counted.end <= range.start);
        let next = self.ranges.get(ended);
        next.is_some_and(|counted| counted.start.max(range.start) < counted.end.min(range.end))
    }

    /// Tokens of these ranges, ascending and apart, which stand for this number of bytes.
    #[cfg(feature = "train")]
    pub(super) fn of(ranges: impl IntoIterator<Item = Range<usize>>, bytes: usize) -> Self {
        let mut counted = Self::default();
        ranges.into_iter().for_each(|range| counted.add(range, 0));
        counted.bytes = bytes;
        counted
    }

    /// Adds tokens after those so far.
    fn add(&mut self, range: Range<usize>, bytes: usize) {
        self.bytes += bytes;
        match self.ranges.last_mut() {
            _ if range.is_empty() => {}
            Some(last) if last.end == range.start => last.end = range.end,
            _ => self.ranges.push(range),
        }
    }
}

/// Token ids of documents, which are encoded one after the other.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    pub(super) ids: Vec<u32>,
    /// Symbols that the tokenizer does not know, in the order of the text.
    pub(super) unknown: Vec<Unknown>,
    /// Tokens with a loss.
    pub(super) counted: Counted,
}

impl Encoding {
    /// Adds a document, part by part. The end of text counts if the last part does. Returns the number of its tokens with a
    /// loss, and of the bytes that they stand for.
    pub(super) fn add(
        &mut self,
        document: &Document,
        tokenizer: &dyn Tokenizer,
    ) -> Result<[usize; 2], LanguageError> {
        let (mut last_counts, mut with_loss) = (true, [0, 0]);
        let mut count = |counted: &mut Counted, range: Range<usize>, bytes| {
            with_loss = [with_loss[0] + range.len(), with_loss[1] + bytes];
            counted.add(range, bytes);
        };
        for (text, counts) in document.parts() {
            let first = self.ids.len();
            last_counts = counts;
            let encoded = tokenizer.encode(text)?;
            let unknown = tokenizer.unknown(text, &encoded).into_iter();
            self.unknown.extend(unknown.map(|symbol| Unknown {
                at: first + symbol.at,
                ..symbol
            }));
            self.ids.extend(encoded);
            if counts {
                count(&mut self.counted, first..self.ids.len(), text.len());
            }
        }
        let end = self.ids.len();
        self.ids.extend(tokenizer.end_of_text());
        if last_counts {
            count(&mut self.counted, end..self.ids.len(), 0);
        }
        Ok(with_loss)
    }
}

impl Tokens {
    /// Encodes documents.
    ///
    /// # Errors
    /// Those of [`Tokenizer::encode`], inside [`LanguageError::InDocument`]; [`LanguageError::Memory`].
    pub fn encode(documents: &Documents, tokenizer: &dyn Tokenizer) -> Result<Self, LanguageError> {
        // A token stands for at least one byte. While the list of tokens grows, it is held one and a half times.
        let need = Need::of("a text as tokens").with("tokens", (documents.bytes() as u64).saturating_mul(6));
        FreeMemory::room_for(&need, || {
            "set dataset.cache_dir to a folder, so that files of tokens are mapped, or train on less text at a time".into()
        })?;
        let are_ids = matches!(tokenizer.spec(), TokenizerSpec::Ids { .. });
        let masked = documents.as_slice().iter().any(Document::is_masked);
        let (mut encoding, mut starts) = (Encoding::default(), Vec::new());
        for (index, document) in documents.as_slice().iter().enumerate() {
            starts.push(encoding.ids.len());
            encoding
                .add(document, tokenizer)
                .map_err(|source| LanguageError::InDocument {
                    index,
                    source: Box::new(source),
                })?;
        }
        let tokens = Self {
            ids: encoding.ids.into(),
            starts,
            bytes: documents.bytes(),
            unknown: encoding.unknown,
            counted: masked.then_some(encoding.counted),
        };
        Ok(if are_ids { tokens.of_ids() } else { tokens })
    }

    /// The tokens as those of bare ids, whose digits are not their text.
    pub(super) fn of_ids(mut self) -> Self {
        self.bytes = 0;
        if let Some(counted) = &mut self.counted {
            counted.bytes = 0;
        }
        self
    }

    /// Whether token `at` has a loss.
    pub fn counts(&self, at: usize) -> bool {
        self.counted.as_ref().is_none_or(|counted| counted.has(at))
    }

    /// Number of tokens with a loss, and number of bytes that they stand for.
    pub fn with_loss(&self) -> (usize, usize) {
        match &self.counted {
            Some(counted) => (counted.len(), counted.bytes),
            None => (self.len(), self.bytes),
        }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Range of token indices of each document.
    pub fn documents(&self) -> impl Iterator<Item = Range<usize>> {
        let ends = self.starts.iter().skip(1).copied().chain([self.len()]);
        self.starts.iter().zip(ends).map(|(&start, end)| start..end)
    }

    /// Unknown symbol at token `at`; `None` if the tokenizer knows the symbol there.
    pub fn unknown_at(&self, at: usize) -> Option<Unknown> {
        let place = self.unknown.binary_search_by_key(&at, |symbol| symbol.at).ok()?;
        Some(self.unknown[place])
    }

    /// Share of the text's symbols that the tokenizer does not know, in `[0, 1]`.
    pub fn unknown_share(&self, tokenizer: &dyn Tokenizer) -> f64 {
        let closing = tokenizer.end_of_text().map_or(0, |_| self.starts.len());
        self.unknown.len() as f64 / (self.len() - closing).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::{ByteTokenizer, CharTokenizer};

    fn documents(parts: &[&[(&str, bool)]]) -> Documents {
        let document = |parts: &&[(&str, bool)]| {
            Document::of_parts(parts.iter().map(|(text, counts)| (text.as_bytes(), *counts)))
        };
        Documents::of(parts.iter().map(document).collect())
    }

    #[test]
    fn a_token_counts_as_the_part_of_the_text_that_it_stands_for() {
        let talks = documents(&[
            &[
                ("Q: a\nA: ", false),
                ("b\n", true),
                ("Q: c\nA: ", false),
                ("de\n", true),
            ],
            &[("x", false), ("yz", true), ("end", false)],
        ]);
        let tokens = Tokens::encode(&talks, &ByteTokenizer).unwrap();
        let counted = tokens.counted.clone().unwrap();
        assert_eq!(counted.ranges(), [8..10, 18..21, 22..24]);
        assert_eq!(tokens.with_loss(), (7, 7));
        let by_ranges: Vec<usize> = counted.ranges().iter().cloned().flatten().collect();
        let by_token: Vec<usize> = (0..tokens.len()).filter(|&at| tokens.counts(at)).collect();
        assert_eq!(by_token, by_ranges);
        for start in 0..tokens.len() {
            for end in start..=tokens.len() {
                let expected = (start..end).any(|at| tokens.counts(at));
                assert_eq!(counted.meets(start..end), expected, "{start}..{end}");
            }
        }
    }

    #[test]
    fn the_end_of_a_text_counts_with_its_last_part() {
        let texts = documents(&[&[("ab", false), ("a", true)], &[("a", true), ("b", false)]]);
        let tokenizer = CharTokenizer::train(&[b"ab"], true).unwrap();
        let tokens = Tokens::encode(&texts, &tokenizer).unwrap();
        // a b a <eos>, a b <eos>
        let counted: Vec<usize> = (0..7).filter(|&at| tokens.counts(at)).collect();
        assert_eq!(counted, [2, 3, 4]);
        assert_eq!(tokens.with_loss(), (3, 2));
    }

    #[test]
    fn a_text_of_which_all_counts_is_as_one_without_parts() {
        let parts = documents(&[&[("ab", true), ("c", true)]]);
        let whole = documents(&[&[("abc", true)]]);
        let encode = |documents: &Documents| Tokens::encode(documents, &ByteTokenizer).unwrap();
        assert_eq!(encode(&parts), encode(&whole));
        assert_eq!(encode(&parts).with_loss(), (3, 3));
    }

    /// Pairs of a text are not made over an edge between what is asked and what is answered.
    #[cfg(feature = "bpe")]
    #[test]
    fn no_token_crosses_an_edge_between_two_parts() {
        use crate::tokenizer::BpeTraining;
        let text = "so so so so so so".repeat(9);
        let bpe = BpeTraining::new(270).unwrap().train(&[text.as_bytes()]).unwrap();
        for edge in 1..text.len() {
            let (asked, answered) = text.split_at(edge);
            let talk = documents(&[&[(asked, false), (answered, true)]]);
            let tokens = Tokens::encode(&talk, &bpe).unwrap();
            let ids = tokens.ids.read(0..tokens.len()).into_owned();
            let read = |counts: bool| -> String {
                let chosen = (0..ids.len()).filter(|&at| tokens.counts(at) == counts);
                let ids: Vec<u32> = chosen.map(|at| ids[at]).collect();
                bpe.decode(&ids).unwrap()
            };
            assert_eq!((read(false).as_str(), read(true).as_str()), (asked, answered));
        }
    }
}
