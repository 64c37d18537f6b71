//! What was typed after `dragon state`.

use clap::{Args as ClapArgs, Subcommand};
use std::path::PathBuf;

/// `dragon state`.
#[derive(Debug, ClapArgs)]
pub struct StateArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub what: StateVerb,
}

/// What can be done with a memory.
#[derive(Debug, Subcommand)]
pub enum StateVerb {
    /// Positions, shape, bytes, norms, effective ranks, whose memory it is
    Info(StateInfoArgs),
    /// Turn a memory so that it is at position 0; what follows is answered as before
    Rebase(StateRebaseArgs),
    /// How far two memories are apart, level by level; that they differ is no failure, the exit code is 0
    Diff(StateDiffArgs),
}

/// `dragon state info`.
#[derive(Debug, ClapArgs)]
pub struct StateInfoArgs {
    /// A memory, as --state-out writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon state rebase`.
#[derive(Debug, ClapArgs)]
pub struct StateRebaseArgs {
    /// A memory, as --state-out writes it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The file to write
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `dragon state diff`.
#[derive(Debug, ClapArgs)]
pub struct StateDiffArgs {
    /// A memory
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// Another memory
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
