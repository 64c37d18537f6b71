//! A model's configuration as it stands in a file.

use crate::bounded::Strict;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A model's configuration: a JSON object, with the text that it was written as.
///
/// The bytes of the text are a part of the model's [hash](crate::model::ModelFile::hash), so the text is kept as it is;
/// two texts of one object are two configurations to the hash, and equal to everybody else.
#[derive(Clone, Debug)]
pub struct StoredConfig {
    text: String,
    value: Value,
}

impl PartialEq for StoredConfig {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl StoredConfig {
    /// A family's configuration, as it is written.
    ///
    /// # Errors
    /// If it is not a JSON object, or has keys that are no texts or numbers that JSON does not have.
    pub fn of(config: &impl Serialize) -> Result<Self, String> {
        let text = serde_json::to_string(config).map_err(|error| error.to_string())?;
        Self::parse(text)
    }

    /// The configuration that a text is. A key that occurs twice is refused, wherever it is.
    ///
    /// # Errors
    /// If it is not a JSON object.
    pub fn parse(text: impl Into<String>) -> Result<Self, String> {
        let text = text.into();
        let Strict(value) = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        match value {
            Value::Object(_) => Ok(Self { text, value }),
            _ => Err("it is not a JSON object".into()),
        }
    }

    /// The object.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The text, byte for byte.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The configuration as a family's own type.
    ///
    /// # Errors
    /// If it is another's.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_str(&self.text).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_text_stays_as_it_was_written() {
        let text = r#"{"b":1.0,"a":[0.1,{"z":null}]}"#;
        let config = StoredConfig::parse(text).unwrap();
        assert_eq!(config.text(), text);
        assert_eq!(config.value(), &json!({"a": [0.1, {"z": null}], "b": 1.0}));
        let other = StoredConfig::parse(r#"{"a":[0.1,{"z":null}],"b":1.0}"#).unwrap();
        assert_eq!(config, other);
    }

    #[test]
    fn what_is_no_object_or_says_a_key_twice_is_refused() {
        for (text, reason) in [
            ("[]", "object"),
            ("1", "object"),
            ("{", "EOF"),
            (r#"{"a":1,"a":2}"#, "twice"),
            (r#"{"a":[{"b":1,"b":1}]}"#, "twice"),
        ] {
            let error = StoredConfig::parse(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
