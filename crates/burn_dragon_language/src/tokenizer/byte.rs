//! Byte tokenizer: one token per byte, 256 ids, no training, no unknown symbols.

use std::borrow::Cow;

use super::{Tokenizer, TokenizerSpec};
use crate::error::LanguageError;

/// Tokenizer whose ids are the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteTokenizer;

/// Every byte at its own index, so that a token's bytes can be borrowed.
static BYTES: [u8; 256] = {
    let mut bytes = [0; 256];
    let mut i = 0;
    while i < 256 {
        bytes[i] = i as u8;
        i += 1;
    }
    bytes
};

impl Tokenizer for ByteTokenizer {
    fn vocab_size(&self) -> usize {
        BYTES.len()
    }

    fn encode(&self, text: &[u8]) -> Result<Vec<u32>, LanguageError> {
        Ok(text.iter().map(|&byte| u32::from(byte)).collect())
    }

    fn token_bytes(&self, id: u32) -> Result<Cow<'_, [u8]>, LanguageError> {
        let index = id as usize;
        let bytes = BYTES.get(index..=index);
        bytes.map(Cow::Borrowed).ok_or(LanguageError::UnknownToken {
            id,
            vocab_size: BYTES.len(),
        })
    }

    fn end_of_text(&self) -> Option<u32> {
        None
    }

    fn spec(&self) -> TokenizerSpec {
        TokenizerSpec::Byte {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_its_own_token() {
        let all: Vec<u8> = (0..=255).collect();
        let ids = ByteTokenizer.encode(&all).unwrap();
        assert_eq!(ids, (0..256).collect::<Vec<u32>>());
        for (&id, &byte) in ids.iter().zip(&all) {
            assert_eq!(&*ByteTokenizer.token_bytes(id).unwrap(), [byte]);
        }
    }

    #[test]
    fn an_id_outside_the_vocabulary_is_an_error() {
        for id in [256, u32::MAX] {
            let error = ByteTokenizer.token_bytes(id).unwrap_err();
            assert!(
                matches!(error, LanguageError::UnknownToken { vocab_size: 256, .. }),
                "{error}"
            );
            assert!(error.to_string().contains(&id.to_string()), "{error}");
        }
    }
}
