//! What was typed after the verbs that speak: `dragon generate`, `dragon chat`, `infer`.

use super::{BackendArgs, ModelArgs};
use burn_dragon::api::checkpoint::StoredPrecision;
use clap::{Args as ClapArgs, ValueEnum};
use std::path::PathBuf;

/// `dragon generate`.
#[derive(Debug, ClapArgs)]
pub struct GenerateArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// `-` reads the prompt from standard input
    #[arg(value_name = "-", value_parser = ["-"], conflicts_with_all = ["prompt", "prompt_tokens"])]
    pub stdin: Option<String>,
    /// The text to continue
    #[arg(long, value_name = "TEXT", conflicts_with = "prompt_tokens")]
    pub prompt: Option<String>,
    /// The token ids to continue
    #[arg(long, value_name = "1,2,3", value_delimiter = ',')]
    pub prompt_tokens: Option<Vec<u32>>,
    /// New tokens at most
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// How the tokens are drawn
    #[command(flatten)]
    pub drawing: DrawingArgs,
    /// The memory before and after
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// Show the text as it is written
    #[arg(long)]
    pub streaming: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// How tokens are drawn; what is not given is the run's, or plain sampling.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct DrawingArgs {
    /// 0 takes the likeliest token each time
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Draw among the K likeliest tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Draw among the likeliest tokens that together have probability P
    #[arg(long, value_name = "P")]
    pub top_p: Option<f64>,
    /// Above 1 makes tokens that were seen less likely
    #[arg(long, value_name = "R")]
    pub repetition_penalty: Option<f64>,
    /// End at this text; may repeat
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
    /// Seed of the draws
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,
}

/// Memory as a file.
#[derive(Clone, Debug, Default, ClapArgs)]
pub struct MemoryArgs {
    /// Go on from the memory in this file; the prompt is what comes next
    #[arg(long, value_name = "FILE")]
    pub state_in: Option<PathBuf>,
    /// Keep the memory in this file at the end, also after Ctrl-C
    #[arg(long, value_name = "FILE")]
    pub state_out: Option<PathBuf>,
    /// How memory is stored: as it is, or rounded to half the bytes; else f32
    #[arg(long, value_name = "f32|bf16", value_parser = precision)]
    pub state_precision: Option<StoredPrecision>,
}

fn precision(name: &str) -> Result<StoredPrecision, &'static str> {
    match name.parse() {
        Ok(StoredPrecision::F16) | Err(_) => Err("expected f32 or bf16"),
        Ok(precision) => Ok(precision),
    }
}

/// `dragon chat`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "A chat is one text: your line is added with a newline, and the model continues it. It is not trained to \
                  follow instructions. A line that begins with / is a command; /help lists them."
)]
pub struct ChatArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// The memory before and after
    #[command(flatten)]
    pub memory: MemoryArgs,
    /// How the tokens are drawn; an answer ends at a newline, unless --stop says otherwise
    #[command(flatten)]
    pub drawing: DrawingArgs,
    /// Tokens in an answer at most
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<usize>,
    /// Look back between one and two windows of N tokens, and forget what is older
    #[arg(long, value_name = "N")]
    pub context_window: Option<usize>,
}

/// What the model looks back on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ContextMode {
    /// Everything, at constant cost
    Infinite,
    /// Between one and two windows; older tokens have no influence
    Sliding,
}

/// `infer`.
#[derive(Debug, ClapArgs)]
pub struct InferArgs {
    /// A run, a checkpoint folder or a .bpk
    #[arg(long, value_name = "MODEL", default_value = "runs/latest")]
    pub checkpoint: PathBuf,
    /// The checkpoint of this step; else the newest
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// A configuration file whose table `generation` is used; may repeat, later ones win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// The text to continue
    #[arg(long, value_name = "TEXT")]
    pub prompt: Option<String>,
    /// New tokens at most; negative for no end
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub max_tokens: Option<i64>,
    /// 0 takes the likeliest token each time
    #[arg(long, value_name = "T")]
    pub temperature: Option<f64>,
    /// Draw among the K likeliest tokens
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// What the model looks back on
    #[arg(long, value_enum)]
    pub context_mode: Option<ContextMode>,
    /// Tokens in a sliding window; else the run's block_size
    #[arg(long, value_name = "N")]
    pub context_window: Option<usize>,
    /// Show the text as it is written
    #[arg(long)]
    pub streaming: bool,
    /// Where to run
    #[command(flatten)]
    pub backend: BackendArgs,
}
