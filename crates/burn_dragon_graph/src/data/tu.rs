//! Graphs with a class each, in the text format of the TU collection (as DGCNN has it), with folds.
//!
//! ```text
//! 188                     number of graphs
//! 23 1                    nodes and class of the first graph
//! 3 2 1 13                tag, number of neighbours and neighbours of its first node
//! ```

use super::tsv::{MOST, number, read_lines};
use super::{Data, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use burn_dragon_core::api::expert::derive;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Without folds, one of this many graphs is held out; with an inner validation part, one of this many of each class.
const HELD_OUT: u64 = 10;
/// Numbers of neighbours from here on are one feature.
const MOST_NEIGHBOURS: usize = 64;

/// Features of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NodeFeatures {
    /// Its tag.
    Tags,
    /// Its number of neighbours; 64 and more are one feature.
    Degrees,
    /// Both.
    #[default]
    TagsAndDegrees,
}

/// Graphs of the validation part, with folds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FoldValidation {
    /// Those of the fold. There is no test part.
    #[default]
    Fold,
    /// A tenth of each class of the others, at least one of two, so that settings can be chosen without the fold. The fold
    /// is the test part.
    Inner,
}

/// Graphs with classes: the keys of `[dataset]` where `type = "tu"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TuConfig {
    /// File of the graphs.
    pub path: PathBuf,
    /// Folder of the folds: `test_idx-1.txt`, ... have the numbers of the held-out graphs, counted from 0. If absent, one
    /// graph in ten is held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folds: Option<PathBuf>,
    /// Fold that is held out, counted from 1; with `dataset.folds`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<usize>,
    /// Graphs of the validation part; `inner` needs `dataset.folds`.
    #[serde(default)]
    pub validation: FoldValidation,
    /// Features of a node.
    #[serde(default)]
    pub features: NodeFeatures,
}

/// A graph of the file.
struct Read {
    class: i64,
    tags: Vec<i64>,
    edges: Vec<(usize, usize)>,
}

impl TuConfig {
    /// Checks that folds and fold are given together.
    ///
    /// # Errors
    /// [`GraphError::Config`] with the key.
    pub fn validate(&self) -> Result<(), GraphError> {
        let refuse_key = |key: &'static str, reason: &str| {
            let reason = reason.to_string();
            Err(GraphError::Config { key, reason })
        };
        let refuse = |reason: &str| refuse_key("dataset.fold", reason);
        match (&self.folds, self.fold) {
            (Some(_), None) => refuse("is absent; expected the number of a fold of dataset.folds, from 1"),
            (None, Some(_)) => refuse("needs dataset.folds, the folder of the folds"),
            (Some(_), Some(0)) => refuse("is 0; folds are counted from 1"),
            (None, None) if self.validation == FoldValidation::Inner => refuse_key(
                "dataset.validation",
                "is \"inner\", which needs dataset.folds and dataset.fold; expected \"fold\"",
            ),
            _ => Ok(()),
        }
    }

    pub(super) fn load(&self) -> Result<Data, GraphError> {
        self.validate()?;
        let graphs = self.read()?;
        let held_out = self.held_out(graphs.len())?;
        let inner = match self.validation {
            FoldValidation::Fold => BTreeSet::new(),
            FoldValidation::Inner => self.inner(&graphs, &held_out),
        };
        let (examples, schema) = self.examples(&graphs)?;
        let mut data = Data {
            train: Vec::new(),
            validation: Vec::new(),
            test: Vec::new(),
            schema,
        };
        for (index, example) in examples.into_iter().enumerate() {
            let is_test = self.validation == FoldValidation::Inner && held_out.contains(&index);
            if is_test {
                data.test.push(example);
            } else if held_out.contains(&index) || inner.contains(&index) {
                data.validation.push(example);
            } else {
                data.train.push(example);
            }
        }
        Ok(data)
    }

    /// Numbers of the graphs of an inner validation part: of each class a tenth of the graphs that are not held out, drawn
    /// by the fold.
    fn inner(&self, graphs: &[Read], held_out: &BTreeSet<usize>) -> BTreeSet<usize> {
        let fold = self.fold.unwrap_or_default() as u64;
        let mut classes = BTreeMap::<i64, Vec<(u64, usize)>>::new();
        for (index, graph) in graphs.iter().enumerate() {
            if !held_out.contains(&index) {
                let drawn = derive(fold, "graph.inner", index as u64, 0);
                classes.entry(graph.class).or_default().push((drawn, index));
            }
        }
        let mut inner = BTreeSet::new();
        for mut class in classes.into_values() {
            class.sort_unstable();
            let count = class.len().div_ceil(HELD_OUT as usize).min(class.len() / 2);
            inner.extend(class[..count].iter().map(|(_, index)| *index));
        }
        inner
    }

    /// Numbers of the graphs that are held out.
    fn held_out(&self, graphs: usize) -> Result<BTreeSet<usize>, GraphError> {
        let (Some(folds), Some(fold)) = (&self.folds, self.fold) else {
            let drawn =
                |index: &usize| derive(0, "graph.held_out", *index as u64, 0).is_multiple_of(HELD_OUT);
            return Ok((0..graphs).filter(drawn).collect());
        };
        let path = folds.join(format!("test_idx-{fold}.txt"));
        let numbers = read_lines(&path, |line, _| number(line, "a graph", graphs))?;
        Ok(numbers.into_iter().collect())
    }

    fn read(&self) -> Result<Vec<Read>, GraphError> {
        let lines = read_lines(&self.path, |line, _| Ok(line.to_string()))?;
        let fail = |index: usize, reason: String| GraphError::Line {
            path: self.path.clone(),
            line: index + 1,
            reason,
        };
        let mut lines = lines.iter().enumerate();
        let mut line = || {
            lines
                .next()
                .ok_or_else(|| fail(0, "the file ends before its last graph".into()))
        };
        let (at, first) = line()?;
        let count = number(first, "the number of graphs", MOST).map_err(|reason| fail(at, reason))?;
        let mut graphs = Vec::new();
        for _ in 0..count {
            let (at, head) = line()?;
            let (nodes, class) = head_of(head).map_err(|reason| fail(at, reason))?;
            let mut graph = Read {
                class,
                tags: Vec::new(),
                edges: Vec::new(),
            };
            for node in 0..nodes {
                let (at, row) = line()?;
                graph.add(node, nodes, row).map_err(|reason| fail(at, reason))?;
            }
            graphs.push(graph);
        }
        Ok(graphs)
    }

    /// Examples with their schema. Tags and classes are numbered in rising order of all that occur.
    fn examples(&self, graphs: &[Read]) -> Result<(Vec<Example>, Schema), GraphError> {
        let tags = numbered(graphs.iter().flat_map(|graph| &graph.tags));
        let classes = numbered(graphs.iter().map(|graph| &graph.class));
        let degrees = if self.features == NodeFeatures::Tags {
            0
        } else {
            MOST_NEIGHBOURS + 1
        };
        let used_tags = if self.features == NodeFeatures::Degrees {
            0
        } else {
            tags.len()
        };
        let of = |graph: &Read| -> Result<Example, GraphError> {
            let bare = Graph::undirected(&graph.edges, vec![Vec::new(); graph.tags.len()])?;
            let neighbours = bare.neighbours();
            let features = neighbours.iter().zip(&graph.tags).map(|(neighbours, tag)| {
                let tag = (used_tags > 0).then(|| tags[tag]);
                let degree = (degrees > 0).then(|| used_tags + neighbours.len().min(MOST_NEIGHBOURS));
                tag.into_iter()
                    .chain(degree)
                    .map(|feature| feature as u32)
                    .collect()
            });
            Ok(Example {
                graph: Arc::new(bare.with_features(features.collect())),
                labels: Labels::Graph(classes[&graph.class] as u32),
            })
        };
        let schema = Schema {
            features: used_tags + degrees,
            classes: classes.keys().map(ToString::to_string).collect(),
            target: Target::Graphs,
            coding: None,
        };
        Ok((graphs.iter().map(of).collect::<Result<_, _>>()?, schema))
    }
}

/// Numbers of the different values, in rising order.
fn numbered<'a>(values: impl Iterator<Item = &'a i64>) -> BTreeMap<i64, usize> {
    let values: BTreeSet<i64> = values.copied().collect();
    values
        .into_iter()
        .enumerate()
        .map(|(number, value)| (value, number))
        .collect()
}

fn head_of(line: &str) -> Result<(usize, i64), String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        ["0", _] => Err("the graph has 0 nodes; expected at least 1".into()),
        [nodes, class] => Ok((
            number(nodes, "the number of nodes", MOST)?,
            integer(class, "the class")?,
        )),
        _ => Err(format!(
            "it has {} numbers; expected the number of nodes and the class",
            words.len()
        )),
    }
}

fn integer(text: &str, what: &str) -> Result<i64, String> {
    text.parse()
        .map_err(|_| format!("{what} is `{text}`; expected a whole number"))
}

impl Read {
    fn add(&mut self, node: usize, nodes: usize, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [tag, count, rest @ ..] = &words[..] else {
            return Err("expected a tag, the number of neighbours, and the neighbours".into());
        };
        self.tags.push(integer(tag, "the tag")?);
        let count = number(count, "the number of neighbours", MOST)?;
        if rest.len() < count {
            return Err(format!("it has {} neighbours, but says {count}", rest.len()));
        }
        for neighbour in &rest[..count] {
            self.edges.push((node, number(neighbour, "a neighbour", nodes)?));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "2\n3 1\n5 1 1\n7 2 0 2\n5 1 1\n2 -1\n7 0\n7 0\n";

    fn config(text: &str) -> (tempfile::TempDir, TuConfig) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("graphs.txt");
        std::fs::write(&path, text).unwrap();
        std::fs::write(folder.path().join("test_idx-1.txt"), "1\n").unwrap();
        let folds = Some(folder.path().to_path_buf());
        let config = TuConfig {
            path,
            folds,
            fold: Some(1),
            validation: FoldValidation::Fold,
            features: NodeFeatures::Tags,
        };
        (folder, config)
    }

    #[test]
    fn a_fold_is_held_out_and_tags_and_classes_are_numbered_in_order() {
        let (_folder, mut config) = config(TWO);
        let data = config.load().unwrap();
        assert_eq!(
            (data.train.len(), data.validation.len(), data.test.len()),
            (1, 1, 0)
        );
        assert_eq!(data.schema.classes, ["-1", "1"]);
        let train = &data.train[0];
        assert_eq!((train.graph.nodes(), &train.labels), (3, &Labels::Graph(1)));
        assert_eq!(train.graph.features(), [vec![0], vec![1], vec![0]]);
        assert_eq!(train.graph.edges(), [(0, 1), (1, 0), (1, 2), (2, 1)]);
        assert_eq!(data.validation[0].graph.edges(), []);
        config.features = NodeFeatures::TagsAndDegrees;
        let data = config.load().unwrap();
        assert_eq!(
            data.train[0].graph.features(),
            [vec![0, 3], vec![1, 4], vec![0, 3]]
        );
        assert_eq!(data.schema.features, 2 + 65);
    }

    /// 30 graphs of one node, every third of class 1; graphs 0 and 1 are the fold.
    #[test]
    fn an_inner_validation_part_has_a_tenth_of_each_class_and_nothing_of_the_fold() {
        let graph = |index: usize| format!("1 {}\n{index} 0\n", usize::from(index.is_multiple_of(3)));
        let (folder, mut config) = config(&format!("30\n{}", (0..30).map(graph).collect::<String>()));
        std::fs::write(folder.path().join("test_idx-1.txt"), "0\n1\n").unwrap();
        config.validation = FoldValidation::Inner;
        let data = config.load().unwrap();
        let tags = |examples: &[Example]| -> Vec<u32> {
            examples
                .iter()
                .map(|example| example.graph.features()[0][0])
                .collect()
        };
        assert_eq!(tags(&data.test), [0, 1]);
        let classes: Vec<u32> = tags(&data.validation)
            .into_iter()
            .map(|tag| u32::from(tag % 3 == 0))
            .collect();
        assert_eq!(classes.iter().filter(|class| **class == 1).count(), 1); // of 9
        assert_eq!(classes.iter().filter(|class| **class == 0).count(), 2); // of 19
        let mut all: Vec<u32> = [&data.train, &data.validation, &data.test]
            .map(|part| tags(part))
            .concat();
        all.sort_unstable();
        assert_eq!(all, (0..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_line_is_named_with_what_is_expected() {
        for (text, says) in [
            ("x\n", ["line 1", "the number of graphs is `x`"]),
            ("1\n2\n", ["line 2", "number of nodes and the class"]),
            ("1\n2 0\n0 1 2\n", ["line 3", "from 0 to 1"]),
            ("1\n1 0\n0 1\n", ["line 3", "says 1"]),
            ("2\n1 0\n0 0\n", ["graphs.txt", "ends before"]),
        ] {
            let (_folder, config) = config(text);
            let error = config.load().unwrap_err().to_string();
            assert!(says.iter().all(|words| error.contains(words)), "{error}");
        }
    }

    #[test]
    fn a_fold_needs_its_folder_and_a_folder_its_fold() {
        let (_folder, config) = config(TWO);
        for (folds, fold) in [
            (None, Some(1)),
            (config.folds.clone(), None),
            (config.folds.clone(), Some(0)),
        ] {
            let wrong = TuConfig {
                folds,
                fold,
                ..config.clone()
            };
            assert!(wrong.load().unwrap_err().to_string().starts_with("dataset.fold"));
        }
        let inner = TuConfig {
            folds: None,
            fold: None,
            validation: FoldValidation::Inner,
            ..config
        };
        assert!(
            inner
                .load()
                .unwrap_err()
                .to_string()
                .starts_with("dataset.validation")
        );
    }
}
