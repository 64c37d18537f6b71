//! Input of a model: several graphs as one, with their features.

use crate::error::GraphError;
use crate::graph::Graph;
use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_kernel::api::graph::{Adjacency, Edges, Normalisation, PlaceDecay, SelfEdges, graph_recall};

/// Divisor of the sum of the rows of a node's active features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FeatureScale {
    /// Root of their number.
    #[default]
    Root,
    /// Their number.
    Number,
}

/// Several graphs as one, none of which reads another: nodes of the second follow those of the first.
#[derive(Clone, Debug)]
pub struct GraphInput {
    edges: Edges,
    /// From each node to the graph that it is a node of.
    membership: Edges,
    /// Number of nodes of each graph.
    sizes: Vec<usize>,
    /// Node and feature of each active feature.
    active: Vec<[i32; 2]>,
    /// Weight of each active feature; absent: 1.
    weights: Option<Vec<f32>>,
    features: usize,
    scale: FeatureScale,
}

impl GraphInput {
    /// Input of the given graphs, for a model that knows `features` features.
    ///
    /// # Errors
    /// If a graph has a feature that the model does not know, or there are too many edges.
    pub fn new(
        graphs: &[&Graph],
        features: usize,
        self_edges: SelfEdges,
        normalisation: Normalisation,
    ) -> Result<Self, GraphError> {
        let (mut sizes, mut active, mut adjacencies) = (Vec::new(), Vec::new(), Vec::new());
        let mut first = 0;
        for graph in graphs {
            for (node, own) in graph.features().iter().enumerate() {
                if let Some(unknown) = own.iter().find(|feature| **feature as usize >= features) {
                    return Err(GraphError::Graph(format!(
                        "node {node} has the feature {unknown}, but the model knows {features}, counted from 0"
                    )));
                }
                active.extend(own.iter().map(|feature| [(first + node) as i32, *feature as i32]));
            }
            first += graph.nodes();
            sizes.push(graph.nodes());
            adjacencies.push(graph.adjacency(self_edges)?);
        }
        let members: Vec<(usize, usize)> = graph_of(&sizes).enumerate().collect();
        let members = Adjacency::between(members.len(), sizes.len(), &members)?;
        Ok(Self {
            edges: Edges::new(Adjacency::block_diagonal(&adjacencies)?, normalisation),
            membership: Edges::new(members, Normalisation::Mean),
            sizes,
            active,
            weights: None,
            features,
            scale: FeatureScale::default(),
        })
    }

    /// The same graphs with a number for each feature of each node, in place of active features.
    ///
    /// # Panics
    /// If there are not as many numbers as nodes times features.
    pub fn with_values(self, values: Vec<f32>) -> Self {
        let (nodes, features) = (self.nodes(), self.features);
        assert_eq!(
            values.len(),
            nodes * features,
            "GraphInput: numbers of {nodes} nodes"
        );
        let pairs =
            (0..nodes).flat_map(|node| (0..features).map(move |feature| [node as i32, feature as i32]));
        Self {
            active: pairs.collect(),
            weights: Some(values),
            ..self
        }
    }

    /// The same input with another divisor of the features.
    pub fn scaled(self, scale: FeatureScale) -> Self {
        Self { scale, ..self }
    }

    /// Number of nodes of all graphs.
    pub fn nodes(&self) -> usize {
        self.edges.adjacency.readers()
    }

    /// Number of nodes of each graph.
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Edges of all graphs.
    pub fn edges(&self) -> &Edges {
        &self.edges
    }

    /// Edges from each node to the graph that it is a node of. A write through them is the mean over the nodes of a graph.
    pub(crate) fn membership(&self) -> &Edges {
        &self.membership
    }

    /// Number of features that the model knows.
    pub fn features(&self) -> usize {
        self.features
    }

    /// Sum of the rows of each node's active features, times their weights, divided by the root of their number, or as
    /// [`scaled`](Self::scaled) says. With a seed and a rate, features are left out at random, and the others are scaled so
    /// that the mean stays.
    ///
    /// # Shapes
    /// - `rows`: `[F, D]`
    /// - output: `[P, D]`
    ///
    /// # Panics
    /// If `rows` has another number of rows than the model knows features.
    pub fn embed(&self, rows: &Tensor<2>, dropout: Option<(u64, f64)>) -> Tensor<2> {
        let [known, width] = rows.dims();
        assert_eq!(known, self.features, "GraphInput: rows of {known} features");
        let sums = Tensor::zeros([self.nodes(), width], (&rows.device(), rows.dtype()));
        let mut counts = vec![0u32; self.nodes()];
        self.active
            .iter()
            .for_each(|[node, _]| counts[*node as usize] += 1);
        let all = 0..self.active.len();
        let kept: Vec<usize> = match dropout {
            None => all.collect(),
            Some((seed, rate)) => {
                let mut rng = Rng::new(derive(seed, "feature", 0, 0));
                all.filter(|_| rng.uniform() >= rate).collect()
            }
        };
        if kept.is_empty() {
            return sums;
        }
        let scale = dropout.map_or(1.0, |(_, rate)| 1.0 / (1.0 - rate));
        let divisor = |count: u32| match self.scale {
            FeatureScale::Root => f64::from(count).sqrt(),
            FeatureScale::Number => f64::from(count),
        };
        let own = |at: usize| {
            self.weights
                .as_ref()
                .map_or(1.0, |weights| f64::from(weights[at]))
        };
        let weights = kept.iter().map(|&at| {
            let count = counts[self.active[at][0] as usize];
            (own(at) * scale / divisor(count)) as f32
        });
        let weights = TensorData::new(weights.collect::<Vec<f32>>(), [kept.len(), 1]);
        let weights = Tensor::<2>::from_data(weights, (&rows.device(), rows.dtype()));
        let of = |end: usize| indices(kept.iter().map(|&at| self.active[at][end]), &rows.device());
        let terms = rows.clone().select(0, of(1)) * weights; // [K, D]
        sums.select_assign(0, of(0), terms, IndexingUpdateOp::Add)
    }

    /// Sum of the rows of each graph; 0 for a graph without nodes.
    ///
    /// # Shapes
    /// - `rows`: `[P, D]`
    /// - output: `[G, D]`
    pub fn sums(&self, rows: Tensor<2>) -> Tensor<2> {
        let width = rows.dims()[1];
        let sums = Tensor::zeros([self.sizes.len(), width], (&rows.device(), rows.dtype()));
        let graph_of = indices(graph_of(&self.sizes).map(|graph| graph as i32), &rows.device());
        sums.select_assign(0, graph_of, rows, IndexingUpdateOp::Add)
    }

    /// Mean of the rows of each graph; 0 for a graph without nodes.
    ///
    /// # Shapes
    /// - `rows`: `[P, D]`
    /// - output: `[G, D]`
    pub fn means(&self, rows: Tensor<2>) -> Tensor<2> {
        let shares = self.sizes.iter().map(|size| 1.0 / (*size).max(1) as f32);
        let shares = TensorData::new(shares.collect::<Vec<f32>>(), [self.sizes.len(), 1]);
        let shares = Tensor::<2>::from_data(shares, (&rows.device(), rows.dtype()));
        self.sums(rows) * shares
    }
}

/// Weighted sums over the neighbours of each node, `[P, D]`.
pub(crate) fn aggregate(rows: Tensor<2>, edges: &Edges) -> Tensor<2> {
    let [nodes, width] = rows.dims();
    let ones = Tensor::ones([1, 1, nodes, 1], (&rows.device(), rows.dtype()));
    let rows = rows.reshape([1, 1, nodes, width]);
    graph_recall(ones.clone(), ones, rows, edges, &PlaceDecay::default()).reshape([nodes, width])
}

/// Number of the graph of each node.
fn graph_of(sizes: &[usize]) -> impl Iterator<Item = usize> {
    let sizes = sizes.iter().enumerate();
    sizes.flat_map(|(graph, size)| std::iter::repeat_n(graph, *size))
}

/// Indices as a tensor.
pub(crate) fn indices(values: impl Iterator<Item = i32>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}
