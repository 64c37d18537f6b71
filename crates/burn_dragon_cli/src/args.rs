//! What was typed. Nothing here does anything but describe it.

mod bench;
mod eval;
mod export;
mod files;
mod forward;
mod generate;
#[cfg(feature = "fetch")]
mod hub;
mod model;
#[cfg(feature = "train")]
mod predict;
mod state;

pub use bench::{
    BenchArgs, BenchDecodeArgs, BenchKernelsArgs, BenchPrefillArgs, BenchTrainArgs, BenchVerb, PrefillForm,
    SettingArgs, SubjectArgs,
};
pub use eval::{EvalArgs, MemoryMode};
pub use export::{BundleArgs, ExportArgs, ExportBurnpackArgs, ExportFamily};
pub use files::{ConvertArgs, DiffArgs, InspectArgs, VerifyArgs};
pub use forward::{Form, ForwardArgs};
pub use generate::{ChatArgs, ContextMode, DrawingArgs, GenerateArgs, InferArgs, MemoryArgs};
#[cfg(feature = "fetch")]
pub use hub::{PullArgs, PushArgs};
pub use model::{ModelArgs, PlaceArgs, WhichArgs};
#[cfg(feature = "train")]
pub use predict::PredictArgs;
pub use state::{StateArgs, StateDiffArgs, StateInfoArgs, StateRebaseArgs, StateVerb};

use burn_dragon::api::core::Backend;
use clap::{Args as ClapArgs, Parser, Subcommand};
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
    #[cfg_attr(not(feature = "train"), command(hide = true))]
    Train(TrainArgs),
    /// Loss, bits per byte, density per level, and recall where it applies
    Eval(EvalArgs),
    /// What a model makes of inputs: the solutions of sudoku puzzles
    #[cfg(feature = "train")]
    Predict(PredictArgs),
    /// Continue a text
    Generate(GenerateArgs),
    /// Talk to a model that keeps its memory between lines
    Chat(ChatArgs),
    /// Look at a memory that was kept as a file, turn it to position 0, compare two
    State(StateArgs),
    /// Logits of given tokens, through any form of the model
    Forward(ForwardArgs),
    /// Fetch a model from a hub or a server into the cache, and print where it is
    #[cfg(feature = "fetch")]
    Pull(PullArgs),
    /// Put a model with its configuration, tokenizer and card into a repository of a hub
    #[cfg(feature = "fetch")]
    Push(PushArgs),
    /// Configuration, parameters and cost of a model
    Info(InfoArgs),
    /// Write a model as one file to hand out, whole or in parts, in f32 or half precision
    Export(ExportArgs),
    /// Write any file of a model as .bpk or as official .safetensors; import official .pt
    Convert(ConvertArgs),
    /// Tensors, shapes, types and statistics of a file, and what it says of itself
    Inspect(InspectArgs),
    /// Check hashes, shapes and values of a file, a checkpoint or a run; exit code 3 if anything is wrong
    Verify(VerifyArgs),
    /// What differs between two models; exit code 1 if anything does
    Diff(DiffArgs),
    /// How fast, beside what the machine can do at best
    Bench(BenchArgs),
    /// Continue a text, with the flags of the program `infer`
    #[command(hide = true)]
    Infer(InferArgs),
    /// Write a checkpoint's model as one file, with the flags of the program `export_burnpack`
    #[command(hide = true, name = "export_burnpack")]
    ExportBurnpack(ExportBurnpackArgs),
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
    /// Go on though the data is not what it was; figures before and after are not comparable
    #[arg(long, requires = "resume")]
    pub accept_changed_data: bool,
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
