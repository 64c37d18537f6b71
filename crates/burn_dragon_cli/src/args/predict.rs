//! What is typed of `dragon predict`.

use super::ModelArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon predict`.
#[derive(Debug, ClapArgs)]
pub struct PredictArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// What to predict from: a file, - for standard input, or one input itself (of sudoku: puzzles of 81 characters, a
    /// line each)
    #[arg(value_name = "INPUT", allow_hyphen_values = true)]
    pub input: String,
    /// Passes through a model that is recurrent in depth, instead of as many as it was trained with
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Write the predictions into FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
