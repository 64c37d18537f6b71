//! `export_burnpack`: `dragon export` of a checkpoint, after a check of its family and configuration.

use super::run_settings::RunSettings;
use super::{as_meant, export, kinds, remote};
use crate::args::{ExportBurnpackArgs, ExportFamily};
use crate::exit::FamilyError;
use burn_dragon::api::checkpoint::CheckpointError;
use burn_dragon::api::core::DragonConfig;
use burn_dragon::api::exchange::LoadedModel;
#[cfg(feature = "train")]
use burn_dragon::api::vision::encoder_of;
use burn_dragon_train::api::Layers;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::path::PathBuf;
use std::process::ExitCode;

type Object = Map<String, Value>;

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
        "choose another with --epoch",
    )?;
    #[cfg(feature = "train")]
    let loaded = match args.family {
        ExportFamily::VisionEncoder => LoadedModel {
            model: encoder_of(loaded.model),
            ..loaded
        },
        _ => loaded,
    };
    let found = &loaded.model.family;
    if found != args.family.name() {
        return Err(FamilyError::Other {
            file: loaded.file.clone(),
            asked: args.family.name(),
            found: found.clone(),
        }
        .into());
    }
    if !args.trained.configs.is_empty() {
        same_model(args, &loaded)?;
    }
    export::write(loaded, &args.bundle)
}

fn absent(family: ExportFamily) -> FamilyError {
    FamilyError::Absent {
        asked: family.name(),
        here: kinds().families(),
    }
}

/// Checks that the configuration of these files describes the model.
fn same_model(args: &ExportBurnpackArgs, loaded: &LoadedModel) -> anyhow::Result<()> {
    let (typed, model) = match args.family {
        ExportFamily::Language => language(&args.trained.configs, loaded)?,
        _ => (tables(&args.trained.configs)?, described(loaded)),
    };
    let differences = differences(&typed, &model);
    if differences.is_empty() {
        return Ok(());
    }
    Err(FamilyError::Configuration {
        file: loaded.file.clone(),
        differences,
    }
    .into())
}

/// Sizes of a language run with this configuration, with `null` for keys that only the model has; and those of the model.
fn language(configs: &[PathBuf], loaded: &LoadedModel) -> anyhow::Result<(Object, Object)> {
    let model: DragonConfig = loaded
        .model
        .config
        .read()
        .map_err(|error| CheckpointError::corrupt(&loaded.file, error))?;
    let config = RunSettings::of_files(configs)?;
    let same_vocabulary = config.model.with_vocabulary(model.vocab_size)?;
    let model = object(&model)?;
    let mut typed: Object = model.keys().map(|key| (key.clone(), Value::Null)).collect();
    typed.extend(object(&same_vocabulary)?);
    Ok((typed, model))
}

/// Family and sizes in the file of the model.
fn described(loaded: &LoadedModel) -> Object {
    let config = loaded.model.config.value();
    let is_vision = loaded.model.family == ExportFamily::VisionEncoder.name();
    let sizes = if is_vision { &config["encoder"] } else { config };
    let mut model = sizes.as_object().cloned().unwrap_or_default();
    let family = if is_vision { "vision" } else { &loaded.model.family };
    model.insert("family".into(), family.into());
    model
}

fn object(value: &impl Serialize) -> anyhow::Result<Object> {
    let value = serde_json::to_value(value)?;
    Ok(value.as_object().cloned().unwrap_or_default())
}

/// Family and sizes in the configuration of any family.
fn tables(configs: &[PathBuf]) -> anyhow::Result<Object> {
    #[derive(Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Tables {
        family: Option<String>,
        model: Object,
    }
    let layers = configs
        .iter()
        .try_fold(Layers::new(), |layers, path| layers.file(path))?;
    let Tables { family, mut model } = layers.resolve::<Tables>()?.value;
    model.extend(family.map(|family| ("family".to_string(), family.into())));
    Ok(model)
}

/// Keys with different values in the configuration and the model, with both values.
fn differences(typed: &Object, model: &Object) -> Vec<String> {
    let shown = |value: Option<&Value>| value.map_or("absent".into(), ToString::to_string);
    typed
        .iter()
        .filter(|(key, value)| !model.get(*key).is_some_and(|there| same(there, value)))
        .map(|(key, value)| {
            format!(
                "{key} is {} in the model, but {value} in the configuration",
                shown(model.get(key))
            )
        })
        .collect()
}

/// Whether two values are equal; a whole number equals the same number with a fraction.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|number| Some(number) == b.as_f64())
}
