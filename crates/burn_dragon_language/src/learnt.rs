//! What a model was trained on and with: the kind of its text, and its reading. Evaluation and chat use it by default,
//! wherever the file is.

use crate::data::SourceConfig;
use crate::details;
use burn_dragon_checkpoint::api::ModelInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::num::NonZeroUsize;

/// The key of the reading among the details of a model's file.
const KEY: &str = "reading";

/// The key of the kind of text among the details of a model's file.
const TEXT: &str = "text";

/// Reading that a model was trained with. It is not known of imported weights.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LearntReading {
    /// Number of tokens in a window.
    pub block_size: NonZeroUsize,
    /// Memory of the earlier windows of a document.
    pub memory: LearntMemory,
    /// Text between the documents of a file. If absent, each file is one document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document_separator: Option<String>,
}

/// Memory of the earlier windows of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearntMemory {
    /// None: each window starts from an empty memory.
    Reset,
    /// All of it: the memory is carried from window to window.
    Carried,
}

impl LearntReading {
    /// Reads the reading from the details of a model file; `None` if they have none.
    ///
    /// # Errors
    /// If the details hold an invalid reading.
    pub fn of(info: &ModelInfo) -> Result<Option<Self>, String> {
        details::read(info, KEY)
    }

    /// The reading as details of a model file.
    pub fn details(&self) -> Map<String, Value> {
        details::of(KEY, self)
    }
}

/// Kind of text that a model was trained on. It is not known of imported weights and of files of earlier versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearntText {
    /// The embedded tales: sentences, without a newline.
    Tales,
    /// The embedded needle documents: sentences, without a newline.
    Needles,
    /// Texts of files, or records of them.
    Text,
    /// Conversations.
    Conversations,
    /// Token ids of another program.
    TokenIds,
}

impl LearntText {
    /// Kind of text of a source.
    pub fn of_source(source: &SourceConfig) -> Self {
        match source {
            SourceConfig::Embedded(_) => Self::Tales,
            SourceConfig::Needle(_) => Self::Needles,
            #[cfg(feature = "train")]
            SourceConfig::Pretokenized(_) => Self::TokenIds,
            source if source.chat().is_some() => Self::Conversations,
            _ => Self::Text,
        }
    }

    /// Reads the kind of text from the details of a model file; `None` if they have none.
    ///
    /// # Errors
    /// If the details hold no such kind.
    pub fn of(info: &ModelInfo) -> Result<Option<Self>, String> {
        details::read(info, TEXT)
    }

    /// The kind of text as details of a model file.
    pub fn details(self) -> Map<String, Value> {
        details::of(TEXT, &self)
    }

    /// The kind of text in words.
    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Tales => "the embedded tales",
            Self::Needles => "the embedded needle documents",
            Self::Text => "text",
            Self::Conversations => "conversations",
            Self::TokenIds => "token ids",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{ChatConfig, MixtureConfig, RecordsConfig, WeightedSource};
    use crate::tales::NeedleConfig;
    use serde_json::json;

    #[test]
    fn the_kind_of_text_is_that_of_the_source_and_comes_back_from_a_file() {
        let records = |chat| {
            SourceConfig::Records(RecordsConfig {
                chat,
                ..RecordsConfig::default()
            })
        };
        let talks = records(Some(ChatConfig::default()));
        let mixed = |source| WeightedSource { weight: 1.0, source };
        let mixture = |sources| SourceConfig::Mixture(MixtureConfig { sources });
        for (source, kind, key) in [
            (SourceConfig::default(), LearntText::Tales, "tales"),
            (
                SourceConfig::Needle(NeedleConfig::default()),
                LearntText::Needles,
                "needles",
            ),
            (records(None), LearntText::Text, "text"),
            (talks.clone(), LearntText::Conversations, "conversations"),
            (
                mixture(vec![mixed(records(None)), mixed(talks)]),
                LearntText::Conversations,
                "conversations",
            ),
            (mixture(vec![mixed(records(None))]), LearntText::Text, "text"),
        ] {
            assert_eq!(LearntText::of_source(&source), kind);
            let mut info = ModelInfo::default();
            assert_eq!(LearntText::of(&info), Ok(None));
            info.details = kind.details();
            assert_eq!(info.details["text"], key);
            assert_eq!(LearntText::of(&info), Ok(Some(kind)));
            info.details.insert(TEXT.into(), json!("poem"));
            assert!(
                LearntText::of(&info)
                    .unwrap_err()
                    .contains("text: unknown variant `poem`")
            );
        }
    }

    #[test]
    fn how_a_model_reads_comes_back_and_is_not_known_of_every_model() {
        let reading = LearntReading {
            block_size: NonZeroUsize::new(256).unwrap(),
            memory: LearntMemory::Carried,
            document_separator: Some("\n\n".into()),
        };
        let mut info = ModelInfo::default();
        assert_eq!(LearntReading::of(&info), Ok(None));
        info.details = reading.details();
        assert_eq!(LearntReading::of(&info), Ok(Some(reading)));
    }

    #[test]
    fn windows_without_tokens_are_no_way_to_read() {
        let said = json!({"block_size": 0, "memory": "reset"});
        let info = ModelInfo {
            details: Map::from_iter([(KEY.to_string(), said)]),
            ..ModelInfo::default()
        };
        let error = LearntReading::of(&info).unwrap_err();
        assert!(error.contains("nonzero"), "{error}");
    }
}
