//! Configuration values with their origins.
//!
//! A [`Node`] is a TOML value with an [`Origin`] at every key. So an error can point at the line that caused it, and
//! `--print-config` can show the origin of each value, after any number of layers were merged.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use toml::Value;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// Limit on the depth of tables and lists, and of files that extend each other. Our schemas have at most five levels.
pub(super) const MAX_DEPTH: usize = 32;

/// Origin of a configuration value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Default of the schema.
    Default,
    /// Line of a file, or of a text compiled into the program under the name of a file.
    Line {
        /// Path of the file, as given.
        file: String,
        /// Line of the key, from 1.
        line: usize,
    },
    /// Argument `key=value`.
    CommandLine,
    /// Named place, such as the flag `--max-steps`.
    Named(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line { file, line } => write!(f, "{file}:{line}"),
            Self::CommandLine => f.write_str("command line"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// Value of the merged configuration, and its origin.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) origin: Origin,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Value other than a table or an array.
    Scalar(Value),
    /// Array. Its items are nodes, because an array of tables can hold a wrong key too.
    Array(Vec<Node>),
    Table(BTreeMap<String, Node>),
}

impl Node {
    /// An empty table.
    pub(super) fn empty() -> Self {
        Self {
            origin: Origin::Default,
            kind: Kind::Table(BTreeMap::new()),
        }
    }

    /// Table of a TOML text. `name` is the name of the file in origins and errors.
    pub(super) fn parse(name: &str, text: &str) -> Result<Self, ConfigError> {
        let syntax = |error: toml::de::Error| {
            let (line, column) = position(text, error.span().map_or(0, |span| span.start));
            ConfigError::Syntax {
                format: "TOML",
                file: name.into(),
                line,
                column,
                message: error.message().into(),
            }
        };
        // The text is read twice: once for plain values, once for the position of every key.
        let text = with_numbers_in_quotes(text);
        let values: toml::Table = toml::from_str(&text).map_err(syntax)?;
        let places = DeTable::parse(&text).map_err(syntax)?.into_inner();
        let lines = Lines::of(name, &text);
        Ok(Self {
            origin: lines.at(0),
            kind: lines.table(values, &places),
        })
    }

    /// A value with the same origin everywhere.
    pub(super) fn uniform(value: Value, origin: &Origin) -> Self {
        let kind = match value {
            Value::Table(table) => Kind::Table(
                table
                    .into_iter()
                    .map(|(key, value)| (key, Self::uniform(value, origin)))
                    .collect(),
            ),
            Value::Array(items) => Kind::Array(
                items
                    .into_iter()
                    .map(|item| Self::uniform(item, origin))
                    .collect(),
            ),
            scalar => Kind::Scalar(scalar),
        };
        Self {
            origin: origin.clone(),
            kind,
        }
    }

    /// This node under a path of keys: `a.b` wraps it in a table `a` that holds `b`.
    pub(super) fn under<'a>(self, keys: impl DoubleEndedIterator<Item = &'a str>) -> Self {
        keys.rev().fold(self, |node, key| Self {
            origin: node.origin.clone(),
            kind: Kind::Table(BTreeMap::from([(key.to_owned(), node)])),
        })
    }

    /// Overlays `upper` on this node. Tables are merged key by key; anything else is replaced. A table whose `type`
    /// changes is replaced too, since the keys of the old type do not apply to the new one.
    pub(super) fn overlay(&mut self, upper: Self) {
        if self
            .type_name()
            .zip(upper.type_name())
            .is_some_and(|(old, new)| old != new)
        {
            *self = upper;
            return;
        }
        match (&mut self.kind, upper.kind) {
            (Kind::Table(lower), Kind::Table(entries)) => {
                self.origin = upper.origin;
                for (key, node) in entries {
                    match lower.get_mut(&key) {
                        Some(below) => below.overlay(node),
                        None => drop(lower.insert(key, node)),
                    }
                }
            }
            (_, kind) => {
                *self = Self {
                    origin: upper.origin,
                    kind,
                }
            }
        }
    }

    /// Makes the string at a path a list of one. Returns whether there was a string.
    pub(super) fn make_list(&mut self, path: &[String]) -> bool {
        let Some((key, rest)) = path.split_first() else {
            let is_string = matches!(self.kind, Kind::Scalar(Value::String(_)));
            if is_string {
                self.kind = Kind::Array(vec![self.clone()]);
            }
            return is_string;
        };
        match &mut self.kind {
            Kind::Table(entries) => entries.get_mut(key).is_some_and(|node| node.make_list(rest)),
            Kind::Array(items) => {
                let item = key.parse().ok().and_then(|place: usize| items.get_mut(place));
                item.is_some_and(|node| node.make_list(rest))
            }
            Kind::Scalar(_) => false,
        }
    }

    /// Removes the node at a path of keys, and returns it.
    pub(super) fn remove<'a>(&mut self, mut keys: impl Iterator<Item = &'a str>) -> Option<Self> {
        let (Some(key), Kind::Table(entries)) = (keys.next(), &mut self.kind) else {
            return None;
        };
        let mut rest = keys.peekable();
        if rest.peek().is_none() {
            return entries.remove(key);
        }
        let below = entries.get_mut(key)?;
        below.remove(&mut rest as &mut dyn Iterator<Item = &'a str>)
    }

    /// Moves the node at one dotted path to another, with its origins. A node that is already there wins.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        if let Some(moved) = self.remove(from.split('.')) {
            let mut renamed = moved.under(to.split('.'));
            std::mem::swap(self, &mut renamed);
            self.overlay(renamed);
        }
    }

    fn type_name(&self) -> Option<&str> {
        match &self.get("type").or_else(|| self.get("method"))?.kind {
            Kind::Scalar(Value::String(name)) => Some(name),
            _ => None,
        }
    }

    /// Child of a table by key, or of an array by index.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Table(entries) => entries.get(key),
            Kind::Array(items) => items.get(key.parse::<usize>().ok()?),
            Kind::Scalar(_) => None,
        }
    }

    /// Node at a path of keys.
    pub(super) fn at(&self, path: &[String]) -> Option<&Self> {
        path.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Origin of the value at `path`. Items of an array that was set as a whole have the origin of the array.
    pub(super) fn origin_of(&self, path: &[String]) -> Origin {
        let mut node = self;
        for key in path {
            match (node.get(key), &node.kind) {
                (Some(child), _) => node = child,
                (None, Kind::Table(_)) => return Origin::Default,
                (None, _) => break,
            }
        }
        node.origin.clone()
    }

    /// Keys (or indices) and children, in order.
    pub(super) fn children(&self) -> Vec<(String, &Self)> {
        match &self.kind {
            Kind::Table(entries) => entries.iter().map(|(key, node)| (key.clone(), node)).collect(),
            Kind::Array(items) => items
                .iter()
                .enumerate()
                .map(|(i, node)| (i.to_string(), node))
                .collect(),
            Kind::Scalar(_) => Vec::new(),
        }
    }

    /// Plain value, without origins.
    pub(super) fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::Array(items) => Value::Array(items.iter().map(Self::to_value).collect()),
            Kind::Table(entries) => Value::Table(
                entries
                    .iter()
                    .map(|(k, node)| (k.clone(), node.to_value()))
                    .collect(),
            ),
        }
    }
}

/// Limit on the number of integers out of TOML's range in a text. Each of them takes one parse of the whole text.
const MOST_NUMBERS: usize = 64;

/// Text in which integers out of TOML's range are quoted, for a schema that can read them. Line numbers do not change.
fn with_numbers_in_quotes(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..MOST_NUMBERS {
        let error = toml::from_str::<toml::Table>(&text).err();
        let Some(quoted) = error.and_then(|error| in_quotes(&text, error.span()?)) else {
            break;
        };
        text = Cow::Owned(quoted);
    }
    text
}

/// Text with the number at this place in quotes, if it is an integer out of TOML's range.
fn in_quotes(text: &str, place: Range<usize>) -> Option<String> {
    let number = text.get(place.clone())?.trim();
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && number.parse::<i64>().is_err())
        .then(|| format!("{}\"{number}\"{}", &text[..place.start], &text[place.end..]))
}

/// Line and column of a byte offset, both from 1. Columns count characters.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

/// Walks the values and the positions of one text in parallel.
pub(super) struct Lines<'a> {
    file: &'a str,
    /// Offsets at which the lines after the first begin.
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(file: &'a str, text: &str) -> Self {
        let starts = text.match_indices('\n').map(|(end, _)| end + 1).collect();
        Self { file, starts }
    }
}

impl Lines<'_> {
    pub(super) fn at(&self, offset: usize) -> Origin {
        Origin::Line {
            file: self.file.into(),
            line: 1 + self.starts.partition_point(|&start| start <= offset),
        }
    }

    fn table(&self, values: toml::Table, places: &DeTable<'_>) -> Kind {
        let mut values = values;
        let entries = places.iter().filter_map(|(key, place)| {
            let name = key.get_ref().to_string();
            let value = values.remove(&name)?;
            let node = Node {
                origin: self.at(key.span().start),
                kind: self.kind(value, place.get_ref()),
            };
            Some((name, node))
        });
        Kind::Table(entries.collect())
    }

    fn kind(&self, value: Value, place: &DeValue<'_>) -> Kind {
        match (value, place) {
            (Value::Table(values), DeValue::Table(places)) => self.table(values, places),
            (Value::Array(values), DeValue::Array(places)) => Kind::Array(
                values
                    .into_iter()
                    .zip(places.iter())
                    .map(|(value, place)| Node {
                        origin: self.at(place.span().start),
                        kind: self.kind(value, place.get_ref()),
                    })
                    .collect(),
            ),
            (scalar, _) => Kind::Scalar(scalar),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Vec<String> {
        text.split('.').map(str::to_owned).collect()
    }

    fn merged(lower: &str, upper: &str) -> Node {
        let mut node = Node::parse("lower", lower).unwrap();
        node.overlay(Node::parse("upper", upper).unwrap());
        node
    }

    #[test]
    fn every_key_remembers_its_line() {
        let node = Node::parse("f", "a = 1\n\n[x.y]\nz = 'q'\n[[w]]\nk = [1, 2]\ni = { j = 3 }\n").unwrap();
        for (key, line) in [
            ("a", 1),
            ("x", 3),
            ("x.y", 3),
            ("x.y.z", 4),
            ("w.0.k", 6),
            ("w.0.i.j", 7),
        ] {
            assert_eq!(
                node.origin_of(&path(key)).to_string(),
                format!("f:{line}"),
                "{key}"
            );
        }
    }

    #[test]
    fn tables_merge_deeply_and_the_later_layer_wins() {
        let node = merged(
            "[t]\na = 1\nb = [1, 2]\n[t.u]\nc = 1",
            "[t]\nb = [3]\n[t.u]\nd = 2",
        );
        assert_eq!(
            node.to_value(),
            toml::from_str("[t]\na = 1\nb = [3]\n[t.u]\nc = 1\nd = 2").unwrap()
        );
        assert_eq!(node.origin_of(&path("t.a")).to_string(), "lower:2");
        assert_eq!(node.origin_of(&path("t.b")).to_string(), "upper:2");
    }

    #[test]
    fn a_changed_type_replaces_the_table_whole() {
        let lower = "[s]\ntype = 'cosine'\nold = 1";
        let same = merged(lower, "[s]\ntype = 'cosine'\nnew = 2");
        assert!(same.at(&path("s.old")).is_some() && same.at(&path("s.new")).is_some());
        let changed = merged(lower, "[s]\ntype = 'step'\nnew = 2");
        assert!(changed.at(&path("s.old")).is_none() && changed.at(&path("s.new")).is_some());
    }

    #[test]
    fn a_table_and_a_scalar_replace_each_other() {
        assert_eq!(
            merged("a = 1", "[a]\nb = 2").to_value(),
            toml::from_str("[a]\nb = 2").unwrap()
        );
        assert_eq!(
            merged("[a]\nb = 2", "a = 1").to_value(),
            toml::from_str("a = 1").unwrap()
        );
    }

    #[test]
    fn an_unset_key_has_the_default_origin_but_array_items_belong_to_their_array() {
        let node = Node::uniform(
            toml::from_str("a = [1]\n[t]\nb = 1").unwrap(),
            &Origin::CommandLine,
        );
        assert_eq!(node.origin_of(&path("t.c")), Origin::Default);
        assert_eq!(node.origin_of(&path("a.7")), Origin::CommandLine);
    }

    #[test]
    fn positions_count_lines_and_characters_from_one() {
        assert_eq!(position("ab\nçd", 0), (1, 1));
        assert_eq!(position("ab\nçd", 5), (2, 2));
        assert_eq!(position("ab", 99), (1, 3));
    }
}
