//! Pixel decoder of a masked autoencoder: the pixels of all patches, from the tokens of the visible ones.
//!
//! ```text
//! v_t = norm(token_t input + place_t)      visible patches
//! v_t = norm(mask + place_t)               hidden ones
//! levels of its own dense trunk, then v output
//! ```
//!
//! Places are sines and cosines of row and column.

use crate::encoder::{GridPositions, ModelConfig, product, refuse, sine_cosine};
use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, norm};
use burn_dragon_core::api::{Pass, Precision, TensorShape, Trunk, TrunkConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sizes of a pixel decoder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct DecoderConfig {
    /// Width; a multiple of 4.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Number of neurons in all heads together; a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels.
    pub n_levels: usize,
}

impl Default for DecoderConfig {
    fn default() -> Self {
        Self {
            d_model: 64,
            n_heads: 4,
            n_neurons: 256,
            n_levels: 2,
        }
    }
}

/// Pixel decoder.
#[derive(Module, Debug)]
pub struct PixelDecoder {
    /// Matrix from the encoder's width to the decoder's, `[D, Dd]`.
    pub input: Param<Tensor<2>>,
    /// Token of the hidden patches, `[1, Dd]`.
    pub mask: Param<Tensor<2>>,
    /// Levels.
    pub trunk: Trunk,
    /// Matrix to the pixels of a patch, `[Dd, patch * patch * C]`.
    pub output: Param<Tensor<2>>,
    #[module(skip)]
    shape: ModelConfig,
}

impl DecoderConfig {
    /// An encoder's configuration with the decoder's sizes: its grid and its trunk.
    pub(super) fn shape(&self, encoder: &ModelConfig) -> ModelConfig {
        ModelConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            positions: GridPositions::SineCosine2d,
            dropout: 0.0,
            ..encoder.clone()
        }
    }

    pub(super) fn validate(&self, encoder: &ModelConfig) -> Result<(), VisionError> {
        if !self.d_model.is_multiple_of(4) {
            let reason = format!("is {}; expected a multiple of 4", self.d_model);
            return refuse("objective.decoder.d_model", reason);
        }
        Ok(self.shape(encoder).trunk().validate()?)
    }

    pub(super) fn tensors(&self, name: &str, encoder: &ModelConfig) -> Vec<TensorShape> {
        let d = self.d_model;
        let own = |field: &str, shape: Vec<usize>| TensorShape::new(format!("{name}.{field}"), shape);
        let trunk = self.shape(encoder).trunk().tensors().into_iter();
        let mut tensors = vec![own("input", vec![encoder.d_model, d]), own("mask", vec![1, d])];
        tensors.extend(trunk.map(|tensor| own(&tensor.name, tensor.shape)));
        tensors.push(own("output", vec![d, encoder.patch_numbers()]));
        tensors
    }
}

impl PixelDecoder {
    pub(super) fn build(
        name: &str,
        config: &DecoderConfig,
        encoder: &ModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Self {
        let shape = config.shape(encoder);
        let of_trunk: TrunkConfig = shape.trunk();
        let trunk = match Trunk::from_weights(&of_trunk, device, |field, shape| {
            weight(&format!("{name}.{field}"), shape)
        }) {
            Ok(trunk) => trunk,
            Err(error) => unreachable!("the configuration was checked: {error}"),
        };
        let mut build = ParameterBuilder::new(config.tensors(name, encoder), device, weight);
        let mut own = |field: &str| build.parameter(&format!("{name}.{field}"));
        Self {
            input: own("input"),
            mask: own("mask"),
            output: own("output"),
            trunk,
            shape,
        }
    }

    /// Pixels of all patches, `[B, P, patch * patch * C]`, as the loss scales them.
    ///
    /// # Shapes
    /// - `tokens`: `[B, K, D]` of the visible patches, or of all with `P` of them
    /// - `visible`: places of the visible patches, `[B, K]`; `None` if the tokens are those of all patches
    pub fn pixels(
        &self,
        tokens: Tensor<3>,
        visible: Option<&Tensor<2, Int>>,
        precision: Precision,
    ) -> Tensor<3> {
        let (patches, d) = (self.shape.patches(), self.shape.d_model);
        let tokens = product(tokens, self.input.val());
        let lanes = tokens.dims()[0];
        let all = match visible {
            None => tokens,
            Some(visible) => {
                let count = visible.dims()[1];
                let mask = self.mask.val().reshape([1, 1, d]).expand([lanes, patches, d]);
                let index = visible
                    .clone()
                    .reshape([lanes, count, 1])
                    .expand([lanes, count, d]);
                let there = Tensor::ones_like(&tokens);
                let there = Tensor::zeros_like(&mask).scatter(
                    1,
                    index.clone(),
                    there,
                    burn::tensor::IndexingUpdateOp::Add,
                );
                mask.clone() * (1.0 - there.clone())
                    + Tensor::zeros_like(&mask).scatter(1, index, tokens, burn::tensor::IndexingUpdateOp::Add)
            }
        };
        let places = sine_cosine(&self.shape, &all.device().inner()).cast(all.dtype());
        let places = if all.is_autodiff() {
            places.autodiff()
        } else {
            places
        };
        let v = norm(all + places.reshape([1, patches, d]), self.shape.norm_eps);
        let pass = Pass {
            precision,
            ..Pass::default()
        };
        let v = self.trunk.forward(v.reshape([lanes, 1, patches, d]), pass);
        product(v.reshape([lanes, patches, d]), self.output.val())
    }
}
