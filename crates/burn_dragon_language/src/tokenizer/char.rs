//! Character tokenizer: one token per character of the training text.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
};

use super::{Tokenizer, TokenizerSpec, Unknown};
use crate::error::LanguageError;

/// Number of special tokens. If there are any, they have the first ids.
const SPECIALS: usize = 4;
const EOS: u32 = 2;
const UNK: u32 = 3;

/// Tokenizer of characters. With special tokens, `<pad>` is 0, `<bos>` 1, `<eos>` 2 and `<unk>` 3. The characters
/// follow in the order of their first occurrence.
#[derive(Debug, Clone)]
pub struct CharTokenizer {
    special_tokens: bool,
    /// UTF-8 of each id; empty for special tokens.
    bytes: Vec<Box<[u8]>>,
    ids: HashMap<char, u32>,
}

impl CharTokenizer {
    /// Creates a tokenizer of these characters. Their ids follow those of the special tokens, in the given order.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if a character occurs twice, or there are none.
    pub fn new(symbols: Vec<char>, special_tokens: bool) -> Result<Self, LanguageError> {
        if symbols.is_empty() {
            return Err(LanguageError::TokenizerInvalid {
                reason: "it has no characters".into(),
            });
        }
        let mut bytes: Vec<Box<[u8]>> = vec![Box::default(); if special_tokens { SPECIALS } else { 0 }];
        let mut ids = HashMap::with_capacity(symbols.len());
        for ch in symbols {
            // There are fewer than 2^21 characters, so that ids fit.
            if ids.insert(ch, bytes.len() as u32).is_some() {
                let reason = format!("character {ch:?} is listed twice");
                return Err(LanguageError::TokenizerInvalid { reason });
            }
            bytes.push(ch.to_string().into_bytes().into());
        }
        Ok(Self {
            special_tokens,
            bytes,
            ids,
        })
    }

    /// Creates a tokenizer of the characters of a training text.
    ///
    /// # Errors
    /// [`LanguageError::NotUtf8`] inside [`LanguageError::InDocument`]; [`LanguageError::TokenizerInvalid`] for an
    /// empty text.
    pub fn train(training_text: &[&[u8]], special_tokens: bool) -> Result<Self, LanguageError> {
        let mut symbols = Vec::new();
        let mut seen = HashSet::new();
        for (index, document) in training_text.iter().enumerate() {
            Self::collect(document, index, &mut symbols, &mut seen)?;
        }
        Self::new(symbols, special_tokens)
    }

    /// Adds the characters of document `index` that were not seen before.
    pub(super) fn collect(
        document: &[u8],
        index: usize,
        symbols: &mut Vec<char>,
        seen: &mut HashSet<char>,
    ) -> Result<(), LanguageError> {
        let text = utf8(document).map_err(|source| LanguageError::InDocument {
            index,
            source: Box::new(source),
        })?;
        symbols.extend(text.chars().filter(|&ch| seen.insert(ch)));
        Ok(())
    }
}

fn utf8(text: &[u8]) -> Result<&str, LanguageError> {
    std::str::from_utf8(text).map_err(|error| LanguageError::NotUtf8 {
        offset: error.valid_up_to(),
    })
}

impl Tokenizer for CharTokenizer {
    fn vocab_size(&self) -> usize {
        self.bytes.len()
    }

    fn encode(&self, text: &[u8]) -> Result<Vec<u32>, LanguageError> {
        let unknown = self.special_tokens.then_some(UNK);
        utf8(text)?
            .char_indices()
            .map(|(offset, ch)| {
                let id = self.ids.get(&ch).copied().or(unknown);
                id.ok_or(LanguageError::UnknownChar { ch, offset })
            })
            .collect()
    }

    fn unknown(&self, text: &[u8], ids: &[u32]) -> Vec<Unknown> {
        if !self.special_tokens {
            return Vec::new();
        }
        let symbols = utf8(text).unwrap_or_default().chars().zip(ids).enumerate();
        symbols
            .filter(|&(_, (_, &id))| id == UNK)
            .map(|(at, (ch, _))| Unknown {
                at,
                bytes: ch.len_utf8(),
            })
            .collect()
    }

    fn token_bytes(&self, id: u32) -> Result<Cow<'_, [u8]>, LanguageError> {
        let bytes = self.bytes.get(id as usize);
        let unknown = LanguageError::UnknownToken {
            id,
            vocab_size: self.vocab_size(),
        };
        bytes.map(|bytes| Cow::Borrowed(&**bytes)).ok_or(unknown)
    }

    fn end_of_text(&self) -> Option<u32> {
        self.special_tokens.then_some(EOS)
    }

    fn spec(&self) -> TokenizerSpec {
        // The special tokens are empty, so that the rest concatenated is the list of characters.
        let symbols = String::from_utf8_lossy(&self.bytes.concat()).into_owned();
        TokenizerSpec::Char {
            special_tokens: self.special_tokens,
            symbols,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokenizer(text: &str, special_tokens: bool) -> CharTokenizer {
        CharTokenizer::train(&[text.as_bytes()], special_tokens).unwrap()
    }

    #[test]
    fn ids_follow_first_sight_after_the_special_tokens() {
        assert_eq!(
            tokenizer("hello", false).encode(b"hello").unwrap(),
            [0, 1, 2, 2, 3]
        );
        assert_eq!(
            tokenizer("hello", true).encode(b"hello").unwrap(),
            [4, 5, 6, 6, 7]
        );
        assert_eq!(tokenizer("hello", true).vocab_size(), 8);
    }

    #[test]
    fn special_tokens_stand_for_no_bytes() {
        let tokenizer = tokenizer("ab", true);
        for id in 0..4 {
            assert_eq!(tokenizer.byte_len(id), 0);
        }
        assert_eq!(tokenizer.end_of_text(), Some(2));
        assert_eq!(tokenizer.decode(&[1, 4, 5, 2]).unwrap(), "ab");
    }

    #[test]
    fn an_unknown_character_is_unk_where_there_is_one() {
        assert_eq!(
            tokenizer("ab", true).encode("a\u{e9}b".as_bytes()).unwrap(),
            [4, 3, 5]
        );
    }

    #[test]
    fn an_unknown_character_keeps_its_place_and_its_bytes() {
        let (known, text) = (tokenizer("ab", true), "a\u{e9}b\u{3042}".as_bytes());
        let ids = known.encode(text).unwrap();
        let unknown = |at, bytes| Unknown { at, bytes };
        assert_eq!(known.unknown(text, &ids), [unknown(1, 2), unknown(3, 3)]);
        let own: usize = ids.iter().map(|&id| known.byte_len(id)).sum();
        assert_eq!(own + 2 + 3, text.len());
        // Without special tokens id 3 is a character like any other.
        let plain = tokenizer("abcd", false);
        assert_eq!(plain.unknown(b"dd", &plain.encode(b"dd").unwrap()), []);
    }

    #[test]
    fn an_unknown_character_is_an_error_that_shows_it_and_its_byte() {
        let error = tokenizer("\u{e9}b", false)
            .encode("\u{e9}\u{e9}x".as_bytes())
            .unwrap_err();
        assert!(
            matches!(error, LanguageError::UnknownChar { ch: 'x', offset: 4 }),
            "{error}"
        );
    }

    #[test]
    fn text_that_is_not_utf8_is_an_error_that_names_the_byte() {
        let error = tokenizer("ab", true).encode(b"ab\xffa").unwrap_err();
        assert!(matches!(error, LanguageError::NotUtf8 { offset: 2 }), "{error}");
        let error = CharTokenizer::train(&[b"ab", b"a\xc3"], true).unwrap_err();
        let LanguageError::InDocument { index: 1, source } = error else {
            panic!("{error}")
        };
        assert!(
            matches!(*source, LanguageError::NotUtf8 { offset: 1 }),
            "{source}"
        );
    }

    #[test]
    fn an_empty_training_text_is_an_error() {
        assert!(matches!(
            CharTokenizer::train(&[b""], true),
            Err(LanguageError::TokenizerInvalid { .. })
        ));
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_an_error() {
        let error = tokenizer("ab", false).decode(&[0, 2]).unwrap_err();
        assert!(
            matches!(error, LanguageError::UnknownToken { id: 2, vocab_size: 2 }),
            "{error}"
        );
    }
}
