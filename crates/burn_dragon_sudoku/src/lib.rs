//! Sudoku models of the Dragon Hatchling family.

#![allow(missing_docs)]
mod config;
mod data;
mod error;
mod grid;
mod model;
mod solver;
mod trunk;
mod units;

/// The curated names of this crate.
pub mod api {
    pub use crate::data::{DatasetConfig, GeneratorConfig, ListsConfig, Pair, Puzzles, SolvedBy, Split};
    pub use crate::error::SudokuError;
    pub use crate::grid::{Conflict, Grid, ParseError};
    pub use crate::solver::{Singles, Solutions, candidates, fill_singles, solve};

    /// Parts of the data, for those who build on them.
    pub mod expert {
        pub use crate::data::{Entry, LineError, Problem, Symmetry, entries, read_pairs};
        pub use crate::units::{CELLS, box_of, column_of, row_of};
    }
}

pub mod proto {
    pub use crate::config::*;
    pub use crate::model::*;
    pub use burn_dragon_core::api::cross_entropy;
}
