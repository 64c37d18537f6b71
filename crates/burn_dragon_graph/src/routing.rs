//! Routing: which memories each node reads and writes.
//!
//! | bank | written by | read by |
//! |---|---|---|
//! | nodes | each node, its own | its neighbours |
//! | clusters | the nodes of the cluster | the nodes of the cluster |
//! | globals | the nodes that are assigned to it, themselves or through their cluster | the same nodes |

use crate::error::GraphError;
use burn_dragon_kernel::api::graph::{Adjacency, AdjacencyError, SelfEdges};

/// Adjacency in compressed rows: reader `s` reads the memories of its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphCsrAdjacency(Adjacency);

impl GraphCsrAdjacency {
    /// Rows from elsewhere: reader `i` reads `indices[offsets[i]..offsets[i + 1]]` of `targets` memories.
    ///
    /// # Errors
    /// If the offsets are no rows of the indices, or an index is no target.
    pub fn try_new(targets: usize, offsets: &[usize], indices: &[usize]) -> Result<Self, AdjacencyError> {
        Adjacency::from_offsets(targets, offsets, indices).map(Self)
    }

    /// Edges `(reader, target)`; they are sorted, and duplicates are removed.
    ///
    /// # Errors
    /// If an edge has an end that does not exist.
    pub fn try_from_edges(
        readers: usize,
        targets: usize,
        edges: &[(usize, usize)],
    ) -> Result<Self, AdjacencyError> {
        Adjacency::between(readers, targets, edges).map(Self)
    }

    /// One target for each reader, such as the cluster of each node.
    ///
    /// # Errors
    /// If a target does not exist.
    pub fn try_from_assignments(targets: usize, target_of: &[usize]) -> Result<Self, AdjacencyError> {
        let edges: Vec<_> = target_of.iter().copied().enumerate().collect();
        Self::try_from_edges(target_of.len(), targets, &edges)
    }

    /// The same edges in the other direction.
    pub fn transpose(&self) -> Self {
        Self(self.0.transposed())
    }

    /// Number of readers.
    pub fn readers(&self) -> usize {
        self.0.readers()
    }

    /// Number of targets.
    pub fn targets(&self) -> usize {
        self.0.targets()
    }

    /// Adjacency of the kernel.
    pub fn adjacency(&self) -> &Adjacency {
        &self.0
    }
}

impl From<Adjacency> for GraphCsrAdjacency {
    fn from(adjacency: Adjacency) -> Self {
        Self(adjacency)
    }
}

/// Routing between nodes and the banks of memories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphTopologyRouting {
    nodes: Adjacency,
    clusters: Option<Adjacency>,
    globals: Option<Adjacency>,
}

impl GraphTopologyRouting {
    /// Routing of nodes that read each other, without clusters and globals.
    ///
    /// # Errors
    /// If there is another number of targets than of readers.
    pub fn new(nodes: GraphCsrAdjacency) -> Result<Self, GraphError> {
        let (readers, targets) = (nodes.readers(), nodes.targets());
        if readers != targets {
            return Err(GraphError::Graph(format!(
                "nodes read each other, but there are {readers} readers and {targets} targets; expected the same number"
            )));
        }
        Ok(Self {
            nodes: nodes.0,
            clusters: None,
            globals: None,
        })
    }

    /// The same with a memory for each of `clusters` clusters; `cluster_of` has the cluster of each node.
    ///
    /// # Errors
    /// If a cluster does not exist, or there is another number of nodes.
    pub fn with_cluster_assignments(self, clusters: usize, cluster_of: &[usize]) -> Result<Self, GraphError> {
        let clusters = self.assigned("cluster", clusters, cluster_of)?;
        Ok(Self {
            clusters: Some(clusters),
            ..self
        })
    }

    /// The same with `globals` global memories; `global_of` has that of each node.
    ///
    /// # Errors
    /// If a global memory does not exist, or there is another number of nodes.
    pub fn with_node_global_assignments(
        self,
        globals: usize,
        global_of: &[usize],
    ) -> Result<Self, GraphError> {
        let globals = self.assigned("global memory", globals, global_of)?;
        Ok(Self {
            globals: Some(globals),
            ..self
        })
    }

    /// The same with `globals` global memories; `global_of` has that of each cluster, which its nodes read and write.
    ///
    /// # Errors
    /// If there are no clusters, a global memory does not exist, or there is another number of clusters.
    pub fn with_cluster_global_assignments(
        self,
        globals: usize,
        global_of: &[usize],
    ) -> Result<Self, GraphError> {
        let Some(clusters) = &self.clusters else {
            let reason = "there are no clusters; call with_cluster_assignments first";
            return Err(GraphError::Graph(reason.into()));
        };
        let (given, expected) = (global_of.len(), clusters.targets());
        if given != expected {
            return Err(GraphError::Graph(format!(
                "{given} clusters have a global memory, but there are {expected} clusters"
            )));
        }
        let of_nodes: Vec<usize> = clusters.edges().map(|(_, cluster)| global_of[cluster]).collect();
        self.with_node_global_assignments(globals, &of_nodes)
    }

    fn assigned(&self, what: &str, count: usize, target_of: &[usize]) -> Result<Adjacency, GraphError> {
        let (given, nodes) = (target_of.len(), self.nodes.readers());
        if given != nodes {
            return Err(GraphError::Graph(format!(
                "{given} nodes have a {what}, but there are {nodes} nodes"
            )));
        }
        Ok(GraphCsrAdjacency::try_from_assignments(count, target_of)?.0)
    }

    /// Edges between nodes, with one from each node to itself.
    ///
    /// # Errors
    /// If there are too many edges.
    pub fn with_self_edges(self) -> Result<Self, GraphError> {
        let edges: Vec<_> = self.nodes.edges().collect();
        let nodes = Adjacency::from_edges(self.nodes.readers(), &edges, SelfEdges::Add)?;
        Ok(Self { nodes, ..self })
    }

    /// Edges between nodes.
    pub fn nodes(&self) -> &Adjacency {
        &self.nodes
    }

    /// Cluster of each node, if there are clusters.
    pub fn clusters(&self) -> Option<&Adjacency> {
        self.clusters.as_ref()
    }

    /// Global memory of each node, if there are any.
    pub fn globals(&self) -> Option<&Adjacency> {
        self.globals.as_ref()
    }

    /// Hash of the topology: all edges and assignments. It is the same on every machine, and no proof against intent.
    pub fn topology_hash(&self) -> u64 {
        let banks = [Some(&self.nodes), self.clusters.as_ref(), self.globals.as_ref()];
        banks.into_iter().fold(0, |hash: u64, bank| {
            let own = bank.map_or(1, Adjacency::topology_hash);
            hash.rotate_left(21).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ own
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring() -> GraphTopologyRouting {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0)];
        GraphTopologyRouting::new(GraphCsrAdjacency::try_from_edges(4, 4, &edges).unwrap()).unwrap()
    }

    #[test]
    fn rows_edges_and_assignments_are_the_same_adjacency() {
        let edges = GraphCsrAdjacency::try_from_edges(3, 2, &[(2, 0), (0, 1), (1, 1), (0, 1)]).unwrap();
        assert_eq!(
            edges,
            GraphCsrAdjacency::try_new(2, &[0, 1, 2, 3], &[1, 1, 0]).unwrap()
        );
        assert_eq!(
            edges,
            GraphCsrAdjacency::try_from_assignments(2, &[1, 1, 0]).unwrap()
        );
        assert_eq!(
            edges.transpose().adjacency().edges().collect::<Vec<_>>(),
            [(0, 2), (1, 0), (1, 1)]
        );
    }

    #[test]
    fn nodes_have_the_global_memory_of_their_cluster() {
        let routing = ring().with_cluster_assignments(2, &[0, 0, 1, 1]).unwrap();
        let through = routing
            .clone()
            .with_cluster_global_assignments(3, &[2, 1])
            .unwrap();
        let direct = routing.with_node_global_assignments(3, &[2, 2, 1, 1]).unwrap();
        assert_eq!(through, direct);
    }

    #[test]
    fn the_hash_changes_with_every_part() {
        let clusters = |of: &[usize]| ring().with_cluster_assignments(2, of).unwrap();
        let other = GraphCsrAdjacency::try_from_edges(4, 4, &[(0, 1)]).unwrap();
        let hashes: std::collections::BTreeSet<u64> = [
            ring(),
            GraphTopologyRouting::new(other).unwrap(),
            clusters(&[0, 0, 1, 1]),
            clusters(&[0, 1, 1, 1]),
            ring().with_node_global_assignments(2, &[0, 0, 1, 1]).unwrap(),
        ]
        .map(|routing| routing.topology_hash())
        .into();
        assert_eq!(hashes.len(), 5);
        assert_eq!(ring().topology_hash(), ring().topology_hash());
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        let said = |error: GraphError| error.to_string();
        let oblong = GraphCsrAdjacency::try_from_edges(2, 3, &[]).unwrap();
        assert!(said(GraphTopologyRouting::new(oblong).unwrap_err()).contains("2 readers and 3 targets"));
        assert!(said(ring().with_cluster_assignments(2, &[0, 1]).unwrap_err()).contains("2 nodes"));
        assert!(said(ring().with_cluster_assignments(2, &[0, 1, 2, 0]).unwrap_err()).contains("there are 2"));
        assert!(said(ring().with_cluster_global_assignments(1, &[0]).unwrap_err()).contains("no clusters"));
    }
}
