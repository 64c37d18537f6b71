//! Arguments of `dragon predict`.

use super::ModelArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon predict`.
#[derive(Debug, ClapArgs)]
pub struct PredictArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Input: a file, - for standard input, or the input itself (for sudoku: puzzles of 81 characters, one per line; for graph: JSON, GraphML,
    /// or a folder with nodes.tsv and edges.tsv)
    #[arg(value_name = "INPUT", allow_hyphen_values = true)]
    pub input: String,
    /// Number of levels to run, for a model that is recurrent in depth (default: as in training); of frames to predict, for
    /// bodies (default: 1)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Write the predictions to FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
