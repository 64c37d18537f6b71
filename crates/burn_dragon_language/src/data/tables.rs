//! Tables `[dataset]` of the sources of files: the keys of a source and those of the dataset together.
//!
//! (serde's `flatten` would avoid this second list, but it cannot refuse unknown keys.)

use serde::{Deserialize, Serialize};

use super::records::RecordFormat;
use super::remote::{field_separator, text_fields};
use super::{
    DatasetConfig, HuggingFaceConfig, MixtureConfig, RecordsConfig, SourceConfig, TinyShakespeareConfig,
    WeightedSource, Wikitext2Config, WindowStart, anywhere, train_ratio,
};
#[cfg(feature = "train")]
use super::{IdWidth, PretokenizedConfig};
use crate::tokenizer::TokenizerConfig;

macro_rules! table {
    ($table:ident of $source:ident($config:ident) { $($(#[$attribute:meta])* $key:ident: $type:ty,)* }) => {
        #[derive(Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $table {
            $($(#[$attribute])* $key: $type,)*
            #[serde(default = "train_ratio")]
            train_ratio: f64,
            #[serde(default = "anywhere")]
            windows: WindowStart,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            cache_dir: Option<String>,
            #[serde(default, skip_serializing_if = "Option::is_none")]
            validation: Option<Box<SourceConfig>>,
            #[serde(default)]
            tokenizer: TokenizerConfig,
        }

        impl From<$table> for DatasetConfig {
            fn from(table: $table) -> Self {
                let $table { $($key,)* train_ratio, windows, cache_dir, validation, tokenizer } = table;
                let source = SourceConfig::$source($config { $($key,)* });
                Self { source, train_ratio, windows, validation, tokenizer, cache_dir }
            }
        }

        impl $table {
            pub(super) fn new(source: $config, rest: DatasetConfig) -> Self {
                let $config { $($key,)* } = source;
                let DatasetConfig { source: _, train_ratio, windows, validation, tokenizer, cache_dir } = rest;
                Self { $($key,)* train_ratio, windows, cache_dir, validation, tokenizer }
            }
        }
    };
}

table!(RecordsTable of Records(RecordsConfig) {
    paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<RecordFormat>,
    #[serde(default = "text_fields")]
    text_fields: Vec<String>,
    #[serde(default = "field_separator")]
    field_separator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_records: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_separator: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    one_document: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blank_record: Option<String>,
});

table!(HuggingFaceTable of HuggingFace(HuggingFaceConfig) {
    repo_id: String,
    #[serde(default = "super::remote::main")]
    revision: String,
    train_files: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    validation_files: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    format: Option<RecordFormat>,
    #[serde(default = "text_fields")]
    text_fields: Vec<String>,
    #[serde(default = "field_separator")]
    field_separator: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    template: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_records: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_separator: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    one_document: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blank_record: Option<String>,
});

table!(TinyShakespeareTable of TinyShakespeare(TinyShakespeareConfig) {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    url: Option<String>,
});

table!(Wikitext2Table of Wikitext2(Wikitext2Config) {
    #[serde(default = "super::remote::main")]
    revision: String,
});

table!(MixtureTable of Mixture(MixtureConfig) {
    sources: Vec<WeightedSource>,
});

#[cfg(feature = "train")]
table!(PretokenizedTable of Pretokenized(PretokenizedConfig) {
    paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    width: Option<IdWidth>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_end: Option<u32>,
});
