//! Arguments of `dragon state`.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `dragon state`.
#[derive(Debug, ClapArgs)]
pub struct StateArgs {
    /// The operation.
    #[command(subcommand)]
    pub what: StateVerb,
}

/// Operations on a memory.
#[derive(Debug, Subcommand)]
pub enum StateVerb {
    /// Show positions, shape, size, norms, effective ranks and the model of a memory
    Info(StateInfoArgs),
    /// Rebase a memory to position 0; later predictions stay the same
    Rebase(StateRebaseArgs),
    /// Measure the distance between two memories, level by level; the exit code is 0 even if they differ
    Diff(StateDiffArgs),
}

/// `dragon state info`.
#[derive(Debug, ClapArgs)]
pub struct StateInfoArgs {
    /// Memory file, as --state-out writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon state rebase`.
#[derive(Debug, ClapArgs)]
pub struct StateRebaseArgs {
    /// Memory file, as --state-out writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `dragon state diff`.
#[derive(Debug, ClapArgs)]
pub struct StateDiffArgs {
    /// Memory file
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Other memory file
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
