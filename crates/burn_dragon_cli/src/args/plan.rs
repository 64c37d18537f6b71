//! `dragon plan`.

use super::RunArgs;
use clap::Args as ClapArgs;

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
    /// The run
    #[command(flatten)]
    pub run: RunArgs,
    /// Print one JSON object as the last line of standard output, with exact numbers
    #[arg(long)]
    pub json: bool,
}
