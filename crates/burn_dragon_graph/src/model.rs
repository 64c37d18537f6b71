//! Graph model: features of the nodes in, logits after every level out.
//!
//! ```text
//! s = norm(sum of the rows of the active features)
//! L times, with the same weights:
//!     x = relu(s decoder_x)
//!     rho = decay rho + x (outer) s                                each node, into its own memory
//!     a = norm(sum over the neighbours t of w_t x rho_t)
//!     y = relu(a decoder_y) * x
//!     s = norm(s + norm(dropout(y) encoder))
//!     s' = s, averaged over the neighbours and the node itself     so many times as `readout_hops` says: usually never
//!     logits = s' readout                                          of every node, or of the mean or sum over a graph
//! ```
//!
//! A node writes before its neighbours read, so that one level carries information over one edge: what is k edges away
//! changes a node after k levels, and not before.

use crate::config::{GraphReadout, ModelConfig, Observation};
use crate::data::{Schema, Target};
use crate::error::GraphError;
use crate::input::{GraphInput, aggregate};
use crate::levels::{Levels, Time};
use burn::module::{Module, Param};
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, derive, initial, norm};
use burn_dragon_core::api::{FreeMemory, Need, Precision, TensorShape, Trunk};
use burn_dragon_kernel::api::WriteOrder;
use burn_dragon_kernel::api::graph::{Adjacency, Edges, Normalisation, PlaceDecay, SelfEdges};
use burn_dragon_kernel::api::{Decay, DropoutMask, LevelWeights, SpeakInput, join, speak};

/// Model of nodes that have memories and read those of their neighbours.
#[derive(Module, Debug)]
pub struct GraphDragon {
    /// Embedding of a feature, `[F, D]`.
    pub features: Param<Tensor<2>>,
    /// Weights of the levels.
    pub trunk: Trunk,
    /// Readout: model width to the classes, `[D, C]`.
    pub readout: Param<Tensor<2>>,
    /// Gate of a frame, if it is learnt.
    pub gate: Option<Gate>,
    #[module(skip)]
    config: GraphDragonConfig,
}

/// Gate of a frame: how far a state moves towards it.
#[derive(Module, Debug)]
pub struct Gate {
    /// From the state, `[D, D]`.
    pub state: Param<Tensor<2>>,
    /// From the frame, `[D, D]`.
    pub frame: Param<Tensor<2>>,
}

/// Configuration of a model, as in its file: its sizes, and the features and classes of its data.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphDragonConfig {
    /// Sizes.
    pub model: ModelConfig,
    /// Features and classes.
    pub schema: Schema,
}

/// Use of the memories of the nodes in a pass: the trained one, and ablations. Time is counted in levels, and where frames
/// are read, in frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PlaceMemory {
    /// Memories are carried, as in training.
    #[default]
    Carried,
    /// Memories are emptied before the write of each level, so that a read sees the newest write alone; where frames are read,
    /// before each frame.
    ResetEachLevel,
    /// Memories are emptied once, before the read of this level, or the first read of this frame, counted from 1: it reads
    /// nothing.
    WipedAt(usize),
    /// Nothing is written: every read is empty.
    NeverWritten,
}

/// Options of a forward pass. The default runs the number of levels of the configuration, without dropout.
#[derive(Clone, Copy, Debug, Default)]
pub struct GraphPass {
    /// Number of levels to run. If absent, that of the configuration.
    pub levels: Option<usize>,
    /// Seed of the dropout masks. If absent, there is no dropout.
    pub dropout_seed: Option<u64>,
    /// Precision of the factors in the products of the levels, on the processor.
    pub precision: Precision,
    /// Use of the memories.
    pub memory: PlaceMemory,
}

impl GraphDragonConfig {
    /// Tensors of a model, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let d = self.model.d_model;
        let mut tensors = vec![TensorShape::new("features", [self.schema.features, d])];
        tensors.extend(self.model.trunk().tensors());
        tensors.push(TensorShape::new("readout", [d, self.schema.classes.len()]));
        if self.is_gated() {
            tensors.extend(["gate.state", "gate.frame"].map(|name| TensorShape::new(name, [d, d])));
        }
        tensors
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let numbers = self.tensors().into_iter().map(|tensor| tensor.numbers().0);
        numbers.fold(0, u64::saturating_add)
    }

    /// Whether a frame is merged by a learnt gate.
    fn is_gated(&self) -> bool {
        self.model.observation == Some(Observation::Gated)
    }

    /// Bytes of the shared memories of a graph in a training step.
    pub(crate) fn shared_bytes(&self) -> u64 {
        let numbers = (self.model.d_model as u64).saturating_mul(self.model.n_neurons as u64);
        let writes = (self.model.n_levels as u64).saturating_mul(self.frames());
        match self.model.shared_memory {
            None => 0,
            Some(_) => numbers.saturating_mul(8).saturating_mul(writes),
        }
    }

    /// Number of frames that are read in a pass.
    fn frames(&self) -> u64 {
        let motion = self.schema.target.motion();
        motion.map_or(1, |motion| motion.observed_frames as u64)
    }

    /// Number of pairs of a read and a write that it reads, in `levels` levels for each frame.
    fn recalls(&self, levels: usize) -> u64 {
        let (levels, frames) = (levels as u64, self.frames());
        let triangle = |reads: u64| reads.saturating_mul(reads.saturating_add(1)) / 2;
        let is_motion = self.schema.target.motion().is_some();
        match self.model.decay == 0.0 {
            true if is_motion => frames.saturating_mul(triangle(levels)),
            true => levels,
            false => triangle(frames.saturating_mul(levels)),
        }
    }

    /// FLOPs of a forward pass with `levels` levels over so many nodes and edges, with a readout after each; where frames are
    /// read, over all frames that are observed.
    pub fn forward_flops(&self, levels: usize, nodes: u64, edges: u64) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n) = (of(self.model.d_model), of(self.model.n_neurons));
        let shared = self.model.shared_memory.map_or(0, |_| 4 * n * d);
        let wide = 6 * n * d + 2 * d * of(self.schema.classes.len()) + shared;
        let passes = of(levels).saturating_mul(self.frames());
        let at_nodes = nodes.saturating_mul(wide).saturating_mul(passes);
        let narrow = 2 * (n + d * of(self.model.n_heads));
        let at_edges = edges.saturating_mul(narrow).saturating_mul(self.recalls(levels));
        at_nodes.saturating_add(at_edges)
    }

    /// Approximate peak memory in bytes of a training step over so many nodes and edges.
    pub fn training_bytes(&self, nodes: u64, edges: u64) -> u64 {
        let of = |size: usize| size as u64;
        let (d, n, heads) = (
            of(self.model.d_model),
            of(self.model.n_neurons),
            of(self.model.n_heads),
        );
        let kept =
            (6 * d + 2 * d * heads + 2 * n + 3 * of(self.schema.classes.len())) * of(self.model.n_levels);
        let at_nodes = nodes.saturating_mul(4 * kept).saturating_mul(self.frames());
        let gathered = 4 * (2 * n + 2 * d * heads);
        let at_edges = edges
            .saturating_mul(gathered)
            .saturating_mul(self.recalls(self.model.n_levels));
        let weights = self.parameters().saturating_mul(16);
        at_nodes.saturating_add(at_edges).saturating_add(weights)
    }
}

impl GraphDragon {
    /// Creates a model with weights drawn from N(0, `init_std`), a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid, or the machine has too little memory.
    pub fn new(config: &GraphDragonConfig, seed: u64, device: &Device) -> Result<Self, GraphError> {
        config.model.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.parameters().saturating_mul(4));
        FreeMemory::room_for(&need, || "use a smaller d_model or n_neurons".into())?;
        Self::from_weights(config, device, initial(&config.model.trunk(), seed))
    }

    /// Creates a model from given weights: `weight` returns each one, f32, by name and shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &GraphDragonConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, GraphError> {
        config.model.validate()?;
        let mut build = ParameterBuilder::new(config.tensors(), device, &mut weight);
        let (features, readout) = (build.parameter("features"), build.parameter("readout"));
        let gate = config.is_gated().then(|| Gate {
            state: build.parameter("gate.state"),
            frame: build.parameter("gate.frame"),
        });
        Ok(Self {
            features,
            readout,
            gate,
            trunk: Trunk::from_weights(&config.model.trunk(), device, weight)?,
            config: config.clone(),
        })
    }

    /// Configuration of the model.
    pub fn config(&self) -> &GraphDragonConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.features.val().device()
    }

    /// Logits after each level, with gradients if the weights have them: of every node, or of every graph where labels
    /// belong to graphs.
    ///
    /// # Shapes
    /// - output: for each level `[P, C]` of P nodes, or `[G, C]` of G graphs
    ///
    /// # Panics
    /// If the input has no node, or a feature that the model does not know.
    pub fn logits_by_level(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        let streams = self.streams_by_level(input, pass);
        streams.into_iter().map(|s| self.read_out(s, input)).collect()
    }

    /// States of the nodes after each level.
    ///
    /// # Shapes
    /// - output: for each level `[1, 1, P, D]`
    ///
    /// # Panics
    /// As [`logits_by_level`](Self::logits_by_level).
    pub fn streams_by_level(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<4>> {
        let mut levels = Levels::new(self, input, pass);
        levels.read(self.embedded(input, pass.dropout_seed), Time::EachLevel)
    }

    /// States of the nodes after each level of each frame. The inputs are frames of the same graphs, in order: memories are
    /// carried from frame to frame and decay once a frame, before its first write; the states of the nodes begin anew, unless a
    /// gate is learnt.
    ///
    /// # Shapes
    /// - output: for each frame, for each level `[1, 1, P, D]`
    ///
    /// # Panics
    /// As [`logits_by_level`](Self::logits_by_level), and if an input has other nodes than the first one.
    pub fn streams_of_frames(&self, inputs: &[GraphInput], pass: GraphPass) -> Vec<Vec<Tensor<4>>> {
        let Some(first) = inputs.first() else {
            return Vec::new();
        };
        let mut levels = Levels::new(self, first, pass);
        let mut state = None;
        let frame = |(index, input): (usize, &GraphInput)| {
            let seed = pass
                .dropout_seed
                .map(|seed| derive(seed, "frame", 0, index as u64));
            let begin = self.merged(state.take(), self.embedded(input, seed));
            let states = levels.read(begin, Time::EachFrame);
            state = states.last().cloned();
            states
        };
        inputs.iter().enumerate().map(frame).collect()
    }

    /// State after a read, `[1, 1, P, D]`.
    pub(crate) fn spoken(
        &self,
        s: Tensor<4>,
        read: Tensor<4>,
        weights: &LevelWeights,
        pass: GraphPass,
        level: usize,
    ) -> Tensor<4> {
        let (rate, eps) = (self.config.model.dropout, self.config.model.norm_eps);
        let seed = pass.dropout_seed.filter(|_| rate > 0.0);
        let output = speak(SpeakInput {
            read,
            v: s.clone(),
            weights: weights.clone(),
            norm: Some(eps),
            levels: None,
            dropout: seed.map(|seed| DropoutMask::new(derive(seed, "level", 0, level as u64), rate)),
            precision: pass.precision,
            count: false,
        });
        join(s, output.u, eps)
    }

    /// States at the beginning of a frame, `[1, 1, P, D]`, from those after the frame before it, if there was one.
    pub(crate) fn merged(&self, state: Option<Tensor<4>>, frame: Tensor<4>) -> Tensor<4> {
        let (Some(gate), Some(state)) = (&self.gate, state) else {
            return frame;
        };
        let eps = self.config.model.norm_eps;
        let drive = |of: &Tensor<4>, weight: &Param<Tensor<2>>| {
            norm(of.clone(), eps).matmul(weight.val().unsqueeze())
        };
        let open = sigmoid(drive(&state, &gate.state) + drive(&frame, &gate.frame));
        state.clone() + open * (frame - state)
    }

    /// Weights of the levels.
    pub(crate) fn weights(&self) -> LevelWeights {
        let trunk = &self.trunk;
        LevelWeights::new(trunk.decoder_x.val(), trunk.decoder_y.val(), trunk.encoder.val())
    }

    /// Decay of the memories, `rho' = decay rho + x (outer) s`; none if the factor is 1, or 0 where only the newest write
    /// is kept.
    pub(crate) fn decay(&self) -> PlaceDecay {
        let model = &self.config.model;
        let slope = (model.decay > 0.0 && model.decay < 1.0).then(|| -model.decay.ln());
        let decay = slope.map(|slope| {
            let slopes = TensorData::new(vec![slope as f32; model.n_heads], [model.n_heads]);
            Decay::new(Tensor::from_data(slopes, &self.device().inner()))
        });
        PlaceDecay {
            decay,
            order: WriteOrder::DecayThenWrite,
        }
    }

    /// Empty shared memories of so many graphs, `[1, H, G, N, D]`, if the model has them.
    pub(crate) fn empty_shared(&self, graphs: usize) -> Option<Tensor<5>> {
        let model = &self.config.model;
        let (heads, neurons) = (model.n_heads, model.n_neurons / model.n_heads);
        let weights = self.features.val();
        let shape = [1, heads, graphs, neurons, model.d_model];
        let empty = |_| Tensor::zeros(shape, (&weights.device(), weights.dtype()));
        model.shared_memory.map(empty)
    }

    /// Embedded nodes, `[1, 1, P, D]`.
    pub(crate) fn embedded(&self, input: &GraphInput, dropout_seed: Option<u64>) -> Tensor<4> {
        let model = &self.config.model;
        let seed = dropout_seed.filter(|_| model.input_dropout > 0.0);
        let dropout = seed.map(|seed| (derive(seed, "features", 0, 0), model.input_dropout));
        let rows = input.embed(&self.features.val(), dropout); // [P, D]
        norm(rows.reshape([1, 1, input.nodes(), model.d_model]), model.norm_eps)
    }

    /// Rows of the nodes for the readout, `[P, D]`: a state, averaged as many times as the configuration says.
    pub(crate) fn rows(&self, s: Tensor<4>, adjacency: &Adjacency) -> Tensor<2> {
        let [_, _, nodes, width] = s.dims();
        let s = s.reshape([nodes, width]);
        let hops = self.config.model.readout_hops;
        if hops == 0 {
            return s;
        }
        let edges = around(adjacency);
        (0..hops).fold(s, |s, _| aggregate(s, &edges))
    }

    /// Logits of a state: `[P, C]`, or `[G, C]`.
    pub(crate) fn read_out(&self, s: Tensor<4>, input: &GraphInput) -> Tensor<2> {
        let s = self.rows(s, &input.edges().adjacency);
        let read = match self.config.schema.target {
            Target::Nodes | Target::Distances | Target::Motion(_) => s,
            Target::Graphs => match self.config.model.readout {
                GraphReadout::Mean => input.means(s),
                GraphReadout::Sum => input.sums(s),
            },
        };
        read.matmul(self.readout.val())
    }
}

/// The neighbours of each node and itself, with symmetric normalisation.
fn around(adjacency: &Adjacency) -> Edges {
    let pairs: Vec<_> = adjacency.edges().collect();
    match Adjacency::from_edges(adjacency.readers(), &pairs, SelfEdges::Add) {
        Ok(adjacency) => Edges::new(adjacency, Normalisation::Symmetric),
        Err(error) => panic!("GraphDragon: with an edge from each node to itself: {error}"),
    }
}
