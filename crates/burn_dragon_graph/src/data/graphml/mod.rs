//! Graphs as GraphML: classes, parts and features are values of keys.
//!
//! ```xml
//! <graphml>
//!   <key id="d0" for="node" attr.name="topic" attr.type="string"/>
//!   <graph edgedefault="undirected">
//!     <node id="a"><data key="d0">logic</data></node>
//!     <node id="b"/>
//!     <edge source="a" target="b"/>
//!   </graph>
//! </graphml>
//! ```

mod document;
mod xml;

use self::document::{Document, Finite, Key, Kind, Read, Value, Values};
use super::tsv::MOST;
use super::{Data, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use burn_dragon_core::api::expert::derive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Without parts, one of this many labels is held out.
const HELD_OUT: u64 = 10;
/// Number of features of a float.
const RANKS: usize = 16;

/// Graphs as GraphML: the keys of `[dataset]` where `type = "graphml"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GraphmlConfig {
    /// File with one graph or several. The source of a directed edge reads its target. Keys of edges are not used.
    pub path: PathBuf,
    /// Name of the key with the class, a boolean, an int or a string. If it is one of nodes, nodes are classified; if it is
    /// one of graphs, graphs. What lacks it has no label.
    pub label: String,
    /// Name of the key with the part: `train`, `val`, `test` or `none`. It belongs to what has the class. If absent, one label
    /// in ten is held out for validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// Names of the keys of nodes that are features; if absent, all keys of nodes but class and part. A boolean is a feature
    /// where it is true, an int and a string are a feature for each value, and a float is one of 16 features by its rank
    /// among the values of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
}

/// Numbers of the keys that are used.
struct Used {
    label: usize,
    part: Option<usize>,
    features: Vec<usize>,
    /// Whether classes are those of nodes.
    of_nodes: bool,
}

impl GraphmlConfig {
    pub(super) fn load(&self) -> Result<Data, GraphError> {
        let text = std::fs::read_to_string(&self.path).map_err(|source| GraphError::Read {
            path: self.path.clone(),
            source,
        })?;
        let document = xml::root_of(&text).and_then(|root| Document::of(&root));
        let document = document.map_err(|fault| GraphError::Line {
            path: self.path.clone(),
            line: fault.line,
            reason: fault.reason,
        })?;
        self.data(&document)
    }

    fn data(&self, document: &Document) -> Result<Data, GraphError> {
        let used = self.used(document)?;
        let coding = Coding::of(document, &used.features);
        let classes = classes(document, &used);
        if coding.features > MOST || classes.len() > MOST {
            let (features, classes) = (coding.features, classes.len());
            return Err(GraphError::Graph(format!(
                "{}: there are {features} features and {classes} classes; expected at most {MOST} of each",
                self.path.display()
            )));
        }
        let mut parts: [Vec<Example>; 3] = Default::default();
        let mut labels = 0;
        for graph in &document.graphs {
            let features = graph.nodes.iter().map(|node| coding.features_of(document, node));
            let made = Arc::new(Graph::new(graph.edges.clone(), features.collect())?);
            let own = if used.of_nodes {
                &graph.nodes
            } else {
                std::slice::from_ref(&graph.values)
            };
            let own = own
                .iter()
                .map(|values| self.labelled(document, &used, values, &classes, &mut labels));
            let own = own.collect::<Result<Vec<_>, GraphError>>()?;
            for (part, examples) in parts.iter_mut().enumerate() {
                let graph = Arc::clone(&made);
                let labels = labels_of(&own, part, used.of_nodes);
                examples.extend(labels.map(|labels| Example { graph, labels }));
            }
        }
        let [train, validation, test] = parts;
        let names = classes.keys().map(ToString::to_string).collect();
        Ok(Data {
            train,
            validation,
            test,
            schema: Schema {
                features: coding.features.max(1),
                classes: names,
                target: if used.of_nodes {
                    Target::Nodes
                } else {
                    Target::Graphs
                },
            },
        })
    }

    /// Class and number of the part of a node or a graph, if it has both. `labels` counts what has a class.
    fn labelled(
        &self,
        document: &Document,
        used: &Used,
        values: &Values,
        classes: &BTreeMap<&Value, u32>,
        labels: &mut u64,
    ) -> Result<Option<(u32, usize)>, GraphError> {
        let Some(class) = document.value(used.label, values) else {
            return Ok(None);
        };
        let (class, index) = (classes[class], *labels);
        *labels += 1;
        let Some(part) = used.part else {
            let held_out = derive(0, "graph.held_out", index, 0).is_multiple_of(HELD_OUT);
            return Ok(Some((class, usize::from(held_out))));
        };
        let given = document.value(part, values).map(ToString::to_string);
        let names = ["train", "val", "test"];
        match given.as_deref() {
            None | Some("none") => Ok(None),
            Some(given) => match names.iter().position(|name| *name == given) {
                Some(part) => Ok(Some((class, part))),
                None => Err(GraphError::Graph(format!(
                    "{}: a part is `{given}`; expected train, val, test or none",
                    self.path.display()
                ))),
            },
        }
    }

    fn used(&self, document: &Document) -> Result<Used, GraphError> {
        let label = one(document, "dataset.label", &self.label, &["node", "graph"])?;
        let of_nodes = document.keys[label].fits("node");
        let own = if of_nodes { "node" } else { "graph" };
        let part = self.part.as_deref();
        let part = part
            .map(|part| one(document, "dataset.part", part, &[own]))
            .transpose()?;
        let refuse = |key, number: usize, expected: &str| {
            let given = document.keys[number].kind.name();
            let reason = format!("names a key of the type {given}; expected {expected}");
            Err(GraphError::Config { key, reason })
        };
        if document.keys[label].kind == Kind::Float {
            return refuse("dataset.label", label, "boolean, int, long or string");
        }
        if let Some(part) = part.filter(|part| document.keys[*part].kind != Kind::Text) {
            return refuse("dataset.part", part, "string");
        }
        let features = match &self.features {
            Some(names) => {
                let named = names
                    .iter()
                    .map(|name| one(document, "dataset.features", name, &["node"]));
                named.collect::<Result<Vec<_>, _>>()?
            }
            None => {
                let all = document.keys.iter().enumerate().filter(|(number, key)| {
                    key.fits("node") && key.kind != Kind::Foreign && *number != label && Some(*number) != part
                });
                all.map(|(number, _)| number).collect()
            }
        };
        if features.contains(&label) {
            let reason = format!("has `{}`, which is the class; expected other keys", self.label);
            return Err(GraphError::Config {
                key: "dataset.features",
                reason,
            });
        }
        Ok(Used {
            label,
            part,
            features,
            of_nodes,
        })
    }
}

/// Number of the key of this name that one of these elements can have.
fn one(document: &Document, setting: &'static str, name: &str, of: &[&str]) -> Result<usize, GraphError> {
    let fits = |key: &Key| key.kind != Kind::Foreign && of.iter().any(|of| key.fits(of));
    let keys: Vec<(usize, &Key)> = document
        .keys
        .iter()
        .enumerate()
        .filter(|(_, key)| fits(key))
        .collect();
    let named: Vec<usize> = keys
        .iter()
        .filter(|(_, key)| key.name == name)
        .map(|(number, _)| *number)
        .collect();
    let of = of.join(" or ");
    let reason = match named[..] {
        [one] => return Ok(one),
        [] => {
            let known: Vec<&str> = keys.iter().map(|(_, key)| key.name.as_str()).collect();
            format!(
                "is `{name}`, but no key of a {of} has this name; there are: {}",
                known.join(", ")
            )
        }
        _ => format!(
            "is `{name}`, but {} keys of a {of} have this name; expected one",
            named.len()
        ),
    };
    Err(GraphError::Config { key: setting, reason })
}

/// Labels of a part, where each node, or the graph alone, has a class and the number of its part; `None` if none has.
fn labels_of(own: &[Option<(u32, usize)>], part: usize, of_nodes: bool) -> Option<Labels> {
    let classes = own
        .iter()
        .map(|label| label.filter(|(_, of)| *of == part).map(|(class, _)| class));
    let classes: Vec<Option<u32>> = classes.collect();
    let first = classes.iter().flatten().next().copied()?;
    Some(if of_nodes {
        Labels::Nodes(classes)
    } else {
        Labels::Graph(first)
    })
}

/// Classes with their numbers, in rising order of all that occur.
fn classes<'a>(document: &'a Document, used: &Used) -> BTreeMap<&'a Value, u32> {
    let of = |graph: &'a Read| {
        if used.of_nodes {
            &graph.nodes[..]
        } else {
            std::slice::from_ref(&graph.values)
        }
    };
    let all = document.graphs.iter().flat_map(of);
    numbered(all.filter_map(|values| document.value(used.label, values)))
}

fn numbered<'a>(values: impl Iterator<Item = &'a Value>) -> BTreeMap<&'a Value, u32> {
    let values: BTreeSet<&Value> = values.collect();
    (0..).zip(values).map(|(number, value)| (value, number)).collect()
}

/// Features of the values of keys.
struct Coding<'a> {
    /// Keys, each with its first feature.
    keys: Vec<(usize, u32, OfKey<'a>)>,
    /// Number of all features.
    features: usize,
}

/// Features of the values of a key.
enum OfKey<'a> {
    /// One, where the value is true.
    True,
    /// One for each value.
    Values(BTreeMap<&'a Value, u32>),
    /// One for each range of values. These are the least values of the ranges after the first.
    Ranks(Vec<Finite>),
}

impl<'a> Coding<'a> {
    fn of(document: &'a Document, keys: &[usize]) -> Self {
        let mut coding = Self {
            keys: Vec::new(),
            features: 0,
        };
        for &key in keys {
            let nodes = document.graphs.iter().flat_map(|graph| &graph.nodes);
            let values = nodes.filter_map(|node| document.value(key, node));
            let (of, features) = match document.keys[key].kind {
                Kind::Boolean => (OfKey::True, 1),
                Kind::Float => {
                    let ranks = ranks(values);
                    let features = ranks.len() + 1;
                    (OfKey::Ranks(ranks), features)
                }
                Kind::Int | Kind::Text | Kind::Foreign => {
                    let values = numbered(values);
                    let features = values.len();
                    (OfKey::Values(values), features)
                }
            };
            coding.keys.push((key, coding.features as u32, of));
            coding.features += features;
        }
        coding
    }

    /// Active features of a node, ascending.
    fn features_of(&self, document: &Document, node: &Values) -> Vec<u32> {
        let feature = |(key, first, of): &(usize, u32, OfKey<'_>)| {
            let value = document.value(*key, node)?;
            let own = match (of, value) {
                (OfKey::True, value) => (*value == Value::Boolean(true)).then_some(0)?,
                (OfKey::Values(values), value) => values[value],
                (OfKey::Ranks(ranks), Value::Float(value)) => {
                    ranks.partition_point(|least| least <= value) as u32
                }
                (OfKey::Ranks(_), _) => return None,
            };
            Some(first + own)
        };
        self.keys.iter().filter_map(feature).collect()
    }
}

/// Least values of the ranges after the first, each of which has an equal share of the values.
fn ranks<'a>(values: impl Iterator<Item = &'a Value>) -> Vec<Finite> {
    let numbers = values.filter_map(|value| match value {
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
    fn name(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Float => "float",
            Self::Text => "string",
            Self::Foreign => "none",
        }
    }
}

#[cfg(test)]
mod tests;
