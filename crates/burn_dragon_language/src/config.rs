//! Table `[model]` of a configuration: the sizes of a language model.

use crate::error::LanguageError;
use burn_dragon_core::api::low_bit::QuantError;
use burn_dragon_core::api::{
    ConfigError, Connector, DecayConfig, DragonConfig, Fanout, InitConfig, Mixer, NeuronRecurrence,
    NormConfig, Positions, QuantConfig, RhoConfig, SummaryMemory,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[model]`: the fields of [`DragonConfig`], with an optional vocabulary size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Number of tokens in the vocabulary (V). If absent, that of the tokenizer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Model width (D).
    pub d_model: usize,
    /// Number of heads (H).
    pub n_heads: usize,
    /// Number of neurons in all heads together (n); a multiple of `2 n_heads`.
    pub n_neurons: usize,
    /// Number of levels (L): passes through the shared block.
    pub n_levels: usize,
    /// Dropout rate of y in training: 0, or 1.6e-5 to 0.99998 (masks are drawn with 16 bits).
    pub dropout: f64,
    /// Base of the rotary frequencies, above 1. It is used in f64.
    pub rope_theta: f64,
    /// Constant that the norms add to the variance, 1.2e-38 to 1.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights, N(0, `init_std`); 1.1e-19 to 1000.
    pub init_std: f64,
    /// Positions of tokens. If absent, rotary: pairs of neurons turn.
    #[serde(skip_serializing_if = "is_default")]
    pub positions: Positions,
    /// Decay of the memory. If absent, the memory does not decay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<DecayConfig>,
    /// Sequence mixer: how a token reads the tokens before it. If absent, the linear read of the paper.
    #[serde(skip_serializing_if = "is_default")]
    pub mixer: Mixer,
    /// Number of neurons by level. If absent, each level has all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fanout: Option<Fanout>,
    /// Summary memory: a fading mean of earlier chunks is added to the input of a level. If absent, there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary_memory: Option<SummaryMemory>,
    /// Neuron recurrence: chunks leave an activity to the next. If absent, they leave none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub neuron_recurrence: Option<NeuronRecurrence>,
    /// Connector between levels. If absent, `norm(v + norm(u))` after each level.
    #[serde(skip_serializing_if = "is_default")]
    pub connector: Connector,
    /// Norm at all sites: the embedding, reads, contributions of levels and the stream. If absent, a layer norm that learns
    /// nothing, which is the only one that kernels fuse with a level.
    #[serde(skip_serializing_if = "is_default")]
    pub norm: NormConfig,
    /// Initial weights, and thresholds of neurons. If absent, normal weights and no thresholds.
    #[serde(skip_serializing_if = "is_default")]
    pub init: InitConfig,
    /// Low-bit weights and activities. If absent, there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quant: Option<QuantConfig>,
    /// Precision and compression of carried memory. If absent, it is carried as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rho: Option<RhoConfig>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl From<DragonConfig> for ModelConfig {
    fn from(c: DragonConfig) -> Self {
        Self {
            vocab_size: None,
            d_model: c.d_model,
            n_heads: c.n_heads,
            n_neurons: c.n_neurons,
            n_levels: c.n_levels,
            dropout: c.dropout,
            rope_theta: c.rope_theta,
            norm_eps: c.norm_eps,
            init_std: c.init_std,
            positions: c.positions,
            decay: c.decay,
            mixer: c.mixer,
            fanout: c.fanout,
            summary_memory: c.summary_memory,
            neuron_recurrence: c.neuron_recurrence,
            connector: c.connector,
            norm: c.norm,
            init: c.init,
            quant: c.quant,
            rho: c.rho,
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        DragonConfig::small().into()
    }
}

impl ModelConfig {
    /// Configuration of the model for a tokenizer of `tokens` tokens.
    ///
    /// # Errors
    /// If the table sets another vocabulary size, or sizes that no model can have.
    pub fn with_vocabulary(&self, tokens: usize) -> Result<DragonConfig, LanguageError> {
        if let Some(asked) = self.vocab_size.filter(|&asked| asked != tokens) {
            return Err(LanguageError::Vocabulary {
                model: asked,
                tokenizer: tokens,
            });
        }
        let config = DragonConfig {
            vocab_size: tokens,
            d_model: self.d_model,
            n_heads: self.n_heads,
            n_neurons: self.n_neurons,
            n_levels: self.n_levels,
            dropout: self.dropout,
            rope_theta: self.rope_theta,
            norm_eps: self.norm_eps,
            init_std: self.init_std,
            decay: self.decay.clone(),
            positions: self.positions,
            mixer: self.mixer.clone(),
            fanout: self.fanout.clone(),
            summary_memory: self.summary_memory.clone(),
            neuron_recurrence: self.neuron_recurrence.clone(),
            connector: self.connector.clone(),
            norm: self.norm,
            init: self.init,
            // A table that is switched off is none: the model is a plain one.
            quant: self.quant.clone().filter(QuantConfig::is_in_force),
            rho: self.rho,
        };
        if config.quant.as_ref().is_some_and(|quant| quant.packed) {
            return Err(ConfigError::from(QuantError::PackedInTraining).into());
        }
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vocabulary_that_does_not_match_the_tokenizer_is_refused_with_both_sizes() {
        let model = ModelConfig {
            vocab_size: Some(100),
            ..ModelConfig::default()
        };
        let error = model.with_vocabulary(256).unwrap_err().to_string();
        assert!(error.contains("100") && error.contains("256"), "{error}");
    }
}
