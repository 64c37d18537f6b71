//! Vision model: an encoder and the heads of its objective.

use crate::encoder::{ModelConfig, VisionEncoder, is_default, of_variance};
use crate::error::VisionError;
use crate::heads::{Heads, HeadsConfig};
use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use burn_dragon_core::api::expert::initial;
use burn_dragon_core::api::{FreeMemory, Need, TensorShape};
use serde::{Deserialize, Serialize};

/// Configuration of a model in its file: that of its encoder, and of its heads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct VisionModelConfig {
    /// Encoder.
    pub encoder: ModelConfig,
    /// Heads; none in a file that holds an encoder alone.
    #[serde(skip_serializing_if = "is_default")]
    pub heads: HeadsConfig,
}

/// Encoder and heads.
#[derive(Module, Debug)]
pub struct VisionModel {
    /// Encoder.
    pub encoder: VisionEncoder,
    /// Heads.
    pub heads: Heads,
    #[module(skip)]
    config: VisionModelConfig,
}

impl VisionModelConfig {
    /// Tensors of a model, in the order of its fields.
    pub fn tensors(&self) -> Vec<TensorShape> {
        let encoder = self.encoder.tensors().into_iter();
        let mut tensors: Vec<_> = encoder
            .map(|tensor| TensorShape::new(format!("{ENCODER}{}", tensor.name), tensor.shape))
            .collect();
        tensors.extend(self.heads.tensors(&self.encoder));
        tensors
    }

    /// Number of parameters.
    pub fn parameters(&self) -> u64 {
        let numbers = self.tensors().into_iter().map(|tensor| tensor.numbers().0);
        numbers.fold(0, u64::saturating_add)
    }

    /// Checks that a model of this shape can exist.
    ///
    /// # Errors
    /// [`VisionError::Config`] or [`VisionError::Model`], with the key.
    pub fn validate(&self) -> Result<(), VisionError> {
        self.encoder.validate()?;
        self.heads.validate(&self.encoder)
    }
}

/// Prefix of the names of an encoder's tensors in a model.
pub(crate) const ENCODER: &str = "encoder.";

impl VisionModel {
    /// Creates a model with random weights, a function of `seed` alone.
    ///
    /// # Errors
    /// If the configuration is invalid, or the machine has too little memory.
    pub fn new(config: &VisionModelConfig, seed: u64, device: &Device) -> Result<Self, VisionError> {
        config.validate()?;
        let need = Need::of("a model of this shape").with("weights", config.parameters().saturating_mul(4));
        FreeMemory::room_for(&need, || "use a smaller d_model or n_neurons".into())?;
        let (mut of_encoder, mut drawn) = (
            config.encoder.initial(seed),
            initial(&config.encoder.trunk(), seed),
        );
        Self::from_weights(config, device, |name, shape| match name.strip_prefix(ENCODER) {
            Some(name) => of_encoder(name, shape),
            None => initial_head(name, drawn(name, shape), config.encoder.init_std),
        })
    }

    /// Creates a model from given weights: `weight` returns each one, f32, by name and shape.
    ///
    /// # Errors
    /// If the configuration is invalid.
    ///
    /// # Panics
    /// If a weight has not the requested shape.
    pub fn from_weights(
        config: &VisionModelConfig,
        device: &Device,
        mut weight: impl FnMut(&str, &[usize]) -> TensorData,
    ) -> Result<Self, VisionError> {
        config.validate()?;
        let encoder = VisionEncoder::from_weights(&config.encoder, device, |name, shape| {
            weight(&format!("{ENCODER}{name}"), shape)
        })?;
        let heads = Heads::build(&config.heads, &config.encoder, device, weight);
        Ok(Self {
            encoder,
            heads,
            config: config.clone(),
        })
    }

    /// Configuration of the model.
    pub fn config(&self) -> &VisionModelConfig {
        &self.config
    }

    /// Device of the weights.
    pub fn device(&self) -> Device {
        self.encoder.device()
    }

    /// Logits of the classes, `[B, classes]`, from summaries, `[B, D]`.
    ///
    /// # Errors
    /// If the model has no classifier.
    pub fn logits(&self, summary: Tensor<2>) -> Result<Tensor<2>, VisionError> {
        self.heads
            .logits(summary)
            .ok_or(VisionError::NoHead { head: "classifier" })
    }
}

/// Initial weights of heads, by name: matrices have the deviation `1 / sqrt(inputs)`, biases are 0, and the rest N(0, `init_std`).
fn initial_head(name: &str, data: TensorData, std: f64) -> TensorData {
    const MATRICES: [&str; 5] = [
        ".layers.",
        "decoder.input",
        "decoder.output",
        "predictor.hidden",
        "predictor.context",
    ];
    let is_matrix = MATRICES.iter().any(|part| name.contains(part));
    match (name.ends_with("_bias"), is_matrix) {
        (true, _) => TensorData::zeros::<f32, _>(data.shape().clone()),
        (_, true) => of_variance(&data, std),
        _ => data,
    }
}
