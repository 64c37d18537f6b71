//! Records of data sets (JSON lines, CSV, Parquet) as documents.

mod chat;
mod config;
#[cfg(feature = "parquet")]
mod parquet;
mod template;

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use self::chat::{ChatConfig, ChatMask};
pub use self::config::RecordsConfig;
pub(super) use self::template::Template;
use super::document::Document;
use crate::error::LanguageError;

/// Format of a file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecordFormat {
    /// JSON lines: an object a line (`.jsonl`, `.ndjson`).
    Jsonl,
    /// Comma-separated values with a line of names; tab-separated in a `.tsv`.
    Csv,
    /// Apache Parquet, uncompressed or compressed by Snappy.
    Parquet,
    /// Plain text: the file is the document, or its parts between separators.
    Text,
}

impl RecordFormat {
    /// Format of a file by its name; that of a `.gz` is by the name before.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        let (_, extension) = name.rsplit_once('.')?;
        match extension {
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "csv" | "tsv" => Some(Self::Csv),
            "parquet" => Some(Self::Parquet),
            "txt" | "md" | "text" | "raw" => Some(Self::Text),
            _ => None,
        }
    }
}

/// Documents of a file of records.
pub(super) type Records = Box<dyn Iterator<Item = Result<Document, LanguageError>>>;

/// How a record is a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RecordText {
    /// A text with its fields.
    Fields(Template),
    /// A conversation.
    Messages(ChatConfig),
}

impl From<Template> for RecordText {
    fn from(template: Template) -> Self {
        Self::Fields(template)
    }
}

impl RecordText {
    /// Document of a record. `field` gives a field by its name, `names` those that the record has.
    fn document(
        &self,
        place: &Place,
        field: impl Fn(&str) -> Option<Value>,
        names: impl Fn() -> Vec<String>,
    ) -> Result<Document, LanguageError> {
        match self {
            Self::Fields(template) => {
                let field = |name: &str| field(name).map(|value| json_text(&value));
                Ok(template.text(place, field, names)?.into())
            }
            Self::Messages(chat) => chat.document(place, field(&chat.messages), names),
        }
    }
}

/// Opens a file of records. Blank documents are left out, or replaced by `blank`.
///
/// # Errors
/// [`LanguageError::Read`], [`LanguageError::Record`].
pub(super) fn open(
    path: &Path,
    format: RecordFormat,
    text: &RecordText,
    blank: Option<&str>,
) -> Result<Records, LanguageError> {
    let text = text.clone();
    let records: Records = match format {
        RecordFormat::Jsonl => Box::new(JsonLines::open(path)?.map(move |record| {
            let (place, record) = record?;
            text.document(
                &place,
                |field| record.get(field).cloned(),
                || record.keys().cloned().collect(),
            )
        })),
        RecordFormat::Csv => csv_records(path, text)?,
        #[cfg(feature = "parquet")]
        RecordFormat::Parquet => parquet::open(path, text)?,
        #[cfg(not(feature = "parquet"))]
        RecordFormat::Parquet => {
            let reason = "this program was built without the feature `parquet`".into();
            return Err(Place::file(path).error(reason));
        }
        RecordFormat::Text => unreachable!("text is cut by its separators"),
    };
    let replaced = blank.map(|text| Document::from(text.as_bytes().to_vec()));
    let is_blank = |document: &Document| document.trim_ascii().is_empty();
    Ok(Box::new(records.filter_map(move |document| match document {
        Ok(document) if is_blank(&document) => replaced.clone().map(Ok),
        document => Some(document),
    })))
}

/// Place of a record in a file.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    /// Number of the record, from 1; 0 for the file.
    pub(super) record: usize,
}

impl Place {
    fn file(path: &Path) -> Self {
        Self {
            path: path.into(),
            record: 0,
        }
    }

    fn error(&self, reason: String) -> LanguageError {
        LanguageError::Record {
            path: self.path.clone(),
            record: self.record,
            reason,
        }
    }
}

/// Opens a file to read; unpacked if its name ends in `.gz`.
pub(super) fn source(path: &Path) -> Result<Box<dyn Read>, LanguageError> {
    let file = File::open(path).map_err(|source| LanguageError::Read {
        path: path.into(),
        source,
    })?;
    let packed = path
        .extension()
        .is_some_and(|name| name.eq_ignore_ascii_case("gz"));
    Ok(match packed {
        true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
        false => Box::new(file),
    })
}

/// Objects of JSON lines.
struct JsonLines {
    place: Place,
    lines: BufReader<Box<dyn Read>>,
    line: Vec<u8>,
}

impl JsonLines {
    fn open(path: &Path) -> Result<Self, LanguageError> {
        Ok(Self {
            place: Place::file(path),
            lines: BufReader::with_capacity(1 << 18, source(path)?),
            line: Vec::new(),
        })
    }

    fn read(&mut self) -> Result<Option<Map<String, Value>>, LanguageError> {
        loop {
            self.line.clear();
            self.place.record += 1;
            let read = self.lines.read_until(b'\n', &mut self.line);
            if read.map_err(|error| self.place.error(error.to_string()))? == 0 {
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                let record = serde_json::from_slice(&self.line);
                return record
                    .map(Some)
                    .map_err(|error| self.place.error(error.to_string()));
            }
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<(Place, Map<String, Value>), LanguageError>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.read().transpose()?;
        Some(record.map(|record| (self.place.clone(), record)))
    }
}

/// A value as text: a string without its quotes, `null` as nothing, a list of numbers with spaces, else JSON.
fn json_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) if values.iter().all(Value::is_number) => {
            let numbers: Vec<String> = values.iter().map(ToString::to_string).collect();
            numbers.join(" ")
        }
        value => value.to_string(),
    }
}

fn csv_records(path: &Path, text: RecordText) -> Result<Records, LanguageError> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().to_ascii_lowercase());
    let tabs = name.is_some_and(|name| name.trim_end_matches(".gz").ends_with(".tsv"));
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if tabs { b'\t' } else { b',' })
        .from_reader(source(path)?);
    let mut place = Place::file(path);
    let names = reader
        .headers()
        .map_err(|error| place.error(error.to_string()))?
        .clone();
    // A byte order mark is no part of the first name.
    let names: Vec<String> = names
        .iter()
        .map(|name| name.trim_start_matches('\u{feff}').into())
        .collect();
    Ok(Box::new(reader.into_records().map(move |record| {
        place.record += 1;
        let record = record.map_err(|error| place.error(error.to_string()))?;
        let field = |field: &str| {
            let column = names.iter().position(|name| name == field)?;
            record.get(column).map(Value::from)
        };
        text.document(&place, field, || names.clone())
    })))
}

#[cfg(test)]
mod tests;
