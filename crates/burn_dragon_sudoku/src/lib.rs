//! Sudoku models of the Dragon Hatchling family: tokens that read the memories of their rows, columns and boxes.
//!
//! ```text
//! e = norm(digits[what the puzzle says of the token]),  v = e
//! L times, with the same weights:
//!     w = norm(v + e)
//!     for each kind of unit (cell, row, column, box), with the heads of the kind:
//!         x = relu(w decoder_x)
//!         a = norm(sum over the tokens s of the own unit of (x . x_s) w_s)
//!         y = relu(a decoder_y) * x
//!     v = norm(w + norm(sum of y encoder))
//!     logits = v readout                                                 after every level, with one readout
//! ```
//!
//! Tokens are the 729 candidates, a digit in a cell each, or the 81 cells. In a dense model all cells read all cells. In a TRM
//! model, levels of either kind are a network that an answer and a reasoning go through again and again.
//!
//! The loss is the cross-entropy of the empty cells after every level: a model that is recurrent in depth is judged at
//! every depth, and may be run deeper than it was trained. Puzzles come from a seed or from files, and an exact solver
//! ([`api::solve`]) says what each of them comes to.
//!
//! | what | where |
//! |---|---|
//! | grids as text and as digits | [`api::Grid`] |
//! | the exact solver; what singles alone fill; ratings | [`api::solve`], [`api::search`], [`api::fill_singles`], [`api::Rating`] |
//! | puzzles from a seed or from files, in two parts | [`api::DatasetConfig`], [`api::GeneratorConfig`], [`api::Split`] |
//! | the model | [`api::SudokuModel`] |
//! | solving, level after level until the answer is consistent | [`api::solve_with`] |
//! | figures by number of levels, and controls | [`api::evaluate`], [`api::Controls`] |
//! | a policy that picks the cells to fill, beside controls | [`api::compare_policies`] |
//! | the family, for the trainer and the command line | [`api::Sudoku`], [`api::SudokuTask`] |

mod config;
mod constraint;
mod cost;
mod data;
mod error;
mod evaluate;
mod export;
mod family;
mod grid;
mod keys;
mod measure;
mod model;
mod picture;
mod predict;
mod rating;
mod recursion;
mod report;
mod saccade;
mod solve;
mod solver;
mod task;
mod topology;
mod trm;
mod units;

/// Main items of this crate.
pub mod api {
    pub use crate::config::{
        GlimpseConfig, LossConfig, LossKind, ModelConfig, ModelType, NamedLevels, Places, Reads,
        SudokuConfig, Supervised, Tokens, TrmConfig,
    };
    pub use crate::constraint::{SudokuState, UnitMemory};
    pub use crate::data::{
        Augment, DatasetConfig, GeneratorConfig, Givens, ListsConfig, NamedGivens, Order, Pair, Puzzles,
        SolvedBy, Split,
    };
    pub use crate::error::SudokuError;
    pub use crate::evaluate::{Answer, Controls, LevelScore, Score, answers, evaluate};
    pub use crate::export::{SUDOKU, SudokuKind, model_of};
    pub use crate::family::Sudoku;
    pub use crate::grid::{Conflict, Grid, ParseError};
    pub use crate::model::{SudokuModel, SudokuPass};
    pub use crate::picture::{draw, draw_frames, svg};
    pub use crate::predict::{Predicted, Prediction};
    pub use crate::rating::{Difficulty, Rating};
    pub use crate::saccade::{PolicyScore, compare_policies, policy_lines};
    pub use crate::solve::{Frame, SolveOptions, Solved, frames, solve_with};
    pub use crate::solver::{
        MOST_GUESSES, Search, SearchEnd, SearchLimits, Singles, Solutions, candidates, fill_singles, search,
        solve,
    };
    pub use crate::task::SudokuTask;
    pub use crate::trm::Lanes;

    /// Parts of the data, to build on.
    pub mod expert {
        pub use crate::data::{
            Entry, LineError, Problem, Symmetry, canonical, canonical_solution, entries, leaks, read_pairs,
        };
        pub use crate::units::{CELLS, box_of, column_of, row_of};
    }
}
