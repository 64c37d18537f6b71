//! Tokenizers: text to token ids and back.
//!
//! A [`TokenizerConfig`] chooses the kind. [`TokenizerConfig::train`] makes a tokenizer of the training text. Its
//! [`TokenizerSpec`] is saved with the run, and builds the same tokenizer again. A new kind is a file in this folder, a
//! variant of both enums, and an implementation of [`Tokenizer`]; the rest of the crate does not depend on the kind.

#[cfg(feature = "bpe")]
mod bpe;
mod byte;
mod char;
mod ids;
#[cfg(feature = "train")]
mod learner;
mod spec;
mod stream;

use std::{borrow::Cow, fmt::Debug, path::Path, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "bpe")]
pub use self::bpe::{BpeTokenizer, BpeTraining, BpeVocabulary};
#[cfg(feature = "train")]
pub(crate) use self::learner::Learner;
pub use self::{
    byte::ByteTokenizer, char::CharTokenizer, ids::IdTokenizer, spec::TokenizerSpec, stream::StreamDecoder,
};
use crate::error::LanguageError;

/// A reversible map between text and token ids `0..vocab_size`.
pub trait Tokenizer: Send + Sync + Debug {
    /// Number of ids.
    fn vocab_size(&self) -> usize;

    /// Encodes a text. Nothing is added before or after.
    ///
    /// # Errors
    /// [`LanguageError::NotUtf8`], [`LanguageError::UnknownChar`] and [`LanguageError::TextChanged`], if the kind cannot
    /// encode the text.
    fn encode(&self, text: &[u8]) -> Result<Vec<u32>, LanguageError>;

    /// Bytes that one id stands for; empty for a special token. They may be part of a UTF-8 character.
    ///
    /// # Errors
    /// [`LanguageError::UnknownToken`].
    fn token_bytes(&self, id: u32) -> Result<Cow<'_, [u8]>, LanguageError>;

    /// Symbols of a text without an id of their own. `ids` is the result of [`encode`](Self::encode). Each such symbol
    /// is one token that stands for no bytes, but has bytes in the text. Kinds that know every symbol return none.
    fn unknown(&self, _text: &[u8], _ids: &[u32]) -> Vec<Unknown> {
        Vec::new()
    }

    /// Id that ends a document, if the vocabulary has one.
    fn end_of_text(&self) -> Option<u32>;

    /// Description from which this tokenizer can be built again.
    fn spec(&self) -> TokenizerSpec;

    /// Decodes ids to text. Bytes that are not UTF-8 become U+FFFD.
    ///
    /// # Errors
    /// [`LanguageError::UnknownToken`].
    fn decode(&self, ids: &[u32]) -> Result<String, LanguageError> {
        let mut bytes = Vec::with_capacity(ids.len());
        for &id in ids {
            bytes.extend_from_slice(&self.token_bytes(id)?);
        }
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Number of bytes that an id stands for: 0 for special tokens, for ids outside the vocabulary, and for ids whose
    /// text is not known.
    fn byte_len(&self, id: u32) -> usize {
        self.token_bytes(id).map_or(0, |bytes| bytes.len())
    }
}

/// Unknown symbol: a symbol of a text for which the vocabulary has no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown {
    /// Index of its token.
    pub at: usize,
    /// Number of its bytes in the text.
    pub bytes: usize,
}

/// Kind of tokenizer to train: the table `[dataset.tokenizer]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum TokenizerConfig {
    /// One id per byte, 256 in all. Reads any text and needs no training.
    Byte {},
    /// One id per character of the training text, in the order of first occurrence.
    Char {
        /// Whether ids 0 to 3 are `<pad>`, `<bos>`, `<eos>` and `<unk>`. Without them, a character that is not in the
        /// training text is an error.
        #[serde(default = "yes")]
        special_tokens: bool,
    },
    /// Byte pair encoding: tokens of one or more bytes. Exactly one of the two keys is given.
    Bpe {
        /// A `tokenizer.json` in the format of the Hugging Face `tokenizers`, published or trained by
        /// `dragon tokenizer train`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        path: Option<String>,
        /// Number of ids of a tokenizer that is trained on the training text, from 257.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vocab_size: Option<usize>,
    },
    /// Bare token ids, `0..vocab_size`, for text that is a list of ids and for `pretokenized` data. Bytes are not known,
    /// so there are no bits per byte.
    Ids {
        /// Number of ids.
        vocab_size: usize,
    },
}

fn yes() -> bool {
    true
}

impl Default for TokenizerConfig {
    fn default() -> Self {
        Self::Byte {}
    }
}

impl TokenizerConfig {
    /// Checks the values, without reading a file.
    ///
    /// # Errors
    /// [`LanguageError::Config`].
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: &str| {
            Err(LanguageError::Config {
                key,
                reason: reason.into(),
            })
        };
        match self {
            Self::Bpe { path, vocab_size } if path.is_some() == vocab_size.is_some() => refuse(
                "dataset.tokenizer",
                "of type bpe takes either `path`, a tokenizer.json, or `vocab_size`, to train one on the training text",
            ),
            Self::Bpe { path: Some(path), .. } if path.is_empty() => {
                refuse("dataset.tokenizer.path", "is empty, but names a tokenizer.json")
            }
            Self::Ids { vocab_size: 0 } => refuse("dataset.tokenizer.vocab_size", "is 0"),
            _ => Ok(()),
        }
    }

    /// Makes a relative path absolute.
    ///
    /// # Errors
    /// [`LanguageError::Config`] if the folder's name is not UTF-8.
    pub fn make_absolute(&mut self, base_dir: &Path) -> Result<(), LanguageError> {
        if let Self::Bpe { path: Some(path), .. } = self {
            let joined = base_dir.join(&*path);
            *path = joined
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| LanguageError::Config {
                    key: "dataset.tokenizer.path",
                    reason: format!("{} is not UTF-8", joined.display()),
                })?;
        }
        Ok(())
    }

    /// Whether a tokenizer is made from the training text.
    pub fn learns(&self) -> bool {
        matches!(self, Self::Char { .. } | Self::Bpe { path: None, .. })
    }

    /// Trains a tokenizer on a text, given as documents, or reads the one that is given by its file.
    ///
    /// # Errors
    /// [`LanguageError::Config`]. For `char`: [`LanguageError::NotUtf8`] inside [`LanguageError::InDocument`], or
    /// [`LanguageError::TokenizerInvalid`] if the text has no character. For `bpe`: those of [`TokenizerSpec::load`].
    pub fn train(&self, training_text: &[&[u8]]) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        self.validate()?;
        match self {
            Self::Byte {} => Ok(Arc::new(ByteTokenizer)),
            Self::Char { special_tokens } => {
                Ok(Arc::new(CharTokenizer::train(training_text, *special_tokens)?))
            }
            Self::Ids { vocab_size } => Ok(Arc::new(IdTokenizer::new(*vocab_size))),
            Self::Bpe { path: Some(path), .. } => {
                let tokenizer = TokenizerSpec::load(Path::new(path))?;
                match tokenizer.spec() {
                    TokenizerSpec::Bpe { .. } => Ok(tokenizer),
                    _ => Err(LanguageError::Config {
                        key: "dataset.tokenizer.path",
                        reason: format!("{path} is not a byte pair encoding; give its type"),
                    }),
                }
            }
            Self::Bpe { vocab_size, .. } => train_bpe(training_text, vocab_size.unwrap_or(0)),
        }
    }
}

#[cfg(feature = "bpe")]
fn train_bpe(training_text: &[&[u8]], vocab_size: usize) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    Ok(Arc::new(BpeTraining::new(vocab_size)?.train(training_text)?))
}

#[cfg(feature = "bpe")]
fn read_bpe(json: &str) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    Ok(Arc::new(BpeTokenizer::from_json(json)?))
}

#[cfg(not(feature = "bpe"))]
fn train_bpe(_: &[&[u8]], _: usize) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    Err(without_bpe())
}

#[cfg(not(feature = "bpe"))]
fn read_bpe(_: &str) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    Err(without_bpe())
}

#[cfg(not(feature = "bpe"))]
fn without_bpe() -> LanguageError {
    LanguageError::TokenizerInvalid {
        reason: "it is a byte pair encoding, and this program was built without the feature `bpe`".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn load_text(text: &str) -> Result<Arc<dyn Tokenizer>, LanguageError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        fs::write(&path, text).unwrap();
        TokenizerSpec::load(&path)
    }

    #[test]
    fn a_saved_tokenizer_comes_back_equal_and_leaves_nothing_else_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        for config in [
            TokenizerConfig::Byte {},
            TokenizerConfig::Char { special_tokens: true },
        ] {
            let tokenizer = config.train(&["h\u{e9}llo \u{2713}\n".as_bytes()]).unwrap();
            tokenizer.spec().save(&path).unwrap();
            let again = TokenizerSpec::load(&path).unwrap();
            assert_eq!(again.spec(), tokenizer.spec());
            let text = "h\u{e9}\u{2713}".as_bytes();
            assert_eq!(again.encode(text).unwrap(), tokenizer.encode(text).unwrap());
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_mark_before_a_tokenizer_is_no_part_of_it() {
        let tokenizer = load_text("\u{feff}{\"type\":\"byte\"}").unwrap();
        assert_eq!(tokenizer.spec(), TokenizerSpec::Byte {});
    }

    #[test]
    fn saving_into_a_missing_folder_is_an_error() {
        let error = TokenizerSpec::Byte {}
            .save(Path::new("/nowhere/at/all/tokenizer.json"))
            .unwrap_err();
        assert!(matches!(error, LanguageError::Checkpoint(_)), "{error}");
    }

    #[test]
    fn a_missing_tokenizer_file_is_an_error() {
        let error = TokenizerSpec::load(Path::new("/nowhere/tokenizer.json")).unwrap_err();
        assert!(matches!(error, LanguageError::Read { .. }), "{error}");
    }

    #[test]
    fn an_unknown_tokenizer_type_is_an_error_that_lists_the_known_ones() {
        let error = load_text(r#"{"type":"wordpiece"}"#).unwrap_err();
        assert!(matches!(error, LanguageError::TokenizerFile { .. }), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("wordpiece") && text.contains("byte") && text.contains("char"),
            "{text}"
        );
    }

    #[test]
    fn an_unknown_key_or_a_truncated_file_is_an_error() {
        for text in [
            r#"{"type":"byte","ids":256}"#,
            r#"{"type":"char","special_tokens":true"#,
            "",
        ] {
            assert!(
                matches!(load_text(text), Err(LanguageError::TokenizerFile { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_repeated_symbol_is_an_error() {
        let error = load_text(r#"{"type":"char","special_tokens":false,"symbols":"abca"}"#).unwrap_err();
        assert!(matches!(error, LanguageError::TokenizerInvalid { .. }), "{error}");
        assert!(error.to_string().contains("'a'"), "{error}");
    }

    #[test]
    fn the_configuration_reads_from_toml_and_defaults_to_bytes() {
        let read = |text: &str| toml::from_str::<TokenizerConfig>(text);
        assert_eq!(TokenizerConfig::default(), read("type = 'byte'").unwrap());
        assert_eq!(
            TokenizerConfig::Char { special_tokens: true },
            read("type = 'char'").unwrap()
        );
        let error = read("type = 'char'\nspecial = true").unwrap_err().to_string();
        assert!(
            error.contains("unknown field `special`, expected `special_tokens`"),
            "{error}"
        );
    }

    #[test]
    fn decoding_undoes_encoding_and_lengths_add_up() {
        let text = "na\u{ef}ve \u{1f409} dragons".as_bytes();
        for config in [
            TokenizerConfig::Byte {},
            TokenizerConfig::Char {
                special_tokens: false,
            },
        ] {
            let tokenizer = config.train(&[text]).unwrap();
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(tokenizer.decode(&ids).unwrap().as_bytes(), text);
            assert_eq!(
                ids.iter().map(|&id| tokenizer.byte_len(id)).sum::<usize>(),
                text.len()
            );
        }
    }
}
