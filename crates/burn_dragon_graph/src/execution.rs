//! Execution of a model step by step on one topology, with its memories as values.

use crate::config::Neighbours;
use crate::error::GraphError;
use crate::evaluate::NodeModel;
use crate::graph::Graph;
use crate::input::GraphInput;
use crate::model::{GraphDragon, GraphPass};
use crate::routing::GraphTopologyRouting;
use burn::tensor::Tensor;
use burn_dragon_core::api::expert::norm;
use burn_dragon_kernel::api::graph::{
    Adjacency, Edges, Normalisation, PlaceDecay, graph_read, graph_write, place_write,
};
use burn_dragon_kernel::api::perceive;

/// Mode of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GraphStepMode {
    /// Time does not pass: memories do not decay.
    Refine,
    /// Time passes: memories decay by the factor of the model, as at a level in training.
    Predict,
}

/// Combination of an observation with the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GraphObservationMerger {
    /// The observation takes the place of the state.
    #[default]
    Replace,
    /// The state is the norm of the sum of both.
    Add,
    /// The learnt gate of the model. The observation takes the place of the state if the model has none, or no time has
    /// passed.
    Learnt,
}

/// State of a graph: its nodes, the memories of every bank, and its age.
#[derive(Clone, Debug)]
pub struct GraphState {
    /// States of the nodes, `[1, 1, P, D]`.
    pub nodes: Tensor<4>,
    /// Memories of the nodes, `[1, H, P, N, D]`.
    pub node_rho: Tensor<5>,
    /// Memories of the clusters, `[1, H, C, N, D]`, if there are any.
    pub cluster_rho: Option<Tensor<5>>,
    /// Global memories, `[1, H, G, N, D]`, if there are any.
    pub global_rho: Option<Tensor<5>>,
    /// Number of steps of prediction since the beginning.
    pub temporal_position: u64,
    /// Number of steps of prediction since the last observation.
    pub prediction_age: u64,
    topology: u64,
    /// Memories that the nodes read, for a readout that averages over them.
    adjacency: Adjacency,
}

/// Routing that is prepared once for many steps: the edges of each bank with their weights.
#[derive(Clone, Debug)]
pub struct GraphCompiledExecutor {
    nodes: Edges,
    clusters: Option<Edges>,
    globals: Option<Edges>,
    topology: u64,
}

impl GraphCompiledExecutor {
    /// Prepares a routing. `neighbours` is the normalisation of reads over the neighbours, that of the model's
    /// configuration. Memories of clusters and global ones are divided by the number of their writers.
    pub fn new(routing: &GraphTopologyRouting, neighbours: Neighbours) -> Self {
        let bank = |adjacency: &Adjacency| Edges::new(adjacency.clone(), Normalisation::Mean);
        Self {
            nodes: Edges::new(routing.nodes().clone(), neighbours.into()),
            clusters: routing.clusters().map(bank),
            globals: routing.globals().map(bank),
            topology: routing.topology_hash(),
        }
    }

    /// Prepares the routing of a graph as a model reads it: with the self edges and the normalisation of its
    /// configuration.
    ///
    /// # Errors
    /// If there are too many edges.
    pub fn of_graph(graph: &Graph, model: &GraphDragon) -> Result<Self, GraphError> {
        let graph = graph.with_features(vec![Vec::new(); graph.nodes()]);
        Self::of_input(&model.input(&[&graph])?, model)
    }

    /// Prepares the edges of an input of a model, which may be several graphs, with a global memory for each graph if the
    /// model has a shared memory.
    ///
    /// # Errors
    /// If there are too many edges.
    pub fn of_input(input: &GraphInput, model: &GraphDragon) -> Result<Self, GraphError> {
        let mut routing = GraphTopologyRouting::new(input.edges().adjacency.clone().into())?;
        if model.config().model.shared_memory.is_some() {
            let members = input.membership().adjacency.edges();
            let graph_of: Vec<usize> = members.map(|(_, graph)| graph).collect();
            routing = routing.with_node_global_assignments(input.sizes().len(), &graph_of)?;
        }
        Ok(Self::new(&routing, model.config().model.neighbours))
    }

    /// Hash of the topology.
    pub fn topology_hash(&self) -> u64 {
        self.topology
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.nodes.adjacency.readers()
    }

    /// State with empty memories, in which nothing was observed.
    pub fn empty_state(&self, model: &GraphDragon) -> GraphState {
        let config = &model.config().model;
        let weights = model.features.val();
        let options = (&weights.device(), weights.dtype());
        let (heads, width) = (config.n_heads, config.d_model);
        let neurons = config.n_neurons / heads;
        let bank = |edges: &Edges| {
            let places = edges.adjacency.targets();
            Tensor::zeros([1, heads, places, neurons, width], options)
        };
        GraphState {
            nodes: Tensor::zeros([1, 1, self.nodes(), width], options),
            node_rho: bank(&self.nodes),
            cluster_rho: self.clusters.as_ref().map(bank),
            global_rho: self.globals.as_ref().map(bank),
            temporal_position: 0,
            prediction_age: 0,
            topology: self.topology,
            adjacency: self.nodes.adjacency.clone(),
        }
    }

    /// State after an observation: active features of each node. Memories stay as they are.
    ///
    /// # Errors
    /// If the state is of another topology, or the features do not fit.
    pub fn observe(
        &self,
        model: &GraphDragon,
        state: GraphState,
        features: &[Vec<u32>],
        merger: GraphObservationMerger,
    ) -> Result<GraphState, GraphError> {
        self.check(&state)?;
        let (given, nodes) = (features.len(), self.nodes());
        if given != nodes {
            return Err(GraphError::Graph(format!(
                "{given} nodes have features, but there are {nodes} nodes"
            )));
        }
        let config = model.config();
        let graph = Graph::new(Vec::new(), features.to_vec())?;
        let (own, neighbours) = (config.model.own_memory.into(), config.model.neighbours.into());
        let input = GraphInput::new(&[&graph], config.schema.features, own, neighbours)?;
        self.observe_input(model, state, &input, merger)
    }

    /// State after an observation of an input: its features or numbers. Its edges are not read.
    ///
    /// # Errors
    /// If the state is of another topology, or the input has another number of nodes.
    pub fn observe_input(
        &self,
        model: &GraphDragon,
        state: GraphState,
        input: &GraphInput,
        merger: GraphObservationMerger,
    ) -> Result<GraphState, GraphError> {
        let state = self.feed(model, state, input, merger)?;
        Ok(GraphState {
            prediction_age: 0,
            ..state
        })
    }

    /// State after a prediction of the model in place of an observation: the prediction becomes no younger.
    ///
    /// # Errors
    /// As [`observe_input`](Self::observe_input).
    pub fn feed(
        &self,
        model: &GraphDragon,
        state: GraphState,
        input: &GraphInput,
        merger: GraphObservationMerger,
    ) -> Result<GraphState, GraphError> {
        self.check(&state)?;
        let (given, nodes) = (input.nodes(), self.nodes());
        if given != nodes {
            return Err(GraphError::Graph(format!(
                "the input has {given} nodes, but there are {nodes} nodes"
            )));
        }
        let config = model.config();
        let observed = model.embedded(input, None);
        let nodes = match merger {
            GraphObservationMerger::Replace => observed,
            GraphObservationMerger::Add => norm(state.nodes.clone() + observed, config.model.norm_eps),
            GraphObservationMerger::Learnt => {
                let before = (state.temporal_position > 0).then(|| state.nodes.clone());
                model.merged(before, observed)
            }
        };
        Ok(GraphState { nodes, ..state })
    }

    /// State after one level: each node writes into its memories, reads those of its neighbours, of its cluster and its
    /// global one, and changes.
    ///
    /// # Errors
    /// If the state is of another topology.
    pub fn step(
        &self,
        model: &GraphDragon,
        state: GraphState,
        mode: GraphStepMode,
    ) -> Result<GraphState, GraphError> {
        self.stepped(model, state, mode, true)
    }

    /// State after one level that writes nothing: the control of what memories are for.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_without_writing(
        &self,
        model: &GraphDragon,
        state: GraphState,
        mode: GraphStepMode,
    ) -> Result<GraphState, GraphError> {
        self.stepped(model, state, mode, false)
    }

    fn stepped(
        &self,
        model: &GraphDragon,
        state: GraphState,
        mode: GraphStepMode,
        writes: bool,
    ) -> Result<GraphState, GraphError> {
        self.check(&state)?;
        let (weights, pass) = (model.weights(), GraphPass::default());
        let x = perceive(state.nodes.clone(), &weights, pass.precision); // [1, H, P, N]
        let retained = |rho: Tensor<5>| match mode {
            GraphStepMode::Predict if model.config().model.decay == 0.0 => rho.zeros_like(),
            _ => rho,
        };
        let decay = match mode {
            GraphStepMode::Refine => PlaceDecay::default(),
            GraphStepMode::Predict => model.decay(),
        };
        let keys = if writes { x.clone() } else { x.zeros_like() };
        let v = state.nodes.clone();
        let node_rho = place_write(keys.clone(), v.clone(), retained(state.node_rho), &decay);
        let mut read = graph_read(x.clone(), node_rho.clone(), &self.nodes); // [1, H, P, D]
        let mut shared = |bank: &Option<Edges>, rho: Option<Tensor<5>>| {
            let (edges, rho) = (bank.as_ref()?, rho?);
            let rho = graph_write(keys.clone(), v.clone(), retained(rho), edges, &decay);
            read = read.clone() + graph_read(x.clone(), rho.clone(), edges);
            Some(rho)
        };
        let cluster_rho = shared(&self.clusters, state.cluster_rho);
        let global_rho = shared(&self.globals, state.global_rho);
        let passed = u64::from(mode == GraphStepMode::Predict);
        Ok(GraphState {
            nodes: model.spoken(state.nodes, read, &weights, pass, 0),
            node_rho,
            cluster_rho,
            global_rho,
            temporal_position: state.temporal_position + passed,
            prediction_age: state.prediction_age + passed,
            topology: self.topology,
            adjacency: state.adjacency,
        })
    }

    /// States after 1, 2, ... `steps` steps of prediction.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn rollout(
        &self,
        model: &GraphDragon,
        state: &GraphState,
        steps: usize,
    ) -> Result<Vec<GraphState>, GraphError> {
        let mut states: Vec<GraphState> = Vec::with_capacity(steps);
        for _ in 0..steps {
            let last = states.last().unwrap_or(state).clone();
            states.push(self.step(model, last, GraphStepMode::Predict)?);
        }
        Ok(states)
    }

    fn check(&self, state: &GraphState) -> Result<(), GraphError> {
        if state.topology == self.topology {
            return Ok(());
        }
        Err(GraphError::Topology {
            given: state.topology,
            expected: self.topology,
        })
    }
}

impl GraphState {
    /// Logits of the nodes, `[P, C]`.
    ///
    /// # Panics
    /// If the model has another width.
    pub fn node_logits(&self, model: &GraphDragon) -> Tensor<2> {
        let rows = model.rows(self.nodes.clone(), &self.adjacency);
        rows.matmul(model.readout.val())
    }

    /// The same state with empty memories.
    pub fn with_empty_memories(self) -> Self {
        let empty = |rho: Tensor<5>| rho.zeros_like();
        Self {
            node_rho: empty(self.node_rho),
            cluster_rho: self.cluster_rho.map(empty),
            global_rho: self.global_rho.map(empty),
            ..self
        }
    }

    /// Hash of the topology that the state belongs to.
    pub fn topology_hash(&self) -> u64 {
        self.topology
    }
}
