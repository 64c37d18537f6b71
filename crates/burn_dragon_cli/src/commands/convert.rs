//! `dragon convert`: any file of a model to a `.bpk` or to official `.safetensors`.

use super::{as_meant, kinds, parameters, print_json};
use crate::args::ConvertArgs;
use crate::exit::Usage;
use anyhow::Context;
use burn_dragon::api::checkpoint::CheckpointError;
use burn_dragon::api::exchange::{AnyModel, Form, LoadedModel, ModelPath, read_any};
use serde_json::json;
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If A cannot be read, B is there already, or B cannot be written.
pub fn run(args: &ConvertArgs) -> anyhow::Result<ExitCode> {
    let form = Form::of(&args.to).ok_or_else(|| {
        Usage(format!(
            "{}: the extension sets the format to write; use .bpk or .safetensors",
            args.to.display()
        ))
    })?;
    if args.to.exists() && !args.force {
        let reason = "it exists already; overwrite it with --force".to_string();
        let path = args.to.clone();
        return Err(CheckpointError::Refused { path, reason }.into());
    }
    let path = ModelPath {
        path: args.from.clone(),
        which: args.which.which(),
        official_config: args.model_config.clone(),
    };
    let AnyModel { loaded, mut notes } = read_any(&path, &kinds())?;
    let LoadedModel { file, model, .. } = as_meant(loaded, "choose another with --step")?;
    let (hash, step) = (model.hash(), model.info.step);
    let kind = kinds().of(&model.family, &file)?;
    let parameters = parameters(kind, &model);
    notes.extend(form.write(&model, kind, &args.to)?);
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
