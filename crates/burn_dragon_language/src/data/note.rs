//! What a reader of the data should know, though it stops nothing.

use std::fmt;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::{one_line, shortened};

/// Something about the data that may not be what was meant. Shown, it is one line without its [`level`](Self::level).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Note {
    /// An entry of `paths` looks like a pattern, and something has that very name.
    ByItsName {
        /// The entry.
        entry: String,
        /// What has its name, or that of a part of it.
        path: PathBuf,
    },
    /// Links to folders, which are not followed.
    LinkedFolders(Listed),
    /// Links that lead to nothing.
    DanglingLinks(Listed),
    /// Folders that a pattern matches; it takes files.
    Folders(Listed),
    /// Files whose text another file has too: read once.
    Copies {
        /// The files that were not read, each with the file that has its text.
        files: Listed,
    },
    /// Text to validate on that is also trained on.
    ValidatedOnTraining {
        /// The files of the validation source, each with the file of the training source that has its text.
        files: Listed,
    },
    /// Documents to validate on that are also trained on, so much that it shows in the figures.
    DocumentsInBoth {
        /// How many documents.
        documents: usize,
        /// Of how many to validate on.
        of: usize,
        /// Which share of the bytes to validate on they have, 0 to 1.
        share: f64,
    },
    /// The separator never occurs in files.
    Uncut {
        /// The separator.
        separator: String,
        /// The files.
        files: Listed,
        /// Number of files with text in all.
        of: usize,
        /// Why, as far as can be told.
        why: Why,
    },
    /// The separator occurs, and also with other ends of lines, where it cuts nothing.
    OtherLineEnds {
        /// The separator.
        separator: String,
        /// The same with the other ends of lines.
        other: String,
        /// How often that occurs.
        times: usize,
        /// The files.
        files: Listed,
    },
    /// The separator occurs, but there is no text on the other side of it.
    OneDocument {
        /// The separator.
        separator: String,
    },
    /// The training text has a separator that occurs in the validation text too, whose source has none.
    ValidationUncut {
        /// The separator.
        separator: String,
        /// How often it occurs.
        times: usize,
    },
}

/// Why a separator does not occur in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Why {
    /// The text ends its lines otherwise.
    LineEnds {
        /// The separator with the line ends of the text.
        other: String,
        /// How often that occurs.
        times: usize,
    },
    /// The separator holds a backslash and a letter, where one character was meant.
    Escape {
        /// What was meant.
        meant: String,
    },
    /// It is not there.
    Absent,
}

impl Note {
    /// Share of the validation text that is worth a word if it is trained on too.
    pub(super) const SOME: f64 = 0.01;

    /// Share of it that makes the figures another matter.
    const MUCH: f64 = 0.1;

    /// How serious it is.
    pub fn level(&self) -> Severity {
        match self {
            Self::ByItsName { .. }
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

/// How serious a note is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// What was done, where another might have been expected.
    Note,
    /// What is probably a mistake.
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
            Self::LinkedFolders(links) => {
                write!(
                    f,
                    "links to folders are not followed, name what is to be read: {links}"
                )
            }
            Self::DanglingLinks(links) => write!(f, "links that lead to nothing are left out: {links}"),
            Self::Folders(folders) => write!(
                f,
                "a pattern takes files, so folders that it matches are left out: {folders}; add /**/*.txt for what is in them"
            ),
            Self::Copies { files } => write!(f, "files with the same text are read once: {files}"),
            Self::ValidatedOnTraining { files } => write!(
                f,
                "the validation text is trained on, so its figures do not tell what was learnt from what was memorised: {files}"
            ),
            Self::DocumentsInBoth { documents, of, share } => write!(
                f,
                "{documents} of {of} validation documents ({:.0} % of the text) are word for word trained on too, so the \
                 figures do not tell what was learnt from what was memorised",
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
                "some line ends are others than those of the document separator {}, so it cuts nothing where there is {}, \
                 {}: {files}",
                shown(separator),
                shown(other),
                often(*times)
            ),
            Self::OneDocument { separator } => write!(
                f,
                "the document separator {} occurs, but all text is on one side of it, which makes one document",
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
                "; its lines end in {}, and {} occurs {}: make that the separator",
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
                "; it holds a backslash and a letter: TOML reads {} as what it means in double quotes alone",
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

/// The first of some files, and how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The first few, each as it is shown.
    pub first: Vec<String>,
    /// How many there are.
    pub count: usize,
}

impl Listed {
    /// Files that are named to a person.
    const NAMED: usize = 3;

    pub(super) fn of<P: AsRef<Path>>(paths: &[P]) -> Self {
        let name = |path: &P| path.as_ref().display().to_string();
        Self {
            first: paths.iter().take(Self::NAMED).map(name).collect(),
            count: paths.len(),
        }
    }

    /// Files, each with another that has the same text.
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
