//! Files of which only the paths were given: what their first lines show them to be.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::unmarked;
use serde_json::{Map, Value};

use super::files;
use super::records::{self, RecordFormat};
use crate::error::LanguageError;

/// Number of records that are looked at.
const RECORDS: usize = 3;

/// Longest line that is taken for a record, in bytes.
const LONGEST: u64 = 16 << 20;

/// Fields of conversations, in the order in which they are looked for.
const TALKS: [&str; 2] = ["messages", "conversations"];

/// Field of a record that is its text, if there are several texts.
const TEXT: &str = "text";

/// Content of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Text, or nothing that was recognised.
    Text,
    /// Records, each with a text in this field.
    Texts(String),
    /// Records, each with the messages of a conversation in this field.
    Conversations(String),
}

impl Named {
    /// Content of the files that paths mean, and whether their names say the format of their records. Relative paths start
    /// from `base`.
    ///
    /// # Errors
    /// [`LanguageError::UnclearData`] if the files have JSON that can be read in several ways, or in none, or are of
    /// several kinds; those of a list of paths.
    pub(crate) fn of_paths(paths: &[String], base: &Path) -> Result<(Self, bool), LanguageError> {
        let files = files::list(paths, base)?.paths;
        let mut found: Option<(&PathBuf, Self)> = None;
        for path in &files {
            let named = of_file(path)?;
            match &found {
                None => found = Some((path, named)),
                Some((_, first)) if *first == named => {}
                Some((first, kind)) => {
                    let reason = format!(
                        "it has {}, but {} has {}; train on one kind, or weigh several in a configuration with \
                         dataset.type = \"mixture\"",
                        named.in_words(),
                        first.display(),
                        kind.in_words()
                    );
                    return Err(unclear(path, reason));
                }
            }
        }
        let named = found.map_or(Self::Text, |(_, named)| named);
        Ok((
            named,
            files
                .iter()
                .all(|path| RecordFormat::of(path).is_some_and(is_of_records)),
        ))
    }

    /// The content in words.
    pub(crate) fn in_words(&self) -> String {
        match self {
            Self::Text => "plain text".into(),
            Self::Texts(field) => format!("records with texts in `{field}`"),
            Self::Conversations(field) => format!("conversations in `{field}`"),
        }
    }
}

fn unclear(path: &Path, reason: String) -> LanguageError {
    LanguageError::UnclearData {
        path: path.into(),
        reason,
    }
}

/// Whether the name of a file says that it has JSON lines.
fn says_lines(path: &Path) -> bool {
    RecordFormat::of(path) == Some(RecordFormat::Jsonl)
}

fn is_of_records(format: RecordFormat) -> bool {
    matches!(format, RecordFormat::Jsonl | RecordFormat::Parquet)
}

/// Content of a file.
fn of_file(path: &Path) -> Result<Named, LanguageError> {
    if RecordFormat::of(path) == Some(RecordFormat::Parquet) {
        return Ok(Named::Texts(TEXT.into()));
    }
    match first_records(path)?[..] {
        [] if says_lines(path) || says_json(path) => Err(unclear(
            path,
            "its name says JSON, but its first line is no JSON object; conversations and records are read from JSON lines, an \
             object a line (of an array: jq -c '.[]' FILE); as plain text: dataset.type=text"
                .into(),
        )),
        [] => Ok(Named::Text),
        ref records => of_records(path, records),
    }
}

/// Whether the name of a file ends in `.json`, also packed.
fn says_json(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| name.trim_end_matches(".gz").ends_with(".json"))
}

/// The first records of a file of JSON lines; none of another file.
fn first_records(path: &Path) -> Result<Vec<Map<String, Value>>, LanguageError> {
    let unread = |source| LanguageError::Read {
        path: path.into(),
        source,
    };
    let mut source = BufReader::new(records::source(path)?);
    let mut records = Vec::new();
    while records.len() < RECORDS {
        if records.is_empty() && !may_begin_record(source.fill_buf().map_err(unread)?) {
            break;
        }
        let mut line = Vec::new();
        let read = source.by_ref().take(LONGEST).read_until(b'\n', &mut line);
        if read.map_err(unread)? == 0 {
            break;
        }
        let line = unmarked(&line).trim_ascii();
        if line.is_empty() {
            continue;
        }
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(_) => break,
        }
    }
    Ok(records)
}

/// Whether bytes may be the beginning of a record, after blank lines. Text is told by its first bytes, however long its
/// lines are.
fn may_begin_record(bytes: &[u8]) -> bool {
    let text = unmarked(bytes).trim_ascii_start();
    text.first().is_none_or(|byte| *byte == b'{')
}

/// Content of a file with these first records, at least one.
fn of_records(path: &Path, records: &[Map<String, Value>]) -> Result<Named, LanguageError> {
    let all = |field: &str, is: &dyn Fn(&Value) -> bool| {
        records.iter().all(|record| record.get(field).is_some_and(is))
    };
    if let Some(field) = TALKS.into_iter().find(|field| all(field, &is_messages)) {
        return match all(field, &|value| has_messages_of(value, "role")) {
            true => Ok(Named::Conversations(field.into())),
            false => Err(unclear(path, other_messages(field, &records[0][field]))),
        };
    }
    let texts: Vec<&String> = records[0]
        .keys()
        .filter(|field| all(field, &Value::is_string))
        .collect();
    match texts[..] {
        [field] => Ok(Named::Texts(field.clone())),
        _ if texts.iter().any(|field| *field == TEXT) => Ok(Named::Texts(TEXT.into())),
        _ if !says_lines(path) && !says_json(path) => Ok(Named::Text), // a log, say
        [] => Err(unclear(
            path,
            format!(
                "its lines are JSON objects without a text and without `messages`; they have {}; name the fields of the text, \
                 as in dataset.type=records dataset.text_fields='[\"a\"]', or read it as plain text: dataset.type=text",
                listed(records[0].keys())
            ),
        )),
        _ => Err(unclear(
            path,
            format!(
                "its lines are JSON objects with the texts {}, and no `text` and no `messages` among them; name those to train \
                 on, as in dataset.type=records dataset.text_fields='{}', or read it as plain text: dataset.type=text",
                listed(texts.iter().copied()),
                Value::from(texts.iter().map(|field| field.as_str()).collect::<Vec<_>>())
            ),
        )),
    }
}

fn listed<'a>(fields: impl Iterator<Item = &'a String>) -> String {
    let fields: Vec<String> = fields.map(|field| format!("`{field}`")).collect();
    fields.join(", ")
}

/// Whether a value is a list of objects, at least one.
fn is_messages(value: &Value) -> bool {
    let list = value.as_array().filter(|list| !list.is_empty());
    list.is_some_and(|list| list.iter().all(Value::is_object))
}

fn has_messages_of(value: &Value, key: &str) -> bool {
    let list = value.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().all(|message| message.get(key).is_some())
}

/// Why a list of objects is no conversation.
fn other_messages(field: &str, value: &Value) -> String {
    let first = value.get(0).and_then(Value::as_object);
    let keys = first.map_or_else(String::new, |message| listed(message.keys()));
    format!(
        "the messages in `{field}` have {keys}; expected `role` (user, assistant, system) and `content`, as in {{\"role\": \
         \"user\", \"content\": \"Hello\"}}; write the file so, or read it as plain text: dataset.type=text"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(files: &[(&str, &str)]) -> Result<(Named, bool), String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let paths: Vec<String> = files.iter().map(|(name, _)| name.to_string()).collect();
        Named::of_paths(&paths, folder.path()).map_err(|error| error.to_string())
    }

    const TALK: &str =
        r#"{"id": 1, "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}"#;

    #[test]
    fn conversations_and_texts_are_known_by_the_first_lines_whatever_the_name() {
        let talks = Named::Conversations("messages".into());
        for (name, says) in [
            ("a.jsonl", true),
            ("a.json", false),
            ("a.txt", false),
            ("a", false),
        ] {
            for text in [
                TALK.to_string(),
                format!("\u{feff}\n{TALK}\n{TALK}\nwrong"),
                format!("\r\n {TALK}\r\n"),
            ] {
                assert_eq!(
                    named(&[(name, &text)]),
                    Ok((talks.clone(), says)),
                    "{name} {text:?}"
                );
            }
        }
        let other = TALK.replace("messages", "conversations");
        assert_eq!(
            named(&[("a.jsonl", &other)]).unwrap().0,
            Named::Conversations("conversations".into())
        );
        let texts = |field: &str| Named::Texts(field.into());
        assert_eq!(
            named(&[("a.jsonl", "{\"body\": \"x\", \"n\": 1}")]).unwrap().0,
            texts("body")
        );
        let several = "{\"id\": \"x\", \"text\": \"y\"}\n".repeat(9);
        assert_eq!(
            named(&[("a.jsonl", &several), ("b.jsonl", &several)]).unwrap().0,
            texts("text")
        );
    }

    /// A Parquet file is no text, whatever its columns are.
    #[test]
    fn tables_are_known_by_their_name() {
        assert_eq!(
            named(&[("a.parquet", "PAR1")]),
            Ok((Named::Texts("text".into()), true))
        );
    }

    #[test]
    fn text_is_text_also_with_braces() {
        let log = "{\"level\": \"info\", \"said\": \"a\"}\n";
        for text in [
            log,
            "{",
            "{\n  \"a\": 1\n}\n",
            "Once\n{\"text\": \"a\"}\n",
            "",
            " \n",
            "{a} was\n",
        ] {
            assert_eq!(named(&[("a.txt", text)]).unwrap().0, Named::Text, "{text:?}");
        }
    }

    #[test]
    fn what_can_be_read_in_several_ways_or_in_none_is_refused_with_the_setting() {
        let two = "{\"prompt\": \"x\", \"answer\": \"y\"}\n";
        let from = r#"{"conversations": [{"from": "human", "value": "a"}]}"#;
        for (files, says) in [
            (
                &[("a.jsonl", two)][..],
                &[
                    "`answer`, `prompt`",
                    "dataset.text_fields='[\"answer\",\"prompt\"]'",
                ][..],
            ),
            (
                &[("a.jsonl", "{\"n\": 1}")],
                &["`n`", "dataset.text_fields", "dataset.type=text"],
            ),
            (&[("a.jsonl", from)], &["`from`, `value`", "`role`"]),
            (&[("a.json", "[\n{\"text\": \"a\"}\n]\n")], &["JSON lines", "jq"]),
            (
                &[("a.jsonl", "plain\n")],
                &["no JSON object", "dataset.type=text"],
            ),
            (
                &[("a.jsonl", TALK), ("b.txt", "plain")],
                &["b.txt: it has plain text", "conversations", "mixture"],
            ),
        ] {
            let error = named(files).unwrap_err();
            for part in says {
                assert!(error.contains(part), "{error}");
            }
        }
    }
}
