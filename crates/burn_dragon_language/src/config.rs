//! The configuration of a language run; `config/language/base.toml` documents every key.

use crate::data::{DatasetConfig, SourceConfig};
use crate::error::LanguageError;
use crate::generate::GenerationConfig;
use burn_dragon_checkpoint::model::{LearntMemory, LearntReading};
use burn_dragon_core::api::{Connector, DecayConfig, DragonConfig, Positions};
use burn_dragon_train::optimizer::OptimizerConfig;
use burn_dragon_train::plan::Plan;
use burn_dragon_train::schedule::Schedule;
use burn_dragon_train::settings::{CheckpointConfig, EvaluationConfig, TrainingConfig};
use serde::{Deserialize, Serialize};
use std::num::NonZeroUsize;

/// The default run: a small model on the embedded tales.
pub const BASE: &str = include_str!("../../../config/language/base.toml");

/// All that a language run is made of.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageConfig {
    /// Text, tokenizer, split.
    pub dataset: DatasetConfig,
    /// The model's shape.
    pub model: ModelConfig,
    /// Seed, batch, length.
    pub training: TrainingConfig,
    /// AdamW.
    pub optimizer: OptimizerConfig,
    /// Learning rate over the steps.
    pub schedule: Schedule,
    /// When and how much is evaluated.
    pub evaluation: EvaluationConfig,
    /// When a checkpoint is written.
    pub checkpoint: CheckpointConfig,
    /// Samples during training, and the defaults of `dragon generate`.
    pub generation: GenerationConfig,
}

impl LanguageConfig {
    /// The tables that the trainer reads.
    pub fn plan(&self) -> Plan {
        Plan {
            training: self.training.clone(),
            optimizer: self.optimizer.clone(),
            schedule: self.schedule,
            evaluation: self.evaluation.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// How a model of the run learns to read, which its files say of it. Documents are divided as those it is judged by.
    pub fn reading(&self) -> LearntReading {
        let sources = self.dataset.validation.as_deref().into_iter();
        let separator = sources
            .chain([&self.dataset.source])
            .find_map(|source| match source {
                SourceConfig::Text(text) => Some(text.document_separator.clone()),
                SourceConfig::Embedded(_) | SourceConfig::Needle(_) => None,
            });
        LearntReading {
            // None is refused before anything is read.
            block_size: NonZeroUsize::new(self.training.block_size).unwrap_or(NonZeroUsize::MIN),
            memory: match self.training.streams {
                Some(_) => LearntMemory::Carried,
                None => LearntMemory::Reset,
            },
            document_separator: separator.flatten(),
        }
    }
}

/// `[model]`: as [`DragonConfig`], but the vocabulary may be left to the tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelConfig {
    /// Tokens in the vocabulary; absent, the tokenizer's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vocab_size: Option<usize>,
    /// Model width (D).
    pub d_model: usize,
    /// Heads (H).
    pub n_heads: usize,
    /// Neurons in all heads together (n).
    pub n_neurons: usize,
    /// Passes through the shared block (L).
    pub n_levels: usize,
    /// Share of y that is dropped in training.
    pub dropout: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// What the norms add to the variance.
    pub norm_eps: f64,
    /// Standard deviation of the initial weights.
    pub init_std: f64,
    /// How memory fades; absent, it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<DecayConfig>,
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
            decay: c.decay,
        }
    }
}

impl Default for ModelConfig {
    fn default() -> Self {
        DragonConfig::small().into()
    }
}

impl ModelConfig {
    /// The model's shape for a tokenizer of `tokens` tokens.
    ///
    /// # Errors
    /// If the table asks for another vocabulary, or for a shape that no model can have.
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
            positions: Positions::Rotary,
            connector: Connector::Plain,
        };
        config.validate()?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_core::Precision;
    use burn_dragon_train::config::Layers;
    use burn_dragon_train::guard::GuardConfig;

    #[test]
    fn the_base_file_says_every_key_there_is() {
        let resolved = Layers::new()
            .embedded("base.toml", BASE)
            .unwrap()
            .resolve::<LanguageConfig>()
            .unwrap();
        let unsaid: Vec<_> = resolved
            .explain()
            .lines()
            .filter(|line| line.ends_with("# default"))
            .map(String::from)
            .collect();
        assert!(unsaid.is_empty(), "{unsaid:#?}");
        resolved.value.model.with_vocabulary(256).unwrap();
    }

    /// What is left out of the base file, since its absence says something, stands there behind a `#`.
    #[test]
    fn the_base_file_shows_what_it_leaves_out() {
        let is_key = |text: &str| {
            let name = text.split(" = ").next().unwrap_or("");
            text.contains(" = ") && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let shown: String = BASE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(text) if is_key(text) || text.starts_with('[') => format!("{text}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        let resolved = Layers::new().embedded("shown.toml", &shown).unwrap();
        let config = resolved.resolve::<LanguageConfig>().unwrap().value;
        let streams = config.training.streams.unwrap();
        assert_eq!((streams.max_context, streams.scales.len()), (Some(4096), 2));
        assert_eq!(config.training.guard, Some(GuardConfig::default()));
        assert!(config.model.decay.is_some());
    }

    /// A fact that is further away than a window is long can never be learnt from.
    #[test]
    fn every_tale_fits_into_a_window_of_the_default_run() {
        let resolved = Layers::new().embedded("base.toml", BASE).unwrap();
        let config = resolved.resolve::<LanguageConfig>().unwrap().value;
        assert!(config.training.block_size >= crate::tales::MAX_BYTES);
    }

    #[test]
    fn a_vocabulary_that_does_not_match_the_tokenizer_is_refused_with_both_sizes() {
        let model = ModelConfig {
            vocab_size: Some(100),
            ..ModelConfig::default()
        };
        let error = model.with_vocabulary(256).unwrap_err().to_string();
        assert!(error.contains("100") && error.contains("256"), "{error}");
    }

    #[test]
    fn a_model_is_said_to_read_as_its_run_does_and_its_validation_text_is_divided() {
        let reading = |text: &str| toml::from_str::<LanguageConfig>(text).unwrap().reading();
        let text = "[dataset]\ntype = 'text'\npaths = ['a']\ndocument_separator = '#'\n";
        let tales = "[dataset]\ntype = 'embedded'\n";
        let own =
            |separator: &str| format!("[dataset.validation]\ntype = 'text'\npaths = ['b']\n{separator}");
        let streams = "[training]\nblock_size = 32\n[training.streams]\n";
        for (text, separator) in [
            (tales.to_string(), None),
            (text.to_string(), Some("#")),
            (format!("{text}{}", own("document_separator = '%'\n")), Some("%")),
            (format!("{text}{}", own("")), None), // its files are documents
            (format!("{tales}{}", own("document_separator = '%'\n")), Some("%")),
            (
                format!("{text}[dataset.validation]\ntype = 'embedded'\n"),
                Some("#"),
            ),
        ] {
            let learnt = reading(&format!("{text}{streams}"));
            assert_eq!(learnt.document_separator.as_deref(), separator, "{text}");
            assert_eq!(
                (learnt.block_size.get(), learnt.memory),
                (32, LearntMemory::Carried)
            );
            assert_eq!(reading(&text).memory, LearntMemory::Reset);
        }
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_right_one() {
        let layers = Layers::new().assignment("training.max_step=3").unwrap();
        let error = layers.resolve::<LanguageConfig>().unwrap_err().to_string();
        assert!(
            error.contains("training.max_step") && error.contains("max_steps"),
            "{error}"
        );
    }

    #[test]
    fn a_precision_is_one_of_two() {
        let resolve = |value: &str| {
            let layers = Layers::new()
                .assignment(&format!("training.precision={value}"))
                .unwrap();
            layers.resolve::<LanguageConfig>()
        };
        assert_eq!(resolve("bf16").unwrap().value.training.precision, Precision::Bf16);
        assert_eq!(resolve("f32").unwrap().value.training.precision, Precision::F32);
        let error = resolve("f16").err().unwrap().to_string();
        for part in ["training.precision", "f16", "bf16"] {
            assert!(error.contains(part), "{error}");
        }
    }
}
