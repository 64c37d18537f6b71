//! Id tokenizer: text is a list of token ids. For weights without a tokenizer.

use super::{Tokenizer, TokenizerSpec};
use crate::error::LanguageError;
use std::borrow::Cow;

/// Tokenizer of token ids written as numbers, `"12 7 63"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdTokenizer {
    vocab_size: usize,
}

impl IdTokenizer {
    /// Creates a tokenizer of the ids `0..vocab_size`.
    pub fn new(vocab_size: usize) -> Self {
        Self { vocab_size }
    }

    fn check(&self, id: u32) -> Result<u32, LanguageError> {
        let known = (id as usize) < self.vocab_size;
        if known {
            Ok(id)
        } else {
            Err(LanguageError::UnknownToken {
                id,
                vocab_size: self.vocab_size,
            })
        }
    }
}

impl Tokenizer for IdTokenizer {
    fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    fn encode(&self, text: &[u8]) -> Result<Vec<u32>, LanguageError> {
        let text = String::from_utf8_lossy(text);
        let numbers = text
            .split(|c: char| c.is_whitespace() || c == ',')
            .filter(|word| !word.is_empty());
        numbers
            .map(|word| match word.parse() {
                Ok(id) => self.check(id),
                // Of a text without spaces, its start.
                Err(_) => Err(LanguageError::NoTokenizer {
                    word: word.chars().take(40).collect(),
                }),
            })
            .collect()
    }

    fn token_bytes(&self, id: u32) -> Result<Cow<'_, [u8]>, LanguageError> {
        Ok(Cow::Owned(format!("{} ", self.check(id)?).into_bytes()))
    }

    /// 0: the digits of an id are not the text of its token.
    fn byte_len(&self, _id: u32) -> usize {
        0
    }

    fn end_of_text(&self) -> Option<u32> {
        None
    }

    fn spec(&self) -> TokenizerSpec {
        TokenizerSpec::Ids {
            vocab_size: self.vocab_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_as_they_were_and_others_are_refused() {
        let tokenizer = IdTokenizer::new(64);
        assert_eq!(tokenizer.encode(b"3, 63 0").unwrap(), [3, 63, 0]);
        assert_eq!(tokenizer.decode(&[3, 63]).unwrap(), "3 63 ");
        assert_eq!(tokenizer.byte_len(63), 0);
        assert!(tokenizer.encode(b"64").is_err());
        let error = tokenizer.encode(b"three").unwrap_err().to_string();
        assert!(
            error.contains("\"three\"") && error.contains("--prompt-tokens"),
            "{error}"
        );
    }
}
