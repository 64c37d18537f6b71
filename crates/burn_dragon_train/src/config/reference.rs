//! Reference of a configuration as Markdown.

use std::collections::BTreeMap;

use serde_json::Value;

use super::schema::{CaseDoc, ChoiceDoc, DefaultDoc, KeyDoc, TableDoc};

/// Markdown of all keys, a section for each table. `base` has the values of the default run by full key.
pub(crate) fn reference(tables: &[TableDoc], base: &BTreeMap<String, Value>) -> String {
    let sections = tables.iter().map(|table| section(table, base));
    sections.collect::<Vec<_>>().join("\n")
}

fn section(table: &TableDoc, base: &BTreeMap<String, Value>) -> String {
    let name = match (table.path.as_str(), table.is_list) {
        ("", _) => "Top level".into(),
        (path, true) => format!("`[[{path}]]`"),
        (path, false) => format!("`[{path}]`"),
    };
    let mut text = format!("### {name}\n");
    // The top level is described by its tables.
    if !table.path.is_empty() {
        text += &format!("\n{}\n", table.meaning);
    }
    if !table.keys.is_empty() {
        text += &format!("\n{}", rows(&table.path, &table.keys, base));
    }
    for case in &table.cases {
        text += &format!("\n{}", case_section(&table.path, case, base));
    }
    text
}

fn case_section(path: &str, case: &CaseDoc, base: &BTreeMap<String, Value>) -> String {
    let CaseDoc { tag, name, .. } = case;
    // The default run has the keys of one case.
    let chosen = base.get(&format!("{path}.{tag}"));
    let is_base = chosen.map_or(case.is_default, |chosen| chosen == name.as_str());
    let of = match (case.is_default, is_base) {
        (true, true) => " (default)",
        (true, false) => " (default, but not of the default run)",
        (false, true) => " (default run)",
        (false, false) => "",
    };
    let mut text = format!(
        "#### `{tag} = \"{name}\"` in `[{path}]`{of}\n\n{}\n",
        case.meaning
    );
    let none = BTreeMap::new();
    if !case.keys.is_empty() {
        text += &format!("\n{}", rows(path, &case.keys, if is_base { base } else { &none }));
    }
    text
}

/// Table of keys; with a column of the default run if it differs from the defaults anywhere.
fn rows(path: &str, keys: &[KeyDoc], base: &BTreeMap<String, Value>) -> String {
    let cells: Vec<(&KeyDoc, String)> = keys.iter().map(|key| (key, of_base(path, key, base))).collect();
    let has_base = cells.iter().any(|(_, base)| !base.is_empty());
    let mut text = match has_base {
        true => "| key | type | default | default run | meaning |\n|---|---|---|---|---|\n".to_string(),
        false => "| key | type | default | meaning |\n|---|---|---|---|\n".to_string(),
    };
    for (key, base) in cells {
        let default = default(&key.default, &key.kind);
        let base = if has_base {
            format!(" {base} |")
        } else {
            String::new()
        };
        let meaning = in_cell(&with_choices(key));
        text += &format!(
            "| `{}` | {} | {default} |{base} {meaning} |\n",
            key.name,
            kind(key)
        );
    }
    text
}

/// Value of the default run, if it is not the default.
fn of_base(path: &str, key: &KeyDoc, base: &BTreeMap<String, Value>) -> String {
    let full = match path {
        "" => key.name.clone(),
        path => format!("{path}.{}", key.name),
    };
    match (base.get(&full), &key.default) {
        (Some(value), DefaultDoc::Value(default)) if same(value, default) => String::new(),
        (Some(value), _) => shown(value),
        (None, _) => String::new(),
    }
}

/// Whether two values are equal; `1` and `1.0` are.
fn same(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}

fn default(default: &DefaultDoc, kind: &str) -> String {
    match default {
        DefaultDoc::Required => "required".into(),
        DefaultDoc::Absent => "none".into(),
        DefaultDoc::Value(_) if kind.starts_with("table") => "its defaults".into(),
        DefaultDoc::Value(value) => shown(value),
    }
}

/// Type of a key: its choices, if it has some.
fn kind(key: &KeyDoc) -> String {
    let names: Vec<String> = key
        .choices
        .iter()
        .map(|choice| format!("`\"{}\"`", choice.name))
        .collect();
    match key.kind.strip_prefix("name") {
        Some(rest) if !names.is_empty() => format!("{}{rest}", names.join(", ")),
        _ => key.kind.clone(),
    }
}

fn with_choices(key: &KeyDoc) -> String {
    let described = key.choices.iter().filter(|choice| !choice.meaning.is_empty());
    let choices: Vec<String> = described
        .map(|ChoiceDoc { name, meaning }| format!("`\"{name}\"`: {}", decapitalised(meaning)))
        .collect();
    [vec![key.meaning.clone()], choices].concat().join(" ")
}

/// Sentence after a colon: without its capital, unless that is part of an abbreviation.
fn decapitalised(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            format!("{}{}", first.to_lowercase(), &sentence[first.len_utf8()..])
        }
        _ => sentence.into(),
    }
}

/// Value as TOML, in a cell.
fn shown(value: &Value) -> String {
    format!("`{}`", in_cell(&toml(value)))
}

/// Value as TOML in one line. Text of JSON is a basic string of TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        value => value.to_string(),
    }
}

fn in_cell(text: &str) -> String {
    text.replace('|', "\\|")
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
