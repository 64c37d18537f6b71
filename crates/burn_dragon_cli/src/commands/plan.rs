//! `dragon plan`.

use super::print_json;
use super::train::request;
use crate::args::PlanArgs;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the configuration or the data cannot be used, or the machine has too little memory or disk for the run.
pub fn run(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let (family, mut request) = request(&args.run)?;
    request.json = args.json;
    if let Some(json) = (family.plan)(&request)? {
        print_json(&json)?;
    }
    Ok(ExitCode::SUCCESS)
}
