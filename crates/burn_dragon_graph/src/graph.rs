//! Graphs with features and labels, as they stand in data.

use crate::error::GraphError;
use crate::motion::Frames;
use burn_dragon_kernel::api::graph::{Adjacency, SelfEdges};
use std::sync::Arc;

/// Graph whose nodes have active features.
///
/// An edge `(s, t)` says that s reads t. An undirected edge is in the list once in each direction, or is given to
/// [`undirected`](Self::undirected) once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Graph {
    edges: Vec<(usize, usize)>,
    features: Vec<Vec<u32>>,
}

impl Graph {
    /// Graph of the given directed edges; `features` has the active features of each node. Edges are sorted, and
    /// duplicates are removed.
    ///
    /// # Errors
    /// [`GraphError::Graph`] if an edge has an end that is no node.
    pub fn new(mut edges: Vec<(usize, usize)>, features: Vec<Vec<u32>>) -> Result<Self, GraphError> {
        let nodes = features.len();
        if let Some((s, t)) = edges.iter().find(|(s, t)| *s >= nodes || *t >= nodes) {
            return Err(GraphError::Graph(format!(
                "the edge {s} {t} has an end that is no node; there are {nodes}, counted from 0"
            )));
        }
        edges.sort_unstable();
        edges.dedup();
        Ok(Self { edges, features })
    }

    /// Graph of undirected edges: both ends of each read each other.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn undirected(edges: &[(usize, usize)], features: Vec<Vec<u32>>) -> Result<Self, GraphError> {
        let both = edges.iter().flat_map(|&(s, t)| [(s, t), (t, s)]).collect();
        Self::new(both, features)
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.features.len()
    }

    /// Directed edges, sorted, without duplicates.
    pub fn edges(&self) -> &[(usize, usize)] {
        &self.edges
    }

    /// Active features of each node.
    pub fn features(&self) -> &[Vec<u32>] {
        &self.features
    }

    /// The same graph with other features.
    ///
    /// # Panics
    /// If the number of nodes differs.
    pub fn with_features(&self, features: Vec<Vec<u32>>) -> Self {
        assert_eq!(
            features.len(),
            self.nodes(),
            "Graph: one list of features for each node"
        );
        Self {
            edges: self.edges.clone(),
            features,
        }
    }

    /// Nodes that each node reads.
    pub fn neighbours(&self) -> Vec<Vec<usize>> {
        let mut neighbours = vec![Vec::new(); self.nodes()];
        for &(s, t) in &self.edges {
            neighbours[s].push(t);
        }
        neighbours
    }

    /// Number of edges on the shortest path over which each node reads `source`; `None` if there is none.
    ///
    /// # Panics
    /// If `source` is no node.
    pub fn distances(&self, source: usize) -> Vec<Option<u32>> {
        let mut readers = vec![Vec::new(); self.nodes()];
        for &(s, t) in &self.edges {
            readers[t].push(s);
        }
        let mut distances = vec![None; self.nodes()];
        distances[source] = Some(0);
        let (mut frontier, mut distance) = (vec![source], 0);
        while !frontier.is_empty() {
            distance += 1;
            let mut next = Vec::new();
            for node in frontier {
                for &reader in &readers[node] {
                    if distances[reader].is_none() {
                        distances[reader] = Some(distance);
                        next.push(reader);
                    }
                }
            }
            frontier = next;
        }
        distances
    }

    /// Graph whose node `order[i]` is node `i` of this one.
    ///
    /// # Panics
    /// If `order` is no permutation of the nodes.
    pub fn permuted(&self, order: &[usize]) -> Self {
        let mut features = vec![Vec::new(); self.nodes()];
        for (node, of) in self.features.iter().enumerate() {
            features[order[node]].clone_from(of);
        }
        let edges = self.edges.iter().map(|&(s, t)| (order[s], order[t])).collect();
        match Self::new(edges, features) {
            Ok(graph) => graph,
            Err(error) => unreachable!("a permutation keeps the number of nodes: {error}"),
        }
    }

    /// Adjacency for the kernel.
    ///
    /// # Errors
    /// If there are more than 2^32 - 1 edges.
    pub fn adjacency(&self, self_edges: SelfEdges) -> Result<Adjacency, GraphError> {
        Ok(Adjacency::from_edges(self.nodes(), &self.edges, self_edges)?)
    }
}

/// Labels of a graph.
#[derive(Clone, Debug, PartialEq)]
pub enum Labels {
    /// A class for each node; `None` for nodes whose class is not asked for.
    Nodes(Vec<Option<u32>>),
    /// A class for the whole graph.
    Graph(u32),
    /// Frames of the nodes, which are bodies: first those that are observed, then those that are predicted.
    Frames(Arc<Frames>),
}

impl Labels {
    /// Number of labels.
    pub fn count(&self) -> usize {
        match self {
            Self::Nodes(labels) => labels.iter().flatten().count(),
            Self::Graph(_) => 1,
            Self::Frames(frames) => frames.bodies(),
        }
    }
}

/// Graph with its labels. The parts of transductive data share one graph and have other labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// The graph.
    pub graph: Arc<Graph>,
    /// Its labels.
    pub labels: Labels,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(nodes: usize) -> Graph {
        let edges: Vec<_> = (1..nodes).map(|node| (node - 1, node)).collect();
        Graph::undirected(&edges, vec![vec![0]; nodes]).unwrap()
    }

    #[test]
    fn distances_are_those_of_a_path_and_no_path_is_none() {
        assert_eq!(path(4).distances(1), [Some(1), Some(0), Some(1), Some(2)]);
        let apart = Graph::undirected(&[(0, 1)], vec![vec![]; 3]).unwrap();
        assert_eq!(apart.distances(0), [Some(0), Some(1), None]);
    }

    /// Node 0 reads 1, so what 1 knows reaches 0, and not the other way.
    #[test]
    fn a_directed_edge_is_one_way() {
        let graph = Graph::new(vec![(0, 1)], vec![vec![]; 2]).unwrap();
        assert_eq!(graph.distances(1), [Some(1), Some(0)]);
        assert_eq!(graph.distances(0), [Some(0), None]);
    }

    #[test]
    fn duplicate_edges_are_one_and_an_end_outside_is_refused() {
        let graph = Graph::undirected(&[(0, 1), (1, 0), (0, 1)], vec![vec![]; 2]).unwrap();
        assert_eq!(graph.edges(), [(0, 1), (1, 0)]);
        let error = Graph::new(vec![(0, 2)], vec![vec![]; 2]).unwrap_err().to_string();
        assert!(error.contains("0 2") && error.contains("there are 2"), "{error}");
    }

    #[test]
    fn a_permutation_moves_nodes_with_their_edges_and_features() {
        let graph = Graph::new(vec![(0, 1)], vec![vec![7], vec![8], vec![9]]).unwrap();
        let moved = graph.permuted(&[2, 0, 1]);
        assert_eq!(moved.edges(), [(2, 0)]);
        assert_eq!(moved.features(), [vec![8], vec![9], vec![7]]);
    }
}
