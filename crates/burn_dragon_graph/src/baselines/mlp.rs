//! Multilayer perceptron on the features of a node, without its neighbours: `relu(X W + b) R + c`.

use super::{BaselineConfig, Init, dropped, embedded, pooled};
use crate::data::Target;
use crate::error::GraphError;
use crate::evaluate::NodeModel;
use crate::graph::Graph;
use crate::input::{FeatureScale, GraphInput};
use crate::model::GraphPass;
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::relu;
use burn_dragon_kernel::api::graph::{Normalisation, SelfEdges};

/// Multilayer perceptron.
#[derive(Module, Debug)]
pub struct Mlp {
    pub(super) features: Param<Tensor<2>>,
    hidden_bias: Param<Tensor<1>>,
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

impl Mlp {
    pub(super) fn new(config: &BaselineConfig, init: &Init<'_>) -> Self {
        let (width, classes) = (config.width, config.schema.classes.len());
        Self {
            features: init.matrix("features", [config.schema.features, width]),
            hidden_bias: init.zeros(width),
            readout: init.matrix("readout", [width, classes]),
            bias: init.zeros(classes),
            levels: config.levels,
            dropout: config.dropout,
            target: config.schema.target,
            scale: config.scale,
        }
    }
}

impl NodeModel for Mlp {
    fn input(&self, graphs: &[&Graph]) -> Result<GraphInput, GraphError> {
        let features = self.features.val().dims()[0];
        Ok(GraphInput::new(graphs, features, SelfEdges::Drop, Normalisation::Sum)?.scaled(self.scale))
    }

    /// The same logits at every level.
    fn logits(&self, input: &GraphInput, pass: GraphPass) -> Vec<Tensor<2>> {
        let h = embedded(&self.features.val(), input, pass, self.dropout);
        let h = dropped(
            relu(h + self.hidden_bias.val().unsqueeze()),
            pass,
            self.dropout,
            0,
        );
        let logits = pooled(h, input, self.target).matmul(self.readout.val()) + self.bias.val().unsqueeze();
        vec![logits; pass.levels.unwrap_or(self.levels)]
    }
}
