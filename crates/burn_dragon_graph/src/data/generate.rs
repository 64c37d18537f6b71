//! Random graphs, each a function of seed and index. The label of a node is its distance from a source, or whether there is a
//! path to it; or nodes are bodies that move.

use super::{Data, NbodyConfig, Part, Schema, Target};
use crate::error::GraphError;
use crate::graph::{Example, Graph, Labels};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::{FreeMemory, Need};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Feature of a node that is not the source.
pub(crate) const PLAIN: u32 = 0;
/// Feature of the source.
pub(crate) const SOURCE: u32 = 1;
/// Largest number of nodes of a generated graph.
const MOST_NODES: usize = 1 << 16;
/// Memory of a node: a list of one feature, a label, and up to four edges of two numbers.
const BYTES_A_NODE: u64 = 112;
/// Largest distance that can be a class.
const MOST_DISTANCE: usize = 1 << 10;

/// Generated graphs: the keys of `[dataset]` where `type = "embedded"`.
///
/// A node has to say its distance from a marked source, as a number of edges, or whether it is connected to it. Half of these
/// graphs are random trees with up to a quarter as many further edges as nodes; the others have 0.8 to 1.6 random edges a
/// node, and may fall apart. For connectivity, a graph is two of these, without an edge between them. For
/// `nbody`, nodes are bodies and edges are springs: a random tree with up to half as many further springs as bodies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GeneratorConfig {
    /// Seed of the graphs. It belongs to the data: runs with different training seeds read the same graphs.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Task: classes of the nodes, or the motion of bodies.
    pub task: GeneratedTask,
    /// Number of training graphs.
    pub graphs: usize,
    /// Number of held-out graphs of the same sizes.
    pub validation_graphs: usize,
    /// Number of test graphs, which have the sizes of `test_nodes`.
    pub test_graphs: usize,
    /// Minimum and maximum number of nodes, 2 to 65,536. Each number between them is equally likely.
    pub nodes: [usize; 2],
    /// The same for test graphs.
    pub test_nodes: [usize; 2],
    /// Largest distance that is a class of its own, 1 to 1,024. Nodes farther away, and nodes without a path, have the
    /// class `far`. Without effect on `connectivity` and `nbody`.
    pub max_distance: usize,
    /// Table `[dataset.nbody]`: bodies and frames. If absent, its defaults. Without effect on the other tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nbody: Option<NbodyConfig>,
}

/// Task on generated graphs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GeneratedTask {
    /// Distances from the source, up to `max_distance`, and `far`.
    #[default]
    Distance,
    /// `connected` where there is a path to the source, else `apart`.
    Connectivity,
    /// Bodies joined by springs: their next frame, from those before it.
    Nbody,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            task: GeneratedTask::Distance,
            graphs: 10_000,
            validation_graphs: 200,
            test_graphs: 200,
            nodes: [20, 40],
            test_nodes: [40, 80],
            max_distance: 10,
            nbody: None,
        }
    }
}

impl GeneratorConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`GraphError::Config`] with the key.
    pub fn validate(&self) -> Result<(), GraphError> {
        let refuse = |key, reason: String| Err(GraphError::Config { key, reason });
        for (key, count) in [
            ("dataset.graphs", self.graphs),
            ("dataset.validation_graphs", self.validation_graphs),
            ("dataset.test_graphs", self.test_graphs),
        ] {
            if count == 0 {
                return refuse(key, "is 0; expected at least 1".into());
            }
        }
        for (key, [least, most]) in [
            ("dataset.nodes", self.nodes),
            ("dataset.test_nodes", self.test_nodes),
        ] {
            if least < 2 || most > MOST_NODES || least > most {
                let range = format!("two numbers from 2 to {MOST_NODES}, the smaller one first");
                return refuse(key, format!("is [{least}, {most}]; expected {range}"));
            }
        }
        if !(1..=MOST_DISTANCE).contains(&self.max_distance) {
            let given = self.max_distance;
            return refuse(
                "dataset.max_distance",
                format!("is {given}; expected a number from 1 to {MOST_DISTANCE}"),
            );
        }
        self.nbody().validate()
    }

    /// Bodies and frames of the task `nbody`.
    pub(crate) fn nbody(&self) -> NbodyConfig {
        self.nbody.clone().unwrap_or_default()
    }

    /// Features and classes: the distances in order and `far`, or `apart` and `connected`. Of bodies: columns and outputs,
    /// which are scaled by the first training graphs.
    pub fn schema(&self) -> Schema {
        let distances = (0..=self.max_distance).map(|distance| distance.to_string());
        let (classes, target) = match self.task {
            GeneratedTask::Distance => (distances.chain(["far".into()]).collect(), Target::Distances),
            GeneratedTask::Connectivity => (["apart", "connected"].map(Into::into).into(), Target::Nodes),
            GeneratedTask::Nbody => return self.nbody().schema(self),
        };
        Schema {
            features: 2,
            classes,
            target,
            coding: None,
        }
    }

    /// Class of a node at a distance from the source; `None` if there is no path.
    fn class(&self, distance: Option<u32>) -> u32 {
        let far = self.max_distance as u32 + 1;
        match self.task {
            GeneratedTask::Distance => distance.unwrap_or(far).min(far),
            GeneratedTask::Connectivity | GeneratedTask::Nbody => u32::from(distance.is_some()),
        }
    }

    /// Graph `index` of a part: a pure function of configuration, part and index.
    pub fn example(&self, part: Part, index: u64) -> Example {
        let (purpose, [least, most]) = match part {
            Part::Train => ("graph.train", self.nodes),
            Part::Validation => ("graph.validation", self.nodes),
            Part::Test => ("graph.test", self.test_nodes),
        };
        let mut rng = Rng::new(derive(self.seed, purpose, index, 0));
        let nodes = least + rng.below(most - least + 1);
        let edges = match self.task {
            GeneratedTask::Distance => random_edges(nodes, &mut rng),
            GeneratedTask::Connectivity => edges_of_two(nodes, &mut rng),
            GeneratedTask::Nbody => return self.nbody().example(part, nodes, &mut rng),
        };
        let source = rng.below(nodes);
        let graph = match Graph::undirected(&edges, source_features(nodes, source)) {
            Ok(graph) => graph,
            Err(error) => unreachable!("the ends of the edges were drawn among the nodes: {error}"),
        };
        let labels = graph.distances(source).into_iter();
        let labels = labels.map(|distance| Some(self.class(distance)));
        Example {
            labels: Labels::Nodes(labels.collect()),
            graph: Arc::new(graph),
        }
    }

    /// Refuses more graphs than the machine has memory for.
    fn room(&self) -> Result<(), GraphError> {
        let small = self.graphs.saturating_add(self.validation_graphs) as u64;
        let nodes = small.saturating_mul(self.nodes[1] as u64);
        let nodes = nodes.saturating_add((self.test_graphs as u64).saturating_mul(self.test_nodes[1] as u64));
        let bytes = nodes.saturating_mul(BYTES_A_NODE + self.bytes_of_frames());
        let need = Need::of("the graphs of the dataset").with("nodes and edges", bytes);
        Ok(FreeMemory::room_for(&need, || {
            "use a smaller dataset.graphs".into()
        })?)
    }

    /// Memory of the frames of a body; 0 for other tasks.
    fn bytes_of_frames(&self) -> u64 {
        match self.task {
            GeneratedTask::Nbody => self.nbody().bytes_a_body(),
            _ => 0,
        }
    }

    pub(super) fn load(&self) -> Result<Data, GraphError> {
        self.validate()?;
        self.room()?;
        let part = |part, count: usize| (0..count as u64).map(|index| self.example(part, index)).collect();
        Ok(Data {
            train: part(Part::Train, self.graphs),
            validation: part(Part::Validation, self.validation_graphs),
            test: part(Part::Test, self.test_graphs),
            schema: self.schema(),
        })
    }
}

/// Features of the nodes of a graph with a source.
pub(crate) fn source_features(nodes: usize, source: usize) -> Vec<Vec<u32>> {
    let feature = |node| if node == source { SOURCE } else { PLAIN };
    (0..nodes).map(|node| vec![feature(node)]).collect()
}

/// Undirected edges of a random graph, without edges from a node to itself.
fn random_edges(nodes: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let names = random_order(nodes, rng);
    let (mut edges, more) = if rng.uniform() < 0.5 {
        let tree = (1..nodes).map(|node| (parent(node, rng), node)).collect();
        (tree, rng.below(nodes / 4 + 1))
    } else {
        (Vec::new(), (nodes as f64 * (0.8 + 0.8 * rng.uniform())) as usize)
    };
    edges.extend((0..more).map(|_| (rng.below(nodes), rng.below(nodes))));
    edges.retain(|(one, other)| one != other);
    edges
        .into_iter()
        .map(|(one, other)| (names[one], names[other]))
        .collect()
}

/// Undirected edges of two random graphs, one of which has a quarter to three quarters of the nodes.
fn edges_of_two(nodes: usize, rng: &mut Rng) -> Vec<(usize, usize)> {
    let names = random_order(nodes, rng);
    let first = (nodes / 4 + rng.below(nodes / 2 + 1)).clamp(1, nodes - 1);
    let mut edges = random_edges(first, rng);
    let second = random_edges(nodes - first, rng).into_iter();
    edges.extend(second.map(|(one, other)| (first + one, first + other)));
    edges
        .into_iter()
        .map(|(one, other)| (names[one], names[other]))
        .collect()
}

/// Parent of a node in a tree: equally likely any earlier node, or one of the three before it, for long branches.
fn parent(node: usize, rng: &mut Rng) -> usize {
    let reach = if rng.uniform() < 0.5 { node } else { node.min(3) };
    node - 1 - rng.below(reach)
}

fn random_order(count: usize, rng: &mut Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    for last in (1..count).rev() {
        order.swap(last, rng.below(last + 1));
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_is_a_function_of_its_index_and_has_the_sizes_of_its_part() {
        let config = GeneratorConfig::default();
        for part in [Part::Train, Part::Validation, Part::Test] {
            let [least, most] = if part == Part::Test { [40, 80] } else { [20, 40] };
            for index in 0..30 {
                let example = config.example(part, index);
                assert!((least..=most).contains(&example.graph.nodes()));
                assert_eq!(example, config.example(part, index));
            }
        }
        let first = |part| config.example(part, 0);
        assert_ne!(first(Part::Train), first(Part::Validation));
    }

    /// Labels by relaxation of all edges until nothing changes, which shares no code with the search.
    #[test]
    fn labels_are_shortest_distances() {
        let config = GeneratorConfig {
            max_distance: 3,
            ..GeneratorConfig::default()
        };
        for index in 0..20 {
            let Example { graph, labels } = config.example(Part::Train, index);
            let mut distance = vec![1000u32; graph.nodes()];
            for (node, features) in graph.features().iter().enumerate() {
                if features == &[SOURCE] {
                    distance[node] = 0;
                }
            }
            assert_eq!(distance.iter().filter(|&&d| d == 0).count(), 1);
            for _ in 0..graph.nodes() {
                for &(s, t) in graph.edges() {
                    distance[s] = distance[s].min(distance[t] + 1);
                }
            }
            let expected = distance.into_iter().map(|d| Some(d.min(4))).collect();
            assert_eq!(labels, Labels::Nodes(expected));
        }
    }

    #[test]
    fn all_distances_occur_and_some_graphs_fall_apart() {
        let config = GeneratorConfig::default();
        let mut counts = [0; 12];
        for index in 0..200 {
            let Labels::Nodes(labels) = config.example(Part::Train, index).labels else {
                panic!("distances are labels of nodes")
            };
            labels
                .into_iter()
                .flatten()
                .for_each(|label| counts[label as usize] += 1);
        }
        assert!(counts.iter().all(|&count| count > 20), "{counts:?}");
    }

    /// Components by union of the ends of all edges, which shares no code with the search.
    #[test]
    fn a_node_is_connected_if_it_is_in_the_component_of_the_source() {
        let config = GeneratorConfig {
            task: GeneratedTask::Connectivity,
            nodes: [2, 40],
            ..GeneratorConfig::default()
        };
        assert_eq!(config.schema().classes, ["apart", "connected"]);
        let (mut connected, mut all) = (0, 0);
        for index in 0..300 {
            let Example { graph, labels } = config.example(Part::Train, index);
            let mut component: Vec<usize> = (0..graph.nodes()).collect();
            for &(one, other) in graph.edges() {
                let (from, to) = (component[one], component[other]);
                component
                    .iter_mut()
                    .filter(|of| **of == from)
                    .for_each(|of| *of = to);
            }
            let source = graph.features().iter().position(|own| own == &[SOURCE]).unwrap();
            let same = component.iter().map(|of| u32::from(*of == component[source]));
            let same: Vec<_> = same.map(Some).collect();
            connected += same.iter().filter(|label| **label == Some(1)).count();
            all += same.len();
            assert_eq!(labels, Labels::Nodes(same));
        }
        let share = connected as f64 / f64::from(all as u32);
        assert!((0.35..0.65).contains(&share), "{share}");
    }

    #[test]
    fn settings_that_make_no_graph_are_refused_by_their_key() {
        for (config, key) in [
            (
                GeneratorConfig {
                    graphs: 0,
                    ..GeneratorConfig::default()
                },
                "dataset.graphs",
            ),
            (
                GeneratorConfig {
                    nodes: [1, 4],
                    ..GeneratorConfig::default()
                },
                "dataset.nodes",
            ),
            (
                GeneratorConfig {
                    test_nodes: [9, 4],
                    ..GeneratorConfig::default()
                },
                "dataset.test_nodes",
            ),
            (
                GeneratorConfig {
                    max_distance: 0,
                    ..GeneratorConfig::default()
                },
                "dataset.max_distance",
            ),
        ] {
            assert!(config.validate().unwrap_err().to_string().starts_with(key));
        }
    }
}
