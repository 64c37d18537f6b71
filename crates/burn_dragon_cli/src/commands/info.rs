//! `dragon info`: family, configuration, parameters, cost.

use super::{kinds, parameters, passed_over, print_json, remote};
use crate::args::InfoArgs;
use burn_dragon::api::checkpoint::{CheckpointError, ModelFile, ModelKind};
use burn_dragon::api::exchange::LoadedModel;
use burn_dragon::api::expert::checkpoint::one_line;
use burn_dragon_train::api::expert::count;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If the model cannot be read.
pub fn run(args: &InfoArgs) -> anyhow::Result<ExitCode> {
    let place = &args.model.place;
    let loaded = remote::find(&place.path(), place.offline)?.load(&kinds())?;
    passed_over(&loaded.passed_over);
    tell!("model {}, step {}", loaded.file.display(), loaded.model.info.step);
    let kind = kinds().of(&loaded.model.family, &loaded.file)?;
    if let Err(reason) = kind.assets(&loaded.model) {
        return Err(CheckpointError::corrupt(&loaded.file, reason).into());
    }
    match args.json {
        true => print_json(&summary(kind, &loaded)?)?,
        false => show(kind, &loaded),
    }
    Ok(ExitCode::SUCCESS)
}

fn summary(kind: &dyn ModelKind, loaded: &LoadedModel) -> anyhow::Result<Map<String, Value>> {
    let model = &loaded.model;
    let mut summary = Map::from_iter([
        ("file".to_string(), json!(loaded.file)),
        ("family".into(), json!(model.family)),
        ("config".into(), model.config.value().clone()),
        ("info".into(), origin(kind, model)?),
        ("parameters".into(), json!(parameters(kind, model))),
    ]);
    summary.extend(kind.figures(model));
    Ok(summary)
}

/// Origin of a model, with its units under the family's name for them, and the family's details.
fn origin(kind: &dyn ModelKind, model: &ModelFile) -> anyhow::Result<Value> {
    let mut origin = serde_json::to_value(&model.info)?;
    if let Some(object) = origin.as_object_mut() {
        object.remove("details");
        object.extend(model.info.details.clone());
        object.insert("family".into(), json!(model.family));
        object.insert(kind.unit().into(), json!(model.info.units));
    }
    Ok(origin)
}

fn show(kind: &dyn ModelKind, loaded: &LoadedModel) {
    let (model, info) = (&loaded.model, &loaded.model.info);
    show!("{}", loaded.file.display());
    let row = |what: &str, said: &str| show!("  {what:17} {}", one_line(said));
    row(
        "family",
        &format!("{}, written by {}", model.family, info.version),
    );
    row(
        "trained",
        &format!(
            "{} steps, {} {}",
            count(info.step),
            count(info.units),
            kind.unit()
        ),
    );
    let provenance = info.provenance.clone().unwrap_or_default();
    let told = [
        ("run", provenance.run),
        ("data", provenance.data),
        ("licence", provenance.license),
    ];
    for (what, said) in told {
        said.iter().for_each(|said| row(what, said));
    }
    row("shape", &kind.shape(model.config.value()));
    row("parameters", &count(parameters(kind, model)));
    for (what, said) in kind.words(model) {
        row(&one_line(&what), &said);
    }
}
