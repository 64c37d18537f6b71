//! Errors of the sudoku crate.

use crate::data::LineError;
use burn_dragon_core::api::{ConfigError, MemoryError};
use burn_dragon_train::api::TrainError;
use std::path::PathBuf;

/// An error of the sudoku crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SudokuError {
    /// An invalid setting.
    #[error("{key} {reason}")]
    Config {
        /// Full name of the key.
        key: &'static str,
        /// Why it is invalid, beginning with a verb.
        reason: String,
    },
    /// Sizes that no model can have.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// A line of a list that is not a valid training puzzle.
    #[error("{}: {error}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line and its problem.
        error: LineError,
    },
    /// A part of the data without puzzles.
    #[error(
        "no puzzle of `dataset.paths` belongs to the {part} part ({puzzles} puzzles in all; one in 16 classes of solutions \
         is held out): give more puzzles, or separate lists in `dataset.validation_paths`"
    )]
    NoPuzzles {
        /// Name of the part: `training` or `validation`.
        part: &'static str,
        /// Number of puzzles in all.
        puzzles: usize,
    },
    /// A policy that cannot learn so.
    #[error(transparent)]
    Policy(#[from] Box<TrainError>),
    /// Work that needs more memory than the machine has free.
    #[error(transparent)]
    Memory(#[from] MemoryError),
}

impl From<SudokuError> for TrainError {
    /// Maps the error by its cause: a setting, a file, or the memory of the machine.
    fn from(error: SudokuError) -> Self {
        match error {
            SudokuError::Config { .. } | SudokuError::Model(_) => Self::Usage(error.to_string()),
            SudokuError::Read { .. } | SudokuError::Line { .. } | SudokuError::NoPuzzles { .. } => {
                Self::BadInput(error.to_string())
            }
            SudokuError::Policy(error) => *error,
            SudokuError::Memory(error) => Self::Memory(error),
        }
    }
}
