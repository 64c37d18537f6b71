//! Errors for users, from the errors of serde.
//!
//! serde says what is wrong and, through `serde_path_to_error`, where. The merged tree gives the origin. serde buffers
//! a table with a `type`, so the path ends at that table. The rest of the path is then searched for in the tree.

use std::collections::VecDeque;
use std::path::PathBuf;

use serde::de::Unexpected;
use serde_path_to_error::{Error, Segment};
use toml::Value;

use super::ConfigError;
use super::origin::{Kind, Node, Origin};

/// Turns an error of serde for the merged `tree` into our own error.
pub(super) fn explain(error: &Error<toml::de::Error>, tree: &Node) -> ConfigError {
    let path: Vec<String> = error.path().iter().filter_map(step).collect();
    let message = error.inner().message();
    if let Some((name, valid)) = complaint(message, "unknown field") {
        return unknown_key(tree, &path, &name, valid);
    }
    if let Some((name, valid)) = complaint(message, "unknown variant") {
        return unknown_name(tree, path, name, valid);
    }
    if let Some(key) = message.strip_prefix("missing field ") {
        let table = tree.origin_of(&path);
        return ConfigError::Missing {
            key: join(&path, key.trim_matches('`')),
            table,
        };
    }
    if let Some((given, expected)) = wrong_value(message) {
        let path = path_of_value(tree, path, given);
        let (key, origin) = (path.join("."), tree.origin_of(&path));
        let (expected, given) = match (plain(expected), digits(given)) {
            (whole, Some(number)) if whole == WHOLE => {
                (format!("{WHOLE} and at most {}", i64::MAX), number.into())
            }
            (expected, number) => (
                expected,
                number.map_or_else(|| given.replace('`', ""), str::to_owned),
            ),
        };
        return ConfigError::WrongValue {
            key,
            origin,
            expected,
            given,
        };
    }
    ConfigError::Refused {
        key: path.join("."),
        origin: tree.origin_of(&path),
        problem: message.into(),
    }
}

fn step(segment: &Segment) -> Option<String> {
    match segment {
        Segment::Map { key } => Some(key.clone()),
        Segment::Seq { index } => Some(index.to_string()),
        Segment::Enum { variant } => Some(variant.clone()),
        Segment::Unknown => None,
    }
}

fn unknown_key(tree: &Node, path: &[String], name: &str, valid: Box<[String]>) -> ConfigError {
    // The path may or may not end with the key itself. For a buffered table it ends at a table above the key.
    let table = match path.split_last() {
        Some((last, above)) if last == name => above,
        _ => path,
    };
    let path =
        find_below(tree, table, |key, _| key == name).unwrap_or_else(|| [table, &[name.to_owned()]].concat());
    let (origin, table) = (tree.origin_of(&path), &path[..path.len() - 1]);
    // The kind of an optimiser is its `method`, where other tables have a `type`.
    let of_optimizer = name == "type" && table.last().is_some_and(|table| table == "optimizer");
    let method = || of_optimizer.then(|| join(table, "method"));
    let misspelt = || method().or_else(|| nearest(name, &valid).map(|key| join(table, key)));
    // Several tables have a `type`, and none of them is meant by that of another one.
    let misplaced = || {
        let elsewhere = find_below(tree, &[], |key, at| key == name && name != "type" && at != path);
        elsewhere.map(|at| at.join("."))
    };
    // At the top level, a valid name without its table is likelier than a misspelling.
    let nearest = if table.is_empty() {
        misplaced().or_else(misspelt)
    } else {
        misspelt().or_else(misplaced)
    };
    ConfigError::UnknownKey {
        key: path.join("."),
        origin,
        nearest,
        valid,
    }
}

fn unknown_name(tree: &Node, path: Vec<String>, given: String, valid: Box<[String]>) -> ConfigError {
    let path = path_of_value(tree, path, &Unexpected::Str(&given).to_string());
    let nearest = nearest(&given, &valid).map(str::to_owned);
    ConfigError::UnknownName {
        key: path.join("."),
        origin: tree.origin_of(&path),
        given: given.into(),
        nearest,
        valid,
    }
}

/// Splits "PREFIX `name`, expected one of `a`, `b`" into the name and the valid names.
fn complaint(message: &str, prefix: &str) -> Option<(String, Box<[String]>)> {
    let rest = message.strip_prefix(prefix)?.trim_start().strip_prefix('`')?;
    let (name, rest) = rest.split_once("`, ")?;
    let valid = rest.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    Some((name.into(), valid))
}

/// Splits "invalid type: GIVEN, expected EXPECTED" at the last ", expected ", since a string may contain one.
fn wrong_value(message: &str) -> Option<(&str, &str)> {
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))?;
    rest.rsplit_once(", expected ")
}

/// Expected value of a size or a count.
const WHOLE: &str = "a whole number, 0 or more";

/// Digits of a whole number out of TOML's range, which was therefore read as text.
fn digits(given: &str) -> Option<&str> {
    let text = given.strip_prefix("string \"")?.strip_suffix('"')?;
    let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (number && text.parse::<i64>().is_err()).then_some(text)
}

/// Plain words for a Rust type.
fn plain(expected: &str) -> String {
    match expected {
        "u8" | "u16" | "u32" | "u64" | "usize" => WHOLE.into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "a list".into(),
        "a map" => "a table".into(),
        struct_or_enum if struct_or_enum.starts_with("struct ") || struct_or_enum.contains("enum ") => {
            "a table".into()
        }
        other => other.into(),
    }
}

/// Path of the only value under `path` that serde would describe as `given`; `path` itself if there is none or more
/// than one.
fn path_of_value(tree: &Node, path: Vec<String>, given: &str) -> Vec<String> {
    let mut found = Vec::new();
    visit_below(tree, &path, |_, at, node| {
        if describe(node).as_deref() == Some(given) {
            found.push(at.to_vec());
        }
    });
    <[Vec<String>; 1]>::try_from(found).map_or(path, |[only]| only)
}

/// Description of a scalar in an error of serde.
fn describe(node: &Node) -> Option<String> {
    let Kind::Scalar(value) = &node.kind else {
        return None;
    };
    match value {
        Value::String(text) => Some(Unexpected::Str(text)),
        Value::Integer(number) => Some(Unexpected::Signed(*number)),
        Value::Float(number) => Some(Unexpected::Float(*number)),
        Value::Boolean(truth) => Some(Unexpected::Bool(*truth)),
        _ => None,
    }
    .map(|unexpected| unexpected.to_string())
}

/// Path of the shallowest node under `path` that `wanted(key, path)` accepts.
fn find_below(tree: &Node, path: &[String], wanted: impl Fn(&str, &[String]) -> bool) -> Option<Vec<String>> {
    let mut found = None;
    visit_below(tree, path, |key, at, _| {
        if found.is_none() && wanted(key, at) {
            found = Some(at.to_vec());
        }
    });
    found
}

/// Visits every node under `path`, level by level.
fn visit_below(tree: &Node, path: &[String], mut visit: impl FnMut(&str, &[String], &Node)) {
    let mut queue: VecDeque<_> = tree
        .at(path)
        .map(|node| (path.to_vec(), node))
        .into_iter()
        .collect();
    while let Some((above, node)) = queue.pop_front() {
        for (key, child) in node.children() {
            let at = [&above[..], std::slice::from_ref(&key)].concat();
            visit(&key, &at, child);
            queue.push_back((at, child));
        }
    }
}

/// Valid name closest to the written one, if it is close enough.
pub(crate) fn nearest<'a>(written: &str, valid: &'a [String]) -> Option<&'a str> {
    let close = |name: &&String| strsim::damerau_levenshtein(written, name);
    let best = valid.iter().min_by_key(close)?;
    // At most a third of the letters differ in a misspelling. A missing part, such as `steps` for `max_steps`, is
    // accepted too.
    let misspelt = close(&best) * 3 <= written.chars().count().max(best.chars().count());
    let holds = |long: &str, short: &str| short.len() > 2 && long.contains(short);
    let partial = || {
        valid
            .iter()
            .find(|name| holds(name, written) || holds(written, name))
    };
    if misspelt {
        Some(best)
    } else {
        partial().map(String::as_str)
    }
}

fn join(table: &[String], key: &str) -> String {
    [table, &[key.to_owned()]].concat().join(".")
}

/// End of a message about a wrong name: the nearest valid name, or all of them.
pub(super) fn hint(nearest: Option<&str>, valid: &[String]) -> String {
    match (nearest, valid) {
        (Some(name), _) => format!("did you mean `{name}`?"),
        (None, []) => "nothing can be set here".into(),
        (None, names) => format!("possible: `{}`", names.join("`, `")),
    }
}

/// End of a message about a missing key.
pub(super) fn in_table(table: &Origin) -> String {
    match table {
        Origin::Default => String::new(),
        origin => format!(" (its table: {origin})"),
    }
}

/// End of a message about a list or table of the command line that TOML reads as a string. Often quotes are missing,
/// which the shell removed, or brackets.
pub(super) fn requoted(key: &str, origin: &Origin, expected: &str, given: &str) -> String {
    let text = given
        .strip_prefix("string ")
        .and_then(|quoted| value(quoted)?.as_str().map(str::to_owned));
    let meant = match (origin, text) {
        (Origin::CommandLine, Some(text)) => meant(expected, text.trim()),
        _ => None,
    };
    match meant {
        Some(meant) if meant.contains('\'') => format!("; to TOML it would be {meant}"),
        Some(meant) => {
            format!("; the shell takes quotes away that are not in quotes themselves: '{key}={meant}'")
        }
        None => String::new(),
    }
}

/// Path of a string that stands where a list is expected, and that is not the text of a list whose quotes the shell took.
pub(super) fn lone_string(error: &ConfigError) -> Option<Vec<String>> {
    let ConfigError::WrongValue {
        key, expected, given, ..
    } = error
    else {
        return None;
    };
    let text = value(given.strip_prefix("string ")?)?;
    let is_list = text.as_str()?.trim_start().starts_with('[');
    (expected == "a list" && !is_list).then(|| key.split('.').map(str::to_owned).collect())
}

/// TOML text that was probably meant: words in quotes; a single name as a list.
fn meant(expected: &str, text: &str) -> Option<String> {
    let (open, close) = match expected {
        "a list" => ('[', ']'),
        "a table" => ('{', '}'),
        _ => return None,
    };
    let meant = match text.starts_with(open) {
        true => with_quotes(text),
        false if open == '[' => format!("[{}]", Value::String(text.into())),
        false => return None,
    };
    (value(&meant).is_some() && meant.ends_with(close)).then_some(meant)
}

/// Value of a text as TOML.
fn value(text: &str) -> Option<Value> {
    let table = toml::from_str::<toml::Table>(&format!("value = {text}"));
    table.ok()?.remove("value")
}

/// Text with quotes around each word that stands where TOML expects a value and that is none.
fn with_quotes(text: &str) -> String {
    let mut quoted = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !"[]{},= ".contains(c)) {
        let end = start
            + rest[start..]
                .find(['[', ']', '{', '}', ',', '='])
                .unwrap_or(rest.len() - start);
        let word = rest[start..end].trim_end();
        quoted.push_str(&rest[..start]);
        let is_key = rest[end..].starts_with('=');
        match is_key || value(word).is_some() {
            true => quoted.push_str(word),
            false => quoted.push_str(&Value::String(word.into()).to_string()),
        }
        rest = &rest[start + word.len()..];
    }
    quoted + rest
}

/// Files in a circle, as `a -> b -> a`.
pub(super) fn chain(files: &[PathBuf]) -> String {
    files
        .iter()
        .map(|file| file.display().to_string())
        .collect::<Vec<_>>()
        .join(" -> ")
}

#[cfg(test)]
#[path = "suggest_tests.rs"]
mod tests;
