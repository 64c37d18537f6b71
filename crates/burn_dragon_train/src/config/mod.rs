//! Layered configuration in TOML or JSON, generic over a family's schema.
//!
//! [`Layers`] collects an embedded base, files (`-c FILE`, TOML or, by the ending of its name, JSON, which may
//! `extends = "other.toml"`) and `key.path=value` arguments, later ones winning, and resolves them into a [`Resolved`] value that
//! knows where each of its values came from. Every refusal is a [`ConfigError`] that names the key, the
//! place it was written, and what to write instead.

mod json;
mod layers;
mod origin;
mod suggest;
#[cfg(test)]
mod whole_tests;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use burn_dragon_checkpoint::api::expert::Foreign;
use serde::Serialize;
use toml::de::{DeTable, DeValue};

pub use layers::Layers;
pub(crate) use layers::family_of_run;
pub use origin::Origin;
use origin::{Node, position};

/// A configuration that cannot be used, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read the configuration file {path}: {source}", path = path.display())]
    Read {
        /// The file as it was named.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
    /// A file is not written in UTF-8.
    #[error(
        "the configuration file {path} is {encoding} text, and only UTF-8 is read; convert it with `{}`",
        encoding.conversion(path), path = path.display()
    )]
    Encoding {
        /// The file as it was named.
        path: PathBuf,
        /// What it is written in.
        encoding: Foreign,
    },
    /// A text is not TOML, or not JSON.
    #[error("{file}:{line}:{column}: not valid {format}: {message}")]
    Syntax {
        /// What the text should be: `TOML` or `JSON`.
        format: &'static str,
        /// The file's name.
        file: String,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What the parser expected.
        message: String,
    },
    /// Files extend each other in a circle.
    #[error(
        "configuration files extend each other in a circle: {}",
        suggest::chain(chain)
    )]
    Cycle {
        /// The files in order; the last one is the first one again.
        chain: Vec<PathBuf>,
    },
    /// `extends` does not name files.
    #[error("{origin}: {problem}")]
    Extends {
        /// Where it says so.
        origin: Origin,
        /// What is wrong with it.
        problem: String,
    },
    /// A command-line argument is no assignment.
    #[error("`{text}` is not of the form key.path=value: {problem}")]
    Assignment {
        /// The argument.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key that an earlier version had elsewhere.
    #[error("`{key}` moved to `{to}` ({origin}): write it there")]
    Moved {
        /// Where it was.
        key: &'static str,
        /// Where it is.
        to: &'static str,
        /// Where it is written.
        origin: Origin,
    },
    /// A configuration of another family.
    #[error("the configuration is of the family `{given}` ({origin}), not of `{expected}`")]
    OtherFamily {
        /// Its family.
        given: String,
        /// Where it says so.
        origin: Origin,
        /// The family that was asked for.
        expected: &'static str,
    },
    /// A key that the schema does not have.
    #[error("unknown key `{key}` ({origin}); {}", suggest::hint(nearest.as_deref(), valid))]
    UnknownKey {
        /// The key's full path.
        key: String,
        /// Where it is written.
        origin: Origin,
        /// The full path of the most similar valid key, if one is similar.
        nearest: Option<String>,
        /// The keys that its table may hold.
        valid: Box<[String]>,
    },
    /// A name that is none of the possible ones, such as a misspelt `type`.
    #[error("`{key}` cannot be \"{given}\" ({origin}); {}", suggest::hint(nearest.as_deref(), valid))]
    UnknownName {
        /// The key's full path.
        key: String,
        /// Where it is written.
        origin: Origin,
        /// The name it was given.
        given: Box<str>,
        /// The most similar valid name, if one is similar.
        nearest: Option<String>,
        /// All valid names.
        valid: Box<[String]>,
    },
    /// A value of the wrong type, or outside of what its type can hold.
    #[error(
        "`{key}` should be {expected}, but is {given} ({origin}){}",
        suggest::requoted(key, origin, expected, given)
    )]
    WrongValue {
        /// The key's full path.
        key: String,
        /// Where it is written.
        origin: Origin,
        /// What the schema asks for.
        expected: String,
        /// What was given.
        given: String,
    },
    /// A key without default that no layer sets.
    #[error("`{key}` is required and nothing sets it{}", suggest::in_table(table))]
    Missing {
        /// The key's full path.
        key: String,
        /// Where the table that lacks it is written.
        table: Origin,
    },
    /// The schema refused a value for a reason of its own.
    #[error("`{key}`: {problem} ({origin})")]
    Refused {
        /// The key's full path; empty for the whole configuration.
        key: String,
        /// Where it is written.
        origin: Origin,
        /// The schema's reason.
        problem: String,
    },
    /// The resolved configuration has no TOML form, such as an integer above 2^63.
    #[error("the resolved configuration cannot be written as TOML: {problem}")]
    Unwritable {
        /// The writer's reason.
        problem: String,
    },
}

/// A configuration as TOML, with its family above it.
pub(crate) fn written(config: &impl Serialize, family: Option<&str>) -> Result<String, ConfigError> {
    let text = toml::to_string(config).map_err(|error| ConfigError::Unwritable {
        problem: error.to_string(),
    })?;
    Ok(match family {
        Some(family) => format!("{FAMILY} = {}\n\n{text}", toml::Value::from(family)),
        None => text,
    })
}

/// The key above all tables that says which family's configuration it is; of no schema.
pub(crate) const FAMILY: &str = "family";

/// The family of a configuration that says none: once there was no other.
pub(crate) const FIRST_FAMILY: &str = "language";

/// A configuration read from layers.
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
        // The writer takes integers that the reader then refuses: a run that could not be resumed.
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
    /// The complete configuration as TOML: every value, those the schema filled in too. TOML has no null,
    /// so an optional value that is absent is absent here.
    pub fn to_toml(&self) -> &str {
        &self.complete
    }

    /// The complete configuration with the origin of every value, for `--print-config`: the lines of
    /// [`to_toml`](Self::to_toml), each value followed by `# origin`. It is TOML still.
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

    /// Where the value at a dotted path was last set.
    pub fn origin(&self, key: &str) -> Origin {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.tree.origin_of(&path)
    }

    /// The origin of the value that ends on each line of the complete configuration.
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
