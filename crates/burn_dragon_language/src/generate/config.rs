//! How text is drawn: `[generation]`.

use super::ContextStrategy;
use crate::error::LanguageError;
use burn_dragon_core::api::expert::Range;
use serde::{Deserialize, Serialize};

/// `[generation]`: how text is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GenerationConfig {
    /// What is continued.
    pub prompt: String,
    /// New tokens at most, 256 unless said; `None`, in code, goes on until a stop text or forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Below 1 sharpens, above 1 flattens; 0 takes the likeliest token each time.
    pub temperature: f64,
    /// Draw among this many likeliest tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Draw among the likeliest tokens that together have this probability.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Above 1 makes tokens that were read or written less likely.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repetition_penalty: Option<f64>,
    /// Texts that end the generation, themselves left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    /// Seed of the draws.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    pub seed: u64,
    /// What the model can look back on.
    #[serde(skip_serializing_if = "ContextStrategy::is_infinite")]
    pub context: ContextStrategy,
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
        }
    }
}

impl GenerationConfig {
    /// Refuses values that nothing can be drawn with, numbers that f32 does not hold among them.
    ///
    /// # Errors
    /// Naming the key and the value.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        for (key, value, range) in [
            ("generation.temperature", Some(self.temperature), Range::FROM_ZERO),
            ("generation.top_p", self.top_p, Range::SHARE),
            (
                "generation.repetition_penalty",
                self.repetition_penalty,
                Range::POSITIVE,
            ),
        ] {
            let Some(value) = value else { continue };
            if let Err(expected) = range.check(value) {
                return refuse(key, format!("it is {value:?}; expected {expected}"));
            }
        }
        if self.top_k == Some(0) {
            return refuse(
                "generation.top_k",
                "0 leaves no token; leave it out to draw among all".into(),
            );
        }
        if self.stop.iter().any(String::is_empty) {
            return refuse("generation.stop", "an empty text would stop at once".into());
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
