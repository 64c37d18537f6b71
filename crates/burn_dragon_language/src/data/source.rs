//! Where text comes from.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    entry::{Entry, plain},
    files::{self, Files},
    note::{Listed, Note},
    separation::Separation,
    text::{self, Separator, TextHash},
};
use crate::{
    error::LanguageError,
    tales::{NeedleConfig, RecallProbe, Split, TalesConfig},
};

/// A source of documents, chosen by `type`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum SourceConfig {
    /// Tales made by this crate: nothing to download.
    Embedded(TalesConfig),
    /// Facts that are recalled after a long filling, made by this crate.
    Needle(NeedleConfig),
    /// Files.
    Text(TextConfig),
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self::Embedded(TalesConfig::default())
    }
}

/// Files that are named to a person.
const NAMED: usize = 8;

impl SourceConfig {
    /// What it is, for those who get a model that was trained on it; of many files the first.
    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Embedded(_) => "tales made from a seed, in which facts are recalled".into(),
            Self::Needle(_) => {
                "needles made from a seed: facts that are recalled after a long filling".into()
            }
            Self::Text(text) => {
                let name = |path: &String| {
                    let name = Path::new(path).file_name();
                    let name = name.map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned());
                    plain(&name).unwrap_or(name)
                };
                let names: Vec<String> = text.paths.iter().take(NAMED).map(name).collect();
                let names = names.join(", ");
                match text.paths.len().saturating_sub(NAMED) {
                    0 => format!("text: {names}"),
                    more => format!("text: {names} and {more} more"),
                }
            }
        }
    }
}

/// Files of text: the keys of `[dataset]` where `type = "text"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextConfig {
    /// Files, folders and patterns (`logs/**/*.txt`). Folders are searched to the bottom for `*.txt`, `*.md` and
    /// `*.text`, in the order of their names. Folders and patterns leave out linked folders, and hidden files and what
    /// editors leave behind (`.a`, `a~`, `a.swp`, `#a#`) unless the pattern says so itself. What exists under an entry's
    /// very name is meant by it, even if it looks like a pattern; `[[]`, `[*]`, `[?]` and `[]]` are the characters in
    /// brackets. A name that ends in `.gz` is unpacked. A text is read once, whatever the names it has.
    pub paths: Vec<String>,
    /// What separates the documents of a file; without it a file is a document. A separator of white space stays at
    /// the end of its document, any other is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
}

/// Documents as bytes; none is blank.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Documents {
    documents: Vec<Vec<u8>>,
    /// The files they were read from, by their text.
    texts: HashMap<TextHash, PathBuf>,
    notes: Vec<Note>,
}

impl Documents {
    /// These documents without the blank ones.
    pub fn new(mut documents: Vec<Vec<u8>>) -> Self {
        documents.retain(|document| !document.trim_ascii().is_empty());
        Self {
            documents,
            ..Self::default()
        }
    }

    /// The documents in order.
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.documents
    }

    /// The documents, given away.
    pub fn into_inner(self) -> Vec<Vec<u8>> {
        self.documents
    }

    /// Number of bytes in all.
    pub fn bytes(&self) -> usize {
        self.documents.iter().map(Vec::len).sum()
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.documents.is_empty()
    }

    /// What should be known about how they were read.
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The files of these documents whose text is also a file of others, each with that.
    pub(super) fn also_in(&self, others: &Self) -> Vec<(PathBuf, PathBuf)> {
        let both = self.texts.iter().filter_map(|(hash, path)| {
            let other = others.texts.get(hash)?;
            Some((path.clone(), other.clone()))
        });
        let mut both: Vec<_> = both.collect();
        both.sort();
        both
    }
}

impl SourceConfig {
    /// Checks the values that need no file to check.
    ///
    /// # Errors
    /// [`LanguageError::Config`].
    pub fn validate(&self) -> Result<(), LanguageError> {
        match self {
            Self::Embedded(tales) => tales.validate(),
            Self::Needle(needle) => needle.validate(),
            Self::Text(text) => text.validate(),
        }
    }

    /// Loads the documents; relative paths start from `base_dir`. Only what this crate makes knows splits: files are the
    /// same for both, and [`Corpus`](super::Corpus) divides them.
    ///
    /// # Errors
    /// [`LanguageError::Config`], [`LanguageError::MissingPath`], [`LanguageError::DanglingLink`],
    /// [`LanguageError::Glob`], [`LanguageError::NoTextInFolder`], [`LanguageError::Read`],
    /// [`LanguageError::BadGzip`], [`LanguageError::Encoding`].
    pub fn load(&self, split: Split, base_dir: &Path) -> Result<Documents, LanguageError> {
        match self {
            Self::Embedded(tales) => Ok(Documents::new(tales.documents(split)?)),
            Self::Needle(needle) => Ok(Documents::new(needle.documents(split)?)),
            Self::Text(text) => text.load(base_dir),
        }
    }

    /// The held-out documents, at most so many, with the words they recall; `None` for files, which do not say.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); [`LanguageError::Config`] if `most` is 0.
    pub fn recall_probe(&self, most: usize) -> Result<Option<RecallProbe>, LanguageError> {
        match self {
            Self::Embedded(tales) => RecallProbe::new(tales, most.min(tales.validation_tales)).map(Some),
            Self::Needle(needle) => needle
                .recall_probe(most.min(needle.validation_documents))
                .map(Some),
            Self::Text(_) => Ok(None),
        }
    }
}

impl TextConfig {
    fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: &str| {
            Err(LanguageError::Config {
                key,
                reason: reason.into(),
            })
        };
        if self.paths.is_empty() {
            refuse("paths", "names no file, folder or pattern")
        } else if self.paths.iter().any(String::is_empty) {
            refuse(
                "paths",
                "has an empty entry; `.` is the folder the command runs in",
            )
        } else if self.document_separator.as_deref() == Some("") {
            refuse(
                "document_separator",
                "is empty; leave it out to make each file one document",
            )
        } else {
            Ok(())
        }
    }

    fn load(&self, base_dir: &Path) -> Result<Documents, LanguageError> {
        self.validate()?;
        let Files { paths, mut notes } = files::list(&self.paths, base_dir)?;
        let separator = self.document_separator.as_deref().map(Separator::new);
        let mut separation = self.document_separator.as_deref().map(Separation::new);
        let mut loaded = Documents::default();
        let mut copies = Vec::new();
        for path in paths {
            let text = text::read(&path, separator.as_ref())?;
            if text.documents.is_empty() {
                continue;
            }
            if let Some(first) = loaded.texts.get(&text.hash) {
                copies.push((path, first.clone()));
                continue;
            }
            if let Some(separation) = &mut separation {
                separation.saw(&path, &text);
            }
            loaded.texts.insert(text.hash, path);
            loaded.documents.extend(text.documents);
        }
        if !copies.is_empty() {
            let files = Listed::of_pairs(&copies);
            notes.push(Note::Copies { files });
        }
        let said = separation.map(|separation| separation.notes(loaded.documents.len()));
        notes.extend(said.into_iter().flatten());
        loaded.notes = notes;
        Ok(loaded)
    }

    /// Makes relative paths absolute, so that they mean the same from anywhere and at any time. What looked like a
    /// pattern is told.
    ///
    /// # Errors
    /// [`LanguageError::Config`] if that cannot be written down, for the folder's name is not UTF-8.
    pub(super) fn make_absolute(&mut self, base_dir: &Path) -> Result<Vec<Note>, LanguageError> {
        let mut notes = Vec::new();
        for path in &mut self.paths {
            let entry = Entry::of(path, base_dir);
            notes.extend(entry.note(path));
            *path = entry.absolute().ok_or_else(|| LanguageError::Config {
                key: "paths",
                reason: format!(
                    "{path:?} starts from a folder whose name is not UTF-8, {}, which a configuration cannot hold; give \
                     its full path, or work in another folder",
                    base_dir.display()
                ),
            })?;
        }
        Ok(notes)
    }
}
