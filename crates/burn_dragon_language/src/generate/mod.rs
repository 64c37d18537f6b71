//! Generation with carried state: constant memory and constant time per token, whatever the length.

mod context;
mod sampler;

pub use context::ContextStrategy;
pub use sampler::Sampler;

use crate::error::LanguageError;
use crate::tokenizer::{StreamDecoder, Tokenizer};
use burn_dragon_core::Dragon;
use context::Context;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

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
    /// Refuses values that nothing can be drawn with.
    ///
    /// # Errors
    /// Naming the key and the value.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        if !(self.temperature.is_finite() && self.temperature >= 0.0) {
            return refuse(
                "generation.temperature",
                format!("{} is not 0 or above", self.temperature),
            );
        }
        if self.top_k == Some(0) {
            return refuse(
                "generation.top_k",
                "0 leaves no token; leave it out to draw among all".into(),
            );
        }
        if let Some(p) = self.top_p.filter(|p| !(*p > 0.0 && *p <= 1.0)) {
            return refuse("generation.top_p", format!("{p} is not in (0, 1]"));
        }
        if let Some(penalty) = self
            .repetition_penalty
            .filter(|penalty| !(*penalty > 0.0 && penalty.is_finite()))
        {
            return refuse(
                "generation.repetition_penalty",
                format!("{penalty} is not above 0"),
            );
        }
        if self.stop.iter().any(String::is_empty) {
            return refuse("generation.stop", "an empty text would stop at once".into());
        }
        self.context.validate()
    }
}

/// What was generated.
#[derive(Clone, Debug, PartialEq)]
pub struct Generation {
    /// The new text, stop text left out.
    pub text: String,
    /// The new tokens.
    pub token_ids: Vec<u32>,
    /// New tokens per second.
    pub tokens_per_second: f64,
    /// Prompt tokens read per second.
    pub prefill_tokens_per_second: f64,
    /// Whether a stop text, or the end of text, ended it.
    pub stopped: bool,
}

/// A model about to speak.
#[derive(Debug)]
pub struct Generator<'a> {
    dragon: &'a Dragon,
    tokenizer: Arc<dyn Tokenizer>,
    config: &'a GenerationConfig,
}

impl<'a> Generator<'a> {
    /// A generator; the model is without autodiff.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn new(
        dragon: &'a Dragon,
        tokenizer: Arc<dyn Tokenizer>,
        config: &'a GenerationConfig,
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        Ok(Self {
            dragon,
            tokenizer,
            config,
        })
    }

    /// Continues a text.
    ///
    /// # Errors
    /// If the prompt is empty or cannot be tokenized.
    pub fn complete(&self, prompt: &str) -> Result<Generation, LanguageError> {
        self.run(&self.tokenizer.encode(prompt.as_bytes())?, |_| {
            ControlFlow::Continue(())
        })
    }

    /// Continues tokens; `on_text` sees each new piece of text, whole characters only, and may break off.
    ///
    /// # Errors
    /// If the prompt is empty, or holds a token that the vocabulary does not have.
    pub fn run(
        &self,
        prompt: &[u32],
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, LanguageError> {
        self.check_prompt(prompt)?;
        let mut context = Context::new(self.dragon, self.config.context);
        let started = Instant::now();
        let mut logits = context.read(prompt)?;
        let prefill_seconds = started.elapsed().as_secs_f64();

        let started = Instant::now();
        let mut sampler = Sampler::new(self.config);
        prompt.iter().for_each(|&id| sampler.observe(id));
        let mut written = Written::new(StreamDecoder::new(self.tokenizer.clone()), &self.config.stop);
        let mut token_ids = Vec::new();
        let limit = self.config.max_tokens.unwrap_or(usize::MAX);
        while token_ids.len() < limit {
            let id = sampler.draw(logits);
            token_ids.push(id);
            if self.tokenizer.end_of_text() == Some(id) {
                written.stopped = true;
                break;
            }
            sampler.observe(id);
            let fresh = written.push(id)?;
            if (!fresh.is_empty() && on_text(&fresh).is_break()) || written.stopped {
                break;
            }
            if token_ids.len() < limit {
                logits = context.read(&[id])?;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        let rest = written.finish();
        if !rest.is_empty() {
            let _ = on_text(&rest); // nothing is left to break off
        }
        Ok(Generation {
            tokens_per_second: token_ids.len() as f64 / seconds.max(1e-9),
            prefill_tokens_per_second: prompt.len() as f64 / prefill_seconds.max(1e-9),
            text: written.text,
            token_ids,
            stopped: written.stopped,
        })
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<(), LanguageError> {
        if prompt.is_empty() {
            return Err(LanguageError::EmptyPrompt);
        }
        let vocab_size = self.tokenizer.vocab_size();
        match prompt.iter().find(|&&id| id as usize >= vocab_size) {
            Some(&id) => Err(LanguageError::UnknownToken { id, vocab_size }),
            None => Ok(()),
        }
    }
}

/// The text so far. What could be the beginning of a stop text is held back until it is not.
struct Written<'a> {
    decoder: Option<StreamDecoder>,
    stops: &'a [String],
    text: String,
    shown: usize,
    stopped: bool,
}

impl<'a> Written<'a> {
    fn new(decoder: StreamDecoder, stops: &'a [String]) -> Self {
        Self {
            decoder: Some(decoder),
            stops,
            text: String::new(),
            shown: 0,
            stopped: false,
        }
    }

    /// The text that became certain with this token.
    fn push(&mut self, id: u32) -> Result<String, LanguageError> {
        let piece = match &mut self.decoder {
            Some(decoder) => decoder.push(id)?,
            None => String::new(),
        };
        // A stop text can begin at most its own length before the new piece.
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let mut from = self.text.len().saturating_sub(longest);
        while !self.text.is_char_boundary(from) {
            from -= 1;
        }
        self.text.push_str(&piece);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| self.text[from..].find(stop.as_str()))
            .min();
        if let Some(at) = found {
            self.text.truncate(from + at);
            self.stopped = true;
        }
        let certain = if self.stopped {
            self.text.len()
        } else {
            self.certain()
        };
        Ok(self.show_to(certain))
    }

    /// How far the text cannot be part of a stop text any more.
    fn certain(&self) -> usize {
        let held = self.stops.iter().flat_map(|stop| {
            let prefixes = stop
                .char_indices()
                .map(|(at, _)| &stop[..at])
                .filter(|prefix| !prefix.is_empty());
            prefixes
                .filter(|prefix| self.text.ends_with(*prefix))
                .map(str::len)
        });
        self.text.len() - held.max().unwrap_or(0)
    }

    fn show_to(&mut self, end: usize) -> String {
        let from = self.shown.min(end);
        self.shown = self.shown.max(end);
        self.text[from..end].to_string()
    }

    fn finish(&mut self) -> String {
        if !self.stopped
            && let Some(decoder) = self.decoder.take()
        {
            self.text.push_str(&decoder.finish());
        }
        self.show_to(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::ByteTokenizer;
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use burn_dragon_core::DragonConfig;

    fn dragon() -> Dragon {
        let config = DragonConfig {
            n_neurons: 128,
            d_model: 16,
            n_levels: 2,
            init_std: 0.2,
            ..DragonConfig::tiny()
        };
        Dragon::new(&config, 2, &Device::flex()).unwrap()
    }

    fn config() -> GenerationConfig {
        GenerationConfig {
            max_tokens: Some(24),
            ..GenerationConfig::default()
        }
    }

    #[test]
    fn greedy_with_carried_state_is_greedy_by_reading_everything_again() {
        let (dragon, config) = (
            dragon(),
            GenerationConfig {
                temperature: 0.0,
                ..config()
            },
        );
        let generator = Generator::new(&dragon, Arc::new(ByteTokenizer), &config).unwrap();
        let given = generator.complete("Once").unwrap().token_ids;
        let mut ids: Vec<i32> = b"Once".iter().map(|&b| i32::from(b)).collect();
        for &id in &given {
            let data = TensorData::new(ids.clone(), [1, ids.len()]);
            let logits = dragon.forward(Tensor::<2, Int>::from_data(data, &Device::flex()));
            let last = logits.narrow(1, ids.len() - 1, 1).argmax(2).into_scalar::<i32>();
            assert_eq!(last as u32, id);
            ids.push(last);
        }
    }

    #[test]
    fn a_seed_is_a_text_and_another_seed_another() {
        let dragon = dragon();
        let text = |seed| {
            let config = GenerationConfig { seed, ..config() };
            Generator::new(&dragon, Arc::new(ByteTokenizer), &config)
                .unwrap()
                .complete("a")
                .unwrap()
                .token_ids
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }

    #[test]
    fn what_is_streamed_is_the_text() {
        let (dragon, config) = (dragon(), config());
        let generator = Generator::new(&dragon, Arc::new(ByteTokenizer), &config).unwrap();
        let mut streamed = String::new();
        let generation = generator
            .run(b"a".map(u32::from).as_slice(), |piece| {
                streamed.push_str(piece);
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(streamed, generation.text);
        assert_eq!(generation.token_ids.len(), 24);
    }

    #[test]
    fn a_stop_text_ends_it_and_no_part_of_it_is_shown() {
        let stops = vec!["END".to_string()];
        let mut written = Written::new(StreamDecoder::new(Arc::new(ByteTokenizer)), &stops);
        let mut shown = String::new();
        for byte in b"an EN EEND tail" {
            shown.push_str(&written.push(u32::from(*byte)).unwrap());
            if written.stopped {
                break;
            }
        }
        shown.push_str(&written.finish());
        assert_eq!((shown.as_str(), written.text.as_str()), ("an EN E", "an EN E"));
    }

    #[test]
    fn an_empty_prompt_and_a_token_outside_the_vocabulary_are_refused() {
        let (dragon, config) = (dragon(), config());
        let generator = Generator::new(&dragon, Arc::new(ByteTokenizer), &config).unwrap();
        assert!(matches!(generator.complete(""), Err(LanguageError::EmptyPrompt)));
        let error = generator
            .run(&[3, 999], |_| ControlFlow::Continue(()))
            .unwrap_err()
            .to_string();
        assert!(error.contains("999") && error.contains("256"), "{error}");
    }

    #[test]
    fn settings_out_of_range_are_refused_by_name() {
        for (key, config) in [
            (
                "temperature",
                GenerationConfig {
                    temperature: -1.0,
                    ..config()
                },
            ),
            (
                "top_k",
                GenerationConfig {
                    top_k: Some(0),
                    ..config()
                },
            ),
            (
                "top_p",
                GenerationConfig {
                    top_p: Some(1.5),
                    ..config()
                },
            ),
            (
                "repetition_penalty",
                GenerationConfig {
                    repetition_penalty: Some(0.0),
                    ..config()
                },
            ),
            (
                "stop",
                GenerationConfig {
                    stop: vec![String::new()],
                    ..config()
                },
            ),
            (
                "window",
                GenerationConfig {
                    context: ContextStrategy::Sliding { window: 0 },
                    ..config()
                },
            ),
        ] {
            assert!(config.validate().unwrap_err().to_string().contains(key), "{key}");
        }
    }
}
