//! Predictors of a masked objective on clips: a teacher's tokens, from those of an encoder that saw a part of a clip.
//!
//! An input is the concatenation of an encoder's tokens after several levels, `[.., L D]`; an output has the same width.
//!
//! ```text
//! attention   u_j = input(token_j) + place_j        visible patches
//!             u_i = mask + place_i                  hidden ones
//!             levels of its own dense trunk on all u; hidden outputs = u_i W_hidden, visible ones = u_j W_context
//! per_token   output_j = mlp(token_j + bias of a hidden patch)        no token knows another one
//! ```
//!
//! Places are sines and cosines of frame, row and column.

use super::mlp::{Mlp, MlpConfig, MlpNorm};
use crate::encoder::{ModelConfig, of_clip, product, refuse};
use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::expert::{ParameterBuilder, norm};
use burn_dragon_core::api::structured::Grid;
use burn_dragon_core::api::{Pass, Precision, TensorShape, Trunk, TrunkConfig};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Name of the attention predictor's tensors.
const ATTENTION: &str = "heads.predictor";

/// Name of the tensors of the predictor of single tokens.
const TOKEN: &str = "heads.token_predictor";

/// Table `[objective.predictor]`. Its other keys depend on `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum PredictorConfig {
    /// A small dense dragon that mixes tokens, as the transformer of V-JEPA does. Hidden patches are left out of the encoder
    /// where the backbone allows.
    Attention(AttentionPredictorConfig),
    /// An MLP for each token, as in the public implementation. Learnt tokens stand in place of hidden patches in the encoder.
    PerToken(TokenPredictorConfig),
}

impl Default for PredictorConfig {
    fn default() -> Self {
        Self::Attention(AttentionPredictorConfig::default())
    }
}

/// Sizes of a predictor that mixes tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AttentionPredictorConfig {
    /// Width; a multiple of 6.
    pub d_model: usize,
    /// Number of heads.
    pub n_heads: usize,
    /// Number of neurons in all heads together; a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels.
    pub n_levels: usize,
}

impl Default for AttentionPredictorConfig {
    fn default() -> Self {
        Self {
            d_model: 96,
            n_heads: 4,
            n_neurons: 384,
            n_levels: 2,
        }
    }
}

/// Sizes of a predictor of single tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TokenPredictorConfig {
    /// Width of the hidden layer.
    pub hidden: usize,
}

impl Default for TokenPredictorConfig {
    fn default() -> Self {
        Self { hidden: 96 }
    }
}

/// Predictor in a model's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PredictorHeadConfig {
    /// Kind and sizes.
    pub kind: PredictorConfig,
    /// Number of levels of the encoder whose tokens it reads and predicts (L).
    pub levels: usize,
}

/// Predictor that mixes tokens.
#[derive(Module, Debug)]
pub struct AttentionPredictor {
    /// From an encoder's tokens to the predictor's width, `[L D, D]` and `[D, Dp]`.
    pub input: Mlp,
    /// Token of the hidden patches, `[1, Dp]`.
    pub mask: Param<Tensor<2>>,
    /// Levels.
    pub trunk: Trunk,
    /// Matrix to the tokens of hidden patches, `[Dp, L D]`.
    pub hidden: Param<Tensor<2>>,
    /// Matrix to the tokens of visible patches, `[Dp, L D]`.
    pub context: Param<Tensor<2>>,
}

/// Predictor of each token alone.
#[derive(Module, Debug)]
pub struct TokenPredictor {
    /// What is added to the tokens of hidden patches, `[1, L D]`.
    pub mask_bias: Param<Tensor<2>>,
    /// From tokens to tokens.
    pub mlp: Mlp,
}

/// Places of the tokens that a predictor reads and predicts.
#[derive(Clone, Debug)]
pub struct Places {
    /// Number of frames (T).
    pub frames: usize,
    /// Grid of a frame.
    pub grid: Grid,
    /// Visible patches, numbered frame by frame, row by row, `[B, K]`.
    pub context: Tensor<2, Int>,
    /// Hidden patches to be predicted, `[B, M]`.
    pub hidden: Tensor<2, Int>,
}

impl AttentionPredictorConfig {
    /// The trunk of an encoder with the sizes of the predictor.
    fn trunk(&self, encoder: &ModelConfig) -> TrunkConfig {
        TrunkConfig {
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            dropout: 0.0,
            ..encoder.trunk()
        }
    }

    fn input(&self, encoder: &ModelConfig) -> MlpConfig {
        MlpConfig {
            hidden: vec![encoder.d_model],
            output: self.d_model,
            norm: MlpNorm::Rows,
        }
    }
}

impl PredictorHeadConfig {
    fn width(&self, encoder: &ModelConfig) -> usize {
        self.levels * encoder.d_model
    }

    pub(super) fn validate(&self, encoder: &ModelConfig) -> Result<(), VisionError> {
        match &self.kind {
            PredictorConfig::Attention(sizes) if !sizes.d_model.is_multiple_of(6) => {
                let reason = format!("is {}; expected a multiple of 6", sizes.d_model);
                refuse("objective.predictor.d_model", reason)
            }
            PredictorConfig::Attention(sizes) => Ok(sizes.trunk(encoder).validate()?),
            PredictorConfig::PerToken(sizes) if !(1..=super::MOST).contains(&sizes.hidden) => {
                let reason = format!("is {}; expected 1 to {}", sizes.hidden, super::MOST);
                refuse("objective.predictor.hidden", reason)
            }
            PredictorConfig::PerToken(_) => Ok(()),
        }
    }

    pub(super) fn tensors(&self, encoder: &ModelConfig) -> Vec<TensorShape> {
        let width = self.width(encoder);
        match &self.kind {
            PredictorConfig::Attention(sizes) => {
                let d = sizes.d_model;
                let own = |field: &str, shape| TensorShape::new(format!("{ATTENTION}.{field}"), shape);
                let mut tensors = sizes.input(encoder).tensors(&format!("{ATTENTION}.input"), width);
                tensors.push(own("mask", vec![1, d]));
                let trunk = sizes.trunk(encoder).tensors().into_iter();
                tensors.extend(trunk.map(|tensor| own(&tensor.name, tensor.shape)));
                tensors.extend(["hidden", "context"].map(|field| own(field, vec![d, width])));
                tensors
            }
            PredictorConfig::PerToken(sizes) => {
                let mlp = MlpConfig {
                    hidden: vec![sizes.hidden],
                    output: width,
                    norm: MlpNorm::Rows,
                };
                let mut tensors = vec![TensorShape::new(format!("{TOKEN}.mask_bias"), [1, width])];
                tensors.extend(mlp.tensors(&format!("{TOKEN}.mlp"), width));
                tensors
            }
        }
    }
}

impl AttentionPredictor {
    /// The predictor of a configuration; `None` if that is of another kind.
    pub(super) fn build(
        config: &PredictorHeadConfig,
        encoder: &ModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Option<Self> {
        let PredictorConfig::Attention(sizes) = &config.kind else {
            return None;
        };
        let of_trunk = |field: &str, shape: &[usize]| weight(&format!("{ATTENTION}.{field}"), shape);
        let trunk = match Trunk::from_weights(&sizes.trunk(encoder), device, of_trunk) {
            Ok(trunk) => trunk,
            Err(error) => unreachable!("the configuration was checked: {error}"),
        };
        let mut build = ParameterBuilder::new(config.tensors(encoder), device, weight);
        Some(Self {
            input: Mlp::build(&format!("{ATTENTION}.input"), &sizes.input(encoder), &mut build),
            mask: build.parameter(&format!("{ATTENTION}.mask")),
            hidden: build.parameter(&format!("{ATTENTION}.hidden")),
            context: build.parameter(&format!("{ATTENTION}.context")),
            trunk,
        })
    }

    /// Predicted tokens of the hidden and of the visible patches, `[B, M, L D]` and `[B, K, L D]`, from those of the visible
    /// ones, `[B, K, L D]`.
    pub fn predict(&self, tokens: Tensor<3>, places: &Places, precision: Precision) -> [Tensor<3>; 2] {
        let ([lanes, visible, width], [_, hidden]) = (tokens.dims(), places.hidden.dims());
        let d = self.mask.val().dims()[1];
        let input = self.input.forward(tokens.reshape([lanes * visible, width]));
        let table = of_clip(places.frames, places.grid, d, &input.device().inner()).cast(input.dtype());
        let table = if input.is_autodiff() {
            table.autodiff()
        } else {
            table
        };
        let at = |places: &Tensor<2, Int>| {
            let [lanes, count] = places.dims();
            let rows = table.clone().select(0, places.clone().reshape([lanes * count]));
            rows.reshape([lanes, count, d])
        };
        let mask = self.mask.val().reshape([1, 1, d]).expand([lanes, hidden, d]);
        let all = vec![
            input.reshape([lanes, visible, d]) + at(&places.context),
            mask + at(&places.hidden),
        ];
        let v = norm(Tensor::cat(all, 1), self.trunk.config().norm_eps);
        let pass = Pass {
            precision,
            ..Pass::default()
        };
        let count = visible + hidden;
        let v = self.trunk.forward(v.reshape([lanes, 1, count, d]), pass);
        let v = v.reshape([lanes, count, d]);
        [
            product(v.clone().narrow(1, visible, hidden), self.hidden.val()),
            product(v.narrow(1, 0, visible), self.context.val()),
        ]
    }
}

impl TokenPredictor {
    /// The predictor of a configuration; `None` if that is of another kind.
    pub(super) fn build<F: FnMut(&str, &[usize]) -> TensorData>(
        config: &PredictorHeadConfig,
        build: &mut ParameterBuilder<'_, F>,
    ) -> Option<Self> {
        let PredictorConfig::PerToken(sizes) = &config.kind else {
            return None;
        };
        let mlp = MlpConfig {
            hidden: vec![sizes.hidden],
            output: 1, // the shapes are those that the configuration lists
            norm: MlpNorm::Rows,
        };
        Some(Self {
            mask_bias: build.parameter(&format!("{TOKEN}.mask_bias")),
            mlp: Mlp::build(&format!("{TOKEN}.mlp"), &mlp, build),
        })
    }

    /// Predicted tokens, `[B, T P, L D]`, from tokens and a mask that is 1 for a hidden patch, `[B, T P, 1]`.
    pub fn predict(&self, tokens: Tensor<3>, hidden: Tensor<3>) -> Tensor<3> {
        let [lanes, count, width] = tokens.dims();
        let bias = self.mask_bias.val().reshape([1, 1, width]);
        let x = tokens + hidden * bias;
        let x = self.mlp.forward(x.reshape([lanes * count, width]));
        x.reshape([lanes, count, width])
    }
}
