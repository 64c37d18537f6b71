//! Graph convolutional network (arXiv:1609.02907).
//!
//! ```text
//! h_1 = relu(A X W_1 + b_1),  h_l = relu(A h_(l-1) W_l + b_l),  logits_l = (A h_(l-1)) R + c
//! A = D^-1/2 (edges + self edges) D^-1/2,  h_0 = X W_1
//! ```
//!
//! The last level is that of the publication; the readout after each of the others is the same.

use super::{BaselineConfig, Init, dropped, embedded, pooled};
use crate::data::Target;
use crate::error::GraphError;
use crate::evaluate::NodeModel;
use crate::graph::Graph;
use crate::input::{FeatureScale, GraphInput, aggregate};
use crate::model::GraphPass;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn_dragon_kernel::api::graph::{Normalisation, SelfEdges};

/// Graph convolutional network.
#[derive(Module, Debug)]
pub struct Gcn {
    pub(super) features: Param<Tensor<2>>,
    weights: Vec<Param<Tensor<2>>>,
    biases: Vec<Param<Tensor<1>>>,
    pub(super) readout: Param<Tensor<2>>,
    bias: Param<Tensor<1>>,
    #[module(skip)]
    dropout: f64,
    #[module(skip)]
    target: Target,
    #[module(skip)]
    scale: FeatureScale,
}

impl Gcn {
    pub(super) fn new(config: &BaselineConfig, init: &Init<'_>) -> Self {
        let (width, classes) = (config.width, config.schema.classes.len());
        let layers = config.levels.saturating_sub(1);
        let weight = |layer: usize| init.matrix(&format!("weights.{layer}"), [width, width]);
        Self {
            features: init.matrix("features", [config.schema.features, width]),
            weights: (1..layers).map(weight).collect(),
            biases: (0..layers).map(|_| init.zeros(width)).collect(),
            readout: init.matrix("readout", [width, classes]),
            bias: init.zeros(classes),
            dropout: config.dropout,
            target: config.schema.target,
            scale: config.scale,
        }
    }
}

impl NodeModel for Gcn {
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError> {
        let features = self.features.val().dims()[0];
        Ok(GraphInput::new(graphs, features, SelfEdges::Add, Normalisation::Symmetric)?.scaled(self.scale))
    }

    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        let mut h = embedded(&self.features.val(), input, pass, self.dropout);
        let mut levels = Vec::new();
        for level in 0..=self.biases.len() {
            let read = aggregate(h.clone(), input.edges());
            let logits = pooled(read.clone(), input, self.target).matmul(self.readout.val());
            levels.push(logits + self.bias.val().unsqueeze());
            let Some(bias) = self.biases.get(level) else { break };
            let wide = match level.checked_sub(1) {
                None => read,
                Some(layer) => read.matmul(self.weights[layer].val()),
            };
            h = dropped(
                relu(wide + bias.val().unsqueeze()),
                pass,
                self.dropout,
                level as u64,
            );
        }
        levels
    }
}
