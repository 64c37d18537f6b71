//! Projector: some matrices, with a norm and GELU between them.
//!
//! ```text
//! rows     norm(x) W1, then gelu(norm(.)) W for each further matrix; norm of each row
//! batch    x W1, then gelu(norm(.)) W; norm of each column over all rows (batch norm, without running statistics)
//! ```

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
    /// Norm before each matrix but the first.
    pub norm: MlpNorm,
}

/// What the norm of a projector is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MlpNorm {
    /// Each row: a projection does not depend on the other rows. The input has this norm too.
    #[default]
    Rows,
    /// Each column over all rows of a batch, as in the papers of objectives with views. What all rows share is removed,
    /// so that small differences between pictures count from the first step on.
    Batch,
}

/// Projector without biases. Its norms have no parameters.
#[derive(Module, Debug)]
pub struct Mlp {
    /// Matrices, in the order of their use, `[inputs, outputs]`.
    pub layers: Vec<Param<Tensor<2>>>,
    #[module(skip)]
    norm: MlpNorm,
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
            norm: config.norm,
        }
    }

    /// Projections of rows, `[rows, output]` from `[rows, inputs]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let (mut x, norm): (_, fn(_) -> _) = match self.norm {
            MlpNorm::Rows => (norm_rows(x), norm_rows),
            MlpNorm::Batch => (x, norm_columns),
        };
        for (index, layer) in self.layers.iter().enumerate() {
            if index > 0 {
                x = activation::gelu(norm(x));
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

/// Columns with mean 0 and variance 1.
fn norm_columns(x: Tensor<2>) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(0);
    let variance = centred.clone().powi_scalar(2).mean_dim(0);
    centred / (variance + EPS).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{Device, Distribution};

    fn projector(norm: MlpNorm) -> Mlp {
        let config = MlpConfig {
            hidden: vec![8],
            output: 3,
            norm,
        };
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        let weight = |_: &str, shape: &[usize]| {
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| next()).collect();
            TensorData::new(values, shape)
        };
        let device = Device::flex();
        let mut build = ParameterBuilder::new(config.tensors("p", 6), &device, weight);
        Mlp::build("p", &config, &mut build)
    }

    fn values(tensor: Tensor<2>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    /// Rows with a large part in common and small differences.
    fn alike() -> Tensor<2> {
        let device = Device::flex();
        device.seed(5);
        Tensor::random([32, 6], Distribution::Normal(0.0, 0.01), &device) + 1.0
    }

    /// Mean over the columns of the variance over the rows.
    fn spread(x: Tensor<2>) -> f32 {
        let centred = x.clone() - x.mean_dim(0);
        centred.powi_scalar(2).mean().into_scalar::<f32>()
    }

    #[test]
    fn a_norm_of_columns_leaves_mean_0_and_variance_1() {
        let x = norm_columns(alike() * 3.0);
        let largest = x.clone().mean_dim(0).abs().max().into_scalar::<f32>();
        assert!(largest < 1e-4, "{largest}");
        let variance = x.powi_scalar(2).mean().into_scalar::<f32>();
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }

    #[test]
    fn a_projection_by_rows_knows_one_row_and_by_batch_all_of_them() {
        let x = alike();
        let first = |x: Tensor<2>| values(x.narrow(0, 0, 1));
        for (norm, is_alone) in [(MlpNorm::Rows, true), (MlpNorm::Batch, false)] {
            let mlp = projector(norm);
            let [all, half] = [32, 16].map(|rows| first(mlp.forward(x.clone().narrow(0, 0, rows))));
            assert_eq!(all == half, is_alone, "{norm:?}: {all:?} and {half:?}");
        }
    }

    #[test]
    fn what_rows_share_hides_their_differences_unless_the_norm_is_of_the_batch() {
        // A constant row has nothing to norm: a slope beside the common part is what encoders show at the start.
        let slope = Tensor::<2>::from_data([[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]], &Device::flex());
        let x = alike() + slope;
        let [rows, batch] =
            [MlpNorm::Rows, MlpNorm::Batch].map(|norm| spread(projector(norm).forward(x.clone())));
        assert!(batch > 100.0 * rows, "rows {rows}, batch {batch}");
    }
}
