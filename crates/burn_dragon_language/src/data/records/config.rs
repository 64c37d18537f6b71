//! The keys of a source of records.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RecordFormat, Template};
use crate::data::remote::{field_separator, text_fields};
use crate::error::LanguageError;

/// Files of records: the keys of `[dataset]` where `type = "records"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecordsConfig {
    /// Files, folders and patterns, as for text. A folder gives its files of records.
    pub paths: Vec<String>,
    /// Format of the files; if absent, it follows from their names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<RecordFormat>,
    /// Fields of a record that are its text, one after the other. A list of numbers is written with spaces, `null` as
    /// nothing.
    #[serde(default = "text_fields")]
    pub text_fields: Vec<String>,
    /// Text between two fields.
    #[serde(default = "field_separator")]
    pub field_separator: String,
    /// Text of a record, in which `{field}` stands for a field, and `{{`, `}}` for braces. Replaces `text_fields`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Maximum number of records that are read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_records: Option<usize>,
    /// Text between the documents of a text file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
    /// Whether the records of a file are one document, which then must fit in memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub one_document: bool,
    /// Text that stands for a blank record, which is left out otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blank_record: Option<String>,
}

impl Default for RecordsConfig {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            format: None,
            text_fields: text_fields(),
            field_separator: field_separator(),
            template: None,
            max_records: None,
            document_separator: None,
            one_document: false,
            blank_record: None,
        }
    }
}

impl RecordsConfig {
    pub(in crate::data) fn validate(&self) -> Result<(), LanguageError> {
        if self.paths.is_empty() || self.paths.iter().any(String::is_empty) {
            return Err(LanguageError::Config {
                key: "paths",
                reason: "names no file, folder or pattern, or has an empty entry".into(),
            });
        }
        self.validate_rules()
    }

    /// Checks all but the paths.
    pub(in crate::data) fn validate_rules(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: &str| {
            Err(LanguageError::Config {
                key,
                reason: reason.into(),
            })
        };
        self.template()?;
        if self.template.is_none() && self.text_fields.is_empty() {
            refuse(
                "text_fields",
                "is empty, but a record needs a text; name its fields, or give a template",
            )
        } else if self.max_records == Some(0) {
            refuse(
                "max_records",
                "is 0, but a text needs a record; leave it out to read all",
            )
        } else if self.document_separator.as_deref() == Some("") {
            refuse(
                "document_separator",
                "is empty; leave it out to make each file one document",
            )
        } else if self.blank_record.is_some() && !self.one_document {
            refuse(
                "blank_record",
                "needs one_document = true: a blank document is left out",
            )
        } else {
            Ok(())
        }
    }

    /// Text of a record.
    pub(in crate::data) fn template(&self) -> Result<Template, LanguageError> {
        match &self.template {
            Some(text) => Template::parse(text),
            None => Ok(Template::of_fields(&self.text_fields, &self.field_separator)),
        }
    }
}
