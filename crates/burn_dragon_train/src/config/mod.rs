//! Layered configuration in TOML or JSON, generic over a family's schema.
//!
//! [`Layers`] collects an embedded base, files (`-c FILE`) and `key.path=value` arguments; later ones win. A file is
//! TOML, or JSON by the ending of its name, and may have `extends = "other.toml"`. The layers are resolved into a
//! [`Resolved`] value, which records the origin of each value. Every refusal is a [`ConfigError`] with the key, the
//! place where it is set, and the values that are allowed.

mod faults;
mod json;
mod layers;
mod origin;
pub(crate) mod reference;
pub(crate) mod schema;
mod suggest;
#[cfg(test)]
mod whole_tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use crate::keys::flat_values;
use burn_dragon_checkpoint::api::expert::Foreign;
use serde::Serialize;
use toml::de::{DeTable, DeValue};

pub(crate) use faults::place;
pub use layers::Layers;
pub(crate) use layers::family_of_run;
pub use origin::Origin;
use origin::{Node, position};
pub(crate) use suggest::nearest;

/// Error of a configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Read {
        /// Path of the file, as given.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// A file is not UTF-8.
    #[error(
        "the configuration file {path} is {encoding} text, and only UTF-8 is read; convert it with `{}`",
        encoding.conversion(path), path = path.display()
    )]
    Encoding {
        /// Path of the file, as given.
        path: PathBuf,
        /// Encoding of the file.
        encoding: Foreign,
    },
    /// A text is not valid TOML, or not valid JSON.
    #[error("{file}:{line}:{column}: not valid {format}: {message}")]
    Syntax {
        /// Expected format: `TOML` or `JSON`.
        format: &'static str,
        /// Name of the file.
        file: String,
        /// Line, from 1.
        line: usize,
        /// Column in characters, from 1.
        column: usize,
        /// Message of the parser.
        message: String,
    },
    /// Files extend each other in a circle.
    #[error(
        "configuration files extend each other in a circle: {}",
        suggest::chain(chain)
    )]
    Cycle {
        /// Files in order; the last one is the first one again.
        chain: Vec<PathBuf>,
    },
    /// The value of `extends` is not valid.
    #[error("{origin}: {problem}")]
    Extends {
        /// Place where it is set.
        origin: Origin,
        /// Description of the fault.
        problem: String,
    },
    /// A command-line argument is not an assignment.
    #[error("`{text}` is not of the form key.path=value: {problem}")]
    Assignment {
        /// Text of the argument.
        text: String,
        /// Description of the fault.
        problem: String,
    },
    /// A key has moved since an earlier version.
    #[error("`{key}` moved to `{to}` ({origin}): write it there")]
    Moved {
        /// Old key.
        key: &'static str,
        /// New key.
        to: &'static str,
        /// Place where it is set.
        origin: Origin,
    },
    /// The configuration is of another family.
    #[error("the configuration is of the family `{given}` ({origin}), not of `{expected}`")]
    OtherFamily {
        /// Family of the configuration.
        given: String,
        /// Place where it is set.
        origin: Origin,
        /// Expected family.
        expected: &'static str,
    },
    /// The schema does not have the key.
    #[error("unknown key `{key}` ({origin}); {}", suggest::hint(nearest.as_deref(), valid))]
    UnknownKey {
        /// Full path of the key.
        key: String,
        /// Place where it is set.
        origin: Origin,
        /// Full path of the most similar valid key, if one is similar.
        nearest: Option<String>,
        /// Valid keys of its table.
        valid: Box<[String]>,
    },
    /// A name is not one of the allowed ones, such as a misspelt `type`.
    #[error("`{key}` cannot be \"{given}\" ({origin}); {}", suggest::hint(nearest.as_deref(), valid))]
    UnknownName {
        /// Full path of the key.
        key: String,
        /// Place where it is set.
        origin: Origin,
        /// Name that was given.
        given: Box<str>,
        /// Most similar valid name, if one is similar.
        nearest: Option<String>,
        /// All valid names.
        valid: Box<[String]>,
    },
    /// A value has the wrong type, or is out of the range of its type.
    #[error(
        "`{key}` should be {expected}, but is {given} ({origin}){}",
        suggest::requoted(key, origin, expected, given)
    )]
    WrongValue {
        /// Full path of the key.
        key: String,
        /// Place where it is set.
        origin: Origin,
        /// Expected value.
        expected: String,
        /// Given value.
        given: String,
    },
    /// A key without a default is not set by any layer.
    #[error("`{key}` is required and nothing sets it{}", suggest::in_table(table))]
    Missing {
        /// Full path of the key.
        key: String,
        /// Place of the table that lacks the key.
        table: Origin,
    },
    /// The schema refuses a value for another reason.
    #[error("`{key}`: {problem} ({origin})")]
    Refused {
        /// Full path of the key; empty for the whole configuration.
        key: String,
        /// Place where it is set.
        origin: Origin,
        /// Reason of the schema.
        problem: String,
    },
    /// The resolved configuration cannot be written as TOML, for example because of an integer above 2^63.
    #[error("the resolved configuration cannot be written as TOML: {problem}")]
    Unwritable {
        /// Reason of the TOML writer.
        problem: String,
    },
}

/// Configuration as TOML, with its family on top.
pub(crate) fn written(config: &impl Serialize, family: Option<&str>) -> Result<String, ConfigError> {
    let text = toml::to_string(config).map_err(|error| ConfigError::Unwritable {
        problem: error.to_string(),
    })?;
    Ok(match family {
        Some(family) => format!("{FAMILY} = {}\n\n{text}", toml::Value::from(family)),
        None => text,
    })
}

/// Top-level key with the family of a configuration. It is not part of any schema.
pub(crate) const FAMILY: &str = "family";

/// Family of a configuration without `family`, from the time when there was only one.
pub(crate) const FIRST_FAMILY: &str = "language";

/// Configuration that was resolved from layers.
#[derive(Debug, Clone)]
pub struct Resolved<T> {
    /// The configuration.
    pub value: T,
    complete: String,
    tree: Node,
}

impl<T: Serialize> Resolved<T> {
    fn new(value: T, tree: Node, family: Option<&str>) -> Result<Self, ConfigError> {
        let unwritable = |problem: String| ConfigError::Unwritable { problem };
        let complete = written(&value, family)?;
        // The TOML writer accepts integers that the reader refuses; a run with one could not be resumed.
        complete
            .parse::<toml::Table>()
            .map_err(|error| unwritable(error.to_string()))?;
        Ok(Self {
            value,
            complete,
            tree,
        })
    }
}

impl<T> Resolved<T> {
    /// Complete configuration as TOML, with the defaults of the schema. TOML has no null, so an absent optional value
    /// is absent here too.
    pub fn to_toml(&self) -> &str {
        &self.complete
    }

    /// Complete configuration with the origin of every value, for `--print-config`: the lines of
    /// [`to_toml`](Self::to_toml), each value followed by `# origin`. The text is valid TOML.
    pub fn explain(&self) -> String {
        let origins = self.origins_by_line();
        let width = |line: &str| line.chars().count();
        let texts = || self.complete.lines().zip(1..);
        let widest = texts()
            .filter(|(_, at)| origins.contains_key(at))
            .map(|(text, _)| width(text))
            .max();
        // A long list of files should not push every comment off the screen.
        let column = widest.unwrap_or(0).min(48);
        let mut explained = String::new();
        for (text, at) in texts() {
            explained += text;
            if let Some(origin) = origins.get(&at) {
                explained += &" ".repeat(column.saturating_sub(width(text)));
                explained += &format!("   # {origin}");
            }
            explained.push('\n');
        }
        explained
    }

    /// Every value by its full key, with its origin. A list is one value.
    pub fn values(&self) -> BTreeMap<String, (serde_json::Value, Origin)>
    where
        T: Serialize,
    {
        let values = flat_values(&self.value).into_iter();
        values
            .map(|(key, value)| {
                let origin = self.origin(&key);
                (key, (value, origin))
            })
            .collect()
    }

    /// Origin of the value at a dotted path.
    pub fn origin(&self, key: &str) -> Origin {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.tree.origin_of(&path)
    }

    /// Origin of the value that ends on each line of the complete configuration.
    fn origins_by_line(&self) -> BTreeMap<usize, Origin> {
        let mut origins = BTreeMap::new();
        // What the TOML writer wrote, the TOML reader reads.
        if let Ok(table) = DeTable::parse(&self.complete) {
            self.note_origins(table.get_ref(), &mut Vec::new(), &mut origins);
        }
        origins
    }

    fn note_origins(
        &self,
        table: &DeTable<'_>,
        path: &mut Vec<String>,
        origins: &mut BTreeMap<usize, Origin>,
    ) {
        for (key, place) in table.iter() {
            path.push(key.get_ref().to_string());
            match place.get_ref() {
                DeValue::Table(inner) => self.note_origins(inner, path, origins),
                DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                    for (index, item) in items.iter().enumerate() {
                        path.push(index.to_string());
                        if let DeValue::Table(inner) = item.get_ref() {
                            self.note_origins(inner, path, origins);
                        }
                        path.pop();
                    }
                }
                _ => {
                    let line = position(&self.complete, place.span().end).0;
                    origins.insert(line, self.tree.origin_of(path));
                }
            }
            path.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        name: String,
        #[serde(default)]
        training: Training,
        #[serde(default)]
        sources: Vec<Source>,
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Training {
        max_steps: u64,
        betas: [f64; 2],
        note: Option<String>,
    }

    impl Default for Training {
        fn default() -> Self {
            Self {
                max_steps: 1000,
                betas: [0.9, 0.95],
                note: None,
            }
        }
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Source {
        path: String,
        #[serde(default)]
        weight: f32,
    }

    fn resolved() -> Resolved<Config> {
        let base = "name = 'a'\n[[sources]]\npath = 'x.txt'\nweight = 0.1\n[[sources]]\npath = 'y.txt'\n";
        let layers = Layers::new().embedded("base.toml", base).unwrap();
        layers
            .assignment("training.max_steps=5")
            .unwrap()
            .resolve()
            .unwrap()
    }

    #[test]
    fn the_complete_text_holds_defaults_and_resolves_to_itself() {
        let resolved = resolved();
        assert!(
            resolved.to_toml().contains("betas = [0.9, 0.95]"),
            "{}",
            resolved.to_toml()
        );
        let again: Resolved<Config> = Layers::new()
            .embedded("again", resolved.to_toml())
            .unwrap()
            .resolve()
            .unwrap();
        assert_eq!(again.value, resolved.value);
        assert_eq!(again.to_toml(), resolved.to_toml());
    }

    #[test]
    fn explain_gives_every_value_its_origin_and_stays_toml() {
        let explained = resolved().explain();
        let lines: Vec<String> = explained
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let expected = [
            "name = \"a\" # base.toml:1",
            "",
            "[training]",
            "max_steps = 5 # command line",
            "betas = [0.9, 0.95] # default",
            "",
            "[[sources]]",
            "path = \"x.txt\" # base.toml:3",
            "weight = 0.1 # base.toml:4",
            "",
            "[[sources]]",
            "path = \"y.txt\" # base.toml:6",
            "weight = 0.0 # default",
        ];
        assert_eq!(lines, expected);
        assert_eq!(toml::from_str::<Config>(&explained).unwrap(), resolved().value);
    }

    #[test]
    fn explain_marks_the_last_line_of_a_long_text() {
        let layers = Layers::new()
            .value("--note", "training.note", "one\ntwo")
            .value("--name", "name", "n");
        let explained = layers.resolve::<Config>().unwrap().explain();
        assert_eq!(
            toml::from_str::<Config>(&explained)
                .unwrap()
                .training
                .note
                .unwrap(),
            "one\ntwo"
        );
        assert!(explained.contains("# --note"), "{explained}");
    }

    #[test]
    fn the_origin_of_a_value_is_the_last_layer_that_set_it() {
        let resolved = resolved();
        assert_eq!(resolved.origin("name").to_string(), "base.toml:1");
        assert_eq!(resolved.origin("training.max_steps"), Origin::CommandLine);
        assert_eq!(resolved.origin("training.betas"), Origin::Default);
    }

    #[test]
    fn a_value_beyond_toml_is_unwritable() {
        #[derive(Debug, Serialize, Deserialize)]
        struct Wide {
            #[serde(default = "widest")]
            seed: u64,
        }
        fn widest() -> u64 {
            u64::MAX
        }
        let error = Layers::new().resolve::<Wide>().unwrap_err();
        assert!(matches!(error, ConfigError::Unwritable { .. }), "{error}");
    }
}
