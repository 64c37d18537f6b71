//! `dragon state`: memory files.

mod diff;
mod info;

use crate::args::{StateArgs, StateRebaseArgs, StateVerb};
use burn_dragon::api::core::Backend;
use burn_dragon::api::language::LanguageState;
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If a file cannot be read or written, or is not a memory.
pub fn run(args: &StateArgs) -> anyhow::Result<ExitCode> {
    match &args.what {
        StateVerb::Info(args) => info::run(args)?,
        StateVerb::Rebase(args) => rebase(args)?,
        StateVerb::Diff(args) => diff::run(args)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn rebase(args: &StateRebaseArgs) -> anyhow::Result<()> {
    let mut file = read(&args.file)?;
    let from = listed(file.state.positions());
    file.state = file.state.rebase(&file.config)?;
    file.write(&args.out)?;
    tell!("position {from} is now 0, in {}", args.out.display());
    Ok(())
}

/// Reads a memory, on the processor.
fn read(path: &Path) -> anyhow::Result<LanguageState> {
    Ok(LanguageState::read(path, &Backend::Cpu.select()?.device)?)
}

/// Number of different tokens that each stream has seen.
fn counts(file: &LanguageState) -> Vec<u64> {
    file.seen.iter().map(|seen| seen.len() as u64).collect()
}

fn listed(numbers: &[u64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    numbers.join(", ")
}
