//! Arguments of the verbs on runs: `runs`, `compare`, `sweep`, `report`.

use super::BackendArgs;
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon runs`.
#[derive(Debug, ClapArgs)]
pub struct RunsArgs {
    /// Folder with runs, and with sweeps of runs
    #[arg(value_name = "DIR", default_value = "runs")]
    pub folder: PathBuf,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon compare`.
#[derive(Debug, ClapArgs)]
pub struct CompareArgs {
    /// Run folders, at least two
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub runs: Vec<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon sweep`.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Examples:\n  dragon sweep optimizer.learning_rate=1e-3,3e-3 training.seed=1,2,3 training.max_steps=500\n  \
                        dragon sweep sudoku model.n_levels=4,8 -c my.toml\n\nThe same command goes on where a sweep was interrupted, and shows \
                        the table of one that is complete."
)]
pub struct SweepArgs {
    /// The family (default: language), then settings as KEY=VALUE; KEY=A,B,C is one run for each value
    #[arg(value_name = "language|KEY=A,B,C", required = true)]
    pub words: Vec<String>,
    /// Configuration file of all runs; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Backend to run on
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Folder of the sweep, instead of one under runs/
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of optimiser steps of each run
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u64>,
    /// Try runs again that failed before
    #[arg(long)]
    pub retry: bool,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}

/// `dragon report`.
#[derive(Debug, ClapArgs)]
pub struct ReportArgs {
    /// Run folders; several are drawn over each other
    #[arg(value_name = "RUN", required = true)]
    pub runs: Vec<PathBuf>,
    /// File to write (default: report.html in the run, or here if there are several runs)
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Print one JSON object as the last line of standard output
    #[arg(long)]
    pub json: bool,
}
