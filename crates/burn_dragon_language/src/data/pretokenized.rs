//! Files of token ids, as other programs write them: mapped as they are.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::corpus::{Cut, plan_split};
use super::files::{self, Files};
use super::shards::{IdWidth, Mapped};
use super::{Corpus, DatasetConfig, Note, SourceConfig, SplitKind, TokenIds, Tokens};
use crate::error::LanguageError;
use crate::tokenizer::{Tokenizer, TokenizerSpec};

/// Files of token ids: the keys of `[dataset]` where `type = "pretokenized"`.
///
/// They hold numbers of 16 or 32 bits, little-endian, and nothing else. They are mapped, not read into memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PretokenizedConfig {
    /// Files and patterns.
    pub paths: Vec<String>,
    /// Size of the numbers; if absent, it follows from the names (`.u16`, `.u32`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<IdWidth>,
    /// Id that ends a document; if absent, that of the tokenizer. Without one, each file is one document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_end: Option<u32>,
}

impl PretokenizedConfig {
    pub(super) fn validate(&self) -> Result<(), LanguageError> {
        match self.paths.is_empty() || self.paths.iter().any(String::is_empty) {
            true => Err(LanguageError::Config {
                key: "paths",
                reason: "names no file or pattern, or has an empty entry".into(),
            }),
            false => Ok(()),
        }
    }

    fn width(&self, path: &Path) -> Result<IdWidth, LanguageError> {
        let by_name = match path.extension().and_then(|name| name.to_str()) {
            Some("u16") => Some(IdWidth::U16),
            Some("u32") => Some(IdWidth::U32),
            _ => None,
        };
        self.width.or(by_name).ok_or_else(|| LanguageError::Config {
            key: "width",
            reason: format!(
                "is not given, and the name of {} does not end in .u16 or .u32",
                path.display()
            ),
        })
    }

    /// All tokens of the files, with notes.
    fn load(
        &self,
        base_dir: &Path,
        tokenizer: &dyn Tokenizer,
    ) -> Result<(Tokens, Mapped, Vec<Note>), LanguageError> {
        let Files { paths, notes } = files::list(&self.paths, base_dir)?;
        let width = match paths.first() {
            Some(path) => self.width(path)?,
            None => return Err(LanguageError::EmptyCorpus),
        };
        if let Some(other) = paths
            .iter()
            .find(|path| self.width(path).is_ok_and(|other| other != width))
        {
            return Err(LanguageError::Config {
                key: "width",
                reason: format!("of {} is another than that of the first file", other.display()),
            });
        }
        let mapped = Mapped::open(&paths, width)?;
        let mut tokens = Tokens {
            ids: TokenIds::mapped(mapped.clone()),
            ..Tokens::default()
        };
        let end = self.document_end.or_else(|| tokenizer.end_of_text());
        let mut first = 0;
        for length in mapped.lengths() {
            scan(&mut tokens, first..first + length, end, tokenizer)?;
            first += length;
        }
        match tokens.is_empty() {
            true => Err(LanguageError::EmptyCorpus),
            false => Ok((tokens, mapped, notes)),
        }
    }
}

/// Number of ids that are looked at once.
const PIECE: usize = 1 << 16;

/// Finds the documents of a file, counts their bytes and checks the ids.
fn scan(
    tokens: &mut Tokens,
    file: Range<usize>,
    end: Option<u32>,
    tokenizer: &dyn Tokenizer,
) -> Result<(), LanguageError> {
    let vocab_size = tokenizer.vocab_size();
    let lengths: Vec<usize> = (0..vocab_size as u32).map(|id| tokenizer.byte_len(id)).collect();
    let mut begins = true;
    for start in file.clone().step_by(PIECE) {
        let ids = tokens.ids.read(start..file.end.min(start + PIECE)).into_owned();
        for (at, id) in (start..).zip(ids) {
            if std::mem::replace(&mut begins, Some(id) == end) {
                tokens.starts.push(at);
            }
            tokens.bytes += *lengths
                .get(id as usize)
                .ok_or(LanguageError::UnknownToken { id, vocab_size })?;
        }
    }
    Ok(())
}

/// The corpus of a configuration with such a source.
pub(super) fn load(
    config: &DatasetConfig,
    source: &PretokenizedConfig,
    base_dir: &Path,
    tokenizer: Option<Arc<dyn Tokenizer>>,
) -> Result<Corpus, LanguageError> {
    let tokenizer = match tokenizer {
        Some(tokenizer) => tokenizer,
        None => tokenizer_of(config, base_dir)?,
    };
    let (whole, mapped, mut notes) = source.load(base_dir, &*tokenizer)?;
    let (train, validation, split) = match config.validation.as_deref() {
        Some(SourceConfig::Pretokenized(own)) => {
            let (validation, _, more) = own.load(base_dir, &*tokenizer)?;
            notes.extend(more);
            (whole, validation, SplitKind::OwnSource)
        }
        Some(_) => {
            return Err(LanguageError::Config {
                key: "dataset.validation",
                reason: "must be pretokenized as the training source is".into(),
            });
        }
        None => divide(&whole, &mapped, config.train_ratio, &*tokenizer),
    };
    Ok(Corpus {
        tokenizer,
        train,
        validation,
        split,
        notes,
    })
}

fn tokenizer_of(config: &DatasetConfig, base_dir: &Path) -> Result<Arc<dyn Tokenizer>, LanguageError> {
    let mut kind = config.tokenizer.clone();
    if kind.learns() {
        return Err(LanguageError::Config {
            key: "dataset.tokenizer",
            reason:
                "cannot be trained on token ids; give the one that made them: bpe with `path`, ids or byte"
                    .into(),
        });
    }
    kind.make_absolute(base_dir)?;
    kind.train(&[])
}

/// The two parts of a text, cut where the ratio says: at a document near it, else at the token.
fn divide(
    whole: &Tokens,
    mapped: &Mapped,
    ratio: f64,
    tokenizer: &dyn Tokenizer,
) -> (Tokens, Tokens, SplitKind) {
    let lengths: Vec<usize> = whole.documents().map(|document| document.len()).collect();
    let (cut, split) = match plan_split(&lengths, ratio) {
        Cut::After(train_documents) => {
            let cut = lengths[..train_documents].iter().sum();
            (cut, SplitKind::AtDocument { train_documents })
        }
        Cut::Inside { document, target } => {
            let token = target.clamp(1, lengths[document].max(2) - 1);
            (
                whole.starts[document] + token,
                SplitKind::AtToken { document, token },
            )
        }
    };
    let part = |range: Range<usize>| {
        let inside = whole.starts.iter().filter(|start| range.contains(start));
        let mut starts: Vec<usize> = inside.map(|start| start - range.start).collect();
        if starts.first() != Some(&0) {
            starts.insert(0, 0);
        }
        let ids = TokenIds::mapped(mapped.part(range));
        let bytes = match tokenizer.spec() {
            TokenizerSpec::Ids { .. } => 0,
            _ => ids
                .pieces()
                .map(|ids| ids.iter().map(|&id| tokenizer.byte_len(id)).sum::<usize>())
                .sum(),
        };
        Tokens {
            ids,
            starts,
            bytes,
            ..Tokens::default()
        }
    };
    (part(0..cut), part(cut..whole.len()), split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::TokenizerConfig;

    fn load(
        ids: &[&[u32]],
        edit: impl FnOnce(&mut DatasetConfig, &mut PretokenizedConfig),
    ) -> Result<Corpus, LanguageError> {
        let folder = tempfile::tempdir().unwrap();
        for (at, ids) in ids.iter().enumerate() {
            for (width, ending) in [(IdWidth::U16, "u16"), (IdWidth::U32, "u32")] {
                let mut bytes = Vec::new();
                width.write(ids.iter().copied(), &mut bytes);
                std::fs::write(folder.path().join(format!("{at}.{ending}")), bytes).unwrap();
            }
        }
        let mut source = PretokenizedConfig {
            paths: vec!["*.u16".into()],
            width: None,
            document_end: Some(0),
        };
        let mut config = DatasetConfig {
            tokenizer: TokenizerConfig::Ids { vocab_size: 50 },
            train_ratio: 0.5,
            ..DatasetConfig::default()
        };
        edit(&mut config, &mut source);
        config.source = SourceConfig::Pretokenized(source);
        Corpus::load(&config, folder.path(), None)
    }

    #[test]
    fn documents_end_with_their_id_and_files_end_documents() {
        let files: [&[u32]; 2] = [&[1, 2, 0, 3, 4], &[5, 0, 6, 7, 8, 0]];
        for ending in ["*.u16", "*.u32"] {
            let corpus = load(&files, |config, source| {
                config.train_ratio = 5.0 / 11.0;
                source.paths = vec![ending.into()];
            });
            let corpus = corpus.unwrap();
            assert_eq!(corpus.split, SplitKind::AtDocument { train_documents: 2 });
            assert_eq!(*corpus.train.ids.read(0..5), [1, 2, 0, 3, 4]);
            assert_eq!(
                (corpus.train.starts, corpus.validation.starts),
                (vec![0, 3], vec![0, 2])
            );
            assert_eq!(*corpus.validation.ids.read(0..6), [5, 0, 6, 7, 8, 0]);
        }
    }

    #[test]
    fn bytes_are_those_of_the_tokens_and_unknown_for_bare_ids() {
        let text = b"abcdefgh";
        let ids: Vec<u32> = text.iter().map(|&byte| u32::from(byte)).collect();
        let corpus = load(&[&ids], |config, source| {
            config.tokenizer = TokenizerConfig::Byte {};
            source.document_end = None;
        });
        let corpus = corpus.unwrap();
        assert_eq!((corpus.train.bytes, corpus.validation.bytes), (4, 4));
        assert_eq!(
            corpus.split,
            SplitKind::AtToken {
                document: 0,
                token: 4
            }
        );
        let bare = load(&[&[1, 2, 3, 4]], |_, _| ()).unwrap();
        assert_eq!((bare.train.bytes, bare.validation.bytes), (0, 0));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let error = load(&[&[1, 50]], |_, _| ()).unwrap_err();
        assert!(
            matches!(
                error,
                LanguageError::UnknownToken {
                    id: 50,
                    vocab_size: 50
                }
            ),
            "{error}"
        );
        let error = load(&[&[1, 2]], |config, _| {
            config.tokenizer = TokenizerConfig::Char { special_tokens: true }
        });
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("cannot be trained on token ids")
        );
        let error = load(&[&[1, 2]], |_, source| source.paths = vec!["0.*".into()]).unwrap_err();
        assert!(error.to_string().contains("width"), "{error}");
        assert!(matches!(
            load(&[&[]], |_, _| ()).unwrap_err(),
            LanguageError::EmptyCorpus
        ));
    }
}
