//! Arguments of `dragon convert`, `dragon inspect`, `dragon verify` and `dragon diff`.

use super::WhichArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon convert`.
#[derive(Debug, ClapArgs)]
pub struct ConvertArgs {
    /// A run, a checkpoint, a .bpk or its .parts.json, .safetensors, or a .pt
    #[arg(value_name = "A")]
    pub from: PathBuf,
    /// File to write: a .bpk, or official weights as .safetensors
    #[arg(value_name = "B")]
    pub to: PathBuf,
    /// Configuration of official weights (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// Checkpoint to read
    #[command(flatten)]
    pub which: WhichArgs,
    /// Overwrite B if it exists
    #[arg(long)]
    pub force: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon inspect`.
#[derive(Debug, ClapArgs)]
pub struct InspectArgs {
    /// A model, a memory, official weights (.safetensors or .pt), a .parts.json, a checkpoint, or a run
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon verify`.
#[derive(Debug, ClapArgs)]
pub struct VerifyArgs {
    /// A run with all its checkpoints, a checkpoint, a .bpk, a .parts.json, a .state, or .safetensors
    #[arg(value_name = "PATH")]
    pub path: PathBuf,
    /// Also run each model on example inputs, and check that its outputs are finite
    #[arg(long)]
    pub deep: bool,
    /// Treat warnings as errors
    #[arg(long)]
    pub strict: bool,
    /// Configuration of official .safetensors (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon diff`.
#[derive(Debug, ClapArgs)]
pub struct DiffArgs {
    /// A model
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Another model
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Configuration of official .safetensors, for the model that needs one
    #[arg(long, value_name = "FILE.json")]
    pub model_config: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
