//! Search for the files below a folder: those that match a pattern, or text files.
//!
//! Both use the same rules. Hidden files and editor backups are left out unless the pattern asks for them. Linked
//! folders are not entered, because a link may form a cycle or lead to files that were already read.

use std::fs;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use super::entry::plain;
use crate::error::LanguageError;

/// Part of a path below the folder where the search starts.
#[derive(Debug, Clone)]
pub(super) enum Component {
    /// `**`: any number of folders.
    Folders,
    /// An exact name.
    Name(String),
    /// Names that match a pattern.
    Like(Pattern),
    /// Names of text files.
    Text,
}

impl Component {
    /// Parses a part of a pattern.
    ///
    /// # Errors
    /// The problem of the pattern, beginning with a verb.
    pub(super) fn of(typed: &str) -> Result<Self, String> {
        match (typed, plain(typed)) {
            ("**", _) => Ok(Self::Folders),
            (_, Some(name)) => Ok(Self::Name(name)),
            _ => Pattern::new(typed)
                .map(Self::Like)
                .map_err(|error| format!("is not valid: {error}")),
        }
    }

    fn accepts(&self, name: &str) -> bool {
        match self {
            Self::Folders => Traits::of(name) == Traits::default(),
            Self::Name(exactly) => name == exactly,
            Self::Like(pattern) => {
                let options = MatchOptions {
                    case_sensitive: true,
                    require_literal_separator: true,
                    require_literal_leading_dot: false, // that is a trait
                };
                Traits::of(name).are_among(Traits::of(pattern.as_str()))
                    && pattern.matches_with(name, options)
            }
            Self::Text => Traits::of(name) == Traits::default() && is_text(name),
        }
    }
}

/// Properties of a name that usually mean "not for reading".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Traits {
    /// `.a`: hidden.
    dot: bool,
    /// `a~`: backup made by an editor.
    backup: bool,
    /// `.a.swp`, `a.swo`, `#a#`: temporary file of an editor.
    swap: bool,
}

impl Traits {
    fn of(name: &str) -> Self {
        let edited = name.len() > 1 && name.starts_with('#') && name.ends_with('#');
        Self {
            dot: name.starts_with('.'),
            backup: name.ends_with('~'),
            swap: edited
                || [".swp", ".swo", ".swn"]
                    .iter()
                    .any(|ending| name.ends_with(ending)),
        }
    }

    /// Whether a pattern with the properties `wanted` asks for such a name.
    fn are_among(self, wanted: Self) -> bool {
        (wanted.dot || !self.dot) && (wanted.backup || !self.backup) && (wanted.swap || !self.swap)
    }
}

/// Whether a name is one of a text file, packed or not.
fn is_text(name: &str) -> bool {
    let name = name.to_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".txt", ".md", ".text"]
        .iter()
        .any(|ending| name.ends_with(ending))
}

/// Result of a search.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files by name, folder by folder.
    pub(super) files: Vec<PathBuf>,
    /// Links to folders that were not entered.
    pub(super) linked: Vec<PathBuf>,
    /// Broken links with a matching name.
    pub(super) dangling: Vec<PathBuf>,
    /// Folders whose name matches a pattern for files.
    pub(super) folders: Vec<PathBuf>,
}

/// Files below `folder` whose path matches the parts. The last part is the name of the file.
///
/// # Errors
/// [`LanguageError::Read`] if a folder cannot be listed.
pub(super) fn walk(folder: &Path, parts: &[Component]) -> Result<Found, LanguageError> {
    let mut walk = Walk {
        parts,
        found: Found::default(),
    };
    walk.folder(folder, &walk.with_skipped(vec![0]))?;
    Ok(walk.found)
}

/// State of a search. A place among the parts is the number of parts that a path has matched. There may be several,
/// because `**` matches any number of folders.
struct Walk<'a> {
    parts: &'a [Component],
    found: Found,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, places: &[usize]) -> Result<(), LanguageError> {
        // Exact names need no listing of the folder, which may be long or not readable.
        if let Some(names) = places
            .iter()
            .map(|&at| self.name_at(at))
            .collect::<Option<Vec<_>>>()
        {
            for (&at, name) in places.iter().zip(names) {
                let path = folder.join(&name);
                if fs::symlink_metadata(&path).is_ok() {
                    self.named(&path, &self.with_skipped(vec![at + 1]))?;
                }
            }
            return Ok(());
        }
        let unread = |source| LanguageError::Read {
            path: folder.into(),
            source,
        };
        let mut entries = fs::read_dir(folder)
            .map_err(unread)?
            .collect::<Result<Vec<_>, _>>()
            .map_err(unread)?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let after = self.after(places, &entry.file_name().to_string_lossy());
            if after.is_empty() {
                continue;
            }
            let kind = entry.file_type().map_err(unread)?;
            if kind.is_dir() {
                self.enter(&entry.path(), &after)?;
            } else if kind.is_symlink() {
                self.link(entry.path(), &after);
            } else if kind.is_file() && self.is_end(&after) {
                self.found.files.push(entry.path());
            }
        }
        Ok(())
    }

    /// Handles a path that the pattern names exactly: a link means its target.
    fn named(&mut self, path: &Path, after: &[usize]) -> Result<(), LanguageError> {
        match fs::metadata(path) {
            Ok(kind) if kind.is_dir() => return self.enter(path, after),
            Ok(kind) if kind.is_file() && self.is_end(after) => self.found.files.push(path.into()),
            Ok(_) => {}
            Err(_) if self.is_end(after) => self.found.dangling.push(path.into()),
            Err(_) => {}
        }
        Ok(())
    }

    fn enter(&mut self, folder: &Path, after: &[usize]) -> Result<(), LanguageError> {
        let further: Vec<usize> = after
            .iter()
            .copied()
            .filter(|&at| at < self.parts.len())
            .collect();
        if further.is_empty() {
            self.found.folders.push(folder.into());
            return Ok(());
        }
        self.folder(folder, &further)
    }

    fn link(&mut self, path: PathBuf, after: &[usize]) {
        match fs::metadata(&path) {
            Ok(kind) if kind.is_dir() => self.found.linked.push(path),
            Ok(kind) if kind.is_file() && self.is_end(after) => self.found.files.push(path),
            Ok(_) => {}
            Err(_) if self.is_end(after) => self.found.dangling.push(path),
            Err(_) => {}
        }
    }

    /// Places after one more name.
    fn after(&self, places: &[usize], name: &str) -> Vec<usize> {
        let mut after = Vec::new();
        for &at in places {
            match self.parts.get(at) {
                Some(part) if !part.accepts(name) => {}
                Some(Component::Folders) => after.push(at),
                Some(_) => after.push(at + 1),
                None => {}
            }
        }
        self.with_skipped(after)
    }

    /// These places and those reached by skipping `**`, which may match no folder; each once.
    fn with_skipped(&self, mut places: Vec<usize>) -> Vec<usize> {
        let mut next = 0;
        while let Some(&at) = places.get(next) {
            if matches!(self.parts.get(at), Some(Component::Folders)) {
                places.push(at + 1);
            }
            next += 1;
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn name_at(&self, place: usize) -> Option<String> {
        match self.parts.get(place) {
            Some(Component::Name(name)) => Some(name.clone()),
            _ => None,
        }
    }

    fn is_end(&self, places: &[usize]) -> bool {
        places.contains(&self.parts.len())
    }
}
