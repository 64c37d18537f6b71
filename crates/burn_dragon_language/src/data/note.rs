//! Notes about the data: facts that do not stop a run, but that its user should know.

use std::fmt;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::{one_line, shortened};
use serde::{Deserialize, Serialize};

/// Something about the data that may not be intended. [`Display`](fmt::Display) gives one line without the
/// [`level`](Self::level).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// An entry of `paths` looks like a pattern, but a file or folder has exactly this name and is read instead.
    ByItsName {
        /// The entry of `paths`.
        entry: String,
        /// File or folder whose name is the entry, or the leading part of it.
        path: PathBuf,
    },
    /// Links to folders. They are not followed.
    LinkedFolders(Listed),
    /// Broken links.
    DanglingLinks(Listed),
    /// Folders that a pattern matches. Patterns take only files.
    Folders(Listed),
    /// Files with the same text as another file. The text is read once.
    Copies {
        /// Files that were not read, each with the file that has the same text.
        files: Listed,
    },
    /// Validation text that is also training text.
    ValidatedOnTraining {
        /// Files of the validation source, each with the file of the training source that has the same text.
        files: Listed,
    },
    /// Validation documents that are also training documents, so many that figures are affected.
    DocumentsInBoth {
        /// Number of such documents.
        documents: usize,
        /// Number of validation documents in all.
        of: usize,
        /// Share of the validation bytes in such documents, 0 to 1.
        share: f64,
    },
    /// A separator that never occurs in some files.
    Uncut {
        /// The separator.
        separator: String,
        /// The files.
        files: Listed,
        /// Number of files with text in all.
        of: usize,
        /// The likely reason.
        why: Why,
    },
    /// A separator that also occurs with other line ends, where it does not divide the text.
    OtherLineEnds {
        /// The separator.
        separator: String,
        /// The separator with the other line ends.
        other: String,
        /// Number of times that it occurs with the other line ends.
        times: usize,
        /// The files.
        files: Listed,
    },
    /// A separator that occurs only at the start or the end of the text, so there is one document.
    OneDocument {
        /// The separator.
        separator: String,
    },
    /// What was read of the sources of a mixture.
    Mixed {
        /// Number of bytes of each source.
        bytes: Vec<u64>,
        /// Index of the source that ended, and with it the mixture.
        ended: usize,
    },
    /// A note of an earlier reading of the same text, from the cache.
    Kept {
        /// Severity of the note.
        level: Severity,
        /// The note in words.
        text: String,
    },
    /// A validation source without a separator, whose text contains the separator of the training source.
    ValidationUncut {
        /// The separator.
        separator: String,
        /// Number of times that it occurs.
        times: usize,
    },
}

/// Reason why a separator does not occur in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The text has other line ends.
    LineEnds {
        /// The separator with the line ends of the text.
        other: String,
        /// Number of times that it occurs so.
        times: usize,
    },
    /// The separator contains a backslash and a letter, where one character was probably meant.
    Escape {
        /// The separator that was probably meant.
        meant: String,
    },
    /// The text does not contain it.
    Absent,
}

impl Note {
    /// Share of the validation text that is worth a word if it is trained on too.
    pub(super) const SOME: f64 = 0.01;

    /// Share of it that makes the figures another matter.
    const MUCH: f64 = 0.1;

    /// Severity of the note.
    pub fn level(&self) -> Severity {
        match self {
            Self::Kept { level, .. } => *level,
            Self::ByItsName { .. }
            | Self::Mixed { .. }
            | Self::LinkedFolders(_)
            | Self::Folders(_)
            | Self::Copies { .. }
            | Self::DanglingLinks(_) => Severity::Note,
            Self::DocumentsInBoth { share, .. } if *share < Self::MUCH => Severity::Note,
            Self::Uncut {
                files,
                of,
                why: Why::Absent,
                ..
            } if files.count < *of => Severity::Note,
            Self::Uncut { .. }
            | Self::OtherLineEnds { .. }
            | Self::OneDocument { .. }
            | Self::ValidationUncut { .. }
            | Self::DocumentsInBoth { .. }
            | Self::ValidatedOnTraining { .. } => Severity::Warning,
        }
    }
}

/// Severity of a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Information about a choice that may be unexpected.
    Note,
    /// A probable mistake.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ByItsName { entry, path } => write!(
                f,
                "{entry:?} looks like a pattern, but {} exists, so that is meant",
                path.display()
            ),
            Self::Kept { text, .. } => f.write_str(text),
            Self::Mixed { bytes, ended } => {
                let bytes: Vec<String> = bytes.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "the mixture ends where source {} ends; of its sources it has {} bytes",
                    ended + 1,
                    bytes.join(", ")
                )
            }
            Self::LinkedFolders(links) => {
                write!(
                    f,
                    "links to folders are not followed; to read their files, name the folders: {links}"
                )
            }
            Self::DanglingLinks(links) => write!(f, "broken links are left out: {links}"),
            Self::Folders(folders) => write!(
                f,
                "a pattern takes only files, so folders that it matches are left out: {folders}; add /**/*.txt to read \
                 their files"
            ),
            Self::Copies { files } => write!(f, "files with the same text are read once: {files}"),
            Self::ValidatedOnTraining { files } => write!(
                f,
                "the validation text is also training text, so its figures do not separate learning from memorisation: \
                 {files}"
            ),
            Self::DocumentsInBoth { documents, of, share } => write!(
                f,
                "{documents} of {of} validation documents ({:.0} % of the text) are also training documents, word for word, \
                 so the figures do not separate learning from memorisation",
                100.0 * share
            ),
            Self::Uncut {
                separator,
                files,
                of,
                why,
            } => {
                let uncut = match (files.count, *of) {
                    (1, 1) => format!("in {files}, which is one document"),
                    (all, of) if all == of => {
                        format!("in any of the {of} files, each of which is one document: {files}")
                    }
                    (some, of) => format!("in {some} of {of} files, which are one document each: {files}"),
                };
                let separator = shown(separator);
                write!(f, "the document separator {separator} never occurs {uncut}{why}")
            }
            Self::OtherLineEnds {
                separator,
                other,
                times,
                files,
            } => write!(
                f,
                "some line ends differ from those of the document separator {}, so it does not divide the text at {}, which \
                 occurs {}: {files}",
                shown(separator),
                shown(other),
                often(*times)
            ),
            Self::OneDocument { separator } => write!(
                f,
                "the document separator {} occurs, but all text is on one side of it, so there is one document",
                shown(separator)
            ),
            Self::ValidationUncut { separator, times } => write!(
                f,
                "the document separator {} of the training text occurs {} in the validation text, but \
                 `dataset.validation` has no `document_separator`, so a file of it is one document",
                shown(separator),
                often(*times)
            ),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineEnds { other, times } => write!(
                f,
                "; its lines end in {}, and {} occurs {}: use that as the separator",
                if other.contains('\r') {
                    "CRLF (\\r\\n)"
                } else {
                    "LF (\\n)"
                },
                shown(other),
                often(*times)
            ),
            Self::Escape { meant } => write!(
                f,
                "; it contains a backslash and a letter: TOML reads the escape {} only in double quotes",
                shown(meant)
            ),
            Self::Absent => Ok(()),
        }
    }
}

fn often(times: usize) -> String {
    match times {
        1 => "once".into(),
        times => format!("{times} times"),
    }
}

/// A separator as TOML would write it in double quotes.
fn shown(separator: &str) -> String {
    let mut text = String::from("\"");
    for c in separator.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\\' | '"' => text.extend(['\\', c]),
            c => text.push(c),
        }
    }
    text.push('"');
    shortened(&text)
}

/// The first of some files, and their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The first files, each as it is displayed.
    pub first: Vec<String>,
    /// Number of files.
    pub count: usize,
}

impl Listed {
    /// Number of files that a message names.
    const NAMED: usize = 3;

    pub(super) fn of<P: AsRef<Path>>(paths: &[P]) -> Self {
        let name = |path: &P| path.as_ref().display().to_string();
        Self {
            first: paths.iter().take(Self::NAMED).map(name).collect(),
            count: paths.len(),
        }
    }

    /// Pairs of files with the same text.
    pub(super) fn of_pairs(pairs: &[(PathBuf, PathBuf)]) -> Self {
        let name =
            |(path, as_in): &(PathBuf, PathBuf)| format!("{} as in {}", path.display(), as_in.display());
        Self {
            first: pairs.iter().take(Self::NAMED).map(name).collect(),
            count: pairs.len(),
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&one_line(&self.first.join(", ")))?;
        match self.count.saturating_sub(self.first.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
