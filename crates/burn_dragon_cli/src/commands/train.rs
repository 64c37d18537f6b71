//! `dragon train`.

use super::{as_meant, commit, kinds, print_json, remote};
use crate::args::{RunArgs, TrainArgs};
use crate::exit::{Usage, interrupted};
use crate::families::{self, Entry};
use crate::typed::Words;
use burn_dragon::api::exchange::ModelPath;
use burn_dragon::api::train::{InitialModel, ReadAs, RunRequest};
use burn_dragon_train::api::expert::Display;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use toml::Value;

/// Runs the verb.
///
/// # Errors
/// If the configuration, the data or the machine do not allow it.
pub fn run(args: &TrainArgs) -> anyhow::Result<ExitCode> {
    let (family, mut request) = request(&args.run)?;
    request.print_config = args.print_config;
    request.dry_run = args.dry_run;
    request.json = args.json;
    if args.tui {
        request.display = display();
    }
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

/// The model to start from.
fn initial(args: &RunArgs, model: &Path) -> anyhow::Result<InitialModel> {
    let path = ModelPath {
        official_config: args.model_config.clone(),
        ..ModelPath::new(model)
    };
    let loaded = remote::find(&path, args.offline)?.load(&kinds())?;
    let loaded = as_meant(loaded, "name an older one by its folder, RUN/checkpoint/step-N")?;
    Ok(InitialModel {
        given: model.display().to_string(),
        path: loaded.file,
        model: Arc::new(loaded.model),
    })
}

/// The screen, or a sentence about why there is none.
fn display() -> Option<Arc<dyn Display>> {
    #[cfg(unix)]
    let screen = crate::screen::display();
    #[cfg(not(unix))]
    let screen = Err::<Arc<dyn Display>, _>("it is not built for this system");
    match screen {
        Ok(display) => Some(display),
        Err(why) => {
            tell!("note   --tui shows no screen here ({why}): lines follow");
            None
        }
    }
}

/// Family and request that were typed.
pub(super) fn request(args: &RunArgs) -> anyhow::Result<(&'static Entry, RunRequest)> {
    let words = Words::of(&args.words, &families::names())?;
    if args.resume.is_some() && !words.configs.is_empty() {
        let text =
            "a resumed run has its own configuration: give settings as KEY=VALUE, and no configuration file";
        return Err(Usage(text.into()).into());
    }
    let mut request = without_settings(args, &words);
    if let Some(model) = &args.init_from {
        request.initial = Some(initial(args, model)?);
    }
    refuse_preset_as_file(&request.configs)?;
    let family = families::named(request.family()?.as_deref())?;
    request.assignments.clone_from(&words.settings);
    request.assignments = [of_data(&words.data, family, &request)?, words.settings].concat();
    Ok((family, request))
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

/// Settings for data in these files and folders; none without any. A line says what was recognised.
fn of_data(paths: &[String], family: &Entry, request: &RunRequest) -> anyhow::Result<Vec<String>> {
    if paths.is_empty() {
        return Ok(Vec::new());
    }
    let read = (family.read_as)(paths, &request.given()?)?.unwrap_or_else(|| ReadAs {
        settings: vec![format!("dataset.type={}", family.files)],
        line: None,
    });
    if let Some(line) = &read.line {
        tell!("{line}");
    }
    let paths: Vec<Value> = paths.iter().cloned().map(Value::from).collect();
    let paths = format!("dataset.paths={}", Value::Array(paths));
    Ok(read.settings.into_iter().chain([paths]).collect())
}

/// Request for a run, without its settings.
fn without_settings(args: &RunArgs, words: &Words) -> RunRequest {
    RunRequest {
        family: words.family.clone(),
        assignments: Vec::new(),
        preset: args.preset.clone(),
        configs: [args.configs.clone(), words.configs.clone()].concat(),
        backend: args.backend.backend,
        out: args.out.clone(),
        max_steps: args.max_steps,
        resume: args.resume.clone(),
        initial: None,
        accept_changed_data: args.accept_changed_data,
        print_config: false,
        dry_run: false,
        json: false,
        display: None,
        commit: commit().map(Into::into),
    }
}
