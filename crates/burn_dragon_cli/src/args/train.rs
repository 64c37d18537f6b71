//! Arguments of `dragon train`, and those of a run that `dragon plan` shares.

use super::BackendArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon train`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "Examples:
  dragon train                                             the default model, in under 4 minutes
  dragon train book.txt novels/ training.max_steps=2000    a model of your own text
  dragon train --preset small book.txt                     a larger model
  dragon train sudoku                                      another family
  dragon train -c config/language/base.toml model.d_model=128
  dragon train --resume runs/latest --max-steps 4000
  dragon train --init-from runs/latest book.txt            go on from its weights, on another text
  dragon train --tui                                       with curves, and keys to pause, save, sample and quit")]
pub struct TrainArgs {
    /// The run
    #[command(flatten)]
    pub run: RunArgs,
    /// Print every value with its origin, and do nothing else
    #[arg(long)]
    pub print_config: bool,
    /// Take one step, print the cost of the run, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Show the run on the whole terminal: curve, density, speed, a sample; keys to pause, save, sample, quit
    #[arg(long)]
    pub tui: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// What determines a run.
#[derive(Debug, ClapArgs)]
pub struct RunArgs {
    /// The family (default: language), files and folders of text, and settings as KEY=VALUE, for example
    /// training.batch_size=4
    #[arg(value_name = "FAMILY|PATH|KEY=VALUE")]
    pub words: Vec<String>,
    /// Configuration file; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Preset: a size of model (tiny, small, base, large) or a published experiment; files and settings win over it.
    /// `dragon config presets` lists them
    #[arg(long, value_name = "NAME", conflicts_with = "resume")]
    pub preset: Option<String>,
    /// Backend to run on
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Run folder to create, instead of one under runs/
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of optimiser steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Resume a run from its newest valid checkpoint
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "configs"])]
    pub resume: Option<PathBuf>,
    /// Start from the weights of a model, and take over its configuration and tokenizer: a run, a checkpoint, a .bpk or its
    /// .parts.json, official .safetensors, an address (https://...), or OWNER/NAME of a hub
    #[arg(long, value_name = "MODEL", conflicts_with = "resume")]
    pub init_from: Option<PathBuf>,
    /// Configuration of official .safetensors (JSON with n_layer, n_embd, n_head, ...)
    #[arg(long, value_name = "FILE.json", requires = "init_from")]
    pub model_config: Option<PathBuf>,
    /// For a remote MODEL, use only the cache, without network access
    #[arg(long, requires = "init_from")]
    pub offline: bool,
    /// Resume although the data has changed; figures before and after are not comparable
    #[arg(long, requires = "resume")]
    pub accept_changed_data: bool,
}
