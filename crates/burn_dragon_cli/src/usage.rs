//! Answers to arguments that clap does not take.

use crate::exit::Usage;
#[cfg(feature = "train")]
use crate::families;
use clap::Error;
#[cfg(feature = "train")]
use clap::error::ContextValue;
use clap::error::{ContextKind, ErrorKind};
use std::ffi::OsString;

/// The error of clap, or a better answer: an option of `train` that is a setting is answered with the setting.
pub(crate) fn answered(mut error: Error, arguments: &[OsString]) -> Result<Error, Usage> {
    if error.kind() == ErrorKind::UnknownArgument {
        if let Some(usage) = setting(&error, arguments) {
            return Err(usage);
        }
        // "to pass '-1' as a value, use '-- -1'" is never what was meant.
        error.remove(ContextKind::Suggested);
    }
    Ok(error)
}

/// Option as the setting that it is: `--batch-size 4` as `training.batch_size=4`.
#[cfg(feature = "train")]
fn setting(error: &Error, arguments: &[OsString]) -> Option<Usage> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let typed: Vec<&str> = arguments.iter().filter_map(|word| word.to_str()).collect();
    let verb = typed.iter().position(|word| *word == "train")?;
    let name = option.split_whitespace().next()?.strip_prefix("--")?;
    let (name, value) = match name.split_once('=') {
        Some((name, value)) => (name, Some(value.to_string())),
        None => (name, following(&typed, name)),
    };
    let family = typed[verb + 1..]
        .iter()
        .find_map(|word| families::named(Some(*word)).ok());
    let family = family.map_or_else(|| families::named(None), Ok).ok()?;
    let key = (family.key)(&key_of(name))?;
    let value = value.unwrap_or_else(|| "VALUE".into());
    Some(Usage(format!(
        "`--{name}` is a setting and not an option; settings are written as KEY=VALUE: {key}={value} \
         (`--print-config` shows all of them)"
    )))
}

#[cfg(not(feature = "train"))]
fn setting(_error: &Error, _arguments: &[OsString]) -> Option<Usage> {
    None
}

/// Value that was typed after an option.
#[cfg(feature = "train")]
fn following(typed: &[&str], name: &str) -> Option<String> {
    let flag = format!("--{name}");
    if let Some(value) = typed
        .iter()
        .find_map(|word| word.strip_prefix(&format!("{flag}=")))
    {
        return Some(value.into());
    }
    let place = typed.iter().position(|word| *word == flag)?;
    let value = typed.get(place + 1)?;
    (!value.starts_with("--") && !value.contains('=')).then(|| value.to_string())
}

/// Key of a name, as other trainers have it.
#[cfg(feature = "train")]
fn key_of(name: &str) -> String {
    match name {
        "lr" => "learning_rate".into(),
        "steps" | "iters" | "max-iters" => "max_steps".into(),
        "context" | "context-length" | "seq-len" => "block_size".into(),
        "layers" | "n-layer" => "n_levels".into(),
        "grad-accum" | "gradient-accumulation-steps" => "accumulate".into(),
        name => name.replace('-', "_"),
    }
}
