//! Coding of the values of nodes as features: made from the training data, stored with the model.

use super::document::{Document, Finite, Kind, Value, Values};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Number of features of a float.
pub(super) const RANKS: usize = 16;

/// Keys of nodes in the order of their features, with the values that were numbered in training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GraphmlCoding(Vec<CodedKey>);

/// A key and its features.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CodedKey {
    name: String,
    values: Coded,
}

/// Features of the values of a key, by its type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Coded {
    /// One, where the value is true.
    Boolean,
    /// One for each value, ascending.
    Int(Vec<i64>),
    /// One for each value, ascending.
    String(Vec<String>),
    /// One for each range of values. These are the least values of the ranges after the first, ascending.
    Float(Vec<f64>),
}

impl GraphmlCoding {
    /// Coding of these keys by all values of a document.
    pub(super) fn of(document: &Document, keys: &[usize]) -> Self {
        let key = |&number: &usize| {
            let nodes = document.graphs.iter().flat_map(|graph| &graph.nodes);
            let values: Vec<&Value> = nodes.filter_map(|node| document.value(number, node)).collect();
            let key = &document.keys[number];
            CodedKey {
                name: key.name.clone(),
                values: Coded::of(key.kind, &values),
            }
        };
        Self(keys.iter().map(key).collect())
    }

    /// Number of features.
    pub(super) fn features(&self) -> usize {
        self.0.iter().map(|key| key.values.features()).sum()
    }

    /// Refuses a coding that does not make so many features.
    pub(crate) fn check(&self, features: usize) -> Result<(), String> {
        let coded = self.features().max(1);
        if coded == features {
            return Ok(());
        }
        Err(format!(
            "`coding` makes {coded} features, but there are {features}"
        ))
    }

    /// Numbers of the keys in another document, by name.
    pub(super) fn keys_in(&self, document: &Document) -> Result<Vec<usize>, String> {
        self.0.iter().map(|key| key.number_in(document)).collect()
    }

    /// Active features of a node, ascending; `keys` has the numbers of the keys in the document.
    pub(super) fn features_of(
        &self,
        document: &Document,
        keys: &[usize],
        node: &Values,
    ) -> Result<Vec<u32>, String> {
        let (mut features, mut first) = (Vec::new(), 0);
        for (key, &number) in self.0.iter().zip(keys) {
            if let Some(value) = document.value(number, node) {
                let own = key.values.feature(value).map_err(|()| {
                    format!(
                        "the key `{}` has the value `{value}`, which no node of the training data had; the model knows no \
                         feature for it",
                        key.name
                    )
                })?;
                features.extend(own.map(|own| (first + own) as u32));
            }
            first += key.values.features();
        }
        Ok(features)
    }
}

impl CodedKey {
    /// Number of the one key of nodes with this name and type.
    fn number_in(&self, document: &Document) -> Result<usize, String> {
        let (name, kind) = (&self.name, self.values.kind());
        let named = document
            .keys
            .iter()
            .enumerate()
            .filter(|(_, key)| key.name == *name && key.fits("node") && key.kind != Kind::Foreign);
        let named: Vec<usize> = named.map(|(number, _)| number).collect();
        let expected = format!(
            "the model was trained with `{name}` of the type {}, one key of nodes",
            kind.name()
        );
        match named[..] {
            [one] if document.keys[one].kind == kind => Ok(one),
            [one] => {
                let given = document.keys[one].kind.name();
                Err(format!("the key `{name}` is of the type {given}; {expected}"))
            }
            [] => Err(format!("no key of nodes has the name `{name}`; {expected}")),
            _ => Err(format!(
                "{} keys of nodes have the name `{name}`; {expected}",
                named.len()
            )),
        }
    }
}

impl Coded {
    fn of(kind: Kind, values: &[&Value]) -> Self {
        let different: BTreeSet<&Value> = values.iter().copied().collect();
        let different = different.into_iter();
        match kind {
            Kind::Boolean => Self::Boolean,
            Kind::Float => Self::Float(ranks(values).into_iter().map(|rank| rank.0).collect()),
            Kind::Int => Self::Int(
                different
                    .filter_map(|value| match value {
                        Value::Int(number) => Some(*number),
                        _ => None,
                    })
                    .collect(),
            ),
            Kind::Text | Kind::Foreign => Self::String(different.map(ToString::to_string).collect()),
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Boolean => Kind::Boolean,
            Self::Int(_) => Kind::Int,
            Self::String(_) => Kind::Text,
            Self::Float(_) => Kind::Float,
        }
    }

    fn features(&self) -> usize {
        match self {
            Self::Boolean => 1,
            Self::Int(values) => values.len(),
            Self::String(values) => values.len(),
            Self::Float(ranks) => ranks.len() + 1,
        }
    }

    /// Feature of a value among those of the key, if it has one; an error if the value is not known.
    fn feature(&self, value: &Value) -> Result<Option<usize>, ()> {
        match (self, value) {
            (Self::Boolean, value) => Ok((*value == Value::Boolean(true)).then_some(0)),
            (Self::Int(values), Value::Int(number)) => values.binary_search(number).map(Some).map_err(|_| ()),
            (Self::String(values), Value::Text(text)) => values.binary_search(text).map(Some).map_err(|_| ()),
            (Self::Float(ranks), Value::Float(number)) => {
                Ok(Some(ranks.partition_point(|least| *least <= number.0)))
            }
            _ => Err(()),
        }
    }
}

/// Least values of the ranges after the first, each of which has an equal share of the values.
pub(super) fn ranks(values: &[&Value]) -> Vec<Finite> {
    let numbers = values.iter().filter_map(|value| match value {
        Value::Float(number) => Some(*number),
        _ => None,
    });
    let mut numbers: Vec<Finite> = numbers.collect();
    numbers.sort_unstable();
    let ends = (1..RANKS).filter_map(|rank| numbers.get(rank * numbers.len() / RANKS));
    let mut ends: Vec<Finite> = ends.filter(|end| **end > numbers[0]).copied().collect();
    ends.dedup();
    ends
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Foreign => "none",
        }
    }
}
