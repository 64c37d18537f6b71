//! Descriptions of tokenizers: the content of `tokenizer.json`.

use std::{io::ErrorKind, path::Path, sync::Arc};

use burn_dragon_checkpoint::api::CheckpointError;
use burn_dragon_checkpoint::api::expert::{Os, plain, sha256, unmarked, write_atomic};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ByteTokenizer, CharTokenizer, IdTokenizer, Tokenizer, read_bpe};
use crate::error::LanguageError;

/// Description of a trained tokenizer: the content of `tokenizer.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerSpec {
    /// One id per byte.
    Byte {},
    /// One id per character.
    Char {
        /// Whether ids 0 to 3 are the special tokens.
        special_tokens: bool,
        /// Characters in the order of their ids, each once.
        symbols: String,
    },
    /// Bare token ids.
    Ids {
        /// Number of ids.
        vocab_size: usize,
    },
    /// Byte pair encoding.
    Bpe {
        /// Text of its `tokenizer.json`, in the format of the Hugging Face `tokenizers`.
        json: String,
    },
}

/// The descriptions of this crate's own format.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
enum Own {
    Byte {},
    Char { special_tokens: bool, symbols: String },
    Ids { vocab_size: usize },
}

/// Keys that tell a published file from one of this crate.
#[derive(Deserialize)]
struct Keys {
    r#type: Option<IgnoredAny>,
    model: Option<IgnoredAny>,
}

impl TokenizerSpec {
    /// The description in this crate's own format, or the text of a published file.
    fn own(&self) -> Result<Own, &str> {
        Ok(match self {
            Self::Bpe { json } => return Err(json),
            Self::Byte {} => Own::Byte {},
            Self::Char {
                special_tokens,
                symbols,
            } => Own::Char {
                special_tokens: *special_tokens,
                symbols: symbols.clone(),
            },
            Self::Ids { vocab_size } => Own::Ids {
                vocab_size: *vocab_size,
            },
        })
    }

    /// The text of its `tokenizer.json`. A byte pair encoding has the text of its file, byte for byte.
    pub fn to_json(&self) -> String {
        match self.own().map(|own| serde_json::to_string(&own)) {
            Err(json) => json.into(),
            Ok(Ok(json)) => json,
            Ok(Err(error)) => unreachable!("strings and numbers are JSON: {error}"),
        }
    }

    /// Description for `dragon info --json`: without the vocabulary of a byte pair encoding, which may have megabytes.
    pub(crate) fn summary(&self, vocab_size: usize) -> Value {
        match self.own() {
            Ok(own) => json!(own),
            Err(file) => {
                json!({ "type": "bpe", "vocab_size": vocab_size, "sha256": sha256(file.as_bytes()) })
            }
        }
    }

    /// Reads the text of a `tokenizer.json`: of this crate, or a published one.
    ///
    /// # Errors
    /// If it is not JSON, or of an unknown type, or has an unknown or missing key.
    pub fn from_json(json: &str) -> Result<Self, serde_json::Error> {
        let keys: Result<Keys, _> = serde_json::from_str(json);
        if keys.is_ok_and(|keys| keys.r#type.is_none() && keys.model.is_some()) {
            return Ok(Self::Bpe { json: json.into() });
        }
        Ok(match serde_json::from_str(json)? {
            Own::Byte {} => Self::Byte {},
            Own::Char {
                special_tokens,
                symbols,
            } => Self::Char {
                special_tokens,
                symbols,
            },
            Own::Ids { vocab_size } => Self::Ids { vocab_size },
        })
    }

    /// Builds the tokenizer.
    ///
    /// # Errors
    /// [`LanguageError::TokenizerInvalid`] if the description contradicts itself.
    pub fn build(&self) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        match self {
            Self::Byte {} => Ok(Arc::new(ByteTokenizer)),
            Self::Ids { vocab_size } => Ok(Arc::new(IdTokenizer::new(*vocab_size))),
            Self::Bpe { json } => read_bpe(json),
            Self::Char {
                special_tokens,
                symbols,
            } => Ok(Arc::new(CharTokenizer::new(
                symbols.chars().collect(),
                *special_tokens,
            )?)),
        }
    }

    /// Writes the file atomically: a reader never sees an incomplete tokenizer, even after a power failure.
    ///
    /// # Errors
    /// [`LanguageError::Checkpoint`] if the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), LanguageError> {
        write_atomic(&Os, path, |sink| match self.own() {
            Err(json) => sink.write_all(json.as_bytes()),
            Ok(own) => {
                serde_json::to_writer_pretty(&mut *sink, &own)?;
                sink.write_all(b"\n")
            }
        })
        .map_err(LanguageError::from)
    }

    /// Reads a file written by [`save`](Self::save) and builds its tokenizer.
    ///
    /// # Errors
    /// [`LanguageError::Read`], [`LanguageError::TokenizerFile`] (not JSON, an unknown type, an unknown or missing key)
    /// and [`LanguageError::TokenizerInvalid`].
    pub fn load(path: &Path) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        let bytes = plain::read(path, MAX_FILE).map_err(|source| match source.kind() {
            ErrorKind::InvalidData => CheckpointError::corrupt(path, source).into(),
            _ => LanguageError::Read {
                path: path.to_path_buf(),
                source,
            },
        })?;
        let invalid = |reason: String| LanguageError::TokenizerInvalid {
            reason: format!("{}: {reason}", path.display()),
        };
        let text = std::str::from_utf8(unmarked(&bytes)).map_err(|error| invalid(error.to_string()))?;
        let spec = Self::from_json(text).map_err(|source| LanguageError::TokenizerFile {
            path: path.to_path_buf(),
            source,
        })?;
        spec.build().map_err(|error| match error {
            LanguageError::TokenizerInvalid { reason } => invalid(reason),
            error => error,
        })
    }
}

/// Maximum size of the file in bytes. A tokenizer of all characters takes a quarter of it.
const MAX_FILE: u64 = 16 << 20;
