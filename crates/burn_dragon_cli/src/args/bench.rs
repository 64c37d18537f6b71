//! What was typed after `dragon bench`.

use super::BackendArgs;
use burn_dragon::api::core::Precision;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use std::path::PathBuf;

/// `dragon bench`.
#[derive(Debug, ClapArgs)]
pub struct BenchArgs {
    /// What is timed.
    #[command(subcommand)]
    pub what: BenchVerb,
}

/// What can be timed.
#[derive(Debug, Subcommand)]
pub enum BenchVerb {
    /// Steps of training: batch, forward, loss, backward, clip, AdamW
    #[cfg_attr(not(feature = "train"), command(hide = true))]
    Train(BenchTrainArgs),
    /// Prefix a prompt
    Prefill(BenchPrefillArgs),
    /// One token after another, with carried state
    Decode(BenchDecodeArgs),
    /// The parts of a training step, each by itself
    Kernels(BenchKernelsArgs),
}

impl BenchVerb {
    /// How it is timed.
    pub fn settings(&self) -> &SettingArgs {
        match self {
            Self::Train(args) => &args.settings,
            Self::Prefill(args) => &args.settings,
            Self::Decode(args) => &args.settings,
            Self::Kernels(args) => &args.settings,
        }
    }
}

/// The model that is timed, and what it reads.
#[derive(Debug, ClapArgs)]
pub struct SubjectArgs {
    /// Passes through the shared block
    #[arg(long, value_name = "L", default_value_t = 4)]
    pub levels: usize,
    /// Model width
    #[arg(long, value_name = "D", default_value_t = 128)]
    pub d_model: usize,
    /// Heads
    #[arg(long, value_name = "H", default_value_t = 4)]
    pub heads: usize,
    /// Neurons in all heads together
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub neurons: usize,
    /// Random weights with this share of active x, by thresholds; else plain ones, about a half
    #[arg(long, value_name = "X")]
    pub density: Option<f64>,
    /// A trained model instead: a run, a checkpoint folder, a .bpk, or official .safetensors
    #[arg(
        long,
        value_name = "MODEL",
        conflicts_with_all = ["levels", "d_model", "heads", "neurons", "density"]
    )]
    pub weights: Option<PathBuf>,
    /// The configuration of official .safetensors
    #[arg(long, value_name = "FILE.json", requires = "weights")]
    pub model_config: Option<PathBuf>,
    /// A text to read; else random tokens
    #[arg(long, value_name = "FILE")]
    pub text: Option<String>,
}

/// How it is timed.
#[derive(Debug, ClapArgs)]
pub struct SettingArgs {
    /// How factors enter the products of training: as they are or rounded to bf16; the rest is f32
    #[arg(long, value_name = "f32|bf16", value_parser = precision, default_value = "f32")]
    pub precision: Precision,
    /// Threads; else as many as the machine has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Where to run
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon bench train`.
#[derive(Debug, ClapArgs)]
pub struct BenchTrainArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Sequences in a batch
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = count)]
    pub batch: usize,
    /// Tokens in a sequence
    #[arg(long, value_name = "T", default_value_t = 256, value_parser = count)]
    pub time: usize,
    /// Steps that are timed, after two to warm up
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count)]
    pub steps: usize,
    /// Share of y that is dropped
    #[arg(long, value_name = "P", default_value_t = 0.1)]
    pub dropout: f64,
    /// Carry each lane's memory from step to step (sequence.streams)
    #[arg(long)]
    pub streams: bool,
    /// How it is timed
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// A way to read a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PrefillForm {
    /// The whole prompt at once: scores of every token with every earlier one
    Parallel,
    /// With carried state: scores within a block, memory between blocks
    Chunked,
}

/// `dragon bench prefill`.
#[derive(Debug, ClapArgs)]
pub struct BenchPrefillArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Prompts at once
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = count)]
    pub batch: usize,
    /// Tokens in a prompt
    #[arg(long, value_name = "T", default_value_t = 2048, value_parser = count)]
    pub tokens: usize,
    /// Which form reads it
    #[arg(long, value_enum, default_value = "chunked")]
    pub form: PrefillForm,
    /// Times that it is read, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count)]
    pub steps: usize,
    /// How it is timed
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `dragon bench decode`.
#[derive(Debug, ClapArgs)]
pub struct BenchDecodeArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Streams at once
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = count)]
    pub batch: usize,
    /// The position to start from; of a long context the last 2,048 tokens are read
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(..=1 << 52))]
    pub context: u64,
    /// Tokens that are timed, after four to warm up
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = count)]
    pub tokens: usize,
    /// How it is timed
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `dragon bench kernels`.
#[derive(Debug, ClapArgs)]
pub struct BenchKernelsArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Sequences in a batch
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = count)]
    pub batch: usize,
    /// Tokens in a sequence
    #[arg(long, value_name = "T", default_value_t = 256, value_parser = count)]
    pub time: usize,
    /// Times that each is run, after one to warm up
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count)]
    pub steps: usize,
    /// How it is timed
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Of anything that is counted, the most: products of two do not overflow.
const MOST: usize = 1 << 30;

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        Ok(_) => Err(format!("at least 1, at most {MOST}")),
        Err(error) => Err(format!("{error}")),
    }
}

/// A precision by its name.
fn precision(name: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.to_string() == name)
        .ok_or_else(|| "expected f32 or bf16".into())
}
