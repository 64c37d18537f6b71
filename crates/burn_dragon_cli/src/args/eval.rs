//! What was typed after `dragon eval`.

use super::ModelArgs;
use clap::{Args as ClapArgs, ValueEnum};

/// `dragon eval`.
#[derive(Debug, ClapArgs)]
pub struct EvalArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// A text file, folder or pattern; else the validation data of the model's run
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// What separates the documents of DATA ($'\n\n', '' for nothing); else what the model's own text was divided at
    #[arg(long, value_name = "TEXT", requires = "data")]
    pub document_separator: Option<String>,
    /// Tokens in a window; else as many as the model has learnt with, or 256
    #[arg(long, value_name = "N")]
    pub block_size: Option<usize>,
    /// What is remembered from window to window of a document; else what the model has learnt with
    #[arg(long, value_enum, value_name = "MEMORY")]
    pub memory: Option<MemoryMode>,
    /// Tokens in a window of sliding memory; else as many as in a window that is read
    #[arg(long, value_name = "N", requires = "memory")]
    pub context_window: Option<usize>,
    /// Bits per byte by position in the document
    #[arg(long)]
    pub by_position: bool,
    /// Ask about facts stated long ago, with carried memory unless said
    #[arg(long, conflicts_with_all = ["data", "by_position"])]
    pub needle: bool,
    /// How many bytes ago
    #[arg(
        long,
        value_name = "BYTES",
        value_delimiter = ',',
        default_values_t = [100, 200, 500, 1000, 2000, 5000, 10000, 20000],
        requires = "needle"
    )]
    pub distances: Vec<usize>,
    /// Facts asked about at each distance
    #[arg(long, value_name = "N", default_value_t = 32, requires = "needle")]
    pub cases: usize,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// What a window still knows of the document's earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemoryMode {
    /// Everything: the state goes from window to window
    Carried,
    /// Nothing: each window starts from an empty memory
    Reset,
    /// Between one and two windows of memory; older tokens have no influence
    Sliding,
}
