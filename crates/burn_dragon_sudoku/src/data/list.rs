//! Lists of puzzles: one grid per line, or tables of puzzles with their solutions.
//!
//! | line | is |
//! |---|---|
//! | 81 characters, or 81 comma-separated fields | a puzzle |
//! | two grids of 81 characters with a comma between | a puzzle and its solution |
//! | `puzzle,solution`, `question,answer`, `quizzes,solutions`, possibly among other columns | a header, in the first
//! line only |
//! | empty, or starting with `#` | skipped |

use super::Pair;
use crate::error::SudokuError;
use crate::grid::{Grid, ParseError};
use crate::solver::{MOST_GUESSES, Solutions, solve};
use flate2::read::MultiGzDecoder;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

/// Maximum length of a line, in bytes.
const LONGEST_LINE: usize = 4096;

/// Names of the column with puzzles.
const PUZZLE: [&str; 5] = ["puzzle", "puzzles", "question", "quiz", "quizzes"];

/// Names of the column with solutions.
const SOLUTION: [&str; 4] = ["solution", "solutions", "answer", "answers"];

/// Entry of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Number of the line, counted from 1.
    pub line: usize,
    /// The puzzle.
    pub puzzle: Grid,
    /// Its solution, if the list has one.
    pub solution: Option<Grid>,
}

/// Error in a line: no puzzle, or a solution that does not match it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct LineError {
    /// Number of the line, counted from 1.
    pub line: usize,
    /// The problem.
    pub problem: Problem,
}

/// Problem of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The text is not a grid.
    Grid(ParseError),
    /// The givens break a rule.
    Conflict(crate::grid::Conflict),
    /// The number of columns differs from that of the header.
    Columns {
        /// Number of columns in the header.
        expected: usize,
        /// Number of columns in the line.
        given: usize,
    },
    /// The line cannot be read: it is too long, or not text.
    Unreadable(String),
    /// The given solution breaks a rule, or does not solve the puzzle.
    NotItsSolution,
    /// The puzzle has no solution.
    NoSolution,
    /// The puzzle has several solutions. A puzzle for training must have exactly one.
    SeveralSolutions,
    /// The exact solver gave up before it knew whether the puzzle has exactly one solution.
    TooManyGuesses,
}

impl Display for Problem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Grid(error) => error.fmt(f),
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Columns { expected, given } => {
                write!(f, "expected {expected} columns, as in the header, found {given}")
            }
            Self::Unreadable(reason) => f.write_str(reason),
            Self::NotItsSolution => {
                f.write_str("expected a solution of the puzzle, found a grid that does not solve it")
            }
            Self::NoSolution => f.write_str("expected a puzzle with exactly one solution, found none"),
            Self::SeveralSolutions => {
                f.write_str("expected a puzzle with exactly one solution, found several")
            }
            Self::TooManyGuesses => write!(
                f,
                "expected a puzzle with exactly one solution; the exact solver gave up after {MOST_GUESSES} guesses"
            ),
        }
    }
}

/// Entries of a text, line by line. An invalid line gives an error, and reading continues after it.
pub fn entries(text: impl BufRead) -> impl Iterator<Item = Result<Entry, LineError>> {
    let mut lines = Lines {
        text,
        line: 0,
        ended: false,
    };
    let mut columns = Columns::Plain;
    std::iter::from_fn(move || {
        loop {
            let (line, text) = match lines.next()? {
                Ok(found) => found,
                Err(error) => return Some(Err(error)),
            };
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if line == 1
                && let Some(header) = Columns::of_header(text)
            {
                columns = header;
                continue;
            }
            return Some(
                columns
                    .entry(line, text)
                    .map_err(|problem| LineError { line, problem }),
            );
        }
    })
}

/// Reads at most `limit` puzzles of a file with their solutions. Missing solutions are computed. A file whose name ends
/// in `.gz` is unpacked.
///
/// # Errors
/// [`SudokuError::Read`] if the file cannot be read; [`SudokuError::Line`] for the first invalid line, or the first
/// puzzle without exactly one solution.
pub fn read_pairs(path: &Path, limit: usize) -> Result<Vec<Pair>, SudokuError> {
    read_range(path, 0, limit)
}

/// The same behind the first `skip` entries.
pub(crate) fn read_range(path: &Path, skip: usize, limit: usize) -> Result<Vec<Pair>, SudokuError> {
    let text = open(path)?;
    let pairs = entries(BufReader::new(text))
        .skip(skip)
        .take(limit)
        .map(|entry| entry.and_then(Entry::solved));
    pairs
        .collect::<Result<_, _>>()
        .map_err(|error| SudokuError::Line {
            path: path.into(),
            error,
        })
}

/// Opens a file; it is unpacked if its name ends in `.gz`.
///
/// # Errors
/// [`SudokuError::Read`] if it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Box<dyn Read>, SudokuError> {
    let file = File::open(path).map_err(|source| SudokuError::Read {
        path: path.into(),
        source,
    })?;
    let packed = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("gz"));
    Ok(if packed {
        Box::new(MultiGzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

impl Entry {
    /// The puzzle with its solution, checked or computed.
    ///
    /// # Errors
    /// If there is no solution, or more than one.
    fn solved(self) -> Result<Pair, LineError> {
        let Self {
            line,
            puzzle,
            solution,
        } = self;
        let refuse = |problem| Err(LineError { line, problem });
        match (solution, solve(&puzzle)) {
            (_, Solutions::None) => refuse(Problem::NoSolution),
            (_, Solutions::Many(_)) => refuse(Problem::SeveralSolutions),
            (_, Solutions::Unknown) => refuse(Problem::TooManyGuesses),
            (Some(given), Solutions::One(solution)) if given != solution => refuse(Problem::NotItsSolution),
            (_, Solutions::One(solution)) => Ok(Pair { puzzle, solution }),
        }
    }
}

/// Lines of a text with their numbers. No line longer than the maximum is kept in memory.
struct Lines<R> {
    text: R,
    line: usize,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Option<Result<(usize, String), LineError>> {
        if self.ended {
            return None;
        }
        self.line += 1;
        let mut bytes = Vec::new();
        let read = (&mut self.text)
            .take(LONGEST_LINE as u64 + 1)
            .read_until(b'\n', &mut bytes);
        let unreadable = match read {
            Ok(0) => return None,
            Ok(_) if bytes.len() > LONGEST_LINE => {
                self.ended = true; // what follows has no number
                format!("expected a line of at most {LONGEST_LINE} bytes, found a longer one")
            }
            Ok(_) => match String::from_utf8(bytes) {
                Ok(text) => return Some(Ok((self.line, text))),
                Err(_) => "expected text, found bytes that are not UTF-8".into(),
            },
            Err(error) => {
                self.ended = true;
                format!("cannot be read: {error}")
            }
        };
        Some(Err(LineError {
            line: self.line,
            problem: Problem::Unreadable(unreadable),
        }))
    }
}

/// Positions of puzzle and solution in a line.
enum Columns {
    /// No header: a puzzle, or a puzzle and its solution.
    Plain,
    /// Columns named by a header.
    Named {
        puzzle: usize,
        solution: Option<usize>,
        count: usize,
    },
}

impl Columns {
    /// Columns of a header; `None` if the text is not a header.
    fn of_header(text: &str) -> Option<Self> {
        let names: Vec<String> = text
            .split(',')
            .map(|name| name.trim().to_ascii_lowercase())
            .collect();
        let column = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        Some(Self::Named {
            puzzle: column(&PUZZLE)?,
            solution: column(&SOLUTION),
            count: names.len(),
        })
    }

    fn entry(&self, line: usize, text: &str) -> Result<Entry, Problem> {
        let fields: Vec<&str> = text.split(',').collect();
        let (puzzle, solution) = match self {
            Self::Plain if fields.len() == 2 => (field(&fields, 0)?, Some(field(&fields, 1)?)),
            Self::Plain => (text.parse().map_err(Problem::Grid)?, None),
            Self::Named { count, .. } if *count != fields.len() => {
                return Err(Problem::Columns {
                    expected: *count,
                    given: fields.len(),
                });
            }
            Self::Named { puzzle, solution, .. } => (
                field(&fields, *puzzle)?,
                solution.map(|column| field(&fields, column)).transpose()?,
            ),
        };
        if let Some(conflict) = puzzle.conflict() {
            return Err(Problem::Conflict(conflict));
        }
        if solution.is_some_and(|solution| !solution.solves(&puzzle)) {
            return Err(Problem::NotItsSolution);
        }
        Ok(Entry {
            line,
            puzzle,
            solution,
        })
    }
}

/// Grid in a field. Errors count columns from the start of the line.
fn field(fields: &[&str], column: usize) -> Result<Grid, Problem> {
    let before: usize = fields[..column]
        .iter()
        .map(|field| field.chars().count() + 1)
        .sum();
    let text = fields[column];
    let blank = text
        .chars()
        .take_while(|character| character.is_whitespace())
        .count();
    text.trim().parse().map_err(|mut error: ParseError| {
        error.column += before + blank;
        Problem::Grid(error)
    })
}
