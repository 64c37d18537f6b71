//! Everything that can go wrong with puzzles and their models, and what to do about it.

use crate::data::LineError;
use burn_dragon_core::api::{ConfigError, MemoryError};
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the sudoku crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SudokuError {
    /// A setting that no run can have.
    #[error("{key} {reason}")]
    Config {
        /// The full key.
        key: &'static str,
        /// What is wrong with it, beginning with a verb.
        reason: String,
    },
    /// A model of a shape that there is not.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A line of a list that is no puzzle to learn from.
    #[error("{}: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, and what is wrong with it.
        error: LineError,
    },
    /// A part of the data without a puzzle.
    #[error(
        "no puzzle of `dataset.paths` is for {part} ({puzzles} in all; one in 16 classes of solutions is held out): give \
         more puzzles, or lists of their own under `dataset.validation_paths`"
    )]
    NoPuzzles {
        /// The part: training, validation.
        part: &'static str,
        /// Puzzles there are.
        puzzles: usize,
    },
    /// Something that the machine has no memory for.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<SudokuError> for TrainError {
    /// Who is at fault decides: a setting that was typed, a file that was given, or the machine.
    fn from(error: SudokuError) -> Self {
        match error {
            SudokuError::Config { .. } | SudokuError::Model(_) => Self::Usage(error.to_string()),
            SudokuError::Read { .. } | SudokuError::Line { .. } | SudokuError::NoPuzzles { .. } => {
                Self::BadInput(error.to_string())
            }
            SudokuError::Memory(error) => Self::Memory(error),
        }
    }
}
