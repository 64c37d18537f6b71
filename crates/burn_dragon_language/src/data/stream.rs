//! Sources of files, read as a stream of documents: one document at a time is in memory.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::document::Document;
use super::files::{self, Files};
use super::mixture::Mixture;
use super::note::{Listed, Note};
use super::records::{self, RecordFormat, RecordText, RecordsConfig};
use super::separation::Separation;
use super::text::{self, Separator};
use super::{MixtureConfig, SourceConfig, TextConfig};
use crate::error::LanguageError;

/// Documents in order.
pub(super) type DocumentStream<'a> = Box<dyn Iterator<Item = Result<Document, LanguageError>> + 'a>;

/// Source that is read from files.
pub(super) enum SourceStream {
    Files(Box<FileStream>),
    /// Sources and their weights.
    Mixture(Vec<(f64, Self)>),
}

/// Documents of a source, as they were counted.
#[derive(Default)]
pub(super) struct Measured {
    /// Number of bytes of each document.
    pub(super) lengths: Vec<usize>,
    /// Whether a document has parts, as a conversation has.
    pub(super) have_parts: bool,
    pub(super) notes: Vec<Note>,
}

impl Measured {
    /// Counts documents. `progress` is given the number of bytes so far.
    fn of(
        documents: impl Iterator<Item = Result<Document, LanguageError>>,
        progress: &dyn Fn(u64),
    ) -> Result<Self, LanguageError> {
        let (mut measured, mut bytes) = (Self::default(), 0);
        for document in documents {
            let document = document?;
            measured.lengths.push(document.len());
            measured.have_parts |= document.has_parts();
            bytes += document.len() as u64;
            progress(bytes);
        }
        Ok(measured)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.lengths.iter().map(|&length| length as u64).sum()
    }
}

impl SourceStream {
    fn files(files: FileStream) -> Self {
        Self::Files(Box::new(files))
    }

    /// Finds the files of a source; those of a hub are fetched. Relative paths start from `base_dir`.
    pub(super) fn open(source: &SourceConfig, base_dir: &Path) -> Result<Self, LanguageError> {
        source.validate()?;
        if let Some((rules, paths)) = source.fetched()? {
            return FileStream::of_records(&rules, paths, Vec::new()).map(Self::files);
        }
        match source {
            SourceConfig::Text(text) => FileStream::of_text(text, base_dir).map(Self::files),
            SourceConfig::Records(rules) => {
                let Files { paths, notes } = files::list(&rules.paths, base_dir)?;
                FileStream::of_records(rules, paths, notes).map(Self::files)
            }
            SourceConfig::Mixture(MixtureConfig { sources }) => {
                let open =
                    |part: &super::WeightedSource| Ok((part.weight, Self::open(&part.source, base_dir)?));
                sources
                    .iter()
                    .map(open)
                    .collect::<Result<_, _>>()
                    .map(Self::Mixture)
            }
            _ => Err(LanguageError::Config {
                key: "dataset.type",
                reason: "is of text that is generated or of token ids, not of files of text".into(),
            }),
        }
    }

    /// What the source is: its settings, and of each file the place, the size and the time of the last change.
    pub(super) fn identity(&self) -> Result<Value, LanguageError> {
        match self {
            Self::Files(files) => files.identity(),
            Self::Mixture(parts) => {
                let parts = parts
                    .iter()
                    .map(|(weight, part)| Ok(json!([weight, part.identity()?])));
                Ok(json!({ "mixture": parts.collect::<Result<Vec<_>, LanguageError>>()? }))
            }
        }
    }

    /// Reads everything once. `progress` is given the number of bytes so far. Of text files with the same text, only the
    /// first counts from then on.
    pub(super) fn measure(&self, progress: &dyn Fn(u64)) -> Result<Measured, LanguageError> {
        match self {
            Self::Files(files) => files.measure(progress),
            Self::Mixture(parts) => {
                let mut notes = Vec::new();
                for (_, part) in parts {
                    notes.extend(part.measure(progress)?.notes);
                }
                let mut mixture = Mixture::new(parts);
                let measured = Measured::of(mixture.by_ref(), progress)?;
                notes.push(mixture.note());
                Ok(Measured { notes, ..measured })
            }
        }
    }

    /// Whether documents of the source may be conversations.
    pub(super) fn has_conversations(&self) -> bool {
        match self {
            Self::Files(files) => files.has_conversations(),
            Self::Mixture(parts) => parts.iter().any(|(_, part)| part.has_conversations()),
        }
    }

    /// Documents of the source.
    pub(super) fn documents(&self) -> DocumentStream<'_> {
        match self {
            Self::Files(files) => files.documents(),
            Self::Mixture(parts) => Box::new(Mixture::new(parts)),
        }
    }
}

/// Files of one format.
pub(super) struct FileStream {
    /// Settings of the source without its paths.
    rules: Value,
    reader: Reader,
    limit: usize,
    files: Vec<PathBuf>,
    notes: Vec<Note>,
    /// Files with the text of an earlier one.
    copies: OnceCell<HashSet<PathBuf>>,
}

/// How the documents of a file are read.
enum Reader {
    Text {
        typed: Option<String>,
        separator: Option<Separator>,
    },
    Records {
        rules: Box<RecordsConfig>,
        text: RecordText,
        separator: Option<Separator>,
    },
}

impl FileStream {
    fn of_text(text: &TextConfig, base_dir: &Path) -> Result<Self, LanguageError> {
        let Files { paths, notes } = files::list(&text.paths, base_dir)?;
        let typed = text.document_separator.clone();
        Ok(Self {
            rules: json!({ "document_separator": typed }),
            reader: Reader::Text {
                separator: typed.as_deref().map(Separator::new),
                typed,
            },
            limit: usize::MAX,
            files: paths,
            notes,
            copies: OnceCell::new(),
        })
    }

    fn of_records(
        rules: &RecordsConfig,
        files: Vec<PathBuf>,
        notes: Vec<Note>,
    ) -> Result<Self, LanguageError> {
        let rules = RecordsConfig {
            paths: Vec::new(),
            ..rules.clone()
        };
        Ok(Self {
            rules: json!(rules),
            limit: rules.max_records.unwrap_or(usize::MAX),
            reader: Reader::Records {
                text: rules.text()?,
                separator: rules.document_separator.as_deref().map(Separator::new),
                rules: Box::new(rules),
            },
            files,
            notes,
            copies: OnceCell::new(),
        })
    }

    fn identity(&self) -> Result<Value, LanguageError> {
        let file = |path: &PathBuf| {
            let unread = |source| LanguageError::Read {
                path: path.clone(),
                source,
            };
            let path = fs::canonicalize(path).map_err(unread)?;
            let found = fs::metadata(&path).map_err(unread)?;
            let changed = found
                .modified()
                .ok()
                .and_then(|time| time.duration_since(UNIX_EPOCH).ok());
            Ok(json!([
                path,
                found.len(),
                changed.map(|time| time.as_nanos().to_string())
            ]))
        };
        let files: Result<Vec<Value>, LanguageError> = self.files.iter().map(file).collect();
        Ok(json!({ "rules": self.rules, "files": files? }))
    }

    fn measure(&self, progress: &dyn Fn(u64)) -> Result<Measured, LanguageError> {
        match &self.reader {
            Reader::Text { typed, separator } => {
                self.measure_text(typed.as_deref(), separator.as_ref(), progress)
            }
            Reader::Records { .. } => Ok(Measured {
                notes: self.notes.clone(),
                ..Measured::of(self.documents(), progress)?
            }),
        }
    }

    fn has_conversations(&self) -> bool {
        let text = match &self.reader {
            Reader::Text { .. } => None,
            Reader::Records { text, .. } => Some(text),
        };
        matches!(text, Some(RecordText::Messages(_)))
    }

    fn measure_text(
        &self,
        typed: Option<&str>,
        separator: Option<&Separator>,
        progress: &dyn Fn(u64),
    ) -> Result<Measured, LanguageError> {
        let mut separation = typed.map(Separation::new);
        let (mut lengths, mut bytes, mut notes) = (Vec::new(), 0, self.notes.clone());
        let (mut texts, mut copies) = (HashMap::new(), Vec::new());
        for path in &self.files {
            let (first, mut others) = (lengths.len(), 0);
            let mut reading = text::open(path, separator)?;
            for document in reading.by_ref() {
                let document = document?;
                others += separation
                    .as_ref()
                    .map_or(0, |separation| separation.others(&document));
                lengths.push(document.len());
                bytes += document.len() as u64;
                progress(bytes);
            }
            let (cuts, hash) = reading.finish();
            if lengths.len() == first {
                continue;
            }
            if let Some(original) = texts.get(&hash) {
                copies.push((path.clone(), PathBuf::clone(original)));
                lengths.truncate(first);
                continue;
            }
            texts.insert(hash, path.clone());
            if let Some(separation) = &mut separation {
                separation.saw(path, cuts, others);
            }
        }
        if !copies.is_empty() {
            notes.push(Note::Copies {
                files: Listed::of_pairs(&copies),
            });
        }
        let _ = self
            .copies
            .set(copies.into_iter().map(|(copy, _)| copy).collect());
        let said = separation.map(|separation| separation.notes(lengths.len()));
        notes.extend(said.into_iter().flatten());
        Ok(Measured {
            lengths,
            have_parts: false,
            notes,
        })
    }

    fn documents(&self) -> DocumentStream<'_> {
        let is_copy = |path: &&PathBuf| self.copies.get().is_some_and(|copies| copies.contains(*path));
        let files = self.files.iter().filter(move |path| !is_copy(path));
        let documents = files.flat_map(|path| match self.open(path) {
            Ok(documents) => documents,
            Err(error) => Box::new(std::iter::once(Err(error))),
        });
        Box::new(documents.take(self.limit))
    }

    /// Documents of one file.
    fn open<'a>(&'a self, path: &Path) -> Result<DocumentStream<'a>, LanguageError> {
        let (rules, record, separator) = match &self.reader {
            Reader::Text { separator, .. } => return texts(path, separator.as_ref()),
            Reader::Records {
                rules,
                text,
                separator,
            } => (rules, text, separator),
        };
        let format =
            rules
                .format
                .or_else(|| RecordFormat::of(path))
                .ok_or_else(|| LanguageError::Config {
                    key: "format",
                    reason: format!(
                        "is not given, and the name of {} says none: it is jsonl, csv, parquet or text",
                        path.display()
                    ),
                })?;
        if format == RecordFormat::Text {
            return match rules.chat {
                Some(_) => Err(LanguageError::Config {
                    key: "chat",
                    reason: format!(
                        "is given, but {} has no records: it is plain text",
                        path.display()
                    ),
                }),
                None => texts(path, separator.as_ref()),
            };
        }
        let documents = records::open(path, format, record, rules.blank_record.as_deref())?;
        if !rules.one_document {
            return Ok(documents);
        }
        let joined = documents
            .take(self.limit)
            .map(|document| Ok(document?.into_text()));
        let joined = joined.collect::<Result<Vec<_>, LanguageError>>()?.concat();
        Ok(Box::new(
            (!joined.is_empty()).then(|| Ok(joined.into())).into_iter(),
        ))
    }
}

/// Documents of a text file.
fn texts<'a>(path: &Path, separator: Option<&'a Separator>) -> Result<DocumentStream<'a>, LanguageError> {
    let documents = text::open(path, separator)?;
    Ok(Box::new(documents.map(|text| Ok(text?.into()))))
}
