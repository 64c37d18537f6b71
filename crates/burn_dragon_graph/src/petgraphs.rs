//! Graphs of the crate [`petgraph`], in and out.
//!
//! An edge of a directed graph says that its source reads its target; the ends of an undirected one read each other. Features
//! come from the weights of the nodes; weights of edges are not read.
//!
#![cfg_attr(
    feature = "petgraph",
    doc = r#"
```
use burn_dragon_graph::api::{Graph, GraphCsrAdjacency};
use petgraph::graph::UnGraph;

let mut molecule = UnGraph::<&str, f32>::new_undirected();
let [c, o, h] = ["C", "O", "H"].map(|atom| molecule.add_node(atom));
molecule.add_edge(c, o, 1.43);
molecule.add_edge(o, h, 0.96);

let kinds = ["H", "C", "O"];
let feature = |atom: &&str| kinds.iter().position(|kind| kind == atom).map(|kind| kind as u32);
let graph = Graph::from_petgraph(&molecule, |_, atom| feature(atom).into_iter().collect())?;
assert_eq!(graph.features(), [[1], [2], [0]]);
assert_eq!(graph.edges(), [(0, 1), (1, 0), (1, 2), (2, 1)]);

let back = graph.to_undirected_petgraph()?;
assert_eq!((back.node_count(), back.edge_count()), (3, 2));
assert_eq!(GraphCsrAdjacency::from_petgraph(&back)?.readers(), 3);
# Ok::<(), Box<dyn std::error::Error>>(())
```
"#
)]

use crate::error::GraphError;
use crate::graph::Graph;
use crate::routing::GraphCsrAdjacency;
use burn_dragon_kernel::api::graph::AdjacencyError;
use petgraph::graph::{DiGraph, IndexType, NodeIndex, UnGraph};
use petgraph::{EdgeType, Graph as Petgraph};

impl Graph {
    /// Graph of a graph of `petgraph`; `features` gives the active features of a node.
    ///
    /// # Errors
    /// As [`new`](Self::new), which an edge of `petgraph` never is a reason for.
    pub fn from_petgraph<N, E, Ty: EdgeType, Ix: IndexType>(
        graph: &Petgraph<N, E, Ty, Ix>,
        mut features: impl FnMut(NodeIndex<Ix>, &N) -> Vec<u32>,
    ) -> Result<Self, GraphError> {
        let nodes = graph.node_indices().zip(graph.node_weights());
        let features = nodes.map(|(node, weight)| features(node, weight)).collect();
        Self::new(edges_of(graph), features)
    }

    /// Directed graph of `petgraph`, whose nodes have the active features as their weights.
    pub fn to_petgraph(&self) -> DiGraph<Vec<u32>, ()> {
        let mut graph = DiGraph::with_capacity(self.nodes(), self.edges().len());
        let nodes: Vec<_> = self
            .features()
            .iter()
            .map(|own| graph.add_node(own.clone()))
            .collect();
        for &(source, target) in self.edges() {
            graph.add_edge(nodes[source], nodes[target], ());
        }
        graph
    }

    /// Undirected graph of `petgraph`, with one edge for each pair of nodes that read each other.
    ///
    /// # Errors
    /// [`GraphError::Graph`] if a node reads another one that does not read it.
    pub fn to_undirected_petgraph(&self) -> Result<UnGraph<Vec<u32>, ()>, GraphError> {
        let mut graph = UnGraph::with_capacity(self.nodes(), self.edges().len() / 2);
        let nodes: Vec<_> = self
            .features()
            .iter()
            .map(|own| graph.add_node(own.clone()))
            .collect();
        for &(source, target) in self.edges() {
            if self.edges().binary_search(&(target, source)).is_err() {
                return Err(GraphError::Graph(format!(
                    "node {source} reads {target}, but {target} does not read {source}; use to_petgraph, which is directed"
                )));
            }
            if source <= target {
                graph.add_edge(nodes[source], nodes[target], ());
            }
        }
        Ok(graph)
    }
}

impl GraphCsrAdjacency {
    /// Adjacency of the nodes of a graph of `petgraph`.
    ///
    /// # Errors
    /// If there are too many edges.
    pub fn from_petgraph<N, E, Ty: EdgeType, Ix: IndexType>(
        graph: &Petgraph<N, E, Ty, Ix>,
    ) -> Result<Self, AdjacencyError> {
        let nodes = graph.node_count();
        Self::try_from_edges(nodes, nodes, &edges_of(graph))
    }
}

/// Pairs of a reader and a node that it reads.
fn edges_of<N, E, Ty: EdgeType, Ix: IndexType>(graph: &Petgraph<N, E, Ty, Ix>) -> Vec<(usize, usize)> {
    let edges = graph.raw_edges().iter();
    let ends = edges.map(|edge| (edge.source().index(), edge.target().index()));
    let both = |(source, target)| {
        let back = (!graph.is_directed()).then_some((target, source));
        std::iter::once((source, target)).chain(back)
    };
    ends.flat_map(both).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of a node: its number and its weight.
    fn features<Ix: IndexType>(node: NodeIndex<Ix>, weight: &u32) -> Vec<u32> {
        vec![node.index() as u32, *weight]
    }

    #[test]
    fn an_undirected_edge_is_read_both_ways_and_a_directed_one_from_its_source() {
        let mut undirected = UnGraph::<u32, &str>::new_undirected();
        let [a, b, c] = [7, 8, 9].map(|weight| undirected.add_node(weight));
        undirected.add_edge(a, b, "twice");
        undirected.add_edge(b, a, "twice");
        undirected.add_edge(c, c, "self");
        let graph = Graph::from_petgraph(&undirected, features).unwrap();
        assert_eq!(graph.edges(), [(0, 1), (1, 0), (2, 2)]);
        assert_eq!(graph.features(), [[0, 7], [1, 8], [2, 9]]);
        let adjacency = GraphCsrAdjacency::from_petgraph(&undirected).unwrap();
        assert_eq!(adjacency.adjacency().edges().collect::<Vec<_>>(), graph.edges());

        let mut directed = Petgraph::<u32, (), petgraph::Directed, u8>::default();
        let [a, b] = [1, 2].map(|weight| directed.add_node(weight));
        directed.add_edge(b, a, ());
        let graph = Graph::from_petgraph(&directed, features).unwrap();
        assert_eq!(graph.edges(), [(1, 0)]);
    }

    #[test]
    fn a_graph_comes_back_as_it_was() {
        let features = vec![vec![3], vec![], vec![1, 2], vec![0]];
        let one_way = Graph::new(vec![(0, 1), (2, 0), (3, 3)], features.clone()).unwrap();
        let again = Graph::from_petgraph(&one_way.to_petgraph(), |_, own| own.clone()).unwrap();
        assert_eq!(again, one_way);
        let error = one_way.to_undirected_petgraph().unwrap_err().to_string();
        assert!(error.contains("node 0 reads 1, but 1 does not read 0"), "{error}");
        let both = Graph::undirected(&[(0, 1), (2, 0), (3, 3)], features).unwrap();
        let undirected = both.to_undirected_petgraph().unwrap();
        assert_eq!(undirected.edge_count(), 3);
        let again = Graph::from_petgraph(&undirected, |_, own| own.clone()).unwrap();
        assert_eq!(again, both);
    }

    #[test]
    fn a_graph_without_nodes_is_one() {
        let graph = Graph::from_petgraph(&DiGraph::<u32, ()>::new(), features).unwrap();
        assert_eq!((graph.nodes(), graph.to_petgraph().node_count()), (0, 0));
    }
}
