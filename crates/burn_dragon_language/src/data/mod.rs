//! Data of a run: from sources of text to windows of tokens.
//!
//! A [`SourceConfig`] gives documents. A [`Corpus`] is the documents as tokens, split in two. A [`WindowPlan`] cuts the
//! tokens into training windows.

mod corpus;
mod document;
mod entry;
mod files;
mod mixture;
#[cfg(feature = "train")]
mod named;
mod note;
#[cfg(feature = "train")]
mod pretokenized;
mod records;
mod remote;
mod separation;
#[cfg(feature = "train")]
mod shards;
mod source;
#[cfg(test)]
mod source_tests;
#[cfg_attr(
    not(feature = "train"),
    allow(
        dead_code,
        reason = "what a text is and how long is asked for a cache of tokens"
    )
)]
mod stream;
mod tables;
mod text;
mod tokens;
mod walk;
mod windows;

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[cfg(feature = "train")]
pub(crate) use self::named::Named;
#[cfg(feature = "train")]
pub use self::pretokenized::PretokenizedConfig;
#[cfg(feature = "train")]
pub use self::shards::{DataProgress, IdWidth};
use self::tables::Table;
pub use self::{
    corpus::{Corpus, SplitKind},
    document::Document,
    mixture::{MixtureConfig, WeightedSource},
    note::{Listed, Note, Severity, Why},
    records::{ChatConfig, ChatMask, RecordFormat, RecordsConfig},
    remote::{HuggingFaceConfig, TinyShakespeareConfig, Wikitext2Config},
    source::{Documents, SourceConfig, TextConfig},
    tokens::{Counted, TokenIds, Tokens},
    windows::{WindowPlan, WindowStart},
};
pub use crate::tales::Split;
use crate::{error::LanguageError, tokenizer::TokenizerConfig};

/// Table `[dataset]`: source of the text, split and tokenizer.
///
/// ```toml
/// [dataset]
/// type = "text"
/// paths = ["shakespeare.txt", "notes/", "logs/*.txt.gz"]
/// train_ratio = 0.9
///
/// [dataset.tokenizer]
/// type = "char"
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Table", into = "Table")]
pub struct DatasetConfig {
    /// Source of the text. Its keys are in the same table.
    pub source: SourceConfig,
    /// Share of the text for training, between 0 and 1. Only a `text` source has this key; the others generate their
    /// own validation documents. It is ignored if `validation` is given.
    pub train_ratio: f64,
    /// Start positions of training windows. If absent: at documents for tales, anywhere for text.
    pub windows: WindowStart,
    /// Separate source for validation.
    pub validation: Option<Box<SourceConfig>>,
    /// Kind of tokenizer to train.
    pub tokenizer: TokenizerConfig,
    /// Folder for the tokens of files: they are written once and mapped, so that the text may be larger than memory. If
    /// absent, the text and its tokens are in memory.
    pub cache_dir: Option<String>,
}

const TRAIN_RATIO: f64 = 0.9;

/// Maximum length of a document separator, in bytes.
const LONGEST_SEPARATOR: usize = 1 << 10;

fn anywhere() -> WindowStart {
    WindowStart::Anywhere
}

fn train_ratio() -> f64 {
    TRAIN_RATIO
}

impl Default for DatasetConfig {
    /// Tales as bytes.
    fn default() -> Self {
        Self {
            source: SourceConfig::default(),
            train_ratio: TRAIN_RATIO,
            windows: WindowStart::Document,
            validation: None,
            tokenizer: TokenizerConfig::default(),
            cache_dir: None,
        }
    }
}

impl DatasetConfig {
    /// Description of the data for the users of a model that was trained on it. Files are given by name, without
    /// folders.
    pub fn in_words(&self) -> String {
        self.source.in_words()
    }

    /// The table with well-known data sets replaced by what they mean.
    fn resolved(&self) -> Self {
        let (source, held_out) = self.source.resolved();
        let own = self.validation.as_ref().map(|own| Box::new(own.resolved().0));
        Self {
            source,
            validation: own.or_else(|| held_out.map(Box::new)),
            ..self.clone()
        }
    }

    /// Makes relative paths absolute, so that a saved configuration means the same from any folder and at any time.
    /// Names that are not patterns now never become patterns. Returns notes on entries that look like patterns.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); [`LanguageError::Config`] if a folder's name is not UTF-8.
    pub fn make_absolute(&mut self, base_dir: &Path) -> Result<Vec<Note>, LanguageError> {
        self.validate()?; // an empty entry would become the folder
        self.tokenizer.make_absolute(base_dir)?;
        if let Some(folder) = &mut self.cache_dir {
            let joined = base_dir.join(&*folder);
            *folder = joined
                .to_str()
                .map(str::to_owned)
                .ok_or_else(|| LanguageError::Config {
                    key: "dataset.cache_dir",
                    reason: format!("{} is not UTF-8", joined.display()),
                })?;
        }
        let mut notes = Vec::new();
        let own = self.validation.as_deref_mut();
        for source in [Some(&mut self.source), own].into_iter().flatten() {
            notes.extend(source.make_absolute(base_dir)?);
        }
        Ok(notes)
    }

    /// Checks the values, without reading a file.
    ///
    /// # Errors
    /// [`LanguageError::TrainRatio`] and [`LanguageError::Config`].
    pub fn validate(&self) -> Result<(), LanguageError> {
        refuse_ratio(self.train_ratio)?;
        for source in self.validation.as_deref().into_iter().chain([&self.source]) {
            source.validate()?;
            check_separator(source)?;
        }
        self.tokenizer.validate()
    }
}

fn refuse_ratio(value: f64) -> Result<(), LanguageError> {
    match value > 0.0 && value < 1.0 {
        true => Ok(()),
        false => Err(LanguageError::TrainRatio { value }),
    }
}

/// Checks the length of the separator, which is also stored in model files.
fn check_separator(source: &SourceConfig) -> Result<(), LanguageError> {
    let separator = match source {
        SourceConfig::Text(text) => &text.document_separator,
        SourceConfig::Records(records) => &records.document_separator,
        SourceConfig::HuggingFace(hub) => &hub.document_separator,
        _ => return Ok(()),
    };
    match separator.as_ref().map_or(0, String::len) {
        0..=LONGEST_SEPARATOR => Ok(()),
        bytes => Err(LanguageError::Config {
            key: "document_separator",
            reason: format!("has {bytes} bytes, but a separator has at most {LONGEST_SEPARATOR}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tales::TierMix;

    fn read(text: &str) -> Result<DatasetConfig, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn a_full_table_reads_and_writes_itself() {
        let text = "type = 'text'\npaths = ['a.txt', 'b/']\ntrain_ratio = 0.8\n\
                    [validation]\ntype = 'text'\npaths = ['v.txt']\ndocument_separator = '---'\n\
                    [tokenizer]\ntype = 'char'\nspecial_tokens = false";
        let config = read(text).unwrap();
        let validation = TextConfig {
            paths: vec!["v.txt".into()],
            document_separator: Some("---".into()),
        };
        assert_eq!(config.validation, Some(Box::new(SourceConfig::Text(validation))));
        assert_eq!(config.train_ratio, 0.8);
        let needle = read("type = 'needle'\nfacts = 3\ndistance = [50, 5000]\nwindows = 'in_order'").unwrap();
        let SourceConfig::Needle(source) = &needle.source else {
            panic!("{needle:?}")
        };
        assert_eq!((source.facts, source.distance), (3, [50, 5000]));
        for config in [config, needle, DatasetConfig::default()] {
            assert_eq!(read(&toml::to_string(&config).unwrap()).unwrap(), config);
            assert_eq!(
                serde_json::from_str::<DatasetConfig>(&serde_json::to_string(&config).unwrap()).unwrap(),
                config
            );
        }
    }

    #[test]
    fn a_table_needs_only_what_has_no_default() {
        assert_eq!(read("type = 'embedded'").unwrap(), DatasetConfig::default());
        let config = read("type = 'embedded'\nmix = { grown = 0 }").unwrap();
        let SourceConfig::Embedded(tales) = config.source else {
            panic!("{config:?}")
        };
        assert_eq!(
            tales.mix,
            TierMix {
                grown: 0,
                ..TierMix::default()
            }
        );
        assert!(
            read("type = 'text'")
                .unwrap_err()
                .to_string()
                .contains("missing field `paths`")
        );
    }

    #[test]
    fn an_unknown_key_is_an_error_that_lists_the_known_ones() {
        let message = |text| read(text).unwrap_err().to_string();
        let keys = "`paths`, `document_separator`, `train_ratio`, `windows`, `validation`, `tokenizer`, \
                    `cache_dir`";
        let text = message("type = 'text'\npaths = []\ntrain_rato = 0.9");
        assert!(
            text.contains(&format!("unknown field `train_rato`, expected one of {keys}")),
            "{text}"
        );
        let text = message("type = 'embedded'\ntrain_byte = 9");
        assert!(
            text.contains("unknown field `train_byte`, expected one of `seed`, `train_bytes`"),
            "{text}"
        );
        let text = message("type = 'embedded'\n[validation]\ntype = 'text'\npath = 'x'");
        assert!(
            text.contains("unknown field `path`, expected `paths` or `document_separator`"),
            "{text}"
        );
        let text = message("type = 'embeded'");
        assert!(
            text.contains(
                "unknown variant `embeded`, expected one of `embedded`, `needle`, `text`, `records`"
            ),
            "{text}"
        );
    }

    #[test]
    fn a_key_that_nothing_would_read_is_refused() {
        let text = read("type = 'embedded'\ntrain_ratio = 0.5")
            .unwrap_err()
            .to_string();
        assert!(text.contains("unknown field `train_ratio`"), "{text}");
    }

    #[test]
    fn a_separator_that_no_model_file_could_hold_is_refused() {
        let config = |bytes: usize| {
            let text = format!(
                "type = 'text'\npaths = ['a']\ndocument_separator = '{}'",
                "-".repeat(bytes)
            );
            read(&text).unwrap().validate()
        };
        config(1024).unwrap();
        let error = config(1025).unwrap_err().to_string();
        assert!(
            error.contains("document_separator") && error.contains("1025"),
            "{error}"
        );
    }

    #[test]
    fn a_train_ratio_outside_0_to_1_is_an_error() {
        for ratio in [0.0, 1.0, -0.5, 90.0, f64::NAN] {
            let error = DatasetConfig {
                train_ratio: ratio,
                ..DatasetConfig::default()
            }
            .validate()
            .unwrap_err();
            assert!(matches!(error, LanguageError::TrainRatio { .. }), "{error}");
            assert!(error.to_string().contains(&ratio.to_string()), "{error}");
        }
    }
}
