//! Arguments of `dragon bench`.

use super::{BackendArgs, memory_precision, precision};
use burn_dragon::api::core::{Connector, MemoryPrecision, Mixer, Positions, Precision};
use burn_dragon_train::api::TrainingPrecision;
use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// `dragon bench`.
#[derive(Debug, ClapArgs)]
pub struct BenchArgs {
    /// The benchmark.
    #[command(subcommand)]
    pub what: BenchVerb,
}

/// Benchmarks.
#[derive(Debug, Subcommand)]
pub enum BenchVerb {
    /// Time training steps: batch, forward, loss, backward, clip, AdamW
    #[cfg_attr(not(feature = "train"), command(hide = true))]
    Train(BenchTrainArgs),
    /// Time the reading of a prompt (prefill)
    Prefill(BenchPrefillArgs),
    /// Time generation token by token, with carried state
    Decode(BenchDecodeArgs),
    /// Time the parts of a training step separately
    Kernels(BenchKernelsArgs),
}

impl BenchVerb {
    /// Settings of the measurement.
    pub fn settings(&self) -> &SettingArgs {
        match self {
            Self::Train(args) => &args.settings,
            Self::Prefill(args) => &args.settings,
            Self::Decode(args) => &args.settings,
            Self::Kernels(args) => &args.settings,
        }
    }

    /// Precision that is asked for by its name; `None` for auto, which depends on the device and the model.
    pub fn named_precision(&self) -> Option<Precision> {
        match self {
            Self::Train(args) => args.precision.concrete().ok(),
            Self::Prefill(args) => Some(args.precision),
            Self::Decode(args) => Some(args.precision),
            Self::Kernels(args) => Some(args.precision),
        }
    }
}

/// Model to time, and the text it reads.
#[derive(Debug, ClapArgs)]
pub struct SubjectArgs {
    /// Number of levels (passes through the shared block)
    #[arg(long, value_name = "L", default_value_t = 4)]
    pub levels: usize,
    /// Model width
    #[arg(long, value_name = "D", default_value_t = 128)]
    pub d_model: usize,
    /// Number of heads
    #[arg(long, value_name = "H", default_value_t = 4)]
    pub heads: usize,
    /// Number of neurons in all heads together
    #[arg(long, value_name = "N", default_value_t = 4096)]
    pub neurons: usize,
    /// Kind of connector between levels (model.connector), with its defaults
    #[arg(long, value_name = "KIND", value_parser = of_type::<Connector>, default_value = "plain")]
    pub connector: Connector,
    /// Kind of sequence mixer (model.mixer), with its defaults
    #[arg(long, value_name = "KIND", value_parser = of_type::<Mixer>, default_value = "linear")]
    pub mixer: Mixer,
    /// Kind of positions (model.positions), with its defaults
    #[arg(long, value_name = "KIND", value_parser = of_type::<Positions>, default_value = "rotary")]
    pub positions: Positions,
    /// Share of active x, for random weights with thresholds; without it, plain random weights (about a half)
    #[arg(long, value_name = "X")]
    pub density: Option<f64>,
    /// Trained model to time instead: a run, a checkpoint folder, a .bpk, or official .safetensors
    #[arg(
        long,
        value_name = "MODEL",
        conflicts_with_all = ["levels", "d_model", "heads", "neurons", "connector", "mixer", "positions", "density"]
    )]
    pub weights: Option<PathBuf>,
    /// Configuration of official .safetensors
    #[arg(long, value_name = "FILE.json", requires = "weights")]
    pub model_config: Option<PathBuf>,
    /// Text to read (default: random tokens)
    #[arg(long, value_name = "FILE")]
    pub text: Option<String>,
}

/// Settings of the measurement.
#[derive(Debug, ClapArgs)]
pub struct SettingArgs {
    /// Number of threads (default: all of the machine)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Backend to run on
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
    /// Number of sequences in a batch
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = count)]
    pub batch: usize,
    /// Number of tokens in a sequence
    #[arg(long, value_name = "T", default_value_t = 256, value_parser = count)]
    pub time: usize,
    /// Number of timed steps, after two warm-up steps
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count)]
    pub steps: usize,
    /// Dropout rate of y
    #[arg(long, value_name = "P", default_value_t = 0.1)]
    pub dropout: f64,
    /// Carry each lane's memory from step to step (sequence.streams)
    #[arg(long)]
    pub streams: bool,
    /// Precision of the factors in the levels' products; auto takes the one that is faster on the device
    #[arg(long, value_name = "f32|bf16|auto", value_parser = training_precision, default_value = "f32")]
    pub precision: TrainingPrecision,
    /// Settings of the measurement
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Form of the model that reads a prompt.
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
    /// Number of prompts in a batch
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = count)]
    pub batch: usize,
    /// Number of tokens in a prompt
    #[arg(long, value_name = "T", default_value_t = 2048, value_parser = count)]
    pub tokens: usize,
    /// Form of the model that reads the prompt
    #[arg(long, value_enum, default_value = "chunked")]
    pub form: PrefillForm,
    /// Number of timed readings, after one warm-up reading
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = count)]
    pub steps: usize,
    /// Precision of the factors in the levels' products
    #[arg(long, value_name = "f32|bf16", value_parser = precision, default_value = "f32")]
    pub precision: Precision,
    /// Settings of the measurement
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `dragon bench decode`.
#[derive(Debug, ClapArgs)]
pub struct BenchDecodeArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Number of streams decoded together
    #[arg(long, value_name = "B", default_value_t = 1, value_parser = count)]
    pub batch: usize,
    /// Position to start from; only the last 2,048 tokens of a longer context are read
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(..=1 << 52))]
    pub context: u64,
    /// Number of timed tokens, after four warm-up tokens
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = count)]
    pub tokens: usize,
    /// Precision of the weights
    #[arg(long, value_name = "f32|bf16", value_parser = precision, default_value = "f32")]
    pub precision: Precision,
    /// Precision of the carried memory
    #[arg(long, value_name = "f32|bf16|int8", value_parser = memory_precision, default_value = "f32")]
    pub memory_precision: MemoryPrecision,
    /// Draw the tokens on the GPU, several at a time, as generation does; without it they are given
    #[arg(long)]
    pub draw: bool,
    /// Settings of the measurement
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// `dragon bench kernels`.
#[derive(Debug, ClapArgs)]
pub struct BenchKernelsArgs {
    /// The model
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Number of sequences in a batch
    #[arg(long, value_name = "B", default_value_t = 8, value_parser = count)]
    pub batch: usize,
    /// Number of tokens in a sequence
    #[arg(long, value_name = "T", default_value_t = 256, value_parser = count)]
    pub time: usize,
    /// Number of timed rounds of each part, after one warm-up round
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = count)]
    pub steps: usize,
    /// Precision of the factors in the levels' products
    #[arg(long, value_name = "f32|bf16", value_parser = precision, default_value = "f32")]
    pub precision: Precision,
    /// Settings of the measurement
    #[command(flatten)]
    pub settings: SettingArgs,
}

/// Maximum of every count. The product of two counts does not overflow.
const MOST: usize = 1 << 30;

fn training_precision(name: &str) -> Result<TrainingPrecision, &'static str> {
    [
        TrainingPrecision::F32,
        TrainingPrecision::Bf16,
        TrainingPrecision::Auto,
    ]
    .into_iter()
    .find(|precision| precision.to_string() == name)
    .ok_or("expected f32, bf16 or auto")
}

/// A table of a kind, by the name of the kind.
fn of_type<T: DeserializeOwned>(name: &str) -> Result<T, String> {
    serde_json::from_value(serde_json::json!({ "type": name })).map_err(|error| error.to_string())
}

fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        Ok(_) => Err(format!("at least 1, at most {MOST}")),
        Err(error) => Err(format!("{error}")),
    }
}
