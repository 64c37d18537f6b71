//! Tables `[dataset]`: the keys of a source and those of the dataset together.
//!
//! (serde's `flatten` would avoid this second list, but it cannot refuse unknown keys.)

use schemars::{JsonSchema, Schema, schema_for};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::records::RecordFormat;
use super::remote::{field_separator, text_fields};
use super::{
    DatasetConfig, HuggingFaceConfig, MixtureConfig, RecordsConfig, SourceConfig, TRAIN_RATIO, TextConfig,
    TinyShakespeareConfig, WeightedSource, Wikitext2Config, WindowStart, anywhere, train_ratio,
};
#[cfg(feature = "train")]
use super::{IdWidth, PretokenizedConfig};
use crate::tales::{NeedleConfig, TalesConfig, TierMix};
use crate::tokenizer::TokenizerConfig;

/// The table as written: keys of the source and of the dataset together. (serde's `flatten` would avoid this second
/// list, but it cannot refuse unknown keys.)
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schemars(transform = described)]
pub(super) enum Table {
    Embedded(EmbeddedTable),
    Needle(NeedleTable),
    Text(TextTable),
    Records(RecordsTable),
    HuggingFace(HuggingFaceTable),
    TinyShakespeare(TinyShakespeareTable),
    Wikitext2(Wikitext2Table),
    Mixture(MixtureTable),
    #[cfg(feature = "train")]
    Pretokenized(PretokenizedTable),
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EmbeddedTable {
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    seed: u64,
    train_bytes: usize,
    validation_tales: usize,
    sprouts_from: u64,
    grown_from: u64,
    mix: TierMix,
    /// Start positions of training windows.
    windows: WindowStart,
    /// Separate source for validation, with a `type` and the keys of that source.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Box<SourceConfig>>,
    /// Kind of tokenizer.
    tokenizer: TokenizerConfig,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(super) struct NeedleTable {
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    seed: u64,
    train_bytes: usize,
    validation_documents: usize,
    facts: usize,
    distance: [usize; 2],
    seedlings: u64,
    longest_from: u64,
    /// Start positions of training windows.
    windows: WindowStart,
    /// Separate source for validation, with a `type` and the keys of that source.
    #[serde(skip_serializing_if = "Option::is_none")]
    validation: Option<Box<SourceConfig>>,
    /// Kind of tokenizer.
    tokenizer: TokenizerConfig,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TextTable {
    paths: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    document_separator: Option<String>,
    /// Share of the text for training, between 0 and 1; ignored if `validation` is given. The cut is at a document
    /// boundary within 2 % of the text, else at the nearest line end.
    #[serde(default = "train_ratio")]
    train_ratio: f64,
    /// Start positions of training windows.
    #[serde(default = "anywhere")]
    windows: WindowStart,
    /// Separate source for validation, with a `type` and the keys of that source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    validation: Option<Box<SourceConfig>>,
    /// Kind of tokenizer.
    #[serde(default)]
    tokenizer: TokenizerConfig,
    /// Folder for tokens, for text larger than memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cache_dir: Option<String>,
}

/// Describes the keys of a source as the source itself does, so that their meaning is written once.
fn described(schema: &mut Schema) {
    let sources = schema_for!(SourceConfig).to_value();
    let tag = |case: &Value| case.pointer("/properties/type/const").cloned();
    let cases = |schema: &Value| schema.get("oneOf").and_then(Value::as_array).cloned();
    let sources = cases(&sources).unwrap_or_default();
    let tables = schema.get_mut("oneOf").and_then(Value::as_array_mut);
    for table in tables.into_iter().flatten() {
        let source = sources.iter().find(|source| tag(source) == tag(table));
        let Some(source) = source.and_then(Value::as_object) else {
            continue;
        };
        let text = |schema: &Value| schema.get("description").cloned();
        let own = source.get("properties").and_then(Value::as_object);
        let keys = table.get_mut("properties").and_then(Value::as_object_mut);
        for (name, key) in keys.into_iter().flatten() {
            let said = own.and_then(|own| text(own.get(name)?));
            if let (Some(key), Some(said)) = (key.as_object_mut(), said) {
                key.entry("description").or_insert(said);
            }
        }
        if let (Some(table), Some(said)) = (table.as_object_mut(), source.get("description")) {
            table.insert("description".into(), said.clone());
        }
    }
}

impl EmbeddedTable {
    fn new(
        tales: &TalesConfig,
        windows: WindowStart,
        validation: Option<Box<SourceConfig>>,
        tokenizer: TokenizerConfig,
    ) -> Self {
        let &TalesConfig {
            seed,
            train_bytes,
            validation_tales,
            sprouts_from,
            grown_from,
            mix,
        } = tales;
        Self {
            seed,
            train_bytes,
            validation_tales,
            sprouts_from,
            grown_from,
            mix,
            windows,
            validation,
            tokenizer,
        }
    }
}

impl Default for EmbeddedTable {
    fn default() -> Self {
        Self::new(
            &TalesConfig::default(),
            WindowStart::Document,
            None,
            TokenizerConfig::default(),
        )
    }
}

impl NeedleTable {
    fn new(
        needle: &NeedleConfig,
        windows: WindowStart,
        validation: Option<Box<SourceConfig>>,
        tokenizer: TokenizerConfig,
    ) -> Self {
        let &NeedleConfig {
            seed,
            train_bytes,
            validation_documents,
            facts,
            distance,
            seedlings,
            longest_from,
        } = needle;
        Self {
            seed,
            train_bytes,
            validation_documents,
            facts,
            distance,
            seedlings,
            longest_from,
            windows,
            validation,
            tokenizer,
        }
    }
}

impl Default for NeedleTable {
    fn default() -> Self {
        Self::new(
            &NeedleConfig::default(),
            WindowStart::Document,
            None,
            TokenizerConfig::default(),
        )
    }
}

impl From<Table> for DatasetConfig {
    fn from(table: Table) -> Self {
        match table {
            Table::Embedded(t) => {
                let (seed, train_bytes, validation_tales) = (t.seed, t.train_bytes, t.validation_tales);
                let (sprouts_from, grown_from, mix) = (t.sprouts_from, t.grown_from, t.mix);
                let tales = TalesConfig {
                    seed,
                    train_bytes,
                    validation_tales,
                    sprouts_from,
                    grown_from,
                    mix,
                };
                Self {
                    source: SourceConfig::Embedded(tales),
                    train_ratio: TRAIN_RATIO,
                    windows: t.windows,
                    validation: t.validation,
                    tokenizer: t.tokenizer,
                    cache_dir: None,
                }
            }
            Table::Needle(t) => Self {
                source: SourceConfig::Needle(NeedleConfig {
                    seed: t.seed,
                    train_bytes: t.train_bytes,
                    validation_documents: t.validation_documents,
                    facts: t.facts,
                    distance: t.distance,
                    seedlings: t.seedlings,
                    longest_from: t.longest_from,
                }),
                train_ratio: TRAIN_RATIO,
                windows: t.windows,
                validation: t.validation,
                tokenizer: t.tokenizer,
                cache_dir: None,
            },
            Table::Text(t) => Self {
                source: SourceConfig::Text(TextConfig {
                    paths: t.paths,
                    document_separator: t.document_separator,
                }),
                train_ratio: t.train_ratio,
                windows: t.windows,
                validation: t.validation,
                tokenizer: t.tokenizer,
                cache_dir: t.cache_dir,
            },
            Table::Records(table) => table.into(),
            Table::HuggingFace(table) => table.into(),
            Table::TinyShakespeare(table) => table.into(),
            Table::Wikitext2(table) => table.into(),
            Table::Mixture(table) => table.into(),
            #[cfg(feature = "train")]
            Table::Pretokenized(table) => table.into(),
        }
    }
}

impl From<DatasetConfig> for Table {
    fn from(config: DatasetConfig) -> Self {
        match config.source.clone() {
            SourceConfig::Records(source) => return Self::Records(RecordsTable::new(source, config)),
            SourceConfig::HuggingFace(source) => {
                return Self::HuggingFace(HuggingFaceTable::new(source, config));
            }
            SourceConfig::TinyShakespeare(source) => {
                return Self::TinyShakespeare(TinyShakespeareTable::new(source, config));
            }
            SourceConfig::Wikitext2(source) => {
                return Self::Wikitext2(Wikitext2Table::new(source, config));
            }
            SourceConfig::Mixture(source) => return Self::Mixture(MixtureTable::new(source, config)),
            #[cfg(feature = "train")]
            SourceConfig::Pretokenized(source) => {
                return Self::Pretokenized(PretokenizedTable::new(source, config));
            }
            SourceConfig::Embedded(_) | SourceConfig::Needle(_) | SourceConfig::Text(_) => {}
        }
        let DatasetConfig {
            source,
            train_ratio,
            windows,
            validation,
            tokenizer,
            cache_dir,
        } = config;
        match source {
            SourceConfig::Embedded(tales) => {
                Self::Embedded(EmbeddedTable::new(&tales, windows, validation, tokenizer))
            }
            SourceConfig::Needle(needle) => {
                Self::Needle(NeedleTable::new(&needle, windows, validation, tokenizer))
            }
            SourceConfig::Text(TextConfig {
                paths,
                document_separator,
            }) => Self::Text(TextTable {
                paths,
                document_separator,
                train_ratio,
                windows,
                validation,
                tokenizer,
                cache_dir,
            }),
            _ => unreachable!("tables of their own"),
        }
    }
}

macro_rules! table {
    ($table:ident of $source:ident($config:ident) { $($(#[$attribute:meta])* $key:ident: $type:ty,)* }) => {
        #[derive(Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub(super) struct $table {
            $($(#[$attribute])* $key: $type,)*
            /// Share of the text for training, between 0 and 1; ignored if `validation` is given. The cut is at a document
            /// boundary within 2 % of the text, else at the nearest line end.
            #[serde(default = "train_ratio")]
            train_ratio: f64,
            /// Start positions of training windows.
            #[serde(default = "anywhere")]
            windows: WindowStart,
            /// Folder for tokens, for text larger than memory.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            cache_dir: Option<String>,
            /// Separate source for validation, with a `type` and the keys of that source.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            validation: Option<Box<SourceConfig>>,
            /// Kind of tokenizer.
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
    #[schemars(extend("default" = false))]
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
    #[schemars(extend("default" = []))]
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
    #[schemars(extend("default" = false))]
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
