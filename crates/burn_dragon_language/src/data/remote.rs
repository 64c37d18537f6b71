//! Sources that are fetched: data sets of a hub, and well-known texts.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::records::RecordFormat;
use super::{RecordsConfig, SourceConfig};
use crate::error::LanguageError;

/// Address of the tiny Shakespeare text.
const SHAKESPEARE: &str =
    "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt";

/// Data set of a hub: the keys of `[dataset]` where `type = "hugging_face"`.
///
/// Files come through the cache of fetched models, from the hub of `HF_ENDPOINT` with the token of `HF_TOKEN`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HuggingFaceConfig {
    /// Repository, `OWNER/NAME`.
    pub repo_id: String,
    /// Branch, tag or commit.
    #[serde(default = "main")]
    pub revision: String,
    /// Files of the training text, in order. `{00..11}` in a name stands for these numbers.
    pub train_files: Vec<String>,
    /// Files of the validation text. If there are none, it is a share of the training text.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub validation_files: Vec<String>,
    /// Format of the files; if absent, it follows from their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RecordFormat>,
    /// Fields of a record that are its text, one after the other.
    #[serde(default = "text_fields")]
    pub text_fields: Vec<String>,
    /// Text between two fields.
    #[serde(default = "field_separator")]
    pub field_separator: String,
    /// Text of a record, in which `{field}` stands for a field. Replaces `text_fields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Maximum number of records that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_records: Option<usize>,
    /// Text between the documents of a text file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
    /// Whether the records of a file are one document.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub one_document: bool,
    /// Text that stands for a blank record, which is left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank_record: Option<String>,
}

pub(super) fn main() -> String {
    "main".into()
}

pub(super) fn text_fields() -> Vec<String> {
    vec!["text".into()]
}

pub(super) fn field_separator() -> String {
    "\n".into()
}

/// The plays of Shakespeare in one file of 1.1 MB, by which small models are compared: the keys of `[dataset]` where
/// `type = "tiny_shakespeare"`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TinyShakespeareConfig {
    /// Address of the text, if it is not the usual one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// WikiText-2, its raw text byte for byte: the keys of `[dataset]` where `type = "wikitext2"`. Training and validation
/// are its own parts, each one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Wikitext2Config {
    /// Branch, tag or commit of the data set.
    pub revision: String,
}

impl Default for Wikitext2Config {
    fn default() -> Self {
        Self { revision: main() }
    }
}

impl Wikitext2Config {
    /// The same as a data set of the hub. Its records are lines; a line of white space is kept there as an empty one.
    fn as_hub(&self) -> HuggingFaceConfig {
        let file = |part: &str| vec![format!("wikitext-2-raw-v1/{part}-00000-of-00001.parquet")];
        HuggingFaceConfig {
            repo_id: "Salesforce/wikitext".into(),
            revision: self.revision.clone(),
            train_files: file("train"),
            validation_files: file("validation"),
            format: Some(RecordFormat::Parquet),
            text_fields: text_fields(),
            field_separator: String::new(),
            template: None,
            max_records: None,
            document_separator: None,
            one_document: true,
            blank_record: Some(" \n".into()),
        }
    }
}

impl HuggingFaceConfig {
    pub(super) fn validate(&self) -> Result<(), LanguageError> {
        if self.train_files.is_empty() {
            return Err(LanguageError::Config {
                key: "train_files",
                reason: "names no file of the data set".into(),
            });
        }
        for file in self.train_files.iter().chain(&self.validation_files) {
            numbered(file)?;
        }
        self.records(Vec::new()).validate_rules()
    }

    /// The records of local files.
    fn records(&self, paths: Vec<String>) -> RecordsConfig {
        RecordsConfig {
            paths,
            format: self.format,
            text_fields: self.text_fields.clone(),
            field_separator: self.field_separator.clone(),
            template: self.template.clone(),
            max_records: self.max_records,
            document_separator: self.document_separator.clone(),
            one_document: self.one_document,
            blank_record: self.blank_record.clone(),
        }
    }

    /// Validation files as a source of their own.
    fn held_out(&self) -> Option<SourceConfig> {
        (!self.validation_files.is_empty()).then(|| {
            SourceConfig::HuggingFace(Self {
                train_files: self.validation_files.clone(),
                validation_files: Vec::new(),
                ..self.clone()
            })
        })
    }
}

impl SourceConfig {
    /// The source with well-known names replaced by what they mean, and the validation source that it brings along.
    pub(super) fn resolved(&self) -> (Self, Option<Self>) {
        match self {
            Self::Wikitext2(wikitext) => Self::HuggingFace(wikitext.as_hub()).resolved(),
            Self::HuggingFace(hub) => {
                let train = HuggingFaceConfig {
                    validation_files: Vec::new(),
                    ..hub.clone()
                };
                (Self::HuggingFace(train), hub.held_out())
            }
            other => (other.clone(), None),
        }
    }

    /// Local files and rules of records of a fetched source; `None` for a source that is not fetched.
    pub(super) fn fetched(&self) -> Result<Option<(RecordsConfig, Vec<PathBuf>)>, LanguageError> {
        match self {
            Self::HuggingFace(hub) => {
                let mut paths = Vec::new();
                for name in &hub.train_files {
                    for name in numbered(name)? {
                        paths.push(fetch::of_hub(hub, &name)?);
                    }
                }
                Ok(Some((hub.records(Vec::new()), paths)))
            }
            Self::TinyShakespeare(text) => {
                let path = fetch::at(text.url.as_deref().unwrap_or(SHAKESPEARE))?;
                let records = RecordsConfig {
                    format: Some(RecordFormat::Text),
                    ..RecordsConfig::default()
                };
                Ok(Some((records, vec![path])))
            }
            _ => Ok(None),
        }
    }
}

/// Names that a name with `{00..11}` stands for, in order.
fn numbered(name: &str) -> Result<Vec<String>, LanguageError> {
    let refuse = |reason: &str| LanguageError::Config {
        key: "train_files",
        reason: format!("has {name:?}: {reason}; write a range of numbers as {{00..11}}"),
    };
    let Some((before, rest)) = name.split_once('{') else {
        return Ok(vec![name.into()]);
    };
    let (range, after) = rest
        .split_once('}')
        .ok_or_else(|| refuse("a `{` is not closed"))?;
    let (first, last) = range.split_once("..").ok_or_else(|| refuse("it has no `..`"))?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| refuse("it has no number"));
    let (start, end) = (number(first)?, number(last)?);
    if start > end || end - start >= 100_000 || after.contains('{') {
        return Err(refuse("the numbers are not a range of at most 100000"));
    }
    let width = first.len();
    Ok((start..=end)
        .map(|number| format!("{before}{number:0width$}{after}"))
        .collect())
}

#[cfg(feature = "fetch")]
mod fetch {
    use super::{HuggingFaceConfig, LanguageError, PathBuf};
    use burn_dragon_exchange::api::fetch::{DataFile, Event, Fetcher};
    use std::sync::Mutex;
    use std::time::{Duration, Instant};

    /// Interval between two lines about a download.
    const INTERVAL: Duration = Duration::from_secs(3);

    pub(super) fn of_hub(hub: &HuggingFaceConfig, name: &str) -> Result<PathBuf, LanguageError> {
        get(&DataFile::of_hub(&hub.repo_id, &hub.revision, name)?)
    }

    pub(super) fn at(address: &str) -> Result<PathBuf, LanguageError> {
        get(&DataFile::at(address)?)
    }

    fn get(file: &DataFile) -> Result<PathBuf, LanguageError> {
        let next = Mutex::new(Instant::now() + INTERVAL);
        let tell = |event: Event| {
            let Ok(mut next) = next.lock() else { return };
            let due = Instant::now() >= *next;
            let line = match event {
                Event::Bytes { done, total } if due => match total {
                    Some(total) => format!("{} of {} MB of {file}", done / 1_000_000, total / 1_000_000),
                    None => format!("{} MB of {file}", done / 1_000_000),
                },
                Event::Again { reason, .. } => format!("{file}: {reason}; trying again"),
                Event::Waiting => format!("waiting for another process that fetches {file}"),
                Event::Unasked { reason } => format!("{file} comes from the cache: {reason}"),
                _ => return,
            };
            *next = Instant::now() + INTERVAL;
            super::tell(&line);
        };
        Ok(Fetcher::from_env()?.fetch_data(file, &tell)?.path)
    }
}

#[cfg(not(feature = "fetch"))]
mod fetch {
    use super::{HuggingFaceConfig, LanguageError, PathBuf};

    pub(super) fn of_hub(_: &HuggingFaceConfig, name: &str) -> Result<PathBuf, LanguageError> {
        at(name)
    }

    pub(super) fn at(address: &str) -> Result<PathBuf, LanguageError> {
        Err(LanguageError::Config {
            key: "dataset.type",
            reason: format!("needs {address}, but this program was built without the feature `fetch`"),
        })
    }
}

/// A line about a download, on standard error.
#[cfg(feature = "fetch")]
fn tell(line: &str) {
    use burn_dragon_checkpoint::api::expert::one_line;
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "data   {}", one_line(line)); // a closed one is nobody's loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_numbers_stands_for_each_of_them() {
        let names = |name: &str| numbered(name).unwrap();
        assert_eq!(names("a.parquet"), ["a.parquet"]);
        assert_eq!(
            names("data/train-{00008..00010}-of-00012.parquet"),
            [8, 9, 10].map(|number| format!("data/train-{number:05}-of-00012.parquet"))
        );
        assert_eq!(
            names("part_{0..2}.jsonl"),
            ["part_0.jsonl", "part_1.jsonl", "part_2.jsonl"]
        );
        for name in ["{0..", "{a..b}", "{3..1}", "{0}", "{0..1}{0..1}", "{0..4000000}"] {
            let error = numbered(name).unwrap_err().to_string();
            assert!(error.contains("{00..11}"), "{error}");
        }
    }

    #[test]
    fn well_known_names_bring_their_own_validation() {
        let (train, held_out) = SourceConfig::Wikitext2(Wikitext2Config::default()).resolved();
        let files = |source: &SourceConfig| match source {
            SourceConfig::HuggingFace(hub) => hub.train_files.clone(),
            other => panic!("{other:?}"),
        };
        assert!(files(&train)[0].contains("train-"));
        assert!(files(&held_out.unwrap())[0].contains("validation-"));
        let text = SourceConfig::TinyShakespeare(TinyShakespeareConfig::default());
        assert_eq!(text.resolved(), (text.clone(), None));
    }
}
