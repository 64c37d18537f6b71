//! `export_burnpack`: `dragon export` of a checkpoint, held against the family and the configuration that were typed.

use super::run_settings::RunSettings;
use super::{as_meant, export, kinds, remote};
use crate::args::{ExportBurnpackArgs, ExportFamily};
use crate::exit::FamilyError;
use burn_dragon::api::checkpoint::CheckpointError;
use burn_dragon::api::core::DragonConfig;
use burn_dragon::api::exchange::LoadedModel;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If this version has no such family, the checkpoint is not of it or not of the configuration, the model cannot be read,
/// or a file not written.
pub fn run(args: &ExportBurnpackArgs) -> anyhow::Result<ExitCode> {
    if kinds().get(args.family.name()).is_none() {
        return Err(absent(args.family).into());
    }
    let loaded = as_meant(
        remote::find(&args.path(), false)?.load(&kinds())?,
        "choose one with --epoch",
    )?;
    let found = &loaded.model.family;
    if found != args.family.name() {
        return Err(FamilyError::Other {
            file: loaded.file.clone(),
            asked: args.family.name(),
            found: found.clone(),
        }
        .into());
    }
    if !args.configs.is_empty() && args.family == ExportFamily::Language {
        same_model(&args.configs, &loaded)?;
    }
    export::write(loaded, &args.bundle)
}

fn absent(family: ExportFamily) -> FamilyError {
    FamilyError::Absent {
        asked: family.name(),
        here: kinds().families(),
    }
}

/// The configuration of these files describes the model that was read.
fn same_model(configs: &[PathBuf], loaded: &LoadedModel) -> anyhow::Result<()> {
    let config = RunSettings::of_files(configs)?;
    let model: DragonConfig = loaded
        .model
        .config
        .read()
        .map_err(|error| CheckpointError::corrupt(&loaded.file, error))?;
    let typed = config.model.with_vocabulary(model.vocab_size)?;
    let differences = differences(&typed, &model)?;
    if differences.is_empty() {
        return Ok(());
    }
    Err(FamilyError::Configuration {
        file: loaded.file.clone(),
        differences,
    }
    .into())
}

/// The keys that two shapes differ in, with both values.
fn differences(typed: &DragonConfig, model: &DragonConfig) -> anyhow::Result<Vec<String>> {
    let [typed, model] = [serde_json::to_value(typed)?, serde_json::to_value(model)?];
    let (Some(typed), Some(model)) = (typed.as_object(), model.as_object()) else {
        return Ok(Vec::new());
    };
    let keys = typed
        .keys()
        .chain(model.keys().filter(|key| !typed.contains_key(*key)));
    let shown = |value: Option<&serde_json::Value>| value.map_or("absent".into(), ToString::to_string);
    Ok(keys
        .filter(|&key| typed.get(key) != model.get(key))
        .map(|key| {
            format!(
                "{key} is {} there, and {} in the configuration",
                shown(model.get(key)),
                shown(typed.get(key))
            )
        })
        .collect())
}
