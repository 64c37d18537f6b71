//! One graph as two tables: `nodes.tsv` with a node a line, `edges.tsv` with an undirected edge a line.

use super::{Data, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Graph as tables: the keys of `[dataset]` where `type = "tsv"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TsvConfig {
    /// Folder with `nodes.tsv` and `edges.tsv`. A line of `nodes.tsv` has the number of the node (they rise from 0), its
    /// class (-1: not known), its part (`train`, `val`, `test` or `none`) and its active features, separated by spaces. A
    /// line of `edges.tsv` has two nodes that read each other.
    pub path: PathBuf,
}

/// A line of `nodes.tsv`.
struct Node {
    class: Option<u32>,
    part: String,
    features: Vec<u32>,
}

impl TsvConfig {
    /// The graph, without labels.
    pub(crate) fn graph(&self) -> Result<Graph, GraphError> {
        Ok(self.read()?.0)
    }

    fn read(&self) -> Result<(Graph, Vec<Node>), GraphError> {
        let nodes = read_lines(&self.path.join("nodes.tsv"), node)?;
        let edges = read_lines(&self.path.join("edges.tsv"), |line, _| edge(line, nodes.len()))?;
        let features = nodes.iter().map(|node| node.features.clone()).collect();
        Ok((Graph::undirected(&edges, features)?, nodes))
    }

    pub(super) fn load(&self) -> Result<Data, GraphError> {
        let (graph, nodes) = self.read()?;
        let graph = Arc::new(graph);
        let part = |name: &str| -> Vec<Example> {
            let label = |node: &Node| node.class.filter(|_| node.part == name);
            let labels = Labels::Nodes(nodes.iter().map(label).collect());
            let graph = Arc::clone(&graph);
            vec![Example { graph, labels }]
        };
        let test = part("test");
        Ok(Data {
            train: part("train"),
            validation: part("val"),
            test: if test[0].labels.count() == 0 {
                Vec::new()
            } else {
                test
            },
            schema: schema(&nodes),
        })
    }
}

fn schema(nodes: &[Node]) -> Schema {
    let features = nodes.iter().flat_map(|node| &node.features).max();
    let classes = nodes.iter().filter_map(|node| node.class).max();
    Schema {
        features: features.map_or(0, |most| *most as usize + 1),
        classes: (0..=classes.unwrap_or(0))
            .map(|class| class.to_string())
            .collect(),
        target: Target::Nodes,
        coding: None,
    }
}

/// Reads the lines of a file that are not empty; `read` gets each with its index.
pub(super) fn read_lines<T>(
    path: &Path,
    mut read: impl FnMut(&str, usize) -> Result<T, String>,
) -> Result<Vec<T>, GraphError> {
    let text = std::fs::read_to_string(path).map_err(|source| GraphError::Read {
        path: path.into(),
        source,
    })?;
    let mut values = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.trim().is_empty() {
            continue;
        }
        let value = read(line, values.len()).map_err(|reason| GraphError::Line {
            path: path.into(),
            line: index + 1,
            reason,
        })?;
        values.push(value);
    }
    Ok(values)
}

/// A number in its range, which is named.
pub(super) fn number(text: &str, what: &str, below: usize) -> Result<usize, String> {
    let number = text.trim().parse::<usize>().ok().filter(|number| *number < below);
    number.ok_or_else(|| {
        format!(
            "{what} is `{text}`; expected a whole number from 0 to {}",
            below - 1
        )
    })
}

/// Largest number of features or classes.
pub(super) const MOST: usize = 1 << 20;

fn node(line: &str, index: usize) -> Result<Node, String> {
    let mut columns = line.split('\t');
    let mut column = |what: &str| {
        let missing =
            || format!("there is no {what}; expected number, class, part and features, with tabs between");
        columns.next().ok_or_else(missing)
    };
    if number(column("number")?, "the number", usize::MAX)? != index {
        return Err(format!("expected node {index}: numbers rise from 0"));
    }
    let class = match column("class")?.trim() {
        "-1" => None,
        class => Some(number(class, "the class", MOST)? as u32),
    };
    let part = column("part")?.trim();
    if !["train", "val", "test", "none"].contains(&part) {
        return Err(format!("the part is `{part}`; expected train, val, test or none"));
    }
    let features = column("features").unwrap_or_default().split_whitespace();
    let features = features.map(|feature| Ok(number(feature, "a feature", MOST)? as u32));
    Ok(Node {
        class,
        part: part.into(),
        features: features.collect::<Result<_, String>>()?,
    })
}

fn edge(line: &str, nodes: usize) -> Result<(usize, usize), String> {
    let ends: Vec<&str> = line.split_whitespace().collect();
    match ends[..] {
        [one, other] => Ok((
            number(one, "a node", nodes.max(1))?,
            number(other, "a node", nodes.max(1))?,
        )),
        _ => Err(format!("it has {} columns; expected two nodes", ends.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(nodes: &str, edges: &str) -> (tempfile::TempDir, TsvConfig) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("nodes.tsv"), nodes).unwrap();
        std::fs::write(folder.path().join("edges.tsv"), edges).unwrap();
        let path = folder.path().into();
        (folder, TsvConfig { path })
    }

    const NODES: &str = "0\t1\ttrain\t3 4\n1\t0\tval\t\n2\t-1\tnone\t5\n3\t2\ttest\t0\n";

    #[test]
    fn parts_share_a_graph_and_have_the_labels_of_their_nodes() {
        let (_folder, config) = folder(NODES, "0\t1\n2\t1\n");
        let data = config.load().unwrap();
        assert!(Arc::ptr_eq(&data.train[0].graph, &data.test[0].graph));
        assert_eq!(
            data.train[0].labels,
            Labels::Nodes(vec![Some(1), None, None, None])
        );
        assert_eq!(
            data.validation[0].labels,
            Labels::Nodes(vec![None, Some(0), None, None])
        );
        assert_eq!(
            data.test[0].labels,
            Labels::Nodes(vec![None, None, None, Some(2)])
        );
        assert_eq!(data.train[0].graph.edges(), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(data.train[0].graph.features()[..2], [vec![3, 4], vec![]]);
        assert_eq!((data.schema.features, data.schema.classes.len()), (6, 3));
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_expected() {
        for (nodes, edges, says) in [
            ("1\t0\ttrain\t\n", "", ["nodes.tsv, line 1", "expected node 0"]),
            ("0\tx\ttrain\t\n", "", ["line 1", "the class is `x`"]),
            (
                "0\t0\ttrain\t\n1\t0\tdev\t\n",
                "",
                ["line 2", "train, val, test or none"],
            ),
            ("0\t0\n", "", ["line 1", "there is no part"]),
            (NODES, "0\t1\n0\t4\n", ["edges.tsv, line 2", "from 0 to 3"]),
            (NODES, "0\n", ["edges.tsv, line 1", "expected two nodes"]),
        ] {
            let (_folder, config) = folder(nodes, edges);
            let error = config.load().unwrap_err().to_string();
            assert!(says.iter().all(|words| error.contains(words)), "{error}");
        }
        let error = TsvConfig {
            path: "nowhere".into(),
        }
        .load()
        .unwrap_err()
        .to_string();
        assert!(error.contains("nodes.tsv"), "{error}");
    }
}
