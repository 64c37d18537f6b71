//! Sudoku models of the Dragon Hatchling family.

mod config;
mod data;
mod error;
mod evaluate;
mod export;
mod family;
mod grid;
mod keys;
mod model;
mod picture;
mod predict;
mod report;
mod solver;
mod task;
mod units;

/// Main items of this crate.
pub mod api {
    pub use crate::config::{LossConfig, ModelConfig, NamedLevels, SudokuConfig, Supervised};
    pub use crate::data::{
        Augment, DatasetConfig, GeneratorConfig, ListsConfig, Pair, Puzzles, SolvedBy, Split,
    };
    pub use crate::error::SudokuError;
    pub use crate::evaluate::{Answer, Controls, LevelScore, Score, answers, evaluate};
    pub use crate::export::{SUDOKU, SudokuKind, model_of};
    pub use crate::family::Sudoku;
    pub use crate::grid::{Conflict, Grid, ParseError};
    pub use crate::model::{SudokuModel, SudokuPass};
    pub use crate::picture::draw;
    pub use crate::predict::Predicted;
    pub use crate::solver::{Singles, Solutions, candidates, fill_singles, solve};
    pub use crate::task::SudokuTask;

    /// Parts of the data, to build on.
    pub mod expert {
        pub use crate::data::{Entry, LineError, Problem, Symmetry, entries, read_pairs};
        pub use crate::units::{CELLS, box_of, column_of, row_of};
    }
}
