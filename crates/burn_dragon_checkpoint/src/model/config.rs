//! Configuration of a model, as it is stored in a file.

use crate::bounded::Strict;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Configuration of a model: a JSON object, and the text that it was parsed from.
///
/// The bytes of the text are part of the model's [hash](crate::model::ModelFile::hash), so the text is kept unchanged.
/// Two texts of one object give two hashes, but compare as equal.
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
    /// Serialises a family's configuration.
    ///
    /// # Errors
    /// If it is not a JSON object, has keys that are not text, or has numbers that JSON cannot represent.
    pub fn of(config: &impl Serialize) -> Result<Self, String> {
        let text = serde_json::to_string(config).map_err(|error| error.to_string())?;
        Self::parse(text)
    }

    /// Parses the text of a configuration. A key that occurs twice is refused, at every depth.
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

    /// JSON object of the configuration.
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// Text of the configuration, unchanged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Configuration as the family's own type.
    ///
    /// # Errors
    /// If it does not deserialise to this type.
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
