//! `dragon plan`.

use super::{BackendArgs, TrainArgs};
use clap::Args as ClapArgs;
use std::path::PathBuf;

/// `dragon plan`: the arguments of `train` that change what a run takes.
#[derive(Debug, ClapArgs)]
#[command(
    long_about = "Tell what a run would take before it starts: parameters, steps and tokens, disk, and on each backend that is \
                  there the memory at its peak, the largest batch that fits, and the time.

Nothing of the model is allocated. The data is read, as the run would. The time is that of a slice of the model on this \
machine as busy as it is now, measured for some seconds and multiplied by the cost of the whole.",
    after_help = "Examples:
  dragon plan                                              the default run
  dragon plan book.txt model.n_neurons=32768               a run on your own text
  dragon plan -c config/language/base.toml --max-steps 20000 --json
  dragon plan --resume runs/latest --max-steps 40000       the rest of a run"
)]
pub struct PlanArgs {
    /// The family (default: language), files and folders of text, and settings as KEY=VALUE, for example
    /// training.batch_size=4
    #[arg(value_name = "FAMILY|PATH|KEY=VALUE")]
    pub words: Vec<String>,
    /// Configuration file; may be repeated, later files win
    #[arg(short, long = "config", value_name = "FILE")]
    pub configs: Vec<PathBuf>,
    /// Backend to plan for; auto plans for each one that is there
    #[command(flatten)]
    pub backend: BackendArgs,
    /// Run folder that would be created
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Number of optimiser steps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_steps: Option<u64>,
    /// Run that would be resumed
    #[arg(long, value_name = "RUN", conflicts_with_all = ["out", "configs"])]
    pub resume: Option<PathBuf>,
    /// Plan although the data has changed
    #[arg(long, requires = "resume")]
    pub accept_changed_data: bool,
    /// Print one JSON object as the last line of standard output, with exact numbers
    #[arg(long)]
    pub json: bool,
}

impl PlanArgs {
    /// Arguments of the same run.
    pub fn of_run(&self) -> TrainArgs {
        TrainArgs {
            words: self.words.clone(),
            configs: self.configs.clone(),
            backend: self.backend,
            out: self.out.clone(),
            max_steps: self.max_steps,
            resume: self.resume.clone(),
            preset: None,
            init_from: None,
            model_config: None,
            offline: false,
            accept_changed_data: self.accept_changed_data,
            print_config: false,
            dry_run: false,
            tui: false,
            json: self.json,
        }
    }
}
