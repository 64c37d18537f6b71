//! `dragon runs`: the runs in a folder.

use super::print_json;
use crate::args::RunsArgs;
use burn_dragon_train::api::Listed;
use burn_dragon_train::api::expert::list_runs;
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the folder cannot be read.
pub fn run(args: &RunsArgs) -> anyhow::Result<ExitCode> {
    let entries = match list_runs(&args.folder) {
        Err(_) if !args.folder.exists() && args.folder == Path::new("runs") => Vec::new(), // none yet
        entries => entries?,
    };
    if args.json {
        let runs: Vec<Value> = entries.iter().map(Listed::json).collect();
        print_json(&json!({ "runs": runs }))?;
    } else if entries.is_empty() {
        show!(
            "no runs in {}; make one with `dragon train`",
            args.folder.display()
        );
    } else {
        Listed::table(&entries).iter().for_each(|line| show!("{line}"));
    }
    Ok(ExitCode::SUCCESS)
}
