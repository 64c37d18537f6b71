//! `dragon train`.

use super::{commit, print_json};
use crate::args::TrainArgs;
use crate::exit::interrupted;
use crate::families;
use burn_dragon::api::train::RunRequest;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let request = request(args);
    let family = families::named(request.family()?.as_deref())?;
    let ran = (family.train)(&request)?;
    if let Some(json) = &ran.json {
        print_json(json)?;
    }
    Ok(if ran.interrupted {
        interrupted()
    } else {
        ExitCode::SUCCESS
    })
}

/// Request for a run. The first word is a family, unless it is a setting.
fn request(args: &TrainArgs) -> RunRequest {
    let (family, assignments) = match args.words.split_first() {
        Some((word, rest)) if !word.contains('=') => (Some(word.clone()), rest),
        _ => (None, args.words.as_slice()),
    };
    RunRequest {
        family,
        assignments: assignments.to_vec(),
        configs: args.configs.clone(),
        backend: args.backend.backend,
        out: args.out.clone(),
        max_steps: args.max_steps,
        resume: args.resume.clone(),
        accept_changed_data: args.accept_changed_data,
        print_config: args.print_config,
        dry_run: args.dry_run,
        json: args.json,
        commit: commit().map(Into::into),
    }
}
