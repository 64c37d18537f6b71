//! Input of the operations on the memories of a graph for a backend: its own tensors, the adjacency, and numbers.

use crate::graph::Adjacency;
use burn::backend::Backend;
use burn::backend::tensor::FloatTensor;
use std::sync::Arc;

/// Sizes of an operation on the memories of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GraphSizes {
    pub(crate) lanes: usize,
    pub(crate) heads: usize,
    pub(crate) readers: usize,
    pub(crate) targets: usize,
    pub(crate) neurons: usize,
    pub(crate) width: usize,
    /// Heads of the values: 1 for all heads, or as many as there are.
    pub(crate) value_heads: usize,
}

impl GraphSizes {
    /// The shape of queries.
    pub(crate) fn queries(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.readers, self.neurons]
    }

    /// The shape of keys.
    pub(crate) fn keys(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.targets, self.neurons]
    }

    /// The shape of what is read.
    pub(crate) fn reads(&self) -> [usize; 4] {
        [self.lanes, self.heads, self.readers, self.width]
    }

    /// The shape of the memories.
    pub(crate) fn memories(&self) -> [usize; 5] {
        [self.lanes, self.heads, self.targets, self.neurons, self.width]
    }
}

/// Edges with their weights.
#[derive(Clone, Debug)]
pub(crate) struct EdgesOn<B: Backend> {
    /// `None`: each place has an edge to itself, and no other.
    pub(crate) adjacency: Option<Adjacency>,
    /// Factor of each edge from the normalisation; `None`: 1.
    pub(crate) factors: Option<Arc<[f32]>>,
    /// `[1 or B, E]`; `None`: 1.
    pub(crate) gates: Option<FloatTensor<B>>,
}

/// A read of memories.
#[derive(Clone, Debug)]
pub(crate) struct GraphReadOn<B: Backend> {
    pub(crate) sizes: GraphSizes,
    /// `[B, H, S, N]`.
    pub(crate) q: FloatTensor<B>,
    /// `[B, H, T, N, D]`.
    pub(crate) rho: FloatTensor<B>,
    pub(crate) edges: EdgesOn<B>,
}

/// A write into memories.
#[derive(Clone, Debug)]
pub(crate) struct GraphWriteOn<B: Backend> {
    pub(crate) sizes: GraphSizes,
    /// `[B, H, S, N]`.
    pub(crate) q: FloatTensor<B>,
    /// `[B, 1 or H, S, D]`.
    pub(crate) v: FloatTensor<B>,
    pub(crate) edges: EdgesOn<B>,
    /// Factor of each head on the memory; `None`: 1.
    pub(crate) kept: Option<Vec<f32>>,
    /// Factor of each head on what is written; `None`: 1.
    pub(crate) written: Option<Vec<f32>>,
}

/// A read of one write.
#[derive(Clone, Debug)]
pub(crate) struct GraphRecallOn<B: Backend> {
    pub(crate) sizes: GraphSizes,
    /// `[B, H, S, N]`.
    pub(crate) q: FloatTensor<B>,
    /// `[B, H, T, N]`.
    pub(crate) keys: FloatTensor<B>,
    /// `[B, 1 or H, T, D]`.
    pub(crate) v: FloatTensor<B>,
    pub(crate) edges: EdgesOn<B>,
    /// Factor of each head on the read; `None`: 1.
    pub(crate) left: Option<Vec<f32>>,
}
