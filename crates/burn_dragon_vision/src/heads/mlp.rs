//! Projector: `norm(x) W1`, then for each further matrix `gelu(norm(.)) W`.

use burn::module::{Module, Param};
use burn::tensor::{Tensor, TensorData, activation};
use burn_dragon_core::api::TensorShape;
use burn_dragon_core::api::expert::{ParameterBuilder, norm};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Constant that the norms of a projector add to the variance.
const EPS: f64 = 1e-5;

/// Sizes of a projector.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MlpConfig {
    /// Widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Width of the output.
    pub output: usize,
}

/// Projector without biases. Its norms have no parameters.
#[derive(Module, Debug)]
pub struct Mlp {
    /// Matrices, in the order of their use, `[inputs, outputs]`.
    pub layers: Vec<Param<Tensor<2>>>,
}

impl MlpConfig {
    pub(super) fn tensors(&self, name: &str, inputs: usize) -> Vec<TensorShape> {
        let mut before = inputs;
        let widths = self.hidden.iter().chain([&self.output]).enumerate();
        widths
            .map(|(index, &width)| {
                let inputs = std::mem::replace(&mut before, width);
                TensorShape::new(layer(name, index), [inputs, width])
            })
            .collect()
    }
}

fn layer(name: &str, index: usize) -> String {
    format!("{name}.layers.{index}")
}

impl Mlp {
    pub(super) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        name: &str,
        config: &MlpConfig,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Self {
        let layers = 0..=config.hidden.len();
        Self {
            layers: layers.map(|index| build.parameter(&layer(name, index))).collect(),
        }
    }

    /// Projections of rows, `[rows, output]` from `[rows, inputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let mut x = norm_rows(x);
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = activation::gelu(norm_rows(x));
            }
            x = x.matmul(layer.val());
        }
        x
    }
}

/// Rows with mean 0 and variance 1.
pub(crate) fn norm_rows(x: Tensor<2>) -> Tensor<2> {
    let [rows, width] = x.dims();
    norm(x.reshape([rows, 1, 1, width]), EPS).reshape([rows, width])
}
