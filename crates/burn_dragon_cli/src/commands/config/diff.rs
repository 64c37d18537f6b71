//! `dragon config diff`: keys in which two configurations differ.

use super::show::resolved;
use super::source::Source;
use crate::args::ConfigDiffArgs;
use crate::commands::print_json;
use crate::families::Shown;
use burn_dragon::api::train::Origin;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::process::ExitCode;

/// Value of a key with its origin; `None` if the configuration does not have the key.
type Side<'a> = Option<&'a (Value, Origin)>;

/// Runs the verb. The exit code is 0 if the configurations are equal and 1 if they differ, as with `dragon diff`.
///
/// # Errors
/// If a configuration cannot be read.
pub(super) fn run(args: &ConfigDiffArgs) -> anyhow::Result<ExitCode> {
    let [a, b] = [read(&args.a)?, read(&args.b)?];
    let differences = differences(&a, &b);
    let equal = differences.is_empty() && a.family == b.family;
    if args.json {
        let named: Map<String, Value> = differences
            .iter()
            .map(|(key, a, b)| ((*key).clone(), json!({ "a": side(*a), "b": side(*b) })))
            .collect();
        let sides = |name: &str, shown: &Shown| json!({ "name": name, "family": shown.family });
        print_json(&json!({
            "a": sides(&args.a, &a), "b": sides(&args.b, &b), "equal": equal, "differences": named,
        }))?;
    } else {
        show!("A {} ({})\nB {} ({})", args.a, a.family, args.b, b.family);
        table(&differences).iter().for_each(|line| show!("{line}"));
        show!("{}", if equal { "equal" } else { "different" });
    }
    Ok(ExitCode::from(u8::from(!equal)))
}

fn read(word: &str) -> anyhow::Result<Shown> {
    resolved(&Source::of(word)?.request())
}

fn differences<'a>(a: &'a Shown, b: &'a Shown) -> Vec<(&'a String, Side<'a>, Side<'a>)> {
    let keys: BTreeSet<&String> = a.values.keys().chain(b.values.keys()).collect();
    let sides = keys
        .into_iter()
        .map(|key| (key, a.values.get(key), b.values.get(key)));
    sides
        .filter(|(_, a, b)| a.map(|(value, _)| value) != b.map(|(value, _)| value))
        .collect()
}

/// Lines of key, value and origin on each side, in columns.
fn table(differences: &[(&String, Side<'_>, Side<'_>)]) -> Vec<String> {
    let cell = |side: Side<'_>| match side {
        Some((value, origin)) => format!("{value} ({origin})"),
        None => "-".into(),
    };
    let rows: Vec<[String; 3]> = differences
        .iter()
        .map(|(key, a, b)| [(*key).clone(), cell(*a), cell(*b)])
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count().min(60)).max();
    let (keys, values) = (width(0).unwrap_or(0), width(1).unwrap_or(0));
    rows.iter()
        .map(|[key, a, b]| format!("{key:keys$}  {a:values$}  {b}"))
        .collect()
}

fn side(side: Side<'_>) -> Value {
    side.map_or(
        Value::Null,
        |(value, origin)| json!({ "value": value, "origin": origin.to_string() }),
    )
}
