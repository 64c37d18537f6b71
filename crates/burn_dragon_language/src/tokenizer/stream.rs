//! Incremental decoding of generated tokens.

use std::sync::Arc;

use super::Tokenizer;
use crate::error::LanguageError;

/// Replacement for bytes that are not UTF-8.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// Decoder of a stream of token ids. Each byte is processed once or twice, however long the text.
///
/// An incomplete character is held back (three bytes at most). The returned pieces, followed by the result of
/// [`finish`](Self::finish), equal [`String::from_utf8_lossy`] of all bytes.
#[derive(Debug, Clone)]
pub struct StreamDecoder {
    tokenizer: Arc<dyn Tokenizer>,
    /// Bytes of an incomplete character.
    pending: Vec<u8>,
}

impl StreamDecoder {
    /// Creates a decoder at the start of a text.
    pub fn new(tokenizer: Arc<dyn Tokenizer>) -> Self {
        Self {
            tokenizer,
            pending: Vec::new(),
        }
    }

    /// Adds an id and returns the text that became certain. It may be empty.
    ///
    /// # Errors
    /// [`LanguageError::UnknownToken`]. The decoder is then unchanged.
    pub fn push(&mut self, id: u32) -> Result<String, LanguageError> {
        self.pending.extend_from_slice(&self.tokenizer.token_bytes(id)?);
        Ok(self.drain())
    }

    /// Ends the text. An incomplete character becomes one U+FFFD.
    pub fn finish(mut self) -> String {
        let mut text = self.drain();
        if !self.pending.is_empty() {
            text.push(REPLACEMENT);
        }
        text
    }

    /// Takes all that is certain out of `pending`.
    fn drain(&mut self) -> String {
        let mut text = String::new();
        let mut rest = &self.pending[..];
        for chunk in self.pending.utf8_chunks() {
            text.push_str(chunk.valid());
            rest = &rest[chunk.valid().len()..];
            if chunk.invalid().is_empty() || is_unfinished(rest) {
                break;
            }
            text.push(REPLACEMENT);
            rest = &rest[chunk.invalid().len()..];
        }
        self.pending = rest.to_vec();
        text
    }
}

/// Whether the bytes are the beginning of a valid character.
fn is_unfinished(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.valid_up_to() == 0 && error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use burn_dragon_core::api::expert::Rng;

    use super::*;
    use crate::tokenizer::{ByteTokenizer, CharTokenizer};

    fn pushes(bytes: &[u8]) -> Vec<String> {
        let mut decoder = StreamDecoder::new(Arc::new(ByteTokenizer));
        let mut pieces: Vec<_> = bytes
            .iter()
            .map(|&byte| decoder.push(byte.into()).unwrap())
            .collect();
        pieces.push(decoder.finish());
        pieces
    }

    #[test]
    fn a_character_appears_whole_with_its_last_byte() {
        assert_eq!(
            pushes("a\u{e9}\u{1f409}".as_bytes()),
            ["a", "", "\u{e9}", "", "", "", "\u{1f409}", ""]
        );
    }

    #[test]
    fn a_text_that_ends_inside_a_character_ends_with_one_replacement() {
        assert_eq!(pushes(b"a\xf0\x9f\x90"), ["a", "", "", "", "\u{fffd}"]);
    }

    /// Random bytes, weighted towards the pieces of characters, where the difficulties are.
    fn random_bytes(rng: &mut Rng) -> Vec<u8> {
        const PIECES: [u8; 16] = [
            b'a', 0x7f, 0x80, 0xbf, 0xc0, 0xc3, 0xa9, 0xe0, 0xa0, 0xed, 0x9f, 0xf0, 0x90, 0xf4, 0x8f, 0xff,
        ];
        let len = rng.below(12);
        (0..len)
            .map(|_| {
                if rng.below(4) == 0 {
                    rng.below(256) as u8
                } else {
                    PIECES[rng.below(16)]
                }
            })
            .collect()
    }

    #[test]
    fn all_pushes_together_are_the_lossy_text_of_all_the_bytes() {
        let mut rng = Rng::new(7);
        for _ in 0..20_000 {
            let bytes = random_bytes(&mut rng);
            assert_eq!(
                pushes(&bytes).concat(),
                String::from_utf8_lossy(&bytes),
                "{bytes:x?}"
            );
        }
    }

    #[test]
    fn an_unknown_id_leaves_the_decoder_as_it_was() {
        let mut decoder = StreamDecoder::new(Arc::new(ByteTokenizer));
        decoder.push(0xc3).unwrap();
        assert!(matches!(
            decoder.push(999),
            Err(LanguageError::UnknownToken { id: 999, .. })
        ));
        assert_eq!(decoder.push(0xa9).unwrap(), "\u{e9}");
    }

    #[test]
    fn special_tokens_are_silent() {
        let tokenizer = CharTokenizer::train(&[b"ab"], true).unwrap();
        let mut decoder = StreamDecoder::new(Arc::new(tokenizer));
        assert_eq!([1, 4, 2, 5].map(|id| decoder.push(id).unwrap()).concat(), "ab");
    }
}
