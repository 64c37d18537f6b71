//! Configuration of a language run. `config/language/base.toml` documents every key.

use super::sequence::SequenceConfig;
use crate::chat::ChatTemplate;
use crate::config::ModelConfig;
use crate::data::{DatasetConfig, SourceConfig};
use crate::error::LanguageError;
use crate::export::PROMPT;
use crate::generate::GenerationConfig;
use crate::learnt::{LearntMemory, LearntReading, LearntText};
use crate::tokenizer::TokenizerConfig;
use burn::tensor::Device;
use burn_dragon_core::api::DecayConfig;
use burn_dragon_train::api::{
    CheckpointConfig, EmaConfig, EvaluationConfig, OptimizerConfig, Plan, Schedule, TrainError,
    TrainingConfig,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::num::NonZeroUsize;

/// Default run: a small model on the embedded tales.
pub const BASE: &str = include_str!("../../config/base.toml");

/// Configuration of a language run.
///
/// `LanguageConfig::default()` has the defaults of the schema: what a file means that sets nothing. The default run of
/// `dragon train` is another configuration, [`LanguageConfig::base`]; `docs/configuration_keys.md` shows both, key by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LanguageConfig {
    /// Table `[dataset]`: text, tokenizer, split.
    pub dataset: DatasetConfig,
    /// Table `[model]`: sizes of the model.
    pub model: ModelConfig,
    /// Table `[sequence]`: windows of text, and memory from one window to the next.
    pub sequence: SequenceConfig,
    /// Table `[training]`: seed, batch, steps.
    pub training: TrainingConfig,
    /// Table `[optimizer]`: updates of the weights.
    pub optimizer: OptimizerConfig,
    /// Table `[ema]`: average of the weights, which is evaluated and saved. If absent, the weights themselves are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ema: Option<EmaConfig>,
    /// Table `[schedule]`: learning rate over the steps.
    pub schedule: Schedule,
    /// Table `[evaluation]`: frequency and amount of evaluation.
    pub evaluation: EvaluationConfig,
    /// Table `[checkpoint]`: frequency of checkpoints.
    pub checkpoint: CheckpointConfig,
    /// Table `[generation]`: samples during training, and the defaults of `dragon generate`.
    pub generation: GenerationConfig,
}

impl LanguageConfig {
    /// Tables that the trainer reads.
    pub fn plan(&self) -> Plan {
        Plan {
            training: self.training.clone(),
            optimizer: self.optimizer.clone(),
            ema: self.ema,
            schedule: self.schedule,
            evaluation: self.evaluation.clone(),
            checkpoint: self.checkpoint.clone(),
        }
    }

    /// Checks the tables that set how text is read.
    ///
    /// # Errors
    /// The key at fault, with its value and the expected one.
    pub fn validate(&self) -> Result<(), TrainError> {
        self.sequence.validate(&self.training)?;
        self.training.validate()
    }

    /// Faults of the values, as far as they are known without the text and the device.
    pub(super) fn faults(&self) -> Vec<TrainError> {
        let mut faults = self.plan().faults();
        let checks = [
            self.dataset.validate(),
            self.model.with_vocabulary(self.vocabulary()).map(drop),
            self.generation.validate(),
        ];
        faults.extend(
            checks
                .into_iter()
                .filter_map(Result::err)
                .map(|error| match error {
                    LanguageError::Training(error) => error,
                    error => TrainError::task(error),
                }),
        );
        // What is wrong with `training` alone has been said.
        if self.training.validate().is_ok() {
            faults.extend(self.sequence.validate(&self.training).err());
        }
        faults
    }

    /// Size of the vocabulary as far as it is known without the text.
    fn vocabulary(&self) -> usize {
        let of_tokenizer = match self.dataset.tokenizer {
            TokenizerConfig::Byte {} => Some(256),
            TokenizerConfig::Bpe { vocab_size, .. } => vocab_size,
            TokenizerConfig::Ids { vocab_size } => Some(vocab_size),
            TokenizerConfig::Char { .. } => None,
        };
        of_tokenizer.or(self.model.vocab_size).unwrap_or(256)
    }

    /// Settles a precision of `auto` for training on this device: f32 if the slopes of the decay are learnt, otherwise the
    /// faster one. Returns a line for the user, or `None` if a precision was named.
    #[must_use]
    pub fn settle_precision(&mut self, device: &Device) -> Option<String> {
        let only_f32 = self
            .learns_slopes()
            .then_some("the slopes of model.decay are learnt, and bf16 does not resolve their gradients");
        self.training.precision.settle(device, only_f32)
    }

    /// Whether the slopes of the decay are learnt. The gradient of a slope is a small difference of large sums, which bf16
    /// does not resolve.
    pub(super) fn learns_slopes(&self) -> bool {
        self.model.decay.as_ref().is_some_and(DecayConfig::learnable)
    }

    /// Template of the conversations that a model of this run is trained on, if there are any. It is stored in the model
    /// file.
    pub fn chat(&self) -> Option<&ChatTemplate> {
        let held_out = self.dataset.validation.as_deref().into_iter();
        let mut sources = std::iter::once(&self.dataset.source).chain(held_out);
        Some(&sources.find_map(SourceConfig::chat)?.template)
    }

    /// Kind of text that a model of this run is trained on. It is stored in the model file.
    pub fn text(&self) -> LearntText {
        LearntText::of_source(&self.dataset.source)
    }

    /// Details of a model of this run, for its file.
    pub(super) fn details(&self) -> Map<String, Value> {
        let mut details = self.reading().details();
        details.extend(self.text().details());
        details.extend(self.chat().map(ChatTemplate::details).unwrap_or_default());
        details.insert(PROMPT.into(), self.generation.prompt.clone().into());
        details
    }

    /// Reading that a model of this run is trained with. It is stored in the model file. Documents are divided as those
    /// of the validation text.
    pub fn reading(&self) -> LearntReading {
        let sources = self.dataset.validation.as_deref().into_iter();
        let separator = sources
            .chain([&self.dataset.source])
            .find_map(|source| match source {
                SourceConfig::Text(text) => Some(text.document_separator.clone()),
                SourceConfig::Records(records) => Some(records.document_separator.clone()),
                SourceConfig::HuggingFace(hub) => Some(hub.document_separator.clone()),
                _ => None,
            });
        LearntReading {
            // A block size of 0 is refused before any text is read.
            block_size: NonZeroUsize::new(self.sequence.block_size).unwrap_or(NonZeroUsize::MIN),
            memory: match self.sequence.streams {
                Some(_) => LearntMemory::Carried,
                None => LearntMemory::Reset,
            },
            document_separator: separator.flatten(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::Language;
    use burn_dragon_core::api::{Credit, Precision};
    use burn_dragon_train::api::{GuardConfig, Layers, TrainingPrecision, config_text, resolve};

    #[test]
    fn the_default_run_is_the_base_file_and_not_the_defaults_of_the_schema() {
        let base = LanguageConfig::base().unwrap();
        let file: toml::Table = BASE.parse().unwrap();
        assert_eq!(
            base.model.n_neurons as i64,
            file["model"]["n_neurons"].as_integer().unwrap()
        );
        let schema = resolve::<Language>(Layers::new()).unwrap().value;
        assert_eq!(schema, LanguageConfig::default());
        assert_ne!(schema, base);
    }

    #[test]
    fn the_base_file_says_every_key_there_is() {
        let layers = Layers::new().embedded("base.toml", BASE).unwrap();
        let resolved = resolve::<Language>(layers).unwrap();
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
        let config = resolve::<Language>(resolved).unwrap().value;
        let streams = config.sequence.streams.unwrap();
        assert_eq!((streams.max_context, streams.scales.len()), (Some(4096), 2));
        assert_eq!(config.training.guard, Some(GuardConfig::default()));
        assert!(config.model.decay.is_some());
    }

    /// A fact that is further away than a window is long can never be learnt from.
    #[test]
    fn every_tale_fits_into_a_window_of_the_default_run() {
        let resolved = Layers::new().embedded("base.toml", BASE).unwrap();
        let config = resolve::<Language>(resolved).unwrap().value;
        assert!(config.sequence.block_size >= crate::tales::MAX_BYTES);
    }

    #[test]
    fn a_model_is_said_to_read_as_its_run_does_and_its_validation_text_is_divided() {
        let reading = |text: &str| toml::from_str::<LanguageConfig>(text).unwrap().reading();
        let text = "[dataset]\ntype = 'text'\npaths = ['a']\ndocument_separator = '#'\n";
        let tales = "[dataset]\ntype = 'embedded'\n";
        let own =
            |separator: &str| format!("[dataset.validation]\ntype = 'text'\npaths = ['b']\n{separator}");
        let streams = "[sequence]\nblock_size = 32\n[sequence.streams]\n";
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
    fn a_step_of_more_tokens_than_can_be_counted_is_refused_by_its_largest_key() {
        let refused = |batch_size, block_size, accumulate| {
            let mut config = LanguageConfig::default();
            (config.training.batch_size, config.training.accumulate) = (batch_size, accumulate);
            config.sequence.block_size = block_size;
            config.validate().map_err(|error| error.to_string())
        };
        for (key, (batch_size, block_size, accumulate)) in [
            ("training.batch_size = 4611686018427387904", (1 << 62, 256, 1)),
            ("sequence.block_size = 18446744073709551615", (8, usize::MAX, 1)),
            ("training.accumulate = 4294967295", (1 << 20, 1 << 10, u32::MAX)),
        ] {
            let error = refused(batch_size, block_size, accumulate).unwrap_err();
            assert!(error.contains(key) && error.contains("2^48"), "{error}");
        }
        refused(1 << 40, 256, 1).unwrap();
        let error = refused(8, 0, 1).unwrap_err();
        assert!(error.contains("sequence.block_size = 0"), "{error}");
    }

    #[test]
    fn a_key_that_has_moved_is_answered_with_its_new_place() {
        let refused = |layers: Layers| resolve::<Language>(layers).unwrap_err().to_string();
        for (key, value) in [
            ("block_size", "64"),
            ("credit", "'queries'"),
            ("streams", "{ unroll = 2 }"),
        ] {
            let text = format!("[training]\nseed = 1\n{key} = {value}\n");
            let said = refused(Layers::new().embedded("mine.toml", &text).unwrap());
            let moved = format!("`training.{key}` moved to `sequence.{key}`");
            assert!(said.contains(&moved) && said.contains("mine.toml:3"), "{said}");
            let said = refused(
                Layers::new()
                    .assignment(&format!("training.{key}={value}"))
                    .unwrap(),
            );
            assert!(said.contains(&moved) && said.contains("command line"), "{said}");
        }
    }

    #[test]
    fn a_run_of_an_earlier_version_is_read_with_its_keys_where_they_are_today() {
        let folder = tempfile::tempdir().unwrap();
        let write = |text: &str| std::fs::write(folder.path().join("config.toml"), text).unwrap();
        let read = || burn_dragon_train::api::run_config::<Language>(folder.path());
        write("[training]\nseed = 7\nblock_size = 32\ncredit = 'queries'\n[training.streams]\nunroll = 2\n");
        let config = read().unwrap();
        assert_eq!((config.training.seed, config.sequence.block_size), (7, 32));
        assert_eq!(config.sequence.credit, Credit::Queries);
        assert_eq!(config.sequence.streams.unwrap().unroll, 2);
        write("family = 'language'\n[training]\nblock_size = 32\n");
        assert!(
            read()
                .unwrap_err()
                .to_string()
                .contains("moved to `sequence.block_size`")
        );
        write("family = 'sudoku'\n");
        let said = read().unwrap_err().to_string();
        assert!(
            said.contains("`sudoku`") && said.contains("config.toml:1"),
            "{said}"
        );
    }

    #[test]
    fn a_misspelt_key_is_answered_with_the_right_one() {
        let layers = Layers::new().assignment("training.max_step=3").unwrap();
        let error = resolve::<Language>(layers).unwrap_err().to_string();
        assert!(
            error.contains("training.max_step") && error.contains("max_steps"),
            "{error}"
        );
    }

    #[test]
    fn a_precision_is_one_of_three() {
        let resolve = |value: &str| {
            let layers = Layers::new()
                .assignment(&format!("training.precision={value}"))
                .unwrap();
            resolve::<Language>(layers)
        };
        for (name, precision) in [
            ("f32", TrainingPrecision::F32),
            ("bf16", TrainingPrecision::Bf16),
            ("auto", TrainingPrecision::Auto),
        ] {
            let resolved = resolve(name).unwrap();
            assert_eq!(resolved.value.training.precision, precision);
            let shown = format!("precision = \"{name}\" ");
            assert!(resolved.explain().contains(&shown), "as it was given");
        }
        let refused = |name| resolve(name).err().unwrap().to_string();
        for (name, parts) in [("f16", "did you mean `bf16`"), ("half", "`f32`, `bf16`, `auto`")] {
            let error = refused(name);
            for part in ["training.precision", name, parts] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn auto_is_settled_to_a_precision_and_to_f32_where_slopes_are_learnt() {
        let settled = |learnable| {
            let mut config = LanguageConfig::default();
            config.training.precision = TrainingPrecision::Auto;
            config.model.decay = Some(DecayConfig::Standard { learnable });
            let line = config.settle_precision(&Device::flex().autodiff()).unwrap();
            let text = config_text::<Language>(&config).unwrap();
            let precision = config.training.precision.concrete().unwrap();
            assert!(text.contains(&format!("precision = \"{precision}\"")), "{text}");
            (precision, line)
        };
        let (precision, line) = settled(true);
        assert_eq!(precision, Precision::F32);
        assert!(
            line.starts_with("precision f32 (auto: ") && line.contains("model.decay"),
            "{line}"
        );
        let (precision, line) = settled(false);
        assert!(
            line.starts_with(&format!("precision {precision} (auto: ")),
            "{line}"
        );
        assert!(!line.contains("model.decay"), "{line}");
    }
}
