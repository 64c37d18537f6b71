//! Heads: what an objective puts behind an encoder.
//!
//! | head | from | to |
//! |---|---|---|
//! | classifier | the summary of a picture | logits of the classes |
//! | projector | a summary or a patch | a projection, for losses between views, or a teacher's features |
//! | pixel decoder | the visible patches | the pixels of the hidden ones |
//! | predictor | the visible patches of a clip, after several levels | a teacher's tokens of all its patches |

mod decoder;
mod mlp;
mod predictor;

pub use decoder::{DecoderConfig, PixelDecoder};
pub(crate) use mlp::norm_rows;
pub use mlp::{Mlp, MlpConfig, MlpNorm};
pub use predictor::{
    AttentionPredictor, AttentionPredictorConfig, Places, PredictorConfig, PredictorHeadConfig,
    TokenPredictor, TokenPredictorConfig,
};

use crate::encoder::{ModelConfig, is_default, refuse};
use crate::error::VisionError;
use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::TensorShape;
use burn_dragon_core::api::expert::ParameterBuilder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Largest width of a head.
const MOST: usize = 1 << 20;

/// Heads of a model, in its file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HeadsConfig {
    /// Number of classes of the classifier.
    #[serde(skip_serializing_if = "is_default")]
    pub classes: Option<usize>,
    /// Projector of summaries.
    #[serde(skip_serializing_if = "is_default")]
    pub projector: Option<MlpConfig>,
    /// Projector of patches.
    #[serde(skip_serializing_if = "is_default")]
    pub patch_projector: Option<MlpConfig>,
    /// Pixel decoder.
    #[serde(skip_serializing_if = "is_default")]
    pub decoder: Option<DecoderConfig>,
    /// Predictor of the hidden patches of clips.
    #[serde(skip_serializing_if = "is_default")]
    pub predictor: Option<PredictorHeadConfig>,
    /// Whether a learnt token stands in place of hidden patches.
    #[serde(skip_serializing_if = "is_default")]
    pub mask_token: bool,
}

/// Heads of a model.
#[derive(Module, Debug)]
pub struct Heads {
    /// Weight of the classifier, `[D, classes]`.
    pub classifier: Option<Param<Tensor<2>>>,
    /// Bias of the classifier, `[classes]`.
    pub classifier_bias: Option<Param<Tensor<1>>>,
    /// Projector of summaries.
    pub projector: Option<Mlp>,
    /// Projector of patches.
    pub patch_projector: Option<Mlp>,
    /// Pixel decoder.
    pub decoder: Option<PixelDecoder>,
    /// Predictor that mixes tokens.
    pub predictor: Option<AttentionPredictor>,
    /// Predictor of each token alone.
    pub token_predictor: Option<TokenPredictor>,
    /// Token in place of hidden patches, `[1, D]`.
    pub mask_token: Option<Param<Tensor<2>>>,
}

impl HeadsConfig {
    /// Checks that heads of these sizes can exist behind an encoder.
    ///
    /// # Errors
    /// [`VisionError::Config`] or [`VisionError::Model`], with the key.
    pub fn validate(&self, encoder: &ModelConfig) -> Result<(), VisionError> {
        let sizes = [&self.projector, &self.patch_projector].into_iter().flatten();
        let widths = sizes.flat_map(|mlp| mlp.hidden.iter().chain([&mlp.output]).copied());
        if let Some(width) = widths
            .chain(self.classes)
            .find(|width| !(1..=MOST).contains(width))
        {
            refuse(
                "objective",
                format!("has a head of {width} outputs; expected 1 to {MOST}"),
            )?;
        }
        if let Some(decoder) = &self.decoder {
            decoder.validate(encoder)?;
        }
        match &self.predictor {
            Some(predictor) => predictor.validate(encoder),
            None => Ok(()),
        }
    }

    /// Tensors of the heads behind an encoder, in the order of their fields.
    pub fn tensors(&self, encoder: &ModelConfig) -> Vec<TensorShape> {
        let d = encoder.d_model;
        let mut tensors = Vec::new();
        if let Some(classes) = self.classes {
            tensors.push(TensorShape::new("heads.classifier", [d, classes]));
            tensors.push(TensorShape::new("heads.classifier_bias", [classes]));
        }
        if let Some(projector) = &self.projector {
            tensors.extend(projector.tensors("heads.projector", d));
        }
        if let Some(projector) = &self.patch_projector {
            tensors.extend(projector.tensors("heads.patch_projector", d));
        }
        if let Some(decoder) = &self.decoder {
            tensors.extend(decoder.tensors("heads.decoder", encoder));
        }
        if let Some(predictor) = &self.predictor {
            tensors.extend(predictor.tensors(encoder));
        }
        if self.mask_token {
            tensors.push(TensorShape::new("heads.mask_token", [1, d]));
        }
        tensors
    }
}

impl Heads {
    pub(crate) fn build(
        config: &HeadsConfig,
        encoder: &ModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Self {
        let tensors = config.tensors(encoder);
        let decoder = config
            .decoder
            .as_ref()
            .map(|decoder| PixelDecoder::build("heads.decoder", decoder, encoder, device, &mut weight));
        let predictor = config.predictor.as_ref();
        let attention =
            predictor.and_then(|head| AttentionPredictor::build(head, encoder, device, &mut weight));
        let mut build = ParameterBuilder::new(tensors, device, weight);
        let token_predictor = predictor.and_then(|head| TokenPredictor::build(head, &mut build));
        let mlp = |name: &str, config: &Option<MlpConfig>, build: &mut ParameterBuilder<'_, _>| {
            config.as_ref().map(|config| Mlp::build(name, config, build))
        };
        Self {
            projector: mlp("heads.projector", &config.projector, &mut build),
            patch_projector: mlp("heads.patch_projector", &config.patch_projector, &mut build),
            classifier: build.optional("heads.classifier"),
            classifier_bias: build.optional("heads.classifier_bias"),
            decoder,
            predictor: attention,
            token_predictor,
            mask_token: build.optional("heads.mask_token"),
        }
    }

    /// Logits of the classes, `[B, classes]`, from summaries, `[B, D]`; `None` without a classifier.
    pub fn logits(&self, summary: Tensor<2>) -> Option<Tensor<2>> {
        let (weight, bias) = (self.classifier.as_ref()?, self.classifier_bias.as_ref()?);
        let bias = bias.val();
        let classes = bias.dims()[0];
        Some(summary.matmul(weight.val()) + bias.reshape([1, classes]))
    }
}
