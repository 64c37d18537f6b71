//! `dragon train`.

use super::{commit, print_json};
use crate::args::TrainArgs;
use crate::exit::{Usage, interrupted};
use crate::families;
use crate::typed::Words;
use burn_dragon::api::train::RunRequest;
use std::path::PathBuf;
use std::process::ExitCode;
use toml::Value;

/// Runs the verb.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let words = Words::of(&args.words, &families::names())?;
    if args.resume.is_some() && !words.configs.is_empty() {
        let text =
            "a resumed run has its own configuration: give settings as KEY=VALUE, and no configuration file";
        return Err(Usage(text.into()).into());
    }
    let mut request = request(args, &words);
    refuse_preset_as_file(&request.configs)?;
    let family = families::named(request.family()?.as_deref())?;
    request.assignments = [of_data(&words.data, family.files), words.settings].concat();
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

/// Refuses the name of a preset where a file is expected.
fn refuse_preset_as_file(configs: &[PathBuf]) -> Result<(), Usage> {
    let is_preset = |path: &&PathBuf| {
        let name = path.to_str().filter(|_| !path.exists());
        name.is_some_and(|name| families::preset(name).is_some())
    };
    match configs.iter().find(is_preset) {
        Some(name) => Err(Usage(format!(
            "{0} is a preset, and no file of this name is here: write --preset {0}",
            name.display()
        ))),
        None => Ok(()),
    }
}

/// Settings for data in these files and folders; none without any.
fn of_data(paths: &[String], files: &str) -> Vec<String> {
    if paths.is_empty() {
        return Vec::new();
    }
    let paths: Vec<Value> = paths.iter().cloned().map(Value::from).collect();
    let paths = Value::Array(paths);
    vec![format!("dataset.type={files}"), format!("dataset.paths={paths}")]
}

/// Request for a run, without its settings.
fn request(args: &TrainArgs, words: &Words) -> RunRequest {
    RunRequest {
        family: words.family.clone(),
        assignments: Vec::new(),
        preset: args.preset.clone(),
        configs: [args.configs.clone(), words.configs.clone()].concat(),
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
