//! `dragon sweep`: a run for each combination of settings.

use super::{commit, print_json};
use crate::args::SweepArgs;
use crate::exit::{Usage, interrupted};
use crate::families;
use burn_dragon_train::api::{Axis, Ran, RunRequest, Sweep, SweepEnd, SweepRequest, TrainError};
use std::process::ExitCode;

/// Runs the verb. The exit code is 1 if a run failed.
///
/// # Errors
/// If nothing varies, or the folder holds another sweep or cannot be written.
pub fn run(args: &SweepArgs) -> anyhow::Result<ExitCode> {
    let request = request(args)?;
    let family = families::named(request.run.family()?.as_deref())?;
    let mut sweep = Sweep::open(request)?;
    let (count, folder) = (sweep.len(), sweep.folder().display().to_string());
    tell!("{count} runs in {folder}");
    let train = |request: &RunRequest| -> Result<Ran, TrainError> { (family.train)(request) };
    let end = sweep.train(&train, &|line| tell!("\n{line}"))?;
    match args.json {
        true => print_json(&sweep.json())?,
        false => sweep.lines().iter().for_each(|line| show!("{line}")),
    }
    Ok(match end {
        SweepEnd::Complete => ExitCode::SUCCESS,
        SweepEnd::SomeFailed => ExitCode::FAILURE,
        SweepEnd::Interrupted => {
            tell!("interrupted; the same command goes on with it");
            interrupted()
        }
    })
}

/// Request for a sweep. The first word is a family, unless it is a setting.
fn request(args: &SweepArgs) -> Result<SweepRequest, Usage> {
    let (families, settings): (Vec<_>, Vec<_>) = args.words.iter().partition(|word| !word.contains('='));
    if let [_, second, ..] = families[..] {
        return Err(Usage(format!(
            "`{second}` is not a setting: settings are written as KEY=VALUE or KEY=A,B,C"
        )));
    }
    let axes: Vec<Axis> = settings.iter().filter_map(|word| Axis::typed(word)).collect();
    let fixed = settings.into_iter().filter(|word| Axis::typed(word).is_none());
    Ok(SweepRequest {
        run: RunRequest {
            family: families.first().map(|word| (*word).clone()),
            assignments: fixed.cloned().collect(),
            configs: args.configs.clone(),
            backend: args.backend.backend,
            max_steps: args.max_steps,
            json: true, // standard output is for the table
            commit: commit().map(Into::into),
            ..RunRequest::default()
        },
        axes,
        out: args.out.clone(),
        retry: args.retry,
    })
}
