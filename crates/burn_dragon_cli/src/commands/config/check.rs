//! `dragon config check`: all faults of configurations.

use super::source::Source;
use crate::args::ConfigCheckArgs;
use crate::commands::print_json;
use crate::exit::Usage;
use crate::families;
use burn_dragon::api::train::{ConfigError, Fault, Origin, TrainError};
use serde_json::{Value, json};
use std::process::ExitCode;

/// One configuration and what is wrong with it.
struct Checked {
    name: String,
    family: Option<&'static str>,
    faults: Vec<Fault>,
}

/// Runs the verb. The exit code is 2 if a configuration is wrong, as that of a run with it would be.
///
/// # Errors
/// If the result cannot be written.
pub(super) fn run(args: &ConfigCheckArgs) -> anyhow::Result<ExitCode> {
    let checked: Vec<Checked> = args.files.iter().map(|word| check(word)).collect();
    let wrong = checked.iter().filter(|one| !one.faults.is_empty()).count();
    if args.json {
        let files: Vec<Value> = checked.iter().map(as_json).collect();
        print_json(&json!({ "ok": wrong == 0, "files": files }))?;
    } else {
        checked.iter().for_each(show);
        if checked.len() > 1 && wrong > 0 {
            show!("{wrong} of {} configurations are wrong", checked.len());
        }
    }
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}

fn check(word: &str) -> Checked {
    let (family, faults) = match faults(word) {
        Ok((family, faults)) => (Some(family), faults),
        Err(fault) => (None, vec![*fault]),
    };
    Checked {
        name: word.into(),
        family,
        faults,
    }
}

/// Family of a configuration and its faults, or the fault for which it cannot be read.
fn faults(word: &str) -> Result<(&'static str, Vec<Fault>), Box<Fault>> {
    let unreadable = |error: ConfigError| Box::new(Fault::from(error));
    let unusable = |usage: Usage, origin: Option<Origin>| {
        Box::new(Fault {
            key: origin.as_ref().map(|_| "family".into()),
            origin,
            error: TrainError::Usage(usage.0),
        })
    };
    let source = Source::of(word).map_err(|usage| unusable(usage, None))?;
    let layers = source.layers().map_err(unreadable)?;
    let said = layers.family().map_err(unreadable)?;
    let family = families::named(said.as_ref().map(|(name, _)| name.as_str()));
    let family = family.map_err(|usage| unusable(usage, said.map(|(_, at)| at)))?;
    Ok((family.name, (family.check)(layers)))
}

fn show(checked: &Checked) {
    let Checked { name, family, faults } = checked;
    match (&faults[..], family) {
        ([], family) => show!("{name}: ok ({})", family.unwrap_or_default()),
        ([_], _) => show!("{name}: 1 error"),
        (several, _) => show!("{name}: {} errors", several.len()),
    }
    faults.iter().for_each(|fault| show!("  {fault}"));
}

fn as_json(checked: &Checked) -> Value {
    let faults: Vec<Value> = checked.faults.iter().map(fault_json).collect();
    let Checked { name, family, .. } = checked;
    json!({ "file": name, "family": family, "ok": faults.is_empty(), "errors": faults })
}

fn fault_json(fault: &Fault) -> Value {
    let (file, line) = match (&fault.origin, &fault.error) {
        (Some(Origin::Line { file, line }), _) => (Some(file.clone()), Some(*line)),
        (_, TrainError::Config(ConfigError::Syntax { file, line, .. })) => (Some(file.clone()), Some(*line)),
        _ => (None, None),
    };
    json!({ "key": fault.key, "file": file, "line": line, "message": fault.to_string() })
}
