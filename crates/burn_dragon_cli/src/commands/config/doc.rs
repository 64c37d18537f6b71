//! `dragon config doc`: the reference of all keys; `dragon config presets`.

use crate::args::{ConfigDocArgs, ConfigPresetsArgs};
use crate::commands::print_json;
use crate::families::{self, Entry};
use crate::show::as_it_is;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Beginning of the reference of all families, which is the file `docs/configuration_keys.md`.
const TITLE: &str = "<!-- Written by `dragon config doc > docs/configuration_keys.md`; a test compares them. -->

# Keys of a configuration

Every key of every family, from the types that parse a configuration. \"Default\" is what a file means that does not set the key;
\"none\": the key is absent by default. \"Default run\" is what `base.toml` of the family sets, where it differs. Numbers with a
fraction are limited to what f32 can hold. [configuration.md](configuration.md) explains how files, presets and settings are
combined, and what the tables do.
";

/// Runs the verb.
///
/// # Errors
/// If there is no such family.
pub(super) fn run(args: &ConfigDocArgs) -> anyhow::Result<ExitCode> {
    let families: Vec<&Entry> = match &args.family {
        Some(name) => vec![families::named(Some(name))?],
        None => families::all().iter().collect(),
    };
    if args.json {
        let schemas = families
            .iter()
            .map(|family| (family.name.into(), (family.schema)()));
        print_json(&Value::Object(schemas.collect::<Map<String, Value>>()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = if args.family.is_none() {
        TITLE.to_string()
    } else {
        String::new()
    };
    for family in families {
        let space = if text.is_empty() { "" } else { "\n" };
        text += &format!(
            "{space}## Keys of a {} run\n\n{}",
            family.name,
            (family.reference)()?
        );
    }
    as_it_is(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// Lists the presets.
///
/// # Errors
/// If the result cannot be written.
pub(super) fn presets(args: &ConfigPresetsArgs) -> anyhow::Result<ExitCode> {
    let all = families::all().iter();
    let presets = all.flat_map(|family| family.presets.iter().map(move |preset| (family.name, preset)));
    if args.json {
        let presets: Vec<Value> = presets
            .map(|(family, preset)| {
                json!({ "name": preset.name, "family": family, "about": preset.about, "file": preset.path })
            })
            .collect();
        print_json(&json!({ "presets": presets }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for (family, preset) in presets {
        show!("{:17} {family}, {}", preset.name, preset.about);
    }
    show!("\nTrain one with `dragon train --preset NAME`; see it with `dragon config show NAME`.");
    Ok(ExitCode::SUCCESS)
}
