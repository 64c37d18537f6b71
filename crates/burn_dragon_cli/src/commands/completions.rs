//! `dragon completions`: completions of a shell.

use crate::args::CompletionsArgs;
use burn_dragon_train::api::expert::results;
use clap::Command;
use std::process::ExitCode;

/// Prints the completions of `command` for a shell.
///
/// # Errors
/// None: a failed write is reported at the end of the program.
pub fn run(args: &CompletionsArgs, mut command: Command) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "dragon", &mut script);
    results::write(&script);
    Ok(ExitCode::SUCCESS)
}
