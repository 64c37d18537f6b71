//! `dragon predict`: predictions of a model of any family.

use super::{print_json, to_run};
use crate::args::PredictArgs;
use crate::exit::{BadInput, complain};
use burn_dragon_train::api::expert::write_atomic;
use burn_dragon_train::api::{PredictOptions, PredictRequest, Predictions};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Runs the verb. If some inputs cannot be read, the others are predicted, and the exit code is 3.
///
/// # Errors
/// If the model cannot be read, its family predicts nothing, or the results cannot be written.
pub fn run(args: &PredictArgs) -> anyhow::Result<ExitCode> {
    let (loaded, family, selected) = to_run(&args.model)?;
    let request = PredictRequest {
        model: loaded.file,
        inputs: args.inputs.clone(),
        steps: args.steps,
        device: selected.device,
        options: PredictOptions {
            samples: args.samples,
            verify: args.verify,
            complete: args.complete,
            policy: args.policy,
            show: args.show,
            picture: args.svg.is_some(),
            embed: args.embed,
        },
    };
    let predictions = (family.predict)(loaded.model, &request)?;
    if let (Some(path), Some(picture)) = (&args.svg, &predictions.picture) {
        write_atomic(path, picture.as_bytes())?;
    }
    show(args, family.name, &predictions)?;
    predictions.notes.iter().for_each(|note| tell!("{note}"));
    let refused = &predictions.refused;
    refused
        .iter()
        .for_each(|reason| complain(&BadInput(reason.clone()).into()));
    Ok(if refused.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(3)
    })
}

/// Writes lines to a file or to standard output, and one JSON object if requested.
fn show(args: &PredictArgs, family: &str, predictions: &Predictions) -> anyhow::Result<()> {
    let lines = &predictions.lines;
    match (&args.out, &predictions.features) {
        (Some(path), Some(features)) => write_atomic(path, features)?,
        (Some(path), None) => {
            let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
            write_atomic(path, text.as_bytes())?;
        }
        (None, _) if args.json => {}
        (None, _) => lines.iter().for_each(|line| show!("{line}")),
    }
    for drawing in &predictions.drawings {
        if args.json {
            tell!("\n{drawing}");
        } else {
            show!("\n{drawing}");
        }
    }
    if args.json {
        let mut object = predictions.object.clone();
        object.insert("family".into(), json!(family));
        print_json(&Value::Object(object))?;
    }
    Ok(())
}
