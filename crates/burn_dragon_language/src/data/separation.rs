//! Effect of a document separator, file by file, and the likely reason if it has none.

use std::path::{Path, PathBuf};

use super::note::{Listed, Note, Why};
use super::text::count;

/// Effect of a separator on the files of a source.
#[derive(Debug)]
pub(super) struct Separation<'a> {
    separator: &'a str,
    /// The separator with the other line ends, if it contains a line end.
    other: Option<String>,
    /// Number of files.
    files: usize,
    /// Files in which it does not occur, with the number of times that the other form does.
    uncut: Vec<(PathBuf, usize)>,
    /// Files in which both forms occur, with that number.
    mixed: Vec<(PathBuf, usize)>,
}

impl<'a> Separation<'a> {
    pub(super) fn new(separator: &'a str) -> Self {
        let other = match separator.contains("\r\n") {
            true => separator.replace("\r\n", "\n"),
            false => separator.replace('\n', "\r\n"),
        };
        Self {
            separator,
            other: Some(other).filter(|other| other != separator),
            files: 0,
            uncut: Vec::new(),
            mixed: Vec::new(),
        }
    }

    /// Number of times that the separator with other line ends occurs in a document.
    pub(super) fn others(&self, document: &[u8]) -> usize {
        self.other
            .as_ref()
            .map_or(0, |other| count(document, other.as_bytes()))
    }

    /// Adds a file that is not blank, in which the separator occurs `cuts` times.
    /// In its documents the separator with other line ends occurs `others` times.
    pub(super) fn saw(&mut self, path: &Path, cuts: usize, others: usize) {
        self.files += 1;
        if cuts == 0 {
            self.uncut.push((path.into(), others));
            return;
        }
        // Where one holds the other (`\n` and `\r\n`), a text with one of them has both.
        let apart = |other: &&String| !other.contains(self.separator) && !self.separator.contains(&***other);
        if others > 0 && self.other.as_ref().filter(apart).is_some() {
            self.mixed.push((path.into(), others));
        }
    }

    /// Notes, if the files gave `documents` documents in all.
    pub(super) fn notes(self, documents: usize) -> Vec<Note> {
        let separator = self.separator.to_owned();
        let listed =
            |files: &[(PathBuf, usize)]| Listed::of(&files.iter().map(|(path, _)| path).collect::<Vec<_>>());
        let times = |files: &[(PathBuf, usize)]| files.iter().map(|(_, times)| times).sum();
        let mut notes = Vec::new();
        if !self.uncut.is_empty() {
            notes.push(Note::Uncut {
                separator: separator.clone(),
                files: listed(&self.uncut),
                of: self.files,
                why: self.why(times(&self.uncut)),
            });
        } else if documents == 1 {
            notes.push(Note::OneDocument {
                separator: separator.clone(),
            });
        }
        if let Some(other) = self.other.filter(|_| !self.mixed.is_empty()) {
            notes.push(Note::OtherLineEnds {
                separator,
                other,
                times: times(&self.mixed),
                files: listed(&self.mixed),
            });
        }
        notes
    }

    fn why(&self, times: usize) -> Why {
        let meant = ["\\r", "\\n", "\\t"].iter().zip(["\r", "\n", "\t"]);
        let meant = meant.fold(self.separator.to_owned(), |text, (escape, meant)| {
            text.replace(escape, meant)
        });
        match &self.other {
            Some(other) if times > 0 => Why::LineEnds {
                other: other.clone(),
                times,
            },
            _ if meant != self.separator => Why::Escape { meant },
            _ => Why::Absent,
        }
    }
}
