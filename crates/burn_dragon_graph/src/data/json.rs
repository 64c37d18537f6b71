//! Graphs as JSON: one object, a list of objects, or an object a line.
//!
//! ```json
//! {"nodes": 3, "edges": [[0, 1], [1, 2]], "features": [[0], [4, 7], []], "labels": [1, null, 0], "part": "train"}
//! ```

use super::generate::source_features;
use super::{Data, Numbered, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use crate::motion::{BodyInputs, Frames};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Largest number of nodes, features and classes.
const MOST: usize = 1 << 20;

/// Graphs as JSON: the keys of `[dataset]` where `type = "json"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonConfig {
    /// File with one graph, a list of graphs, or a graph a line. A graph has `edges`, and if they are needed `nodes` (their
    /// number), `directed`, `features` (a list for each node) or `source`, `label` (its class) or `labels` (a class or null
    /// for each node), and `part` (`train`, `val` or `test`).
    pub path: PathBuf,
}

/// A graph as JSON.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct JsonGraph {
    nodes: Option<usize>,
    edges: Vec<[usize; 2]>,
    #[serde(default)]
    directed: bool,
    features: Option<Vec<Vec<u32>>>,
    source: Option<usize>,
    /// Numbers of each body in each frame: a graph for a model of motion.
    frames: Option<Vec<Vec<Vec<f32>>>>,
    label: Option<u32>,
    labels: Option<Vec<Option<u32>>>,
    part: Option<String>,
}

/// Graphs of a text, each with the number of its line or its place in a list, counted from 1; or why it is none.
pub(crate) fn graphs_of(text: &str) -> Numbered<JsonGraph> {
    let read = |value: serde_json::Value| serde_json::from_value(value).map_err(|error| error.to_string());
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Array(list)) => list
            .into_iter()
            .enumerate()
            .map(|(index, value)| (index + 1, read(value)))
            .collect(),
        Ok(value) => vec![(1, read(value))],
        Err(_) => {
            let lines = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty());
            lines
                .map(|(index, line)| (index + 1, serde_json::from_str(line).map_err(|e| e.to_string())))
                .collect()
        }
    }
}

impl JsonGraph {
    /// The graph, without labels.
    pub(crate) fn graph(&self) -> Result<Graph, GraphError> {
        let refuse = |reason: String| Err(GraphError::Graph(reason));
        if self.frames.is_some() {
            return refuse(
                "it has `frames`, which only a model of motion reads; expected `features` or `source`".into(),
            );
        }
        let named = self.edges.iter().flatten().copied().chain(self.source);
        let seen = named.max().map_or(0, |most| most.saturating_add(1));
        let listed = self.features.as_ref().map(Vec::len);
        let nodes = self.nodes.or(listed).unwrap_or(seen);
        if nodes > MOST || nodes == 0 {
            return refuse(format!("the graph has {nodes} nodes; expected from 1 to {MOST}"));
        }
        let features = match (&self.features, self.source) {
            (Some(_), Some(_)) => return refuse("it has both `features` and `source`; expected one".into()),
            (Some(features), None) if features.len() != nodes => {
                let given = features.len();
                return refuse(format!(
                    "`features` has {given} lists, but there are {nodes} nodes"
                ));
            }
            (Some(features), None) => features.clone(),
            (None, Some(source)) if source >= nodes => {
                return refuse(format!(
                    "the source {source} is no node; there are {nodes}, counted from 0"
                ));
            }
            (None, Some(source)) => source_features(nodes, source),
            (None, None) => return refuse("it has neither `features` nor `source`".into()),
        };
        self.joined(features)
    }

    /// Bodies with their frames, for a model of motion.
    pub(crate) fn bodies(&self, inputs: BodyInputs) -> Result<(Graph, Frames), GraphError> {
        let refuse = |reason: String| Err(GraphError::Graph(reason));
        let Some(frames) = &self.frames else {
            return refuse(format!(
                "it has no `frames`; expected a list of frames, each with {} of every body",
                inputs.names().join(", ")
            ));
        };
        if self.features.is_some() || self.source.is_some() {
            return refuse("it has `features` or `source` beside `frames`; expected `frames` alone".into());
        }
        let (width, bodies) = (inputs.width(), frames.first().map_or(0, Vec::len));
        for (index, frame) in frames.iter().enumerate() {
            if frame.len() != bodies || self.nodes.is_some_and(|nodes| nodes != bodies) {
                let (given, expected) = (frame.len(), self.nodes.unwrap_or(bodies));
                return refuse(format!("frame {index} has {given} bodies; expected {expected}"));
            }
            if let Some(body) = frame.iter().position(|numbers| numbers.len() != width) {
                let given = frame[body].len();
                let names = inputs.names().join(", ");
                return refuse(format!(
                    "frame {index}, body {body} has {given} numbers; expected {width}: {names}"
                ));
            }
        }
        let numbers = frames.iter().flatten().flatten().copied().collect();
        let frames = Frames::new(bodies, inputs, numbers)?;
        Ok((self.joined(vec![Vec::new(); bodies])?, frames))
    }

    /// The edges between nodes with these features.
    fn joined(&self, features: Vec<Vec<u32>>) -> Result<Graph, GraphError> {
        let edges: Vec<(usize, usize)> = self.edges.iter().map(|&[s, t]| (s, t)).collect();
        if self.directed {
            Graph::new(edges, features)
        } else {
            Graph::undirected(&edges, features)
        }
    }

    /// The labels, and the number of the part: training, validation, test.
    fn labels(&self, nodes: usize) -> Result<(Labels, usize), String> {
        let labels = match (&self.labels, self.label) {
            (Some(labels), None) if labels.len() == nodes => Labels::Nodes(labels.clone()),
            (Some(labels), None) => {
                return Err(format!(
                    "`labels` has {} entries, but there are {nodes} nodes",
                    labels.len()
                ));
            }
            (None, Some(label)) => Labels::Graph(label),
            _ => return Err("expected `label` for the graph, or `labels` for its nodes".into()),
        };
        let names = ["train", "val", "test"];
        let part = names.iter().position(|name| self.part.as_deref() == Some(name));
        let given = self.part.as_deref().unwrap_or("absent");
        let part = part.ok_or_else(|| format!("the part is {given}; expected train, val or test"))?;
        Ok((labels, part))
    }
}

impl JsonConfig {
    pub(super) fn load(&self) -> Result<Data, GraphError> {
        let text = std::fs::read_to_string(&self.path).map_err(|source| GraphError::Read {
            path: self.path.clone(),
            source,
        })?;
        let mut reading = Reading {
            parts: Default::default(),
            features: 1,
            classes: 0,
            target: None,
        };
        for (line, graph) in graphs_of(&text) {
            let added = graph.and_then(|graph| reading.add(&graph));
            added.map_err(|reason| GraphError::Line {
                path: self.path.clone(),
                line,
                reason,
            })?;
        }
        let [train, validation, test] = reading.parts;
        Ok(Data {
            train,
            validation,
            test,
            schema: Schema {
                features: reading.features,
                classes: (0..reading.classes).map(|class| class.to_string()).collect(),
                target: reading.target.unwrap_or(Target::Nodes),
                coding: None,
            },
        })
    }
}

/// What was read of a file.
struct Reading {
    /// Training, validation, test.
    parts: [Vec<Example>; 3],
    features: usize,
    classes: usize,
    target: Option<Target>,
}

impl Reading {
    fn add(&mut self, json: &JsonGraph) -> Result<(), String> {
        let graph = json.graph().map_err(|error| error.to_string())?;
        let (labels, part) = json.labels(graph.nodes())?;
        let (target, class) = match &labels {
            Labels::Nodes(labels) => (Target::Nodes, labels.iter().flatten().max().copied()),
            Labels::Graph(label) => (Target::Graphs, Some(*label)),
            Labels::Frames(_) => return Err("frames are no labels".into()),
        };
        if *self.target.get_or_insert(target) != target {
            return Err("some graphs have `label` and others `labels`; expected one of them".into());
        }
        let count = |most: Option<u32>| most.map_or(0, |most| most as usize + 1);
        let (features, classes) = (
            count(graph.features().iter().flatten().max().copied()),
            count(class),
        );
        if features > MOST || classes > MOST {
            return Err(format!("it has a feature or a class above {}", MOST - 1));
        }
        self.features = self.features.max(features);
        self.classes = self.classes.max(classes);
        let graph = Arc::new(graph);
        self.parts[part].push(Example { graph, labels });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Data, GraphError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graphs.json");
        std::fs::write(&path, text).unwrap();
        JsonConfig { path }.load()
    }

    const ONE: &str = r#"{"edges": [[0, 1]], "features": [[0], [4]], "labels": [1, null], "part": "train"}"#;

    #[test]
    fn a_list_and_lines_are_the_same_graphs() {
        let two = ONE.replace("train", "val").replace("[1, null]", "[null, 2]");
        let data = load(&format!("{ONE}\n\n{two}\n")).unwrap();
        assert_eq!(data, load(&format!("[{ONE}, {two}]")).unwrap());
        assert_eq!(data.train[0].labels, Labels::Nodes(vec![Some(1), None]));
        assert_eq!((data.validation.len(), data.test.len()), (1, 0));
        assert_eq!((data.schema.features, data.schema.classes.len()), (5, 3));
    }

    #[test]
    fn a_source_is_a_feature_and_a_directed_edge_is_one_way() {
        let read = |text: &str| {
            let (_, graph) = graphs_of(text).pop().unwrap();
            graph.unwrap().graph().unwrap()
        };
        let graph = read(r#"{"edges": [[0, 1], [1, 2]], "source": 1}"#);
        assert_eq!(graph.features(), [vec![0], vec![1], vec![0]]);
        assert_eq!(graph.edges().len(), 4);
        let graph = read(r#"{"nodes": 4, "edges": [[0, 1]], "source": 1, "directed": true}"#);
        assert_eq!((graph.nodes(), graph.edges()), (4, &[(0, 1)][..]));
    }

    #[test]
    fn what_is_no_graph_is_named_with_its_line() {
        for (text, says) in [
            (format!("{ONE}\n{{\n"), "line 2"),
            (ONE.replace("\"part\"", "\"parts\""), "parts"),
            (ONE.replace("train", "dev"), "expected train, val or test"),
            (ONE.replace("[1, null]", "[1]"), "`labels` has 1 entries"),
            (ONE.replace("[[0, 1]]", "[[0, 2]]"), "0 2"),
            (ONE.replace(", [4]", ""), "an end that is no node"),
            (
                ONE.replace("\"features\": [[0], [4]],", ""),
                "neither `features` nor `source`",
            ),
            (
                format!(
                    "[{ONE}, {}]",
                    ONE.replace("\"labels\": [1, null]", "\"label\": 0")
                ),
                "others `labels`",
            ),
            ("{\"edges\": []}".into(), "expected from 1"),
        ] {
            let error = load(&text).unwrap_err().to_string();
            assert!(error.contains(says) && error.contains("graphs.json"), "{error}");
        }
    }

    #[test]
    fn bodies_have_frames_and_nothing_else() {
        let read = |text: &str| {
            let graph = graphs_of(text).remove(0).1.unwrap();
            graph.bodies(BodyInputs::Positions)
        };
        let (graph, frames) =
            read(r#"{"edges": [[0, 1]], "frames": [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]}"#).unwrap();
        assert_eq!((graph.nodes(), graph.edges()), (2, &[(0, 1), (1, 0)][..]));
        assert_eq!(frames.frame(1), [4.0, 5.0, 6.0, 7.0]);
        for (text, says) in [
            (r#"{"edges": [], "source": 0}"#, "it has no `frames`"),
            (
                r#"{"edges": [], "source": 0, "frames": [[[0, 1]]]}"#,
                "`frames` alone",
            ),
            (r#"{"edges": [], "frames": []}"#, "0 numbers"),
            (
                r#"{"edges": [], "frames": [[[0, 1]], []]}"#,
                "frame 1 has 0 bodies; expected 1",
            ),
            (
                r#"{"edges": [], "nodes": 2, "frames": [[[0, 1]]]}"#,
                "frame 0 has 1 bodies; expected 2",
            ),
            (
                r#"{"edges": [], "frames": [[[0, 1, 2]]]}"#,
                "body 0 has 3 numbers; expected 2: x, y",
            ),
            (
                r#"{"edges": [[0, 1]], "frames": [[[0, 1]]]}"#,
                "an end that is no node",
            ),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        let error = load(r#"{"edges": [], "frames": [[[0, 1]]]}"#)
            .unwrap_err()
            .to_string();
        assert!(error.contains("only a model of motion"), "{error}");
    }
}
