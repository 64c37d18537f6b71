//! `dragon compare`: runs side by side.

use super::print_json;
use crate::args::CompareArgs;
use burn_dragon_train::api::{Comparison, RunRecord};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If a folder is not that of a run, or cannot be read.
pub fn run(args: &CompareArgs) -> anyhow::Result<ExitCode> {
    let runs = args.runs.iter().map(RunRecord::read).collect::<Result<_, _>>()?;
    let comparison = Comparison::of(runs);
    match args.json {
        true => print_json(&comparison.json())?,
        false => comparison.lines().iter().for_each(|line| show!("{line}")),
    }
    Ok(ExitCode::SUCCESS)
}
