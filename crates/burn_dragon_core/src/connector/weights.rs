//! What connectors learn.

use super::Connector;
use crate::initial::ParameterBuilder;
use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData};

/// Weights of a connector; those of other kinds are `None`. In files they are called `connector.queries` and so on.
#[derive(Module, Debug)]
pub struct ConnectorWeights {
    /// Queries of attention residuals, `[L, D]`: of the inputs of all levels but the first, and of the output.
    pub queries: Option<Param<Tensor<2>>>,
    /// Projection of n streams to the K logits of a level's mixtures, `[L, n D, K]`.
    pub projection: Option<Param<Tensor<3>>>,
    /// Logits of the mixtures, `[L, K]`; of static ones `[1, K]`.
    pub bias: Option<Param<Tensor<2>>>,
    /// Factors of the projected logits, before, after and of the mixture, `[L, 3]`.
    pub scale: Option<Param<Tensor<2>>>,
    /// Query of the public implementation's attention residual, `[1, D]`, head by head.
    pub query: Option<Param<Tensor<2>>>,
    /// Its matrix of keys, `[D, D]`.
    pub key: Option<Param<Tensor<2>>>,
    /// Its matrix of values, `[D, D]`.
    pub value: Option<Param<Tensor<2>>>,
    /// Its matrix of outputs, `[D, D]`.
    pub output: Option<Param<Tensor<2>>>,
    /// Its gate, `[1]`.
    pub gate: Option<Param<Tensor<1>>>,
}

impl ConnectorWeights {
    /// The weights of a connector; `None` for one that learns nothing.
    pub(crate) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        connector: &Connector,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Option<Self> {
        (*connector != Connector::Plain {}).then(|| Self {
            queries: build.optional("connector.queries"),
            projection: build.optional("connector.projection"),
            bias: build.optional("connector.bias"),
            scale: build.optional("connector.scale"),
            query: build.optional("connector.query"),
            key: build.optional("connector.key"),
            value: build.optional("connector.value"),
            output: build.optional("connector.output"),
            gate: build.optional("connector.gate"),
        })
    }
}
