//! Where text comes from.

use std::{
    collections::HashSet,
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

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
                    name.map_or_else(|| path.clone(), |name| name.to_string_lossy().into_owned())
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
    /// `*.text`, in the order of their names, hidden ones left out. A name that ends in `.gz` is unpacked. A file that
    /// is named twice is read once.
    pub paths: Vec<String>,
    /// What separates the documents of a file; without it a file is a document. A separator of white space stays at
    /// the end of its document, any other is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
}

/// Documents as bytes; none is blank.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Documents(Vec<Vec<u8>>);

impl Documents {
    /// These documents without the blank ones.
    pub fn new(mut documents: Vec<Vec<u8>>) -> Self {
        documents.retain(|document| !document.trim_ascii().is_empty());
        Self(documents)
    }

    /// The documents in order.
    pub fn as_slice(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// The documents, given away.
    pub fn into_inner(self) -> Vec<Vec<u8>> {
        self.0
    }

    /// Number of bytes in all.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }

    /// Whether there is no document.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
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
    /// [`LanguageError::Config`], [`LanguageError::MissingPath`], [`LanguageError::Glob`],
    /// [`LanguageError::NoTextInFolder`], [`LanguageError::Read`], [`LanguageError::BadGzip`].
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
        let mut seen = HashSet::new();
        let mut documents = Vec::new();
        for path in &self.paths {
            for file in resolve(path, base_dir)? {
                if seen.insert(file.clone()) {
                    documents.extend(self.documents_of(read(&file)?));
                }
            }
        }
        Ok(Documents::new(documents))
    }

    fn documents_of(&self, text: Vec<u8>) -> Vec<Vec<u8>> {
        let Some(separator) = self.document_separator.as_deref().map(str::as_bytes) else {
            return vec![text];
        };
        let kept = if separator.trim_ascii().is_empty() {
            separator.len()
        } else {
            0
        };
        let mut documents = Vec::new();
        let mut rest = &text[..];
        while let Some(at) = find(rest, separator) {
            documents.push(rest[..at + kept].to_vec());
            rest = &rest[at + separator.len()..];
        }
        documents.push(rest.to_vec());
        documents
    }
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    // Most positions are ruled out by the first byte alone.
    let first = *part.first()?;
    let mut from = 0;
    while let Some(step) = text[from..].iter().position(|&byte| byte == first) {
        from += step;
        if text[from..].starts_with(part) {
            return Some(from);
        }
        from += 1;
    }
    None
}

/// The files that one entry of `paths` means.
fn resolve(path: &str, base_dir: &Path) -> Result<Vec<PathBuf>, LanguageError> {
    let full = base_dir.join(path);
    // What exists under this very name is meant, even if the name looks like a pattern.
    if full.is_dir() {
        let mut files = Vec::new();
        collect_text_files(&full, &mut files)?;
        return if files.is_empty() {
            Err(LanguageError::NoTextInFolder { path: full })
        } else {
            Ok(files)
        };
    }
    if full.exists() {
        return Ok(vec![full]);
    }
    if path.contains(['*', '?', '[']) {
        return expand(path, base_dir);
    }
    let similar = similar_names(&full);
    Err(LanguageError::MissingPath { path: full, similar })
}

/// The files a pattern matches, sorted.
fn expand(pattern: &str, base_dir: &Path) -> Result<Vec<PathBuf>, LanguageError> {
    let refuse = |reason: String| LanguageError::Glob {
        pattern: pattern.into(),
        base: base_dir.into(),
        reason,
    };
    let full = if Path::new(pattern).is_absolute() {
        pattern.into()
    } else {
        Path::new(&glob::Pattern::escape(&base_dir.to_string_lossy())).join(pattern)
    };
    let matches =
        glob::glob(&full.to_string_lossy()).map_err(|error| refuse(format!("is not valid: {error}")))?;
    let mut files = Vec::new();
    for found in matches {
        let found = found.map_err(|error| LanguageError::Read {
            path: error.path().into(),
            source: error.into(),
        })?;
        if found.is_file() {
            files.push(found);
        }
    }
    if files.is_empty() {
        Err(refuse("matches no file".into()))
    } else {
        Ok(files)
    }
}

/// Adds the text files of a folder and the folders in it. Linked folders are left out: a link may lead in a circle.
fn collect_text_files(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), LanguageError> {
    let failed = |source| LanguageError::Read {
        path: folder.into(),
        source,
    };
    let mut entries = fs::read_dir(folder)
        .map_err(failed)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(failed)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().to_lowercase();
        let path = entry.path();
        if name.starts_with('.') {
            continue;
        }
        if entry.file_type().map_err(failed)?.is_dir() {
            collect_text_files(&path, files)?;
        } else if path.is_file() && is_text_name(&name) {
            files.push(path);
        }
    }
    Ok(())
}

fn is_text_name(name: &str) -> bool {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    [".txt", ".md", ".text"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

fn read(path: &Path) -> Result<Vec<u8>, LanguageError> {
    let bytes = fs::read(path).map_err(|source| LanguageError::Read {
        path: path.into(),
        source,
    })?;
    if path
        .extension()
        .is_none_or(|extension| !extension.eq_ignore_ascii_case("gz"))
    {
        return Ok(bytes);
    }
    let mut text = Vec::new();
    flate2::read::MultiGzDecoder::new(&bytes[..])
        .read_to_end(&mut text)
        .map_err(|source| LanguageError::BadGzip {
            path: path.into(),
            source,
        })?;
    Ok(text)
}

/// Up to three names beside a missing path that differ from its name by a slip.
fn similar_names(path: &Path) -> Vec<String> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Vec::new();
    };
    let name = name.to_string_lossy().to_lowercase();
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut near: Vec<_> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .map(|other| (edits(&name, &other.to_lowercase()), other))
        .filter(|(edits, _)| *edits <= 2.max(name.len() / 4))
        .collect();
    near.sort();
    near.into_iter().take(3).map(|(_, name)| name).collect()
}

/// How many letters to insert, drop or change to turn one name into the other.
fn edits(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let changed = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gz(text: &str) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    /// A folder with these files.
    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        folder
    }

    fn load_with(paths: &[&str], separator: Option<&str>, base: &Path) -> Result<Vec<String>, LanguageError> {
        let paths = paths.iter().map(ToString::to_string).collect();
        let source = SourceConfig::Text(TextConfig {
            paths,
            document_separator: separator.map(Into::into),
        });
        let documents = source.load(Split::Train, base)?.into_inner();
        Ok(documents
            .into_iter()
            .map(|document| String::from_utf8(document).unwrap())
            .collect())
    }

    fn load(paths: &[&str], base: &Path) -> Result<Vec<String>, LanguageError> {
        load_with(paths, None, base)
    }

    #[test]
    fn of_many_files_the_first_are_named() {
        let text = |count: usize| {
            let paths = (0..count).map(|number| format!("/secret/{number}.txt")).collect();
            let source = SourceConfig::Text(TextConfig {
                paths,
                document_separator: None,
            });
            source.in_words()
        };
        assert_eq!(text(2), "text: 0.txt, 1.txt");
        assert!(text(8).ends_with("6.txt, 7.txt"), "{}", text(8));
        assert!(text(5000).ends_with("7.txt and 4992 more"), "{}", text(5000));
    }

    #[test]
    fn a_folder_gives_its_text_files_by_name_to_the_bottom() {
        let folder = folder(&[
            ("in/b.md", b"b"),
            ("in/a/z.text", b"a/z"),
            ("in/c.txt.gz", &gz("c")),
            ("in/d.csv", b"d"),
            ("in/.hidden/e.txt", b"e"),
        ]);
        assert_eq!(load(&["in"], folder.path()).unwrap(), ["a/z", "b", "c"]);
    }

    #[test]
    fn a_pattern_gives_its_files_by_name_and_no_file_is_read_twice() {
        let folder = folder(&[("b1.csv", b"1"), ("b2.csv", b"2"), ("a.csv", b"a")]);
        assert_eq!(
            load(&["b?.csv", "*.csv"], folder.path()).unwrap(),
            ["1", "2", "a"]
        );
        let absolute = folder.path().join("b*.csv");
        assert_eq!(
            load(&[absolute.to_str().unwrap()], Path::new("/nowhere")).unwrap(),
            ["1", "2"]
        );
    }

    #[test]
    fn a_base_folder_that_looks_like_a_pattern_is_taken_by_its_name() {
        let folder = folder(&[("[1]/a.txt", b"a"), ("1/a.txt", b"wrong")]);
        assert_eq!(load(&["*.txt"], &folder.path().join("[1]")).unwrap(), ["a"]);
    }

    #[test]
    fn a_separator_cuts_a_file_into_documents_and_blank_ones_are_dropped() {
        let folder = folder(&[
            ("a.txt", b"one<|>two<|> \n<|>three<"),
            ("b.txt", b"one\n\ntwo\n\n\n\n"),
        ]);
        assert_eq!(
            load_with(&["a.txt"], Some("<|>"), folder.path()).unwrap(),
            ["one", "two", "three<"]
        );
        assert_eq!(
            load_with(&["b.txt"], Some("\n\n"), folder.path()).unwrap(),
            ["one\n\n", "two\n\n"]
        );
    }

    #[test]
    fn a_missing_file_is_an_error_that_names_it_and_its_like() {
        let folder = folder(&[("tales.txt", b"a"), ("other.txt", b"b")]);
        let error = load(&["talse.txt"], folder.path()).unwrap_err();
        let LanguageError::MissingPath { path, similar } = &error else {
            panic!("{error}")
        };
        assert_eq!(*path, folder.path().join("talse.txt"));
        assert_eq!(similar, &["tales.txt"]);
    }

    #[test]
    fn a_pattern_without_a_match_is_an_error() {
        let folder = folder(&[("a.txt", b"a")]);
        let error = load(&["*.csv"], folder.path()).unwrap_err();
        assert!(
            matches!(&error, LanguageError::Glob { pattern, .. } if pattern == "*.csv"),
            "{error}"
        );
        assert!(error.to_string().contains("matches no file"), "{error}");
        let error = load(&["a[.txt"], folder.path()).unwrap_err();
        assert!(error.to_string().contains("is not valid"), "{error}");
    }

    #[test]
    fn a_folder_without_text_is_an_error() {
        let folder = folder(&[("in/d.csv", b"d")]);
        let error = load(&["in"], folder.path()).unwrap_err();
        assert!(matches!(error, LanguageError::NoTextInFolder { .. }), "{error}");
    }

    #[test]
    fn a_broken_gz_is_an_error() {
        let whole = gz("some text that is long enough to be cut");
        let folder = folder(&[
            ("no.txt.gz", b"plain text"),
            ("cut.txt.gz", &whole[..whole.len() - 9]),
        ]);
        for name in ["no.txt.gz", "cut.txt.gz"] {
            let error = load(&[name], folder.path()).unwrap_err();
            assert!(
                matches!(&error, LanguageError::BadGzip { path, .. } if path.ends_with(name)),
                "{error}"
            );
        }
    }

    #[test]
    fn no_paths_or_an_empty_separator_is_an_error() {
        let error = load(&[], Path::new(".")).unwrap_err();
        assert!(
            matches!(error, LanguageError::Config { key: "paths", .. }),
            "{error}"
        );
        let error = load_with(&["a"], Some(""), Path::new(".")).unwrap_err();
        assert!(
            matches!(
                error,
                LanguageError::Config {
                    key: "document_separator",
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn edits_count_the_slips_between_two_names() {
        for (a, b, expected) in [
            ("", "abc", 3),
            ("tales", "talse", 2),
            ("kitten", "sitting", 3),
            ("a", "a", 0),
        ] {
            assert_eq!((edits(a, b), edits(b, a)), (expected, expected), "{a} {b}");
        }
    }
}
