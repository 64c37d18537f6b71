//! Generation with carried state: constant memory and constant time per token, at any length.
//!
//! A text that was read is a [`Prefix`]. It is a value: any number of texts can [continue](Generator) it, it can read
//! more tokens, and it can be saved as a file.

mod config;
mod context;
mod drawing;
mod memory;
mod prefix;
mod sampler;
mod written;

pub use config::GenerationConfig;
pub use context::ContextStrategy;
pub use drawing::DrawnOn;
pub use prefix::Prefix;
pub use sampler::Sampler;

use crate::error::LanguageError;
use crate::model::LanguageModel;
use crate::state::ModelOrigin;
use crate::tokenizer::{StreamDecoder, Tokenizer, TokenizerSpec};
use burn::tensor::Device;
use burn_dragon_core::api::{Dragon, FreeMemory, MemoryPrecision, Need, Precision};
use drawing::Drawing;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;
use written::Written;

/// Result of a generation; empty by default.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Generation {
    /// New text, without the stop text.
    pub text: String,
    /// New tokens.
    pub token_ids: Vec<u32>,
    /// New tokens per second.
    pub tokens_per_second: f64,
    /// Prompt tokens read per second.
    pub prefill_tokens_per_second: f64,
    /// Whether a stop text or the end-of-text token ended the generation.
    pub stopped: bool,
}

/// Generator of text with one model and its settings.
///
/// ```
/// # use burn::tensor::Device;
/// # use burn_dragon_core::api::{Dragon, DragonConfig};
/// # use burn_dragon_language::api::{GenerationConfig, Generator, Tokenizer, expert::ByteTokenizer};
/// # use std::{ops::ControlFlow, sync::Arc};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let config = DragonConfig { n_neurons: 64, d_model: 16, n_levels: 2, ..DragonConfig::tiny() };
/// # let dragon = Dragon::new(&config, 1, &Device::flex())?;
/// let settings = GenerationConfig { max_tokens: Some(8), ..GenerationConfig::default() };
/// let generator = Generator::new(&dragon, Arc::new(ByteTokenizer), &settings)?;
/// let tokens = |text: &str| ByteTokenizer.encode(text.as_bytes());
/// let novel = generator.read(&tokens("It was a dark and stormy night. ")?)?; // once
/// for question in ["Who was there?", "What did they see?"] {
///     let mut asked = novel.clone();
///     asked.read(&tokens(question)?)?;
///     let answer = generator.continue_from(&asked, |_| ControlFlow::Continue(()))?;
///     assert_eq!(answer.token_ids.len(), 8);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Generator<'a> {
    dragon: &'a Dragon,
    tokenizer: Arc<dyn Tokenizer>,
    config: &'a GenerationConfig,
    /// Origin of the model, for memories that are saved.
    origin: Option<ModelOrigin>,
}

impl<'a> Generator<'a> {
    /// Creates a generator of a model from a file. Memories that it saves have the origin of the model.
    ///
    /// # Errors
    /// As for [`new`](Self::new).
    pub fn of(model: &'a LanguageModel, config: &'a GenerationConfig) -> Result<Self, LanguageError> {
        Ok(Self {
            origin: Some(model.origin()),
            ..Self::new(&model.dragon, model.tokenizer.clone(), config)?
        })
    }

    /// Creates a generator. The model must be without autodiff.
    ///
    /// # Errors
    /// If a setting is out of range, or there is too little memory for the model and its state.
    pub fn new(
        dragon: &'a Dragon,
        tokenizer: Arc<dyn Tokenizer>,
        config: &'a GenerationConfig,
    ) -> Result<Self, LanguageError> {
        config.validate()?;
        refuse_stops_of_ids(&*tokenizer, config)?;
        refuse_precision(dragon, config)?;
        check_memory(FreeMemory::of_this_machine(), dragon, config.context)?;
        Ok(Self {
            dragon,
            tokenizer,
            config,
            origin: None,
        })
    }

    /// Continues a text.
    ///
    /// # Errors
    /// If the prompt is empty or cannot be tokenized, or a logit is not finite.
    pub fn complete(&self, prompt: &str) -> Result<Generation, LanguageError> {
        self.run(&self.tokenizer.encode(prompt.as_bytes())?, |_| {
            ControlFlow::Continue(())
        })
    }

    /// Continues tokens. `on_text` gets each new piece of text, in whole characters, and may stop the generation.
    ///
    /// # Errors
    /// If the prompt is empty or contains a token outside the vocabulary, or a logit is not finite.
    pub fn run(
        &self,
        prompt: &[u32],
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, LanguageError> {
        let mut reading = self.read(prompt)?;
        Ok(self.speak(&mut reading, false, on_text)?.0)
    }

    /// An empty prefix with the context of the settings.
    pub fn begin(&self) -> Prefix {
        Prefix::new(self.dragon, self.config.context, self.config.decoding())
    }

    /// Reads a text into a prefix, which can be continued any number of times without being read again.
    ///
    /// # Errors
    /// If there are no tokens, or one is outside the vocabulary.
    pub fn read(&self, prompt: &[u32]) -> Result<Prefix, LanguageError> {
        if prompt.is_empty() {
            return Err(LanguageError::EmptyPrompt);
        }
        let mut reading = self.begin();
        reading.read(prompt)?;
        Ok(reading)
    }

    /// Continues a prefix and leaves it unchanged; otherwise as [`run`](Self::run).
    ///
    /// # Errors
    /// If no token was read since the prefix began or was loaded from a file, or a logit is not finite.
    pub fn continue_from(
        &self,
        reading: &Prefix,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, LanguageError> {
        Ok(self.speak(&mut reading.clone(), false, on_text)?.0)
    }

    /// Continues a prefix and adds the new tokens to it, except an end-of-text token.
    ///
    /// # Errors
    /// If no token was read since the prefix began or was loaded from a file, or a logit is not finite.
    pub fn go_on(
        &self,
        reading: &mut Prefix,
        on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<Generation, LanguageError> {
        let (generation, unread) = self.speak(reading, true, on_text)?;
        if let Some(id) = unread {
            reading.read_own(id)?;
        }
        Ok(generation)
    }

    /// Generates text. Also returns the last token if it was not read. The prefix is good for nothing more unless it
    /// `keeps`.
    fn speak(
        &self,
        reading: &mut Prefix,
        keeps: bool,
        mut on_text: impl FnMut(&str) -> ControlFlow<()>,
    ) -> Result<(Generation, Option<u32>), LanguageError> {
        let prefill_tokens_per_second = reading.tokens_per_second();
        let started = Instant::now();
        reading.logits()?;
        let mut drawing = Drawing::new(self, reading, keeps);
        let mut written = Written::new(StreamDecoder::new(self.tokenizer.clone()), &self.config.stop);
        let (mut token_ids, most) = (Vec::new(), self.config.max_tokens.unwrap_or(usize::MAX));
        while token_ids.len() < most {
            let id = drawing.next(most - token_ids.len())?;
            token_ids.push(id);
            if self.tokenizer.end_of_text() == Some(id) {
                written.stopped = true;
                break;
            }
            let fresh = written.push(id)?;
            if (!fresh.is_empty() && on_text(&fresh).is_break()) || written.stopped {
                break;
            }
        }
        let unread = drawing.finish();
        let seconds = started.elapsed().as_secs_f64();
        let rest = written.finish();
        if !rest.is_empty() {
            let _ = on_text(&rest); // nothing is left to break off
        }
        let generation = Generation {
            tokens_per_second: token_ids.len() as f64 / seconds.max(1e-9),
            prefill_tokens_per_second,
            text: written.text,
            token_ids,
            stopped: written.stopped,
        };
        Ok((generation, unread))
    }
}

/// Refuses a model if the machine has too little memory for its weights and states. On other devices than the processor
/// they are in the memory of the device, whose free size is not known.
fn check_memory(memory: FreeMemory, dragon: &Dragon, context: ContextStrategy) -> Result<(), LanguageError> {
    if dragon.device().inner() != Device::flex() {
        return Ok(());
    }
    let (cost, streams) = (dragon.config().cost(), context.memories());
    let memories = cost.state_bytes().saturating_mul(streams as u64);
    let need = Need::of("generation")
        .with("weights and their copy for decoding", cost.generating_bytes(0))
        .with("memories", memories);
    let way_out = || match (streams, cost.generating_bytes(1) <= memory.whole()) {
        (2, true) => "an infinite context needs one memory instead of two, and fits".into(),
        _ => "use a model with fewer levels or neurons, or a smaller width".into(),
    };
    Ok(memory.check(&need, way_out)?)
}

/// Refuses a precision that only the processor supports.
fn refuse_precision(dragon: &Dragon, config: &GenerationConfig) -> Result<(), LanguageError> {
    let rounded = [
        ("generation.precision", config.precision != Precision::F32),
        (
            "generation.memory_precision",
            config.memory_precision != MemoryPrecision::F32,
        ),
    ];
    match rounded.iter().find(|(_, is_rounded)| *is_rounded) {
        Some((key, _)) if dragon.device().inner() != Device::flex() => Err(LanguageError::Config {
            key,
            reason: "is not \"f32\", which only the processor supports; use the backend cpu, or \"f32\""
                .into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses stop texts for bare token ids: ids have no text, and the digits of one id are not those of another.
fn refuse_stops_of_ids(tokenizer: &dyn Tokenizer, config: &GenerationConfig) -> Result<(), LanguageError> {
    if config.stop.is_empty() || !matches!(tokenizer.spec(), TokenizerSpec::Ids { .. }) {
        return Ok(());
    }
    Err(LanguageError::Config {
        key: "stop",
        reason: format!(
            "is {:?}, but the tokens of this model are bare ids, which have no text to stop at; leave it out",
            config.stop
        ),
    })
}

#[cfg(test)]
#[cfg(any(feature = "wgpu", feature = "cuda"))]
mod device_tests;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tokenizer::ByteTokenizer;
    use burn::tensor::{Device, Int, Tensor, TensorData};
    use burn_dragon_core::api::DragonConfig;

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
    fn a_memory_that_has_no_room_is_refused_before_it_is_made() {
        let dragon = dragon();
        let cost = dragon.config().cost();
        let (infinite, sliding) = (
            ContextStrategy::Infinite {},
            ContextStrategy::Sliding { window: 4 },
        );
        let room = FreeMemory::of(cost.generating_bytes(1));
        check_memory(room, &dragon, infinite).unwrap();
        let refused = |room, context| check_memory(room, &dragon, context).unwrap_err().to_string();
        let error = refused(room, sliding);
        assert!(
            error.contains("infinite context") && error.contains("memories"),
            "{error}"
        );
        check_memory(FreeMemory::of(cost.generating_bytes(2)), &dragon, sliding).unwrap();
        let error = refused(FreeMemory::of(cost.generating_bytes(1) - 1), infinite);
        assert!(error.contains("fewer levels"), "{error}");
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
}
