//! Reader of a configuration file in JSON: the same values as in TOML, each with its line.

use super::ConfigError;
use super::origin::{Kind, Lines, Node, position};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::fmt;
use toml::Value;

/// Table of a JSON object. `name` is the name of the file in origins and errors.
///
/// # Errors
/// If the text is not a JSON object, repeats a key, or has a `null`, which is no value of a setting.
pub(super) fn parse(name: &str, text: &str) -> Result<Node, ConfigError> {
    let file = File {
        name,
        text,
        lines: Lines::of(name, text),
    };
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| file.refuse(text, &error))?;
    let node = file.node(whole)?;
    match node.kind {
        Kind::Table(_) => Ok(node),
        _ => Err(file.error(
            file.offset(whole.get()),
            "a configuration is an object, `{ ... }`",
        )),
    }
}

/// File that is being read.
struct File<'a> {
    name: &'a str,
    text: &'a str,
    lines: Lines<'a>,
}

impl<'a> File<'a> {
    /// A value with all values inside it. Its slice of the text gives its position.
    fn node(&self, value: &'a RawValue) -> Result<Node, ConfigError> {
        let text = value.get();
        let kind = match text.as_bytes().first() {
            Some(b'{') => {
                let Entries(entries) = self.read(text)?;
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| Ok((key, self.node(value)?)));
                Kind::Table(entries.collect::<Result<_, ConfigError>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read(text)?;
                let items = items.into_iter().map(|item| self.node(item));
                Kind::Array(items.collect::<Result<_, _>>()?)
            }
            _ => Kind::Scalar(self.scalar(text)?),
        };
        let origin = self.lines.at(self.offset(text));
        Ok(Node { origin, kind })
    }

    fn scalar(&self, text: &'a str) -> Result<Value, ConfigError> {
        match text.as_bytes().first() {
            Some(b'"') => self.read(text).map(Value::String),
            Some(b't' | b'f') => self.read(text).map(Value::Boolean),
            Some(b'n') => {
                let problem = "`null` is no value of a setting: leave the key out";
                Err(self.error(self.offset(text), problem))
            }
            _ if text.contains(['.', 'e', 'E']) => self.read(text).map(Value::Float),
            // A whole number out of TOML's range is kept as the text of its digits, for a schema that can read it.
            _ => Ok(text
                .parse()
                .map_or_else(|_| Value::String(text.into()), Value::Integer)),
        }
    }

    /// Deserialises a slice of the text.
    fn read<T: Deserialize<'a>>(&self, part: &'a str) -> Result<T, ConfigError> {
        serde_json::from_str(part).map_err(|error| self.refuse(part, &error))
    }

    /// Error of the parser in a slice of the text, with the position in the whole text.
    fn refuse(&self, part: &str, error: &serde_json::Error) -> ConfigError {
        let before = part.split_inclusive('\n').take(error.line().saturating_sub(1));
        let line_start: usize = before.map(str::len).sum();
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let offset = self.offset(part) + line_start + error.column().saturating_sub(1);
        self.error(offset, message)
    }

    fn error(&self, offset: usize, message: &str) -> ConfigError {
        let (line, column) = position(self.text, offset);
        ConfigError::Syntax {
            format: "JSON",
            file: self.name.into(),
            line,
            column,
            message: message.into(),
        }
    }

    /// Offset of a slice in the text.
    fn offset(&self, part: &str) -> usize {
        (part.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

/// Entries of an object with unique keys.
struct Entries<'a>(BTreeMap<String, &'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(EachOnce)
    }
}

struct EachOnce;

impl<'de> Visitor<'de> for EachOnce {
    type Value = Entries<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
            if entries.contains_key(&key) {
                return Err(A::Error::custom(format!("duplicate key `{key}`")));
            }
            entries.insert(key, value);
        }
        Ok(Entries(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Layers;
    use super::*;

    const TEXT: &str = "{\n  \"a\": { \"b\": 1, \"c\": [1.5, \"x\", true] },\n  \"n\":\n    18446744073709551615,\n  \"t\": [{ \"k\": -2e-3 }]\n}\n";

    fn refusal(text: &str) -> String {
        parse("f.json", text).unwrap_err().to_string()
    }

    #[test]
    fn json_is_read_as_the_same_toml_would_be() {
        let toml = "n = 18446744073709551615\nt = [{ k = -2e-3 }]\n[a]\nb = 1\nc = [1.5, 'x', true]\n";
        let toml = Node::parse("f.toml", toml).unwrap();
        assert_eq!(parse("f.json", TEXT).unwrap().to_value(), toml.to_value());
    }

    #[test]
    fn every_value_knows_its_line() {
        let node = parse("f.json", TEXT).unwrap();
        let line = |path: &[&str]| {
            let path: Vec<String> = path.iter().map(ToString::to_string).collect();
            node.origin_of(&path).to_string()
        };
        assert_eq!(line(&["a", "b"]), "f.json:2");
        assert_eq!(line(&["n"]), "f.json:4");
        assert_eq!(line(&["t", "0", "k"]), "f.json:5");
    }

    #[test]
    fn what_is_no_configuration_is_refused_with_its_place() {
        let comma = refusal("{\n \"a\": 1,\n}");
        assert!(
            comma.starts_with("f.json:3:") && comma.contains("not valid JSON"),
            "{comma}"
        );
        assert_eq!(
            refusal("[1]"),
            "f.json:1:1: not valid JSON: a configuration is an object, `{ ... }`"
        );
        assert_eq!(
            refusal("{\n \"é\": { \"b\": null } }"),
            "f.json:2:14: not valid JSON: `null` is no value of a setting: leave the key out"
        );
        let twice = refusal("{ \"a\": {\n\"b\": 1, \"b\": 2 } }");
        assert!(
            twice.contains("f.json:2:") && twice.contains("duplicate key `b`"),
            "{twice}"
        );
        assert!(refusal("{ \"a\": 1e999 }").contains("f.json:1:"));
    }

    #[test]
    fn a_file_whose_name_ends_in_json_is_json_and_may_extend_one_of_toml() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("base.toml", "a = 1\nb = 1\n");
        write("mine.JSON", "{ \"extends\": \"base.toml\", \"b\": 2 }");
        let layers = Layers::new().file(folder.path().join("mine.JSON")).unwrap();
        let value = layers.resolve::<toml::Table>().unwrap().value;
        assert_eq!(value, toml::from_str("a = 1\nb = 2").unwrap());
    }
}
