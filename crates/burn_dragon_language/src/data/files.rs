//! Files that a list of paths means, each once.

use std::collections::HashMap;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::entry::Entry;
use super::note::{Listed, Note};
use super::walk::{Component, Found, walk};
use crate::error::LanguageError;

/// Files to read, in order, with notes about what was left out.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// Paths, one for each file: the first of its names.
    pub(super) paths: Vec<PathBuf>,
    pub(super) notes: Vec<Note>,
}

/// Files of some entries of `paths`. Relative entries start from `base`.
///
/// # Errors
/// [`LanguageError::MissingPath`], [`LanguageError::DanglingLink`], [`LanguageError::Glob`],
/// [`LanguageError::NoTextInFolder`], [`LanguageError::Read`].
pub(super) fn list(entries: &[String], base: &Path) -> Result<Files, LanguageError> {
    let mut files = Files::default();
    let mut known = Known::default();
    for typed in entries {
        let entry = Entry::of(typed, base);
        files.notes.extend(entry.note(typed));
        let found = find(typed, &entry, base)?;
        for path in found.files {
            if known.is_new(&path)? {
                files.paths.push(path);
            }
        }
        let passed_over = [
            (found.linked, Note::LinkedFolders as fn(Listed) -> Note),
            (found.dangling, Note::DanglingLinks),
            (found.folders, Note::Folders),
        ];
        let passed_over = passed_over.into_iter().filter(|(paths, _)| !paths.is_empty());
        files
            .notes
            .extend(passed_over.map(|(paths, note)| note(Listed::of(&paths))));
    }
    Ok(files)
}

/// Files of one entry.
fn find(typed: &str, entry: &Entry, base: &Path) -> Result<Found, LanguageError> {
    if !entry.pattern.is_empty() {
        return expand(typed, entry, base);
    }
    let path = &entry.place;
    match fs::metadata(path) {
        Ok(kind) if kind.is_dir() => {
            let found = walk(path, &[Component::Folders, Component::Text])?;
            match found.files.is_empty() {
                true => Err(LanguageError::NoTextInFolder { path: path.clone() }),
                false => Ok(found),
            }
        }
        Ok(_) => Ok(Found {
            files: vec![path.clone()],
            ..Found::default()
        }),
        Err(source) => Err(missing(path, source)),
    }
}

/// Files that match a pattern.
fn expand(typed: &str, entry: &Entry, base: &Path) -> Result<Found, LanguageError> {
    let refuse = |reason: String| LanguageError::Glob {
        pattern: typed.into(),
        base: base.into(),
        reason,
    };
    let parts = entry.pattern.iter().map(|part| Component::of(part));
    let mut parts = parts.collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    if let Some(Component::Folders) = parts.last() {
        parts.push(Component::of("*").map_err(refuse)?); // all that is beneath
    }
    match fs::metadata(&entry.place) {
        Err(source) if is_absent(&source) => {
            return Err(refuse(format!(
                "matches no file: there is no folder {}",
                entry.place.display()
            )));
        }
        Err(source) => return Err(missing(&entry.place, source)),
        Ok(_) => {}
    }
    let found = walk(&entry.place, &parts)?;
    if !found.files.is_empty() {
        return Ok(found);
    }
    let only = |what: &str, paths: &[PathBuf]| format!("matches no file, only {what} {}", Listed::of(paths));
    Err(refuse(match &found {
        Found { folders, .. } if !folders.is_empty() => {
            only("the folder", folders) + "; add /**/*.txt to read its files"
        }
        Found { linked, .. } if !linked.is_empty() => {
            only("files behind the link", linked) + "; a link to a folder is followed only if it is named"
        }
        Found { dangling, .. } if !dangling.is_empty() => only("a broken link:", dangling),
        _ => "matches no file; hidden files and editor backups (.a, a~, a.swp, #a#) are left out".into(),
    }))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Why there is nothing under a path.
fn missing(path: &Path, source: std::io::Error) -> LanguageError {
    let leads_nowhere = |path: &&Path| {
        let is_link = fs::symlink_metadata(path).is_ok_and(|kind| kind.is_symlink());
        is_link && fs::metadata(path).is_err()
    };
    if let Some(link) = path.ancestors().find(leads_nowhere) {
        return LanguageError::DanglingLink {
            path: link.into(),
            target: fs::read_link(link).unwrap_or_default(),
        };
    }
    match is_absent(&source) {
        true => LanguageError::MissingPath {
            path: path.into(),
            similar: similar_names(path),
        },
        false => LanguageError::Read {
            path: path.into(),
            source,
        },
    }
}

/// Files that were met, whatever they were called: a file may have several names, and links.
#[derive(Default)]
struct Known(HashMap<Identity, PathBuf>);

#[cfg(unix)]
type Identity = (u64, u64);
#[cfg(not(unix))]
type Identity = PathBuf;

impl Known {
    /// Whether a file is met for the first time.
    fn is_new(&mut self, path: &Path) -> Result<bool, LanguageError> {
        let unread = |source| LanguageError::Read {
            path: path.into(),
            source,
        };
        let metadata = fs::metadata(path).map_err(unread)?;
        let identity = identity(path, &metadata).map_err(unread)?;
        Ok(match self.0.get(&identity) {
            Some(first) => !is_one_file(first, path, &metadata).map_err(unread)?,
            None => self.0.insert(identity, path.into()).is_none(),
        })
    }
}

#[cfg(unix)]
fn identity(_: &Path, metadata: &Metadata) -> std::io::Result<Identity> {
    use std::os::unix::fs::MetadataExt;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path, _: &Metadata) -> std::io::Result<Identity> {
    fs::canonicalize(path)
}

/// Whether two paths of one identity are one file: not all file systems number their files apart, and a file of two
/// names that are no links must have said so.
#[cfg(unix)]
fn is_one_file(first: &Path, second: &Path, metadata: &Metadata) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(metadata.nlink() > 1 || fs::canonicalize(first)? == fs::canonicalize(second)?)
}

#[cfg(not(unix))]
fn is_one_file(_: &Path, _: &Path, _: &Metadata) -> std::io::Result<bool> {
    Ok(true)
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
    let there = |name: &String| folder.join(name).exists(); // a link that leads nowhere helps nobody
    near.into_iter()
        .map(|(_, name)| name)
        .filter(there)
        .take(3)
        .collect()
}

/// Edit distance of two names: number of letters to insert, delete or replace.
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
    use super::*;

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
