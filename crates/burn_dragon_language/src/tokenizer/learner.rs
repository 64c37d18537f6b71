//! Training of a tokenizer, document by document.

use std::collections::HashSet;
use std::sync::Arc;

#[cfg(feature = "bpe")]
use super::{BpeTraining, BpeVocabulary};
use super::{CharTokenizer, Tokenizer, TokenizerConfig};
use crate::error::LanguageError;

/// Number of bytes of text whose words are counted at once, on all processors.
#[cfg(feature = "bpe")]
const BATCH: usize = 16 << 20;

/// Tokenizer in training. It holds what it has learnt and not the text.
#[derive(Debug)]
pub(crate) enum Learner {
    /// Characters in the order of their first occurrence.
    Char {
        special_tokens: bool,
        symbols: Vec<char>,
        seen: HashSet<char>,
        documents: usize,
    },
    /// Words and their counts.
    #[cfg(feature = "bpe")]
    Bpe {
        training: BpeTraining,
        vocabulary: BpeVocabulary,
        /// Documents that are not counted yet.
        waiting: Vec<Vec<u8>>,
        bytes: usize,
    },
}

impl Learner {
    /// Starts the training of a tokenizer; `None` if the kind does not depend on the text.
    ///
    /// # Errors
    /// [`LanguageError::Config`], [`LanguageError::TokenizerInvalid`].
    pub(crate) fn new(kind: &TokenizerConfig) -> Result<Option<Self>, LanguageError> {
        kind.validate()?;
        Ok(match kind {
            TokenizerConfig::Char { special_tokens } => Some(Self::Char {
                special_tokens: *special_tokens,
                symbols: Vec::new(),
                seen: HashSet::new(),
                documents: 0,
            }),
            #[cfg(feature = "bpe")]
            TokenizerConfig::Bpe {
                vocab_size: Some(size),
                ..
            } => Some(Self::Bpe {
                training: BpeTraining::new(*size)?,
                vocabulary: BpeVocabulary::default(),
                waiting: Vec::new(),
                bytes: 0,
            }),
            #[cfg(not(feature = "bpe"))]
            TokenizerConfig::Bpe {
                vocab_size: Some(_), ..
            } => return Err(super::without_bpe()),
            _ => None,
        })
    }

    /// Adds a document.
    ///
    /// # Errors
    /// [`LanguageError::NotUtf8`] inside [`LanguageError::InDocument`].
    #[cfg_attr(
        not(feature = "bpe"),
        expect(
            clippy::needless_pass_by_value,
            reason = "byte pairs keep documents for a while"
        )
    )]
    pub(crate) fn add(&mut self, document: Vec<u8>) -> Result<(), LanguageError> {
        match self {
            Self::Char {
                symbols,
                seen,
                documents,
                ..
            } => {
                CharTokenizer::collect(&document, *documents, symbols, seen)?;
                *documents += 1;
            }
            #[cfg(feature = "bpe")]
            Self::Bpe {
                vocabulary,
                waiting,
                bytes,
                ..
            } => {
                *bytes += document.len();
                waiting.push(document);
                if *bytes >= BATCH {
                    count(vocabulary, waiting)?;
                    *bytes = 0;
                }
            }
        }
        Ok(())
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`].
    pub(crate) fn finish(self) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        match self {
            Self::Char {
                special_tokens,
                symbols,
                ..
            } => Ok(Arc::new(CharTokenizer::new(symbols, special_tokens)?)),
            #[cfg(feature = "bpe")]
            Self::Bpe {
                training,
                mut vocabulary,
                mut waiting,
                ..
            } => {
                count(&mut vocabulary, &mut waiting)?;
                Ok(Arc::new(vocabulary.train(&training, |_| ())?))
            }
        }
    }
}

#[cfg(feature = "bpe")]
fn count(vocabulary: &mut BpeVocabulary, waiting: &mut Vec<Vec<u8>>) -> Result<(), LanguageError> {
    let documents: Vec<&[u8]> = waiting.iter().map(Vec::as_slice).collect();
    vocabulary.count(&documents)?;
    waiting.clear();
    Ok(())
}
