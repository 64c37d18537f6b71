//! Arguments of `dragon eval`.

use super::{ModelArgs, precision};
use burn_dragon::api::core::Precision;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `dragon eval`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
--suite reads each text once, and beside them about 150,000 bytes of tales, needles and letters: with the model of the \
default run less than a minute, with one of 25 million parameters on two cores half an hour. It says how long it takes before \
it starts. The letters are periods of a fixed warm-up of 13 letters and a random word of 8, repeated 8 times \
(arXiv:2509.26507, section 6.4): how many neurons are active where a letter can be predicted, and where it cannot. A standard \
error is that of n units: windows, tales, cases, readings of letters.

A model of another family than language is evaluated on the held-out data of its run, with its controls, and has only \
--step, --best, --backend and --json. Models that its run trained to compare with are trained again.

Examples:
  dragon eval runs/latest                                  on the validation data of its run
  dragon eval runs/latest book.txt                         on a text
  dragon eval runs/latest --exit-confidence 0.5 0.9 1    levels left out where the model is sure
  dragon eval runs/latest --needle --distances 100 500     facts far back
  dragon eval runs/latest --suite --text a.txt --text b.txt --out")]
pub struct EvalArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Text file, folder or pattern (default: the validation data of the model's run)
    #[arg(value_name = "DATA")]
    pub data: Option<String>,
    /// Separator of the documents in DATA, for example $'\n\n', or '' for none (default: that of the training text)
    #[arg(long, value_name = "TEXT", requires = "data")]
    pub document_separator: Option<String>,
    /// Number of levels, if not that of the model
    #[arg(long, value_name = "L")]
    pub levels: Option<usize>,
    /// Loss and levels of a token if a pass ends where the likeliest next token has probability P; one at a time
    #[arg(long, value_name = "P", num_args = 1.., conflicts_with_all = ["by_position", "needle", "suite"])]
    pub exit_confidence: Vec<f64>,
    /// Number of windows that are read for --exit-confidence
    #[arg(long, value_name = "N", default_value_t = 16, requires = "exit_confidence")]
    pub exit_windows: usize,
    /// Number of tokens in a window (default: that of the training, or 256 if it is not known)
    #[arg(long, value_name = "N")]
    pub block_size: Option<usize>,
    /// Memory between the windows of a document (default: that of the training)
    #[arg(long, value_enum, value_name = "MEMORY")]
    pub memory: Option<MemoryMode>,
    /// Number of tokens in a window of sliding memory (default: the block size)
    #[arg(long, value_name = "N", requires = "memory")]
    pub context_window: Option<usize>,
    /// Show bits per byte by position in the document
    #[arg(long)]
    pub by_position: bool,
    /// Ask for facts at exact distances; memory is carried unless --memory is given
    #[arg(long, conflicts_with_all = ["data", "by_position"], group = "probe")]
    pub needle: bool,
    /// All of it with standard errors: bits per byte of texts, recall, needles, predictability
    #[arg(long, conflicts_with_all = ["data", "by_position"], group = "probe")]
    pub suite: bool,
    /// Text of the suite, a file, folder or pattern; may be repeated (default: the validation data of the model's run)
    #[arg(long = "text", value_name = "FILE", requires = "suite")]
    pub texts: Vec<String>,
    /// Also write the suite's figures as JSON, to FILE or as eval_suite.json into the run folder
    #[arg(long, value_name = "FILE", num_args = 0..=1, requires = "suite")]
    pub out: Option<Option<PathBuf>>,
    /// Distances in bytes between a fact and its recall (default: 100 200 500 1000 2000, and without --suite also 5000
    /// 10000 20000)
    #[arg(long, value_name = "BYTES", value_delimiter = ',', num_args = 1.., requires = "probe")]
    pub distances: Vec<usize>,
    /// Number of facts at each distance
    #[arg(long, value_name = "N", default_value_t = 32, requires = "probe")]
    pub cases: usize,
    /// Precision of the factors in the levels' products; bf16 works on the processor only
    #[arg(long, value_name = "f32|bf16", value_parser = precision, default_value = "f32")]
    pub precision: Precision,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// Memory of the earlier windows of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MemoryMode {
    /// All of it: the state is carried from window to window
    Carried,
    /// None: each window starts from an empty memory
    Reset,
    /// The last one to two windows of memory; older tokens have no influence
    Sliding,
}
