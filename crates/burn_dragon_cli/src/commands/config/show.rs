//! `dragon config show`: every value with its origin.

use super::source::Source;
use crate::args::ConfigShowArgs;
use crate::commands::print_json;
use crate::exit::Usage;
use crate::families::{self, Shown};
use crate::show::as_it_is;
use crate::typed::settings_apart;
use burn_dragon::api::expert::checkpoint::printable;
use burn_dragon::api::train::{RunRequest, TrainError};
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Runs the verb.
///
/// # Errors
/// If a configuration cannot be read.
pub(super) fn run(args: &ConfigShowArgs) -> anyhow::Result<ExitCode> {
    let shown = resolved(&request(args)?)?;
    if args.json {
        print_json(&as_json(&shown))?;
        return Ok(ExitCode::SUCCESS);
    }
    as_it_is(&printable(shown.explained.trim_end()));
    Ok(ExitCode::SUCCESS)
}

/// Configuration of a request, by its own family.
pub(super) fn resolved(request: &RunRequest) -> Result<Shown, anyhow::Error> {
    let family = families::named(request.family()?.as_deref())?;
    Ok((family.show)(request)?)
}

fn request(args: &ConfigShowArgs) -> Result<RunRequest, anyhow::Error> {
    let (assignments, others) = settings_apart(&args.words);
    let mut request = match &others[..] {
        [] => RunRequest::default(),
        [one] => Source::of(one)?.request(),
        [_, second, ..] => {
            let text = format!("`{second}`: only one configuration is shown; put files on top with -c FILE");
            return Err(Usage(text).into());
        }
    };
    if request.resume.is_some() && !args.configs.is_empty() {
        let text = "a run has its own configuration: give settings as KEY=VALUE, and no -c";
        return Err(TrainError::Usage(text.into()).into());
    }
    request.configs.extend(args.configs.iter().cloned());
    request.assignments = assignments;
    Ok(request)
}

fn as_json(shown: &Shown) -> Value {
    let values = shown.values.iter().map(|(key, (value, origin))| {
        let value = json!({ "value": value, "origin": origin.to_string() });
        (key.clone(), value)
    });
    let values: Map<String, Value> = values.collect();
    json!({ "family": shown.family, "values": values })
}
