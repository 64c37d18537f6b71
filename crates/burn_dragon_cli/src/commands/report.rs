//! `dragon report`: a page about runs.

use super::print_json;
use crate::args::ReportArgs;
use burn_dragon_train::api::expert::write_atomic;
use burn_dragon_train::api::{Report, RunRecord};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If a folder is not that of a run, or the page cannot be written.
pub fn run(args: &ReportArgs) -> anyhow::Result<ExitCode> {
    let runs = args
        .runs
        .iter()
        .map(RunRecord::read)
        .collect::<Result<Vec<_>, _>>()?;
    let place = match (&args.out, &runs[..]) {
        (Some(out), _) => out.clone(),
        (None, [run]) => run.folder.path().join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    write_atomic(&place, Report::of(runs).html().as_bytes())?;
    match args.json {
        true => print_json(&json!({ "report": place }))?,
        false => show!("{}", place.display()),
    }
    Ok(ExitCode::SUCCESS)
}
