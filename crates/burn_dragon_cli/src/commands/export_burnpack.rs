//! `export_burnpack`: `dragon export` of a checkpoint, held against the family and the configuration that were typed.

use super::{as_meant, export, remote};
use crate::args::{ExportBurnpackArgs, ExportFamily};
use crate::exit::FamilyError;
use burn_dragon::api::checkpoint::LoadedModel;
use burn_dragon::api::core::DragonConfig;
use burn_dragon::api::language::LanguageConfig;
use burn_dragon_train::api::Layers;
use std::path::PathBuf;
use std::process::ExitCode;

/// Families whose models this version has.
const HERE: [ExportFamily; 1] = [ExportFamily::Language];

/// Runs the verb.
///
/// # Errors
/// If this version has no such family, the checkpoint is not of it or not of the configuration, the model cannot be read,
/// or a file not written.
pub fn run(args: &ExportBurnpackArgs) -> anyhow::Result<ExitCode> {
    if !HERE.contains(&args.family) {
        return Err(absent(args.family).into());
    }
    let loaded = as_meant(
        remote::find(&args.path(), false)?.load()?,
        "choose one with --epoch",
    )?;
    let found = &loaded.model.info.family;
    if found != args.family.name() {
        return Err(FamilyError::Other {
            file: loaded.file.clone(),
            asked: args.family.name(),
            found: found.clone(),
        }
        .into());
    }
    if !args.configs.is_empty() {
        same_model(&args.configs, &loaded)?;
    }
    export::write(loaded, &args.bundle)
}

fn absent(family: ExportFamily) -> FamilyError {
    FamilyError::Absent {
        asked: family.name(),
        here: HERE.map(ExportFamily::name).to_vec(),
    }
}

/// The configuration of these files describes the model that was read.
fn same_model(configs: &[PathBuf], loaded: &LoadedModel) -> anyhow::Result<()> {
    let layers = configs
        .iter()
        .try_fold(Layers::new(), |layers, path| layers.file(path))?;
    let config = layers.resolve::<LanguageConfig>()?.value;
    let model = &loaded.model.config;
    let typed = config.model.with_vocabulary(model.vocab_size)?;
    let differences = differences(&typed, model)?;
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
