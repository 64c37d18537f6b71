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

mod coding;
mod document;
mod xml;

pub use self::coding::GraphmlCoding;
use self::document::{Document, Key, Kind, Read, Value, Values};
use super::tsv::MOST;
use super::{Data, Numbered, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use burn_dragon_core::api::expert::derive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Without parts, one of this many labels is held out.
const HELD_OUT: u64 = 10;

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
        let document = document_of(&self.path)?;
        self.data(&document)
    }

    fn data(&self, document: &Document) -> Result<Data, GraphError> {
        let used = self.used(document)?;
        let coding = GraphmlCoding::of(document, &used.features);
        let classes = classes(document, &used);
        let (count, known) = (coding.features(), classes.len());
        if count > MOST || known > MOST {
            return Err(GraphError::Graph(format!(
                "{}: there are {count} features and {known} classes; expected at most {MOST} of each",
                self.path.display()
            )));
        }
        let mut parts: [Vec<Example>; 3] = Default::default();
        let mut labels = 0;
        for graph in &document.graphs {
            let features = graph
                .nodes
                .iter()
                .map(|node| coding.features_of(document, &used.features, node));
            let features = features
                .collect::<Result<Vec<_>, _>>()
                .map_err(GraphError::Graph)?;
            let made = Arc::new(Graph::new(graph.edges.clone(), features)?);
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
                features: count.max(1),
                classes: names,
                target: if used.of_nodes {
                    Target::Nodes
                } else {
                    Target::Graphs
                },
                coding: Some(coding),
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

/// Graphs of a file, numbered from 1, with the features that a model was trained with; or what is wrong with a graph.
///
/// # Errors
/// If the file cannot be read, is no GraphML, or lacks a key of the coding.
pub(crate) fn graphs_of_file(path: &Path, coding: &GraphmlCoding) -> Result<Numbered<Graph>, GraphError> {
    let document = document_of(path)?;
    let keys = coding.keys_in(&document);
    let keys = keys.map_err(|reason| GraphError::Graph(format!("{}: {reason}", path.display())))?;
    let graph = |(index, read): (usize, &Read)| {
        let node = |(number, values): (usize, &Values)| {
            let features = coding.features_of(&document, &keys, values);
            features.map_err(|reason| format!("node {number}: {reason}"))
        };
        let features: Result<Vec<_>, String> = read.nodes.iter().enumerate().map(node).collect();
        let graph = features
            .and_then(|features| Graph::new(read.edges.clone(), features).map_err(|error| error.to_string()));
        (index + 1, graph)
    };
    Ok(document.graphs.iter().enumerate().map(graph).collect())
}

/// Document of a file.
fn document_of(path: &Path) -> Result<Document, GraphError> {
    let text = std::fs::read_to_string(path).map_err(|source| GraphError::Read {
        path: path.into(),
        source,
    })?;
    let document = xml::root_of(&text).and_then(|root| Document::of(&root));
    document.map_err(|fault| GraphError::Line {
        path: path.into(),
        line: fault.line,
        reason: fault.reason,
    })
}

#[cfg(test)]
mod tests;
