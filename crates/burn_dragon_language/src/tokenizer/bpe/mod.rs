//! Byte pair encoding: tokens of one or more bytes, in the format `tokenizer.json` of the Hugging Face `tokenizers`.
//!
//! Published files are read, and those that are trained here are written in the same format. The file travels with a
//! run and a model byte for byte. Only byte-level encodings are accepted: each token stands for definite bytes, so a
//! text is recovered from its tokens, and bits per byte count the bytes of the text.

mod file;
mod pieces;
#[cfg(test)]
mod tests;
mod train;

use std::{borrow::Cow, fmt, sync::Arc};

use tokenizers::Tokenizer as Published;

pub use self::train::{BpeTraining, BpeVocabulary};
use super::{Tokenizer, TokenizerSpec};
use crate::error::LanguageError;

/// Byte-level tokenizer of byte pairs.
#[derive(Clone)]
pub struct BpeTokenizer {
    /// Text of the file.
    json: Arc<str>,
    published: Published,
    /// Bytes of each id; empty for special tokens, and for ids that the vocabulary leaves out.
    bytes: Vec<Box<[u8]>>,
    /// Id of each single byte.
    single: [Option<u32>; 256],
    end_of_text: Option<u32>,
    /// Whether a long text may be encoded in pieces.
    in_pieces: bool,
}

impl fmt::Debug for BpeTokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BpeTokenizer({} tokens)", self.bytes.len())
    }
}

impl BpeTokenizer {
    /// Reads the text of a `tokenizer.json`.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if it is not a byte-level byte pair encoding that returns every text as it
    /// was: another model, dropout, a space before the text, marks at word ends.
    pub fn from_json(json: &str) -> Result<Self, LanguageError> {
        file::read(json).map_err(|reason| LanguageError::TokenizerInvalid { reason })
    }

    /// Special tokens with their ids, in the order of ids. They stand for no bytes, and no text is encoded as one.
    pub fn special_tokens(&self) -> Vec<(u32, String)> {
        file::special_tokens(&self.published)
    }

    /// Id of each single byte that has a token of its own.
    fn single(&self, byte: u8) -> Option<u32> {
        self.single[usize::from(byte)]
    }

    /// Encodes a piece of UTF-8.
    fn encode_piece(&self, piece: &str, ids: &mut Vec<u32>) -> Result<(), LanguageError> {
        let encoding = self.published.encode_fast(piece, false);
        let encoding = encoding.map_err(|error| LanguageError::TokenizerInvalid {
            reason: format!("it cannot encode a text: {error}"),
        })?;
        ids.extend_from_slice(encoding.get_ids());
        Ok(())
    }

    /// Checks that tokens stand for exactly the bytes of the text.
    fn check(&self, text: &[u8], ids: &[u32]) -> Result<(), LanguageError> {
        let mut rest = text;
        for &id in ids {
            let bytes = self.bytes.get(id as usize).map_or(&[][..], |bytes| bytes);
            match rest.strip_prefix(bytes) {
                Some(after) if !bytes.is_empty() => rest = after,
                _ => {
                    let same = rest.iter().zip(bytes).take_while(|(a, b)| a == b).count();
                    return Err(changed(text, text.len() - rest.len() + same));
                }
            }
        }
        if rest.is_empty() {
            return Ok(());
        }
        Err(changed(text, text.len() - rest.len()))
    }
}

/// Error of a text that changes from `offset` on.
fn changed(text: &[u8], offset: usize) -> LanguageError {
    let rest = &text[offset..];
    LanguageError::TextChanged {
        offset,
        start: String::from_utf8_lossy(&rest[..rest.len().min(SHOWN)]).into_owned(),
    }
}

/// Number of bytes of a changed text that a message shows.
const SHOWN: usize = 24;

impl Tokenizer for BpeTokenizer {
    fn vocab_size(&self) -> usize {
        self.bytes.len()
    }

    /// Encodes any bytes. Bytes that are not UTF-8 are tokens of one byte each. The names of special tokens in the text
    /// are text.
    fn encode(&self, text: &[u8]) -> Result<Vec<u32>, LanguageError> {
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut offset = 0;
        for chunk in text.utf8_chunks() {
            for piece in pieces::of(chunk.valid(), self.in_pieces) {
                self.encode_piece(piece, &mut ids)?;
            }
            offset += chunk.valid().len();
            for &byte in chunk.invalid() {
                ids.push(self.single(byte).ok_or(LanguageError::NotUtf8 { offset })?);
                offset += 1;
            }
        }
        self.check(text, &ids)?;
        Ok(ids)
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
        self.end_of_text
    }

    fn spec(&self) -> TokenizerSpec {
        TokenizerSpec::Bpe {
            json: self.json.to_string(),
        }
    }
}
