//! The reading that a model was trained with. Evaluation uses it by default, wherever the file is.

use crate::details;
use burn_dragon_checkpoint::api::ModelInfo;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::num::NonZeroUsize;

/// The key among the details of a model's file.
const KEY: &str = "reading";

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

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
