//! Arguments of `dragon predict` and `dragon look`.

use super::ModelArgs;
use burn_dragon_train::api::policy::Chooser;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon predict`.
#[derive(Debug, ClapArgs)]
pub struct PredictArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Input: a file, - for standard input, or the input itself (for sudoku: puzzles of 81 characters, one per line; for graph: JSON, GraphML,
    /// or a folder with nodes.tsv and edges.tsv; for vision: pictures and folders of them, any number)
    #[arg(value_name = "INPUT", required = true)]
    pub inputs: Vec<String>,
    /// Number of levels to run at most, for a model that is recurrent in depth (default: as in evaluation); of frames to
    /// predict, for bodies (default: 1)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// Maximum number of attempts at a puzzle; all but the first see it under a symmetry, and begin with noise (sudoku)
    #[arg(long, value_name = "K")]
    pub samples: Option<usize>,
    /// Count the answers that keep all givens and rules, and say which puzzles have no solution, or several (sudoku). An answer
    /// that breaks a rule or a given is never called solved, with and without this option
    #[arg(long)]
    pub verify: bool,
    /// Give the solution of an exact solver beside an answer that is none; it does not count as solved (sudoku)
    #[arg(long)]
    pub complete: bool,
    /// What picks the cells in a saccade model: learned, confident, random, raster or nothing (sudoku; default: learned)
    #[arg(long, value_name = "NAME")]
    pub policy: Option<Chooser>,
    /// Draw givens, guesses by level and their probability, of the first 8 puzzles (sudoku)
    #[arg(long)]
    pub show: bool,
    /// Write the same as a picture, SVG (sudoku)
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
    /// Give the features of pictures instead of predictions, and write them to the FILE of --out as safetensors (vision)
    #[arg(long, requires = "out")]
    pub embed: bool,
    /// Write the predictions to FILE instead of standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon look`.
#[derive(Debug, ClapArgs)]
pub struct LookArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Picture that the model looks at
    #[arg(value_name = "PICTURE")]
    pub input: PathBuf,
    /// Number of levels to run (default: as in evaluation)
    #[arg(long, value_name = "N")]
    pub steps: Option<usize>,
    /// File to write: .png for the picture alone, .html for a page with a legend
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
