//! Weighted edges: adjacency, normalisation, gates.

use super::Adjacency;
use burn::tensor::Tensor;

/// Normalisation of the sums over edges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Normalisation {
    /// None: the weight of each edge is 1.
    Sum,
    /// Each sum is divided by its number of edges: a read by the number of memories that are read, a write by the number
    /// of writers.
    #[default]
    Mean,
    /// An edge is divided by the root of both numbers of edges, that of its reader and that of its target
    /// (`D^-1/2 A D^-1/2`).
    Symmetric,
}

/// What is summed: the memories that a reader reads, or the writers of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    OfReaders,
    OfTargets,
}

/// Edges with their weights: the weight of an edge is the factor of the normalisation times its gate.
#[derive(Clone, Debug)]
pub struct Edges {
    /// Edges without weights.
    pub adjacency: Adjacency,
    /// Normalisation of the sums.
    pub normalisation: Normalisation,
    /// A number for each edge, in the order of the edge indices: `[1, E]` for all lanes, or `[B, E]`. `None`: 1. A gate
    /// does not change the numbers of edges of the normalisation.
    pub gates: Option<Tensor<2>>,
}

impl Edges {
    /// Edges without gates.
    pub fn new(adjacency: Adjacency, normalisation: Normalisation) -> Self {
        Self {
            adjacency,
            normalisation,
            gates: None,
        }
    }

    /// The same edges with gates, `[1, E]` or `[B, E]`.
    pub fn gated(self, gates: Tensor<2>) -> Self {
        Self {
            gates: Some(gates),
            ..self
        }
    }

    /// Panics unless the edges join so many readers to so many targets, and the gates are right for so many lanes.
    #[track_caller]
    pub(super) fn check(&self, operation: &str, lanes: usize, [readers, targets]: [usize; 2]) {
        let adjacency = &self.adjacency;
        crate::assert_shape(
            operation,
            "the adjacency (readers, targets)",
            [adjacency.readers(), adjacency.targets()],
            [readers, targets],
        );
        if let Some(gates) = &self.gates {
            let [rows, _] = gates.dims();
            let expected = if rows == 1 { 1 } else { lanes };
            crate::assert_shape(
                operation,
                "the gates",
                gates.dims(),
                [expected, adjacency.edge_count()],
            );
        }
    }

    /// Whether the gates are in the graph of gradients.
    pub(super) fn is_autodiff(&self) -> bool {
        self.gates.as_ref().is_some_and(Tensor::is_autodiff)
    }

    /// The gates as constants in the graph of gradients, if the others are in it.
    pub(super) fn alike(&self, is_autodiff: bool) -> Self {
        let gates = self.gates.clone();
        Self {
            gates: gates.map(|gates| super::alike(gates, is_autodiff)),
            ..self.clone()
        }
    }
}
