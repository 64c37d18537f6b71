//! Arguments of the verbs that generate text: `dragon generate`, `dragon chat`, `infer`.

use super::{BackendArgs, ModelArgs, memory_precision, precision};
use burn_dragon::api::checkpoint::StoredPrecision;
use burn_dragon::api::core::{MemoryPrecision, Precision};
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `dragon generate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon generate runs/latest \"Mira hid the red key under the mill.\"
  dragon generate -m runs/latest -p \"Mira hid\" -n 100 --temperature 0 --stop .
  echo \"Mira hid\" | dragon generate runs/latest -")]
pub struct GenerateArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Text to continue; `-` reads it from standard input
    #[arg(value_name = "PROMPT", conflicts_with_all = ["prompt", "prompt_tokens"])]
    pub text: Option<String>,
    /// Text to continue
    #[arg(short, long, value_name = "TEXT", conflicts_with = "prompt_tokens")]
    pub prompt: Option<String>,
    /// Token ids to continue
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    pub prompt_tokens: Option<Vec<u32>>,
    /// Maximum number of new tokens
    #[arg(short = 'n', long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Number of levels, if not that of the model
    #[arg(long, value_name = "L")]
    pub levels: Option<usize>,
    /// Leave out the levels of a token that follow one after which the likeliest next token has probability P
    #[arg(long, value_name = "P")]
    pub exit_confidence: Option<f64>,
    /// Settings of the sampling
    #[command(flatten)]
    pub drawing: DrawingArgs,
    /// Precision of weights and memory
    #[command(flatten)]
    pub inference: InferenceArgs,
    /// Memory files
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Show the text while it is generated
    #[arg(long)]
    pub streaming: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// Settings of the sampling. Defaults are those of the run, or plain sampling.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct DrawingArgs {
    /// Sampling temperature; 0 always takes the likeliest token
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Sample from the K likeliest tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Sample from the likeliest tokens that together have probability P
    #[arg(long, value_name = "P")]
    pub top_p: Option<f64>,
    /// Penalty on tokens already read or generated; above 1 makes them less likely
    #[arg(long, value_name = "R")]
    pub repetition_penalty: Option<f64>,
    /// Text that ends the generation; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Seed of the sampling
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// Precision of weights and memory. Defaults are those of the run, or f32.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct InferenceArgs {
    /// Precision of the weights, and of the products where a prompt is read; bf16 is faster, on the processor only
    #[arg(long, value_name = "f32|bf16", value_parser = precision)]
    pub precision: Option<Precision>,
    /// Precision of the carried memory while tokens are generated; bf16 and int8 are faster, on the processor only
    #[arg(long, value_name = "f32|bf16|int8", value_parser = memory_precision)]
    pub memory_precision: Option<MemoryPrecision>,
}

/// Memory files.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct MemoryArgs {
    /// Continue from the memory in this file; the prompt follows it
    #[arg(long, value_name = "FILE")]
    pub state_in: Option<PathBuf>,
    /// Save the memory to this file at the end, also after Ctrl-C
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,
    /// Stored precision of the memory: f32 (default), or bf16, which rounds it to half the size
    #[arg(long, value_name = "f32|bf16", value_parser = stored_precision)]
    pub state_precision: Option<StoredPrecision>,
}

fn stored_precision(name: &str) -> Result<StoredPrecision, &'static str> {
    match name.parse() {
        Ok(StoredPrecision::F16) | Err(_) => Err("expected f32 or bf16"),
        Ok(precision) => Ok(precision),
    }
}

/// `dragon chat`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A chat is one text, which the model remembers and continues; it is not trained to follow instructions. A line that \
                  begins with / is a command; /help lists them. The mode says how a line joins the text.

Examples:
  dragon chat runs/latest
  dragon chat runs/latest --mode lines --context-window 128
  dragon chat runs/latest --state-in facts.state --state-out later.state
  printf 'Mira hid the red key\\n' | dragon chat runs/latest --temperature 0"
)]
pub struct ChatArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// How a line joins the text (default: messages for a model with a chat template, continue for one of tales, else lines)
    #[arg(long, value_enum, value_name = "MODE")]
    pub mode: Option<ChatMode>,
    /// Maximum number of tokens in an answer
    #[arg(short = 'n', long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Settings of the sampling; without --stop the mode says where an answer ends
    #[command(flatten)]
    pub drawing: DrawingArgs,
    /// Precision of weights and memory
    #[command(flatten)]
    pub inference: InferenceArgs,
    /// Memory files
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Remember between one and two windows of N tokens, and forget older ones
    #[arg(long, value_name = "N")]
    pub context_window: Option<usize>,
    /// On a terminal, keep no history of the lines and recall none
    #[arg(long)]
    pub no_history: bool,
}

/// How a line of a chat joins the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ChatMode {
    /// As it is: the model continues the line, to the end of a sentence
    Continue,
    /// With a newline: the model answers with a line of its own
    Lines,
    /// As a message of the user, in the chat template of the model; the model answers with a message of its own
    Messages,
}

/// Context of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ContextMode {
    /// The whole text, at constant cost
    Infinite,
    /// The last one to two windows; older tokens have no influence
    Sliding,
}

/// `infer`.
#[derive(Debug, ClapArgs)]
pub struct InferArgs {
    /// Run, checkpoint folder or .bpk
    #[arg(long, value_name = "MODEL", default_value = "runs/latest")]
    pub checkpoint: PathBuf,
    /// Checkpoint of this step (default: the newest)
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// Configuration file whose table `generation` is used; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Text to continue
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// Maximum number of new tokens; negative for no limit
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_tokens: Option<i64>,
    /// Sampling temperature; 0 always takes the likeliest token
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Sample from the K likeliest tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Context of the model
    #[arg(long, value_enum)]
    pub context_mode: Option<ContextMode>,
    /// Number of tokens in a sliding window (default: the run's block_size)
    #[arg(long, value_name = "N")]
    pub context_window: Option<usize>,
    /// Show the text while it is generated
    #[arg(long)]
    pub streaming: bool,
    /// Backend to run on
    #[command(flatten)]
    pub backend: BackendArgs,
}
