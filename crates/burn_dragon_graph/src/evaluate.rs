//! Evaluation of models on graphs, after each number of levels, with the simplest control.

use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use crate::input::{GraphInput, indices};
use crate::model::{GraphDragon, GraphDragonConfig, GraphPass};
use burn::tensor::{Int, Tensor, TensorData};
use serde::Serialize;

/// Number of nodes that are read at once, unless one graph has more.
const NODES: usize = 4096;

/// Model that reads a whole input: the Dragon and the baselines.
pub trait NodeModel {
    /// Input of several graphs.
    ///
    /// # Errors
    /// If a graph has a feature that the model does not know, or there are too many edges.
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError>;

    /// Logits after each level, as in [`GraphDragon::logits_by_level`]. A baseline has the level's number of layers.
    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>>;
}

impl NodeModel for GraphDragon {
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError> {
        let GraphDragonConfig { model, schema } = self.config();
        let (own, neighbours) = (model.own_memory.into(), model.neighbours.into());
        GraphInput::new(graphs, schema.features, own, neighbours)
    }

    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        self.logits_by_level(input, pass)
    }
}

/// Score on some graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Score {
    /// Mean cross-entropy of the labels, in nats.
    pub loss: f64,
    /// Share of the labels that are right.
    pub accuracy: f64,
    /// Share of the graphs with all labels right.
    pub graphs_right: f64,
}

/// Labels of a batch: the rows of the logits that have one, and its class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Targets {
    /// Rows of the logits, ascending.
    rows: Vec<i32>,
    /// Class of each row.
    pub(crate) classes: Vec<u32>,
    /// Number of labels of each graph.
    counts: Vec<usize>,
    /// Number of rows of the logits.
    of: usize,
}

impl Targets {
    pub(crate) fn new(examples: &[Example]) -> Self {
        let mut targets = Self {
            rows: Vec::new(),
            classes: Vec::new(),
            counts: Vec::new(),
            of: 0,
        };
        for example in examples {
            let labels = match &example.labels {
                Labels::Nodes(labels) => labels.clone(),
                Labels::Graph(label) => vec![Some(*label)],
                Labels::Frames(frames) => vec![None; frames.bodies()],
            };
            for (row, label) in labels.iter().enumerate() {
                let Some(class) = label else { continue };
                targets.rows.push((targets.of + row) as i32);
                targets.classes.push(*class);
            }
            targets.counts.push(labels.iter().flatten().count());
            targets.of += labels.len();
        }
        targets
    }

    /// Logits of the rows with a label, `[E, C]`.
    pub(crate) fn labelled(&self, logits: Tensor<2>) -> Tensor<2> {
        if self.rows.len() == self.of {
            return logits;
        }
        let rows = indices(self.rows.iter().copied(), &logits.device());
        logits.select(0, rows)
    }

    /// Cross-entropy of each label in nats, `[1, E]`, from the logits of the labelled rows; `classes` has a class for each.
    pub(crate) fn losses(logits: Tensor<2>, classes: Vec<i32>) -> Tensor<2> {
        let ([rows, width], device) = (logits.dims(), logits.device());
        let classes = Tensor::<2, Int>::from_data(TensorData::new(classes, [1, rows]), &device);
        burn_dragon_core::api::token_losses(logits.reshape([1, rows, width]), classes)
    }

    /// Whether each label is the likeliest class.
    pub(crate) fn right(&self, logits: Tensor<2>) -> Vec<bool> {
        let likeliest = likeliest(logits);
        let pairs = likeliest.into_iter().zip(&self.classes);
        pairs.map(|(guess, class)| guess == *class).collect()
    }
}

/// Likeliest class of each row.
pub(crate) fn likeliest(logits: Tensor<2>) -> Vec<u32> {
    let classes = logits.argmax(1).into_data().convert::<i64>();
    classes.iter::<i64>().map(|class| class as u32).collect()
}

/// Graphs of examples.
pub(crate) fn graphs(examples: &[Example]) -> Vec<&Graph> {
    examples.iter().map(|example| &*example.graph).collect()
}

/// Sums of a level over the batches.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    loss: f64,
    right: usize,
    graphs: usize,
}

/// Scores of a model on examples after 1, 2, ... levels of the pass.
///
/// # Errors
/// If an example does not fit the schema.
pub fn evaluate(
    model: &impl NodeModel,
    examples: &[Example],
    pass: GraphPass,
) -> Result<Vec<Score>, GraphError> {
    let mut sums: Vec<Sums> = Vec::new();
    let (mut labels, mut with_labels) = (0, 0);
    for batch in batches(examples) {
        let input = model.input(&graphs(batch))?;
        let targets = Targets::new(batch);
        labels += targets.classes.len();
        with_labels += targets.counts.iter().filter(|count| **count > 0).count();
        let by_level = model.logits(&input, pass);
        sums.resize(by_level.len(), Sums::default());
        for (sum, logits) in sums.iter_mut().zip(by_level) {
            sum.add(&targets, targets.labelled(logits));
        }
    }
    let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
    let score = |sum: Sums| Score {
        loss: sum.loss / labels.max(1) as f64,
        accuracy: share(sum.right, labels),
        graphs_right: share(sum.graphs, with_labels),
    };
    Ok(sums.into_iter().map(score).collect())
}

impl Sums {
    fn add(&mut self, targets: &Targets, logits: Tensor<2>) {
        if targets.classes.is_empty() {
            return;
        }
        let classes = targets.classes.iter().map(|class| *class as i32).collect();
        self.loss += Targets::losses(logits.clone(), classes)
            .sum()
            .into_scalar::<f64>();
        let mut right = &targets.right(logits)[..];
        self.right += right.iter().filter(|right| **right).count();
        for count in targets.counts.iter().filter(|count| **count > 0) {
            let (graph, rest) = right.split_at(*count);
            self.graphs += usize::from(graph.iter().all(|right| *right));
            right = rest;
        }
    }
}

/// Examples in batches of a bounded number of nodes.
pub(crate) fn batches(examples: &[Example]) -> Vec<&[Example]> {
    let mut batches = Vec::new();
    let (mut first, mut nodes) = (0, 0);
    for (index, example) in examples.iter().enumerate() {
        let more = example.graph.nodes();
        if index > first && nodes + more > NODES {
            batches.push(&examples[first..index]);
            (first, nodes) = (index, 0);
        }
        nodes += more;
    }
    if first < examples.len() {
        batches.push(&examples[first..]);
    }
    batches
}

/// Share of the labels of `examples` that are the most frequent class of `train`.
pub fn majority(train: &[Example], examples: &[Example]) -> f64 {
    let count = |examples: &[Example]| {
        let mut counts = std::collections::BTreeMap::<u32, usize>::new();
        for class in Targets::new(examples).classes {
            *counts.entry(class).or_default() += 1;
        }
        counts
    };
    let trained = count(train);
    let most = trained
        .iter()
        .max_by_key(|(class, count)| (**count, std::cmp::Reverse(**class)));
    let counts = count(examples);
    let right = most
        .and_then(|(class, _)| counts.get(class))
        .copied()
        .unwrap_or(0);
    right as f64 / counts.values().sum::<usize>().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ModelConfig;
    use crate::data::{GeneratorConfig, Part};
    use burn::tensor::Device;
    use std::sync::Arc;

    fn examples(count: u64) -> Vec<Example> {
        let config = GeneratorConfig::default();
        (0..count)
            .map(|index| config.example(Part::Validation, index))
            .collect()
    }

    #[test]
    fn scores_do_not_depend_on_the_batches() {
        let config = GraphDragonConfig {
            model: ModelConfig {
                n_levels: 3,
                ..ModelConfig::default()
            },
            schema: GeneratorConfig::default().schema(),
        };
        let model = GraphDragon::new(&config, 1, &Device::flex()).unwrap();
        let examples = examples(5);
        let score = |examples: &[Example]| evaluate(&model, examples, GraphPass::default()).unwrap();
        let together = score(&examples);
        assert_eq!(together.len(), 3);
        let labels = |example: &Example| example.labels.count() as f64;
        let all: f64 = examples.iter().map(labels).sum();
        let alone = examples
            .iter()
            .map(|example| score(std::slice::from_ref(example))[2].loss * labels(example) / all);
        assert!((alone.sum::<f64>() - together[2].loss).abs() < 1e-4);
    }

    #[test]
    fn logits_of_the_labels_are_right_and_have_no_loss() {
        let graph = Arc::new(Graph::undirected(&[(0, 1)], vec![vec![0]; 3]).unwrap());
        let labels = Labels::Nodes(vec![Some(1), None, Some(0)]);
        let targets = Targets::new(&[Example { graph, labels }]);
        let logits = TensorData::from([[0.0f32, 40.0], [0.0, 0.0], [40.0, 0.0]]);
        let labelled = targets.labelled(Tensor::from_data(logits, &Device::flex()));
        assert_eq!(targets.right(labelled.clone()), [true, true]);
        let mut sums = Sums::default();
        sums.add(&targets, labelled);
        assert_eq!((sums.right, sums.graphs), (2, 1));
        assert!(sums.loss < 1e-6);
    }

    #[test]
    fn a_graph_is_right_where_all_its_labels_are() {
        let graph = Arc::new(Graph::undirected(&[], vec![vec![0]; 2]).unwrap());
        let of = |labels: [Option<u32>; 2]| Example {
            graph: graph.clone(),
            labels: Labels::Nodes(labels.into()),
        };
        let targets = Targets::new(&[of([Some(0), Some(1)]), of([Some(0), None]), of([None, None])]);
        let zero = Tensor::from_data([[1.0f32, 0.0]; 6], &Device::flex());
        let mut sums = Sums::default();
        sums.add(&targets, targets.labelled(zero));
        assert_eq!((sums.right, sums.graphs), (2, 1));
    }

    #[test]
    fn the_majority_is_that_of_the_training_part() {
        let graph = Arc::new(Graph::undirected(&[], vec![vec![0]; 4]).unwrap());
        let of = |labels: [u32; 4]| Example {
            graph: graph.clone(),
            labels: Labels::Nodes(labels.map(Some).into()),
        };
        assert_eq!(majority(&[of([0, 2, 2, 1])], &[of([2, 1, 1, 1])]), 0.25);
        assert_eq!(majority(&[of([0, 0, 0, 0])], &[of([2, 1, 1, 1])]), 0.0);
    }
}
