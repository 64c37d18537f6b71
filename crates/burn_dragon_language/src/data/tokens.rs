//! Tokens of a text: ids in memory or in mapped files, and the documents in them.

use std::{borrow::Cow, ops::Range};

use burn_dragon_core::api::{FreeMemory, Need};

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
        let mut ids_of_all: Vec<u32> = Vec::new();
        let mut tokens = Self {
            bytes: match tokenizer.spec() {
                TokenizerSpec::Ids { .. } => 0, // the digits of ids are not their text
                _ => documents.bytes(),
            },
            ..Self::default()
        };
        for (index, document) in documents.as_slice().iter().enumerate() {
            let ids = tokenizer
                .encode(document)
                .map_err(|source| LanguageError::InDocument {
                    index,
                    source: Box::new(source),
                })?;
            let first = ids_of_all.len();
            tokens.starts.push(first);
            let unknown = tokenizer.unknown(document, &ids).into_iter();
            tokens.unknown.extend(unknown.map(|symbol| Unknown {
                at: first + symbol.at,
                ..symbol
            }));
            ids_of_all.extend(ids);
            ids_of_all.extend(tokenizer.end_of_text());
        }
        tokens.ids = ids_of_all.into();
        Ok(tokens)
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
