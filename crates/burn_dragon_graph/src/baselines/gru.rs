//! Gated recurrent units that exchange messages (arXiv:1511.05493), with the same weights in every step.
//!
//! ```text
//! h = X W;  each step:  m = sum over the neighbours of (h M + b),  h = GRU(m, h),  logits = h R + c
//! ```

use super::{BaselineConfig, Init, dropped, embedded, pooled};
use crate::data::Target;
use crate::error::GraphError;
use crate::evaluate::NodeModel;
use crate::graph::Graph;
use crate::input::{FeatureScale, GraphInput, aggregate};
use crate::model::GraphPass;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, tanh};
use burn_dragon_kernel::api::graph::{Normalisation, SelfEdges};

/// Gated recurrent units on a graph.
#[derive(Module, Debug)]
pub struct Gru {
    pub(super) features: Param<Tensor<2>>,
    message: Param<Tensor<2>>,
    message_bias: Param<Tensor<1>>,
    /// Message to reset gate, update gate and candidate, `[D, 3 D]`.
    from_message: Param<Tensor<2>>,
    /// The same from the state.
    from_state: Param<Tensor<2>>,
    message_gates: Param<Tensor<1>>,
    state_gates: Param<Tensor<1>>,
    readout: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    levels: usize,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    target: Target,
    #[module(skip)]
    scale: FeatureScale,
}

impl Gru {
    pub(super) fn new(config: &BaselineConfig, init: &Init<'_>) -> Self {
        let (width, classes) = (config.width, config.schema.classes.len());
        Self {
            features: init.matrix("features", [config.schema.features, width]),
            message: init.matrix("message", [width, width]),
            message_bias: init.zeros(width),
            from_message: init.matrix("from_message", [width, 3 * width]),
            from_state: init.matrix("from_state", [width, 3 * width]),
            message_gates: init.zeros(3 * width),
            state_gates: init.zeros(3 * width),
            readout: init.matrix("readout", [width, classes]),
            bias: init.zeros(classes),
            levels: config.levels,
            dropout: config.dropout,
            target: config.schema.target,
            scale: config.scale,
        }
    }

    /// State after a message, `[P, D]`.
    fn next(&self, message: Tensor<2>, h: Tensor<2>) -> Tensor<2> {
        let from_message = message.matmul(self.from_message.val()) + self.message_gates.val().unsqueeze();
        let from_state = h.clone().matmul(self.from_state.val()) + self.state_gates.val().unsqueeze();
        let [m_reset, m_update, m_new] = thirds(&from_message);
        let [s_reset, s_update, s_new] = thirds(&from_state);
        let reset = sigmoid(m_reset + s_reset);
        let update = sigmoid(m_update + s_update);
        let new = tanh(m_new + reset * s_new);
        new.clone() + update * (h - new)
    }
}

fn thirds(rows: &Tensor<2>) -> [Tensor<2>; 3] {
    let [nodes, width] = rows.dims();
    let width = width / 3;
    [0, 1, 2].map(|part| rows.clone().slice([0..nodes, part * width..(part + 1) * width]))
}

impl NodeModel for Gru {
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError> {
        let features = self.features.val().dims()[0];
        Ok(GraphInput::new(graphs, features, SelfEdges::Drop, Normalisation::Sum)?.scaled(self.scale))
    }

    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        let mut h = embedded(&self.features.val(), input, pass, self.dropout);
        let level = |level: usize| {
            let message = h.clone().matmul(self.message.val()) + self.message_bias.val().unsqueeze();
            h = self.next(aggregate(message, input.edges()), h.clone());
            let read = dropped(h.clone(), pass, self.dropout, level as u64);
            pooled(read, input, self.target).matmul(self.readout.val()) + self.bias.val().unsqueeze()
        };
        (0..pass.levels.unwrap_or(self.levels)).map(level).collect()
    }
}
