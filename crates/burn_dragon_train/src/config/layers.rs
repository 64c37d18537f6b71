//! Layers of a configuration, from the weakest to the strongest.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use burn_dragon_checkpoint::api::expert::{Foreign, plain};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Value;

use super::origin::{Kind, MAX_DEPTH, Node, Origin};
use super::{ConfigError, FAMILY, FIRST_FAMILY, Resolved, faults, json, suggest};
use crate::keys::{MovedKey, flat_values};

/// Collection of layers. A later layer overrides the earlier ones.
///
/// Tables merge key by key; scalars and arrays are replaced; a table whose `type` (or `method`)
/// changes replaces the earlier one whole.
///
/// ```
/// use burn_dragon_train::api::Layers;
///
/// let resolved = Layers::new()
///     .embedded("config/language/base.toml", "[training]\nmax_steps = 1000\n")?
///     .assignment("training.max_steps=100")?
///     .resolve::<toml::Table>()?;
/// assert_eq!(resolved.value["training"]["max_steps"].as_integer(), Some(100));
/// # Ok::<(), burn_dragon_train::api::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Layers {
    merged: Node,
    /// Consecutive assignments form one layer. Otherwise `s.gamma=0.5 s.type=step` would lose the first value when the
    /// second replaces the table.
    assigned: Node,
}

impl Default for Layers {
    fn default() -> Self {
        Self {
            merged: Node::empty(),
            assigned: Node::empty(),
        }
    }
}

impl Layers {
    /// An empty collection: every value is the default of the schema.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a text compiled into the program. `name` stands for the file in errors. The text cannot use `extends`,
    /// since it is in no folder.
    pub fn embedded(self, name: &str, text: &str) -> Result<Self, ConfigError> {
        let node = parse(name, text)?;
        if let Some(extends) = node.get("extends") {
            let problem = "an embedded configuration cannot extend a file";
            return Err(ConfigError::Extends {
                origin: extends.origin.clone(),
                problem: problem.into(),
            });
        }
        Ok(self.layer(node))
    }

    /// Adds a file, after the files it `extends`.
    pub fn file(self, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let mut reading = Reading::default();
        let node = reading.file(path.as_ref())?;
        Ok(self.layer(node))
    }

    /// Adds the configuration of a run. A file of an earlier version, which has no `family`, is read with its keys
    /// renamed to the current ones.
    ///
    /// # Errors
    /// As for [`file`](Self::file).
    pub fn run_file(self, path: impl AsRef<Path>, moved: &[MovedKey]) -> Result<Self, ConfigError> {
        let mut node = Reading::default().file(path.as_ref())?;
        if node.get(FAMILY).is_none() {
            moved.iter().for_each(|key| node.rename(key.from, key.to));
        }
        Ok(self.layer(node))
    }

    /// Adds one `key.path=value` from the command line. The value is read as TOML. A text that is not TOML is taken as
    /// a string unchanged, white space included, so `dataset.type=text` needs no quotes.
    pub fn assignment(mut self, text: &str) -> Result<Self, ConfigError> {
        let problem = |problem: &str| ConfigError::Assignment {
            text: text.into(),
            problem: problem.into(),
        };
        let (key, value) = text.split_once('=').ok_or_else(|| problem("there is no `=`"))?;
        let keys: Vec<&str> = key.split('.').map(str::trim).collect();
        if keys.iter().any(|key| key.is_empty()) {
            return Err(problem("the key, or a part of it between dots, is empty"));
        }
        if keys.len() > MAX_DEPTH {
            return Err(problem("the key has more parts than any schema is deep"));
        }
        let node = Node::uniform(assigned_value(value), &Origin::CommandLine);
        self.assigned.overlay(node.under(keys.into_iter()));
        Ok(self)
    }

    /// Adds one value from another place in the program. `origin` names the place, such as `--max-steps`; `key` is a
    /// dotted path.
    pub fn value(self, origin: &str, key: &str, value: impl Into<Value>) -> Self {
        let node = Node::uniform(value.into(), &Origin::Named(origin.into()));
        self.layer(node.under(key.split('.')))
    }

    /// Whether one of the assignments since the last other layer sets a key, given as a dotted path.
    pub fn assigns(&self, key: &str) -> bool {
        let path: Vec<String> = key.split('.').map(str::to_owned).collect();
        self.assigned.at(&path).is_some()
    }

    /// Values of the layers so far, by full key, as they were given. A list is one value.
    pub fn given(&self) -> BTreeMap<String, serde_json::Value> {
        flat_values(&self.clone().flatten().to_value())
    }

    /// Removes a key, given as a dotted path, from the layers so far: its default applies again.
    pub fn without(self, key: &str) -> Self {
        let mut merged = self.flatten();
        merged.remove(key.split('.'));
        Self {
            merged,
            assigned: Node::empty(),
        }
    }

    /// Reads the merged layers as `T`.
    ///
    /// `T` and every table inside it should carry `#[serde(deny_unknown_fields)]`: serde, not this
    /// function, knows which keys exist.
    pub fn resolve<T: DeserializeOwned + Serialize>(self) -> Result<Resolved<T>, ConfigError> {
        read(self.flatten(), None)
    }

    /// Family of the layers so far, and the place where it is set.
    ///
    /// # Errors
    /// If `family` is not text.
    pub fn family(&self) -> Result<Option<(String, Origin)>, ConfigError> {
        family_of(&self.clone().flatten())
    }

    /// Reads the merged layers as the configuration of a family. Layers without `family` are from the time when there
    /// was only one.
    ///
    /// # Errors
    /// As for [`resolve`](Self::resolve); if the layers are of another family, or have a key that has moved.
    pub(crate) fn resolve_as<T: DeserializeOwned + Serialize>(
        self,
        family: &'static str,
        moved: &[MovedKey],
    ) -> Result<Resolved<T>, ConfigError> {
        read_as(self.flatten(), family, moved)
    }

    /// All faults of the merged layers as the configuration of a family, and the configuration if there are none.
    pub(crate) fn faults_as<T: DeserializeOwned + Serialize>(
        self,
        family: &'static str,
        moved: &[MovedKey],
    ) -> Result<Resolved<T>, Vec<ConfigError>> {
        faults::collect(self.flatten(), |tree| read_as(tree, family, moved))
    }

    fn layer(self, node: Node) -> Self {
        let mut merged = self.flatten();
        merged.overlay(node);
        Self {
            merged,
            assigned: Node::empty(),
        }
    }

    fn flatten(self) -> Node {
        let mut merged = self.merged;
        merged.overlay(self.assigned);
        merged
    }
}

/// Reads a tree as the configuration of a family.
fn read_as<T: DeserializeOwned + Serialize>(
    tree: Node,
    family: &'static str,
    moved: &[MovedKey],
) -> Result<Resolved<T>, ConfigError> {
    if let Some((given, origin)) = family_of(&tree)?.filter(|(given, _)| given != family) {
        let expected = family;
        return Err(ConfigError::OtherFamily {
            given,
            origin,
            expected,
        });
    }
    for key in moved {
        let path: Vec<String> = key.from.split('.').map(str::to_owned).collect();
        if let Some(node) = tree.at(&path) {
            return Err(ConfigError::Moved {
                key: key.from,
                to: key.to,
                origin: node.origin.clone(),
            });
        }
    }
    read(tree, Some(family))
}

/// Family of a tree, and the place where it is set.
fn family_of(tree: &Node) -> Result<Option<(String, Origin)>, ConfigError> {
    let Some(node) = tree.get(FAMILY) else {
        return Ok(None);
    };
    match node.to_value() {
        Value::String(name) => Ok(Some((name, node.origin.clone()))),
        other => Err(ConfigError::WrongValue {
            key: FAMILY.into(),
            origin: node.origin.clone(),
            expected: "the name of a family".into(),
            given: other.type_str().into(),
        }),
    }
}

/// Reads a tree as a configuration: of a family, if it is that of a run.
fn read<T: DeserializeOwned + Serialize>(
    tree: Node,
    family: Option<&str>,
) -> Result<Resolved<T>, ConfigError> {
    let mut schema = tree.clone();
    if family.is_some() {
        schema.remove(std::iter::once(FAMILY)); // chooses the schema, and is not a key of it
    }
    let mut tree = tree;
    loop {
        let read = serde_path_to_error::deserialize(schema.to_value());
        let error = match read {
            Ok(value) => return Resolved::new(value, tree, family),
            Err(error) => suggest::explain(&error, &schema),
        };
        // A lone string where a list is expected is a list of one.
        match suggest::lone_string(&error) {
            Some(path) if schema.make_list(&path) => drop(tree.make_list(&path)),
            _ => return Err(error),
        }
    }
}

/// Family of the configuration in a run.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn family_of_run(path: &Path) -> Result<String, ConfigError> {
    let said = Layers::new().file(path)?.family()?;
    Ok(said.map_or_else(|| FIRST_FAMILY.into(), |(name, _)| name))
}

/// Limit on the size of a configuration file in bytes, far above any hand-written one.
const MAX_FILE: u64 = 256 << 10;

/// Limit on the number of files in a layer. A file counts each time that it is extended: two files that name each other
/// twice would give a huge number.
const MAX_FILES: usize = 256;

/// Files that are being read.
#[derive(Default)]
struct Reading {
    /// Files that are open now, outermost first: the real path of each, and the path as it was written.
    open: Vec<(PathBuf, PathBuf)>,
    /// Number of files read so far.
    files: usize,
}

impl Reading {
    /// Reads a file on top of the files that it extends.
    fn file(&mut self, path: &Path) -> Result<Node, ConfigError> {
        let unreadable = |source| ConfigError::Read {
            path: path.into(),
            source,
        };
        let identity = fs::canonicalize(path).map_err(unreadable)?;
        let seen = self.open.iter().position(|(known, _)| *known == identity);
        self.open.push((identity, path.into()));
        if let Some(first) = seen {
            return Err(ConfigError::Cycle {
                chain: self.open[first..]
                    .iter()
                    .map(|(_, shown)| shown.clone())
                    .collect(),
            });
        }
        self.files += 1;
        let text = text(path)?;
        let mut node = parse(&path.display().to_string(), &text)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut merged = Node::empty();
        let (parents, origin) = take_extends(&mut node)?;
        for parent in parents {
            if self.files == MAX_FILES || self.open.len() == MAX_DEPTH {
                let problem = format!(
                    "a configuration can extend at most {MAX_FILES} files in all, at most {MAX_DEPTH} deep"
                );
                return Err(ConfigError::Extends { origin, problem });
            }
            merged.overlay(self.file(&folder.join(parent))?);
        }
        merged.overlay(node);
        self.open.pop();
        Ok(merged)
    }
}

/// Table of a text: JSON if the name ends so, else TOML.
fn parse(name: &str, text: &str) -> Result<Node, ConfigError> {
    let ending = Path::new(name).extension();
    match ending.is_some_and(|ending| ending.eq_ignore_ascii_case("json")) {
        true => json::parse(name, text),
        false => Node::parse(name, text),
    }
}

/// Text of a file, without a byte-order mark.
fn text(path: &Path) -> Result<String, ConfigError> {
    let unreadable = |source| ConfigError::Read {
        path: path.into(),
        source,
    };
    let bytes = plain::read(path, MAX_FILE).map_err(unreadable)?;
    if let Some(encoding) = Foreign::of(&bytes) {
        return Err(ConfigError::Encoding {
            path: path.into(),
            encoding,
        });
    }
    plain::text(bytes).map_err(unreadable)
}

/// Removes the key `extends`. Returns the files that it names, and its origin.
fn take_extends(node: &mut Node) -> Result<(Vec<String>, Origin), ConfigError> {
    let extends = match &mut node.kind {
        Kind::Table(entries) => entries.remove("extends"),
        _ => None,
    };
    let Some(extends) = extends else {
        return Ok((Vec::new(), Origin::Default));
    };
    let names = match extends.to_value() {
        Value::String(name) => Some(vec![name]),
        Value::Array(items) => items
            .into_iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    match names {
        Some(names) => Ok((names, extends.origin)),
        None => Err(ConfigError::Extends {
            origin: extends.origin,
            problem: "`extends` is a file name or a list of file names".into(),
        }),
    }
}

fn assigned_value(text: &str) -> Value {
    let parsed = toml::from_str::<toml::Table>(&format!("value = {}", text.trim())).ok();
    match parsed
        .filter(|table| table.len() == 1)
        .and_then(|mut table| table.remove("value"))
    {
        // Our schemas have no dates; a bare 2026-11-20 is a name.
        Some(Value::Datetime(_)) | None => Value::String(text.into()),
        Some(value) => value,
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
