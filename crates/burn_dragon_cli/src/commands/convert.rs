//! `dragon convert`: any file of a model to a `.bpk` or to official `.safetensors`.

use super::{as_meant, print_json};
use crate::args::ConvertArgs;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::checkpoint::{
    CheckpointError, ModelFile, ModelPath, OfficialConfig, is_torch, read_safetensors, read_torch,
    write_safetensors,
};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// What B can be.
#[derive(Clone, Copy)]
enum Form {
    Burnpack,
    Safetensors,
}

impl Form {
    fn of(path: &Path) -> Result<Self, Usage> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("bpk") => Ok(Self::Burnpack),
            Some("safetensors") => Ok(Self::Safetensors),
            _ => Err(Usage(format!(
                "{}: its ending says what is written; use .bpk or .safetensors",
                path.display()
            ))),
        }
    }
}

/// Runs the verb.
///
/// # Errors
/// If A cannot be read, B is there already, or B cannot be written.
pub fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let form = Form::of(&args.to)?;
    if args.to.exists() && !args.force {
        let reason = "it is there already; overwrite it with --force".to_string();
        let path = args.to.clone();
        return Err(CheckpointError::Refused { path, reason }.into());
    }
    let (model, mut notes) = read(args)?;
    let (hash, step) = (model.hash(), model.info.step);
    let parameters = model.config.cost().parameters();
    match form {
        Form::Burnpack => model.write(&args.to)?,
        Form::Safetensors => notes.extend(write_safetensors(&model, &args.to)?),
    }
    let bytes = std::fs::metadata(&args.to)
        .with_context(|| format!("cannot read {}", args.to.display()))?
        .len();
    for note in &notes {
        tell!("note: {note}");
    }
    show!(
        "{}: step {step}, {parameters} parameters, {bytes} bytes",
        args.to.display()
    );
    if args.json {
        print_json(&json!({
            "from": args.from,
            "file": args.to,
            "bytes": bytes,
            "model": hash,
            "step": step,
            "parameters": parameters,
            "notes": notes,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The model in A, and what was passed over or assumed. Here alone a pickle becomes a model.
fn read(args: &ConvertArgs) -> anyhow::Result<(ModelFile, Vec<String>)> {
    let config = args
        .model_config
        .as_deref()
        .map(OfficialConfig::read)
        .transpose()?;
    if args.from.is_file() && is_torch(&args.from) {
        let imported = read_torch(&args.from, config.as_ref())?;
        return Ok((imported.model, imported.notes));
    }
    if args
        .from
        .extension()
        .is_some_and(|ending| ending == "safetensors")
        && args.from.is_file()
    {
        let imported = read_safetensors(&args.from, config.as_ref())?;
        return Ok((imported.model, imported.notes));
    }
    let path = ModelPath {
        path: args.from.clone(),
        which: args.which.which(),
        official_config: args.model_config.clone(),
    };
    let loaded = as_meant(path.load()?, "choose one with --step")?;
    Ok((loaded.model, Vec::new()))
}
