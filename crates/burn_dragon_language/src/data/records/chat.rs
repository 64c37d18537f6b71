//! Conversations in records: a list of messages, as a document.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Place;
use crate::chat::{ASSISTANT, ChatTemplate, Message};
use crate::data::document::Document;
use crate::error::LanguageError;

/// Table `[dataset.chat]`: each record is a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ChatConfig {
    /// Field of a record with its messages: a list of objects with `role` and `content`, both texts.
    pub messages: String,
    /// Tokens with a loss.
    pub mask: ChatMask,
    /// Text of each role around a message.
    pub template: ChatTemplate,
}

/// Tokens of a conversation with a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChatMask {
    /// Those that the model is to write: the content of the assistant's messages, and the text that ends it.
    #[default]
    Assistant,
    /// All.
    All,
}

impl Default for ChatConfig {
    fn default() -> Self {
        Self {
            messages: "messages".into(),
            mask: ChatMask::Assistant,
            template: ChatTemplate::default(),
        }
    }
}

impl ChatConfig {
    /// Document of a record. `value` is that of the field of messages, `names` are the fields that the record has.
    pub(super) fn document(
        &self,
        place: &Place,
        value: Option<Value>,
        names: impl Fn() -> Vec<String>,
    ) -> Result<Document, LanguageError> {
        let field = &self.messages;
        let value = value.ok_or_else(|| {
            place.error(format!(
                "there is no field `{field}`; it has {}",
                names().join(", ")
            ))
        })?;
        let messages = messages(&value).map_err(|reason| place.error(format!("`{field}` {reason}")))?;
        if self.mask == ChatMask::Assistant && !messages.iter().any(|message| message.role == ASSISTANT) {
            return Err(place.error(format!(
                "`{field}` has no message of `{ASSISTANT}`, so nothing in it has a loss; leave the record out, or set \
                 dataset.chat.mask = \"all\""
            )));
        }
        let parts = self.template.parts(&messages).map_err(|error| match error {
            LanguageError::Chat { reason } => place.error(reason),
            error => error,
        })?;
        let counts = |written: bool| written || self.mask == ChatMask::All;
        let parts = parts
            .iter()
            .map(|part| (part.text.as_bytes(), counts(part.written)));
        Ok(Document::of_parts(parts))
    }
}

/// Messages in a JSON value.
fn messages(value: &Value) -> Result<Vec<Message>, String> {
    let list = value
        .as_array()
        .ok_or("is not a list of messages, objects with `role` and `content`")?;
    let message = |(at, value): (usize, &Value)| {
        let text = |key: &str| {
            let text = value.get(key).and_then(Value::as_str);
            text.ok_or_else(|| format!("has as message {} one without a text `{key}`", at + 1))
        };
        Ok(Message::new(text("role")?, text("content")?))
    };
    list.iter().enumerate().map(message).collect()
}
