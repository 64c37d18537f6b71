//! What was typed. Nothing here does anything but describe it.

mod bench;
mod eval;

pub use bench::{
    BenchArgs, BenchDecodeArgs, BenchKernelsArgs, BenchPrefillArgs, BenchTrainArgs, BenchVerb, PrefillForm,
    SettingArgs, SubjectArgs,
};
pub use eval::{EvalArgs, MemoryMode};

use burn_dragon::api::checkpoint::{ModelPath, Which};
use burn_dragon::api::core::Backend;
use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Train, study and deploy Dragon Hatchling (BDH) models.
#[derive(Debug, Parser)]
#[command(name = "dragon", version, propagate_version = true, max_term_width = 100)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Train a model; without arguments, the default one on embedded tales
    Train(TrainArgs),
    /// Loss, bits per byte, density per level, and recall where it applies
    Eval(EvalArgs),
    /// Continue a text
    Generate(GenerateArgs),
    /// Logits of given tokens, through either form of the model
    Forward(ForwardArgs),
    /// Configuration, parameters and cost of a model
    Info(InfoArgs),
    /// How fast, beside what the machine can do at best
    Bench(BenchArgs),
    /// Continue a text, with the flags of the program `infer`
    #[command(hide = true)]
    Infer(InferArgs),
    /// Write a checkpoint's model as one file, with the flags of the program `export_burnpack`
    #[command(hide = true, name = "export_burnpack")]
    ExportBurnpack(ExportArgs),
}

/// Where to run.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct BackendArgs {
    /// auto takes the best that is compiled in and present
    #[arg(long, value_name = "auto|cpu|wgpu|cuda", default_value = "auto")]
    pub backend: Backend,
}

/// `dragon train`.
#[derive(Debug, ClapArgs)]
pub struct TrainArgs {
    /// The family (language), then settings as KEY=VALUE, for example training.batch_size=4
    #[arg(value_name = "language|KEY=VALUE")]
    pub words: Vec<String>,
    /// A configuration file; may repeat, later ones win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Where to run
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Make DIR the run folder, instead of one under runs/
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Optimiser steps
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u64>,
    /// Go on with a run from its newest checkpoint that verifies
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "configs"])]
    pub resume: Option<PathBuf>,
    /// Print every value and where it came from, and do nothing else
    #[arg(long)]
    pub print_config: bool,
    /// Take one step, say what the run would cost, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// A model, wherever it is.
#[derive(Debug, ClapArgs)]
pub struct ModelArgs {
    /// A run folder, a checkpoint folder, a .bpk, or official .safetensors
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The configuration of official .safetensors (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// The checkpoint of this step, where MODEL is a run; else the newest
    #[arg(long, value_name = "N")]
    pub step: Option<u64>,
    /// The checkpoint with the lowest validation loss, where MODEL is a run
    #[arg(long, conflicts_with = "step")]
    pub best: bool,
    /// Where to run
    #[command(flatten)]
    pub backend: BackendArgs,
}

impl ModelArgs {
    /// The model's place.
    pub fn path(&self) -> ModelPath {
        ModelPath {
            path: self.model.clone(),
            which: match (self.step, self.best) {
                (Some(step), _) => Which::Step(step),
                (None, true) => Which::Best,
                (None, false) => Which::Last,
            },
            official_config: self.model_config.clone(),
        }
    }
}

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

/// A form of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// The whole window at once
    Parallel,
    /// Token by token, with carried state
    Recurrent,
}

/// `dragon forward`.
#[derive(Debug, ClapArgs)]
pub struct ForwardArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// A file with `tokens`, i32 [B, T]
    #[arg(value_name = "TOKENS.safetensors")]
    pub tokens: PathBuf,
    /// Which form computes the logits
    #[arg(long, value_enum, default_value = "parallel")]
    pub form: Form,
    /// The file to write `logits`, f32 [B, T, V], into
    #[arg(long, value_name = "LOGITS.safetensors")]
    pub out: PathBuf,
}

/// `dragon info`.
#[derive(Debug, ClapArgs)]
pub struct InfoArgs {
    /// The model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
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

/// `export_burnpack`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// The family of the model
    #[arg(long, value_parser = ["language"], default_value = "language")]
    pub family: String,
    /// A run, its checkpoint/ folder, or one checkpoint
    #[arg(long, value_name = "MODEL", default_value = "runs/latest")]
    pub checkpoint: PathBuf,
    /// The checkpoint of this step; else the newest
    #[arg(long, value_name = "N")]
    pub epoch: Option<u64>,
    /// The file to write; else deploy/model.bpk in the run
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}
