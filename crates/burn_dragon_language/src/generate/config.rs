//! Settings of generation: `[generation]`.

use super::ContextStrategy;
use crate::error::LanguageError;
use burn_dragon_core::api::expert::Range;
use burn_dragon_core::api::{Decoder, Dragon, Exit, InferencePrecision, MemoryPrecision, Precision};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Table `[generation]`: settings of generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationConfig {
    /// Text to continue. If it is the default and a `char` tokenizer does not know its characters, samples continue the
    /// beginning of the validation text, and a note says so.
    pub prompt: String,
    /// Maximum number of new tokens. In code alone, `None` means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Temperature: below 1 sharpens the distribution, above 1 flattens it. At 0 the likeliest token is always taken.
    pub temperature: f64,
    /// Number of likeliest tokens to sample from. If absent, all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Probability mass of the likeliest tokens to sample from (nucleus sampling), in (0, 1].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Repetition penalty: above 1 makes tokens that were read or generated less likely, below 1 likelier.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Texts that end the generation. They are left out of the result.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub stop: Vec<String>,
    /// Seed of the sampling.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Context of the model: how far back its memory reaches.
    #[serde(skip_serializing_if = "ContextStrategy::is_infinite")]
    #[schemars(extend("default" = { "type": "infinite" }))]
    pub context: ContextStrategy,
    /// Precision of the weights, and of the factors of the products where a prompt is read; on the processor.
    #[serde(with = "PrecisionName", skip_serializing_if = "is_f32")]
    #[schemars(extend("default" = "f32"))]
    pub precision: Precision,
    /// Precision of the carried memory while tokens are generated; on the processor.
    #[serde(with = "MemoryPrecisionName", skip_serializing_if = "is_kept_in_f32")]
    #[schemars(extend("default" = "f32"))]
    pub memory_precision: MemoryPrecision,
    /// Probability of the likeliest next token at which levels are left out for a token, in (0, 1]. If absent, all levels run.
    /// Levels that are left out neither read nor write, so this is not the trained function; precisions are f32.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_confidence: Option<f64>,
}

/// How the streams of a text are decoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoding {
    /// Precision of weights and memory.
    pub(super) precision: InferencePrecision,
    /// Condition on which levels are left out.
    pub(super) exit: Option<Exit>,
}

impl Decoding {
    /// Decoder of one stream.
    pub(super) fn decoder(self, dragon: &Dragon) -> Decoder {
        match self.exit {
            Some(exit) => Decoder::with_exit(dragon, 1, exit),
            None => Decoder::with_precision(dragon, 1, self.precision),
        }
    }
}

/// Name of a [`Precision`] in a configuration.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "Precision", rename_all = "lowercase")]
enum PrecisionName {
    /// Not rounded.
    F32,
    /// Rounded to 8 significant bits.
    Bf16,
}

fn is_f32(precision: &Precision) -> bool {
    *precision == Precision::F32
}

/// [`MemoryPrecision`], by its names in files.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(remote = "MemoryPrecision", rename_all = "lowercase")]
enum MemoryPrecisionName {
    /// As it is computed.
    F32,
    /// Rounded to 8 significant bits; half the bytes.
    Bf16,
    /// Whole numbers within 127 and a scale for each 32 of them; 9 bits a number.
    Int8,
}

fn is_kept_in_f32(precision: &MemoryPrecision) -> bool {
    *precision == MemoryPrecision::F32
}

impl Default for GenerationConfig {
    fn default() -> Self {
        Self {
            prompt: "\n".into(),
            max_tokens: Some(256),
            temperature: 1.0,
            top_k: None,
            top_p: None,
            repetition_penalty: None,
            stop: Vec::new(),
            seed: 1337,
            context: ContextStrategy::Infinite {},
            precision: Precision::F32,
            memory_precision: MemoryPrecision::F32,
            exit_confidence: None,
        }
    }
}

impl GenerationConfig {
    /// Precision of weights and memory.
    pub fn inference_precision(&self) -> InferencePrecision {
        InferencePrecision {
            weights: self.precision,
            memory: self.memory_precision,
        }
    }

    /// How the streams of a text are decoded.
    pub(super) fn decoding(&self) -> Decoding {
        Decoding {
            precision: self.inference_precision(),
            exit: self.exit_confidence.map(|confidence| Exit {
                confidence,
                least_levels: 1,
            }),
        }
    }

    /// Checks the values, also that f32 can hold them.
    ///
    /// # Errors
    /// [`LanguageError::Config`] with the key and the value.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        for (key, value, range) in [
            ("generation.temperature", Some(self.temperature), Range::FROM_ZERO),
            ("generation.top_p", self.top_p, Range::SHARE),
            ("generation.exit_confidence", self.exit_confidence, Range::SHARE),
            (
                "generation.repetition_penalty",
                self.repetition_penalty,
                Range::POSITIVE,
            ),
        ] {
            let Some(value) = value else { continue };
            if let Err(expected) = range.check(value) {
                return refuse(key, format!("is {value:?}; expected {expected}"));
            }
        }
        if self.top_k == Some(0) {
            return refuse(
                "generation.top_k",
                "is 0, but at least 1 token is needed; leave it out to sample from all tokens".into(),
            );
        }
        if self.stop.iter().any(String::is_empty) {
            return refuse(
                "generation.stop",
                "has an empty text, which would stop at once; leave it out".into(),
            );
        }
        if self.exit_confidence.is_some() && self.inference_precision() != InferencePrecision::default() {
            return refuse(
                "generation.exit_confidence",
                "is given beside a precision of bf16, but where levels are left out, numbers are f32; leave one of them out".into(),
            );
        }
        self.context.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        for (key, config) in [
            (
                "temperature",
                GenerationConfig {
                    temperature: -1.0,
                    ..GenerationConfig::default()
                },
            ),
            (
                "top_k",
                GenerationConfig {
                    top_k: Some(0),
                    ..GenerationConfig::default()
                },
            ),
            (
                "top_p",
                GenerationConfig {
                    top_p: Some(1.5),
                    ..GenerationConfig::default()
                },
            ),
            (
                "repetition_penalty",
                GenerationConfig {
                    repetition_penalty: Some(0.0),
                    ..GenerationConfig::default()
                },
            ),
            (
                "stop",
                GenerationConfig {
                    stop: vec![String::new()],
                    ..GenerationConfig::default()
                },
            ),
            (
                "window",
                GenerationConfig {
                    context: ContextStrategy::Sliding { window: 0 },
                    ..GenerationConfig::default()
                },
            ),
        ] {
            assert!(config.validate().unwrap_err().to_string().contains(key), "{key}");
        }
    }
}
