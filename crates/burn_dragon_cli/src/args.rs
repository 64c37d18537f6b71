//! Command-line arguments. These types only describe what was typed.

mod bench;
#[cfg(feature = "train")]
mod config;
#[cfg(feature = "train")]
mod doctor;
mod eval;
mod export;
mod files;
mod forward;
mod generate;
#[cfg(feature = "fetch")]
mod hub;
mod layout;
mod model;
#[cfg(feature = "train")]
mod plan;
#[cfg(feature = "train")]
mod predict;
mod programs;
#[cfg(feature = "train")]
mod runs;
mod state;
#[cfg(feature = "bpe")]
mod tokenizer;
mod train;

pub use bench::{
    BenchArgs, BenchDecodeArgs, BenchKernelsArgs, BenchPrefillArgs, BenchTrainArgs, BenchVerb, PrefillForm,
    SettingArgs, SubjectArgs,
};
#[cfg(feature = "train")]
pub use config::{
    ConfigArgs, ConfigCheckArgs, ConfigDiffArgs, ConfigDocArgs, ConfigPresetsArgs, ConfigShowArgs,
    ConfigVerb, NewArgs,
};
#[cfg(feature = "train")]
pub use doctor::DoctorArgs;
pub use eval::{EvalArgs, MemoryMode};
pub use export::{BundleArgs, ExportArgs, ExportBitnetArgs, ExportBurnpackArgs, ExportFamily};
pub use files::{ConvertArgs, DiffArgs, InspectArgs, VerifyArgs};
pub use forward::{Form, ForwardArgs};
pub use generate::{
    ChatArgs, ChatMode, ContextMode, DrawingArgs, GenerateArgs, InferArgs, InferenceArgs, MemoryArgs,
};
#[cfg(feature = "fetch")]
pub use hub::{PullArgs, PushArgs};
pub use layout::command;
pub use model::{ModelArgs, PlaceArgs, WhichArgs};
#[cfg(feature = "train")]
pub use plan::PlanArgs;
#[cfg(feature = "train")]
pub use predict::{LookArgs, PredictArgs};
pub use programs::{CompletionsArgs, ManArgs};
#[cfg(feature = "train")]
pub use runs::{CompareArgs, ReportArgs, RunsArgs, SweepArgs};
pub use state::{StateArgs, StateDiffArgs, StateInfoArgs, StateRebaseArgs, StateVerb};
#[cfg(feature = "bpe")]
pub use tokenizer::{
    TokenizerArgs, TokenizerDecodeArgs, TokenizerEncodeArgs, TokenizerInfoArgs, TokenizerTrainArgs,
    TokenizerVerb,
};
pub use train::{RunArgs, TrainArgs};

use burn_dragon::api::core::{Backend, MemoryPrecision, Precision};
use clap::{Args as ClapArgs, Parser, Subcommand};

/// Train, study and deploy Dragon Hatchling (BDH) models.
#[derive(Debug, Parser)]
#[command(
    name = "dragon",
    version,
    propagate_version = true,
    max_term_width = 100,
    styles = clap::builder::Styles::plain(),
    after_help = "Examples:
  dragon train                                  the default model, on tales made from a seed, in under 4 minutes
  dragon train book.txt novels/                 a model of your own text
  dragon generate runs/latest \"Mira hid the\"    a text that goes on like this
  dragon chat runs/latest                       lines in turn; it remembers them"
)]
pub struct Args {
    /// The verb.
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Train a model; without arguments, the default one on embedded tales
    #[cfg_attr(not(feature = "train"), command(hide = true))]
    Train(TrainArgs),
    /// Make a folder for models of your own texts: a configuration, a place for the texts, the commands
    #[cfg(feature = "train")]
    New(NewArgs),
    /// Show, check or compare configurations, or print the reference of all keys
    #[cfg(feature = "train")]
    Config(ConfigArgs),
    /// Tell what a run would take before it starts: parameters, memory, time, disk, largest batch
    #[cfg(feature = "train")]
    Plan(PlanArgs),
    /// List the runs in a folder: outcome, steps, loss, time
    #[cfg(feature = "train")]
    Runs(RunsArgs),
    /// Compare runs: settings that differ, figures, mean and deviation over seeds
    #[cfg(feature = "train")]
    Compare(CompareArgs),
    /// Train one model for each combination of settings; the same command continues an interrupted sweep
    #[cfg(feature = "train")]
    Sweep(SweepArgs),
    /// Write a page about runs: curves, density, samples, weights, settings, machine, commands
    #[cfg(feature = "train")]
    Report(ReportArgs),
    /// Evaluate a model: loss, bits per byte, density per level, recall; for other families the figures of its run
    Eval(EvalArgs),
    /// Look into a vision model at work: what its patches hold, step by step
    #[cfg(feature = "train")]
    Look(LookArgs),
    /// Predict outputs from inputs: solve sudoku puzzles, classify nodes, graphs and pictures
    #[cfg(feature = "train")]
    #[command(visible_alias = "solve")]
    Predict(PredictArgs),
    /// Continue a text
    Generate(GenerateArgs),
    /// Talk to a model that keeps its memory between lines
    Chat(ChatArgs),
    /// Inspect a saved memory, rebase it to position 0, or compare two
    State(StateArgs),
    /// Train a tokenizer of byte pairs, encode and decode with one, or describe it
    #[cfg(feature = "bpe")]
    Tokenizer(TokenizerArgs),
    /// Compute the logits of given tokens with any form of the model
    Forward(ForwardArgs),
    /// Download a model from a hub or a server into the cache, and print its path
    #[cfg(feature = "fetch")]
    Pull(PullArgs),
    /// Upload a model with its configuration, tokenizer and card to a repository of a hub
    #[cfg(feature = "fetch")]
    Push(PushArgs),
    /// Show the configuration, parameters and cost of a model
    Info(InfoArgs),
    /// Write a model for distribution: one file, also in parts, in f32 or half precision
    Export(ExportArgs),
    /// Convert a model file to .bpk or to official .safetensors, also from official .pt
    Convert(ConvertArgs),
    /// Show tensors, shapes, types, statistics and metadata of a file
    Inspect(InspectArgs),
    /// Check hashes, shapes and values of a file, a checkpoint or a run; exit code 3 if anything is wrong
    Verify(VerifyArgs),
    /// Compare two models; exit code 1 if they differ
    Diff(DiffArgs),
    /// Check the program, the machine and the disk; exit code 1 if a run would fail
    #[cfg(feature = "train")]
    Doctor(DoctorArgs),
    /// Measure speed, compared with the peak of the machine
    Bench(BenchArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print the manual page, or write a page of each verb
    Man(ManArgs),
    /// Continue a text, with the flags of the program `infer`
    #[command(hide = true)]
    Infer(InferArgs),
    /// Write a checkpoint's model as one file, with the flags of the program `export_burnpack`
    #[command(hide = true, name = "export_burnpack")]
    ExportBurnpack(ExportBurnpackArgs),
    /// Write a low-bit model packed, with the flags of the program `export_bitnet_artifact`
    #[command(hide = true, name = "export_bitnet_artifact")]
    ExportBitnetArtifact(ExportBitnetArgs),
}

/// Backend to run on.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub struct BackendArgs {
    /// Backend; auto takes the best one that is compiled in and available
    #[arg(long, value_name = "auto|cpu|wgpu|cuda", default_value = "auto")]
    pub backend: Backend,
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

/// A precision of a memory by its name.
fn memory_precision(name: &str) -> Result<MemoryPrecision, String> {
    [MemoryPrecision::F32, MemoryPrecision::Bf16, MemoryPrecision::Int8]
        .into_iter()
        .find(|precision| precision.to_string() == name)
        .ok_or_else(|| "expected f32, bf16 or int8".into())
}

/// A precision of the computation by its name.
fn precision(name: &str) -> Result<Precision, String> {
    [Precision::F32, Precision::Bf16]
        .into_iter()
        .find(|precision| precision.to_string() == name)
        .ok_or_else(|| "expected f32 or bf16".into())
}
