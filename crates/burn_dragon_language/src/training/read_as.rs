//! Settings for data of which only the paths were typed, by what the first lines of the files show.

use crate::data::Named;
use crate::error::LanguageError;
use burn_dragon_train::api::ReadAs;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Settings for the files of these paths, which start from `base`. `given` has the values of files and of the command line,
/// by full key; they stay.
///
/// # Errors
/// [`LanguageError::UnclearData`] if the files can be read in several ways; those of a list of paths.
pub(super) fn settings(
    paths: &[String],
    given: &BTreeMap<String, Value>,
    base: &Path,
) -> Result<ReadAs, LanguageError> {
    let has = |key: &str| {
        let (key, below) = (format!("dataset.{key}"), format!("dataset.{key}."));
        given
            .keys()
            .any(|given| *given == key || given.starts_with(&below))
    };
    let plain = |kind: &str| ReadAs {
        settings: vec![format!("dataset.type={kind}")],
        line: None,
    };
    match given.get("dataset.type").and_then(Value::as_str) {
        Some("embedded" | "needle") | None => {}
        Some("records") => return Ok(plain("records")),
        Some(_) => return Ok(plain("text")),
    }
    if ["chat", "text_fields", "template"].into_iter().any(has) {
        return Ok(plain("records"));
    }
    let (named, lines) = Named::of_paths(paths, base)?;
    let known = match &named {
        Named::Text => return Ok(plain("text")),
        Named::Texts(field) => vec![("text_fields", json!([field]))],
        Named::Conversations(field) => vec![("chat.messages", json!(field)), ("windows", json!("document"))],
    };
    let format = (!lines).then(|| ("format", json!("jsonl")));
    let known = known.into_iter().chain(format).filter(|(key, _)| !has(key));
    let known = known.map(|(key, value)| format!("dataset.{key}={value}"));
    Ok(ReadAs {
        settings: plain("records").settings.into_iter().chain(known).collect(),
        line: Some(format!(
            "note   data is read as {}; as plain text: dataset.type=text",
            named.in_words()
        )),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: &str = r#"{"conversations": [{"role": "user", "content": "a"}]}"#;

    fn of(name: &str, text: &str, given: &[(&str, Value)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(name), text).unwrap();
        let given = given
            .iter()
            .map(|(key, value)| ((*key).to_string(), value.clone()));
        let read = settings(&[name.into()], &given.collect(), folder.path()).unwrap();
        assert_eq!(read.line.is_some(), read.settings.len() > 1, "{read:?}");
        read.settings
    }

    #[test]
    fn what_is_recognised_becomes_settings() {
        let talks = [
            "dataset.type=records",
            "dataset.chat.messages=\"conversations\"",
            "dataset.windows=\"document\"",
        ];
        assert_eq!(of("a.jsonl", TALK, &[]), talks);
        let said = of("a.json", TALK, &[("dataset.type", json!("embedded"))]);
        assert_eq!(said, [&talks[..], &["dataset.format=\"jsonl\""]].concat());
        let said = of("a.ndjson", "{\"body\": \"a\"}", &[]);
        assert_eq!(said, ["dataset.type=records", "dataset.text_fields=[\"body\"]"]);
        assert_eq!(of("a.txt", "Once", &[]), ["dataset.type=text"]);
    }

    #[test]
    fn what_was_given_stays() {
        for (key, value, expected) in [
            ("dataset.type", json!("text"), &["dataset.type=text"][..]),
            ("dataset.type", json!("records"), &["dataset.type=records"]),
            ("dataset.chat.mask", json!("all"), &["dataset.type=records"]),
            ("dataset.text_fields", json!(["id"]), &["dataset.type=records"]),
            (
                "dataset.windows",
                json!("anywhere"),
                &["dataset.type=records", "dataset.chat.messages=\"conversations\""],
            ),
        ] {
            assert_eq!(of("a.jsonl", TALK, &[(key, value)]), expected, "{key}");
        }
    }
}
