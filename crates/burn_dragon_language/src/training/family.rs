//! The language family as a family of models.

use super::config::{BASE, LanguageConfig};
use super::presets::PRESETS;
use super::task::{LanguageTask, room};
use super::{initial, prompt, read_as};
use crate::data::{Corpus, DataProgress, Note, SourceConfig, Tokens, WindowStart};
use crate::error::LanguageError;
use crate::export::LANGUAGE;
use crate::model::tokenizer_of;
use crate::tokenizer::{Tokenizer, TokenizerSpec};
use burn::tensor::Device;
use burn_dragon_checkpoint::api::{ModelFile, ModelKind};
use burn_dragon_core::api::{Dragon, FreeMemory, MemoryError, TensorShape};
use burn_dragon_train::api::expert::{bytes, count};
use burn_dragon_train::api::{
    At, Base, ConfigError, Family, Layers, Next, Outcome, Output, Plan, Preset, ReadAs, RunFolder, Task,
    TrainError, resolve,
};
use serde_json::{Map, Value, json};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Language models.
#[derive(Clone, Copy, Debug)]
pub struct Language;

impl Family for Language {
    const NAME: &'static str = "language";
    const BASE: Base = Base {
        path: "config/language/base.toml",
        text: BASE,
        minutes: 3.8,
        first: &["training.precision=auto"],
    };
    const PRESETS: &'static [Preset] = PRESETS;
    const SAMPLE: &'static str = "in its own words";
    const INSTEAD_OF_PREDICT: &'static str = "`dragon generate` continues a text with it";
    const OF_MODEL: &'static [&'static str] = &["model", "dataset.tokenizer"];
    type Config = LanguageConfig;
    type Task = LanguageTask;

    fn kind() -> &'static dyn ModelKind {
        &LANGUAGE
    }

    fn plan(config: &LanguageConfig) -> Plan {
        config.plan()
    }

    /// JSON lines are records or conversations.
    fn read_as(paths: &[String], given: &BTreeMap<String, Value>) -> Result<Option<ReadAs>, TrainError> {
        let base = std::env::current_dir().unwrap_or_default();
        read_as::settings(paths, given, &base)
            .map(Some)
            .map_err(TrainError::task)
    }

    /// The vocabulary is that of the tokenizer, which the run takes over too.
    fn settings_of(model: &ModelFile) -> Result<Map<String, Value>, String> {
        let config = model.config.value().as_object();
        let mut config = config.cloned().ok_or("config: expected an object")?;
        config.remove("vocab_size");
        Ok(config)
    }

    fn faults(config: &LanguageConfig) -> Vec<TrainError> {
        config.faults()
    }

    /// A resumed run keeps its tokenizer, and its text must be unchanged.
    fn task(config: &mut LanguageConfig, at: &At<'_>) -> Result<LanguageTask, TrainError> {
        make(config, at).map_err(|error| match error {
            LanguageError::Training(error) => error,
            error => TrainError::task(error),
        })
    }

    fn least_tensors(config: &LanguageConfig) -> Vec<TensorShape> {
        room::least_model(config).map_or_else(Vec::new, |model| model.tensors())
    }

    fn check_memory(config: &LanguageConfig, device: &Device, memory: FreeMemory) -> Result<(), MemoryError> {
        room::check_early(config, device, memory)
    }

    fn introduce(task: &LanguageTask) -> Vec<String> {
        let (shape, corpus, config) = (task.model_config(), task.corpus(), task.config());
        let mut lines = vec![
            format!(
                "model  {} levels, width {}, {} heads, {} neurons: {} parameters",
                shape.n_levels,
                shape.d_model,
                shape.n_heads,
                shape.n_neurons,
                count(shape.cost().parameters())
            ),
            format!(
                "data   {} for training, {} for validation, {}",
                amount(&corpus.train),
                amount(&corpus.validation),
                corpus.split
            ),
            format!(
                "steps  {} x {} tokens a batch, {} a step, about {} of memory a step",
                config.training.batch_size,
                config.sequence.block_size,
                config.training.accumulate,
                bytes(task.bytes_per_step())
            ),
        ];
        lines.extend(masked(corpus));
        lines.extend(curriculum(config, corpus));
        lines.extend(unknown_symbols(corpus));
        lines
    }

    fn notes(task: &LanguageTask) -> Vec<String> {
        said(&task.corpus().notes)
    }

    fn facts(task: &LanguageTask) -> Map<String, Value> {
        let corpus = task.corpus();
        object([
            ("train_documents", json!(corpus.train.starts.len())),
            ("validation_documents", json!(corpus.validation.starts.len())),
            ("train_tokens_with_loss", json!(corpus.train.with_loss().0)),
            (
                "validation_tokens_with_loss",
                json!(corpus.validation.with_loss().0),
            ),
            ("notes", json!(said(&corpus.notes))),
        ])
    }

    fn write_files(task: &LanguageTask, run: &RunFolder) -> Result<(), TrainError> {
        let spec = task.corpus().tokenizer.spec();
        spec.save(&tokenizer_of_run(run.path())).map_err(TrainError::task)
    }

    fn summary(_: &LanguageTask, outcome: &Outcome) -> Map<String, Value> {
        let after = outcome.after.as_ref();
        let metric = |name: &str| after.and_then(|after| after.metrics.get(name).copied());
        let unknown = after.map(|_| metric("unknown_share").unwrap_or(0.0));
        object([
            ("tokens", json!(outcome.units)),
            ("tokens_per_second", json!(outcome.units_per_second)),
            ("val_bits_per_byte", json!(metric("bits_per_byte"))),
            ("val_bits_per_byte_reset", json!(metric("reset_bits_per_byte"))),
            ("val_unknown_share", json!(unknown)),
            ("recall_accuracy", json!(metric("recall_accuracy"))),
            ("recall_chance", json!(metric("recall_chance"))),
            ("x_density", json!(metric("x_density"))),
            ("y_density", json!(metric("y_density"))),
        ])
    }

    /// A model of conversations is talked to. The tales have questions that can only be answered from memory: one that the
    /// model answers right.
    fn next(
        task: &LanguageTask,
        model: &Dragon,
        outcome: &Outcome,
        run: &RunFolder,
    ) -> Result<Option<Next>, TrainError> {
        let run = run.path().display();
        if task.config().chat().is_some() {
            return Ok(Some(Next {
                command: format!("chat {run}"),
                answer: None,
            }));
        }
        let share = outcome
            .after
            .as_ref()
            .and_then(|after| after.metrics.get("recall_accuracy"));
        let recalled = match share {
            Some(share) if *share > 0.0 => task.recalled(model).map_err(TrainError::task)?,
            _ => None,
        };
        Ok(Some(match recalled {
            Some((prompt, answer)) => Next {
                command: format!("generate {run} --prompt \"{prompt}\" --temperature 0 --stop ."),
                answer: Some(answer),
            },
            None => Next {
                command: format!("generate {run}"),
                answer: None,
            },
        }))
    }
}

impl LanguageConfig {
    /// Configuration of the default run, [`BASE`]: `config/language/base.toml`.
    ///
    /// # Errors
    /// Never in a program that was tested: if the file does not fit the schema.
    pub fn base() -> Result<Self, ConfigError> {
        let layers = Layers::new().embedded(Language::BASE.path, BASE)?;
        Ok(resolve::<Language>(layers)?.value)
    }
}

/// Tokenizer file of a run.
fn tokenizer_of_run(run: &Path) -> PathBuf {
    run.join("tokenizer.json")
}

fn make(config: &mut LanguageConfig, at: &At<'_>) -> Result<LanguageTask, LanguageError> {
    let tokenizer = tokenizer(config, at)?;
    let by_name = config.dataset.make_absolute(at.folder)?;
    let watch = Watch::new(at.output);
    let mut corpus = Corpus::load_watched(&config.dataset, at.folder, tokenizer, &|progress| {
        watch.show(progress);
    })?;
    at.check_data(config, &corpus.hashes())?;
    corpus.notes.extend(by_name);
    prompt::fit(config, &corpus, &at.origin(prompt::KEY), at.output)?;
    if let Some(line) = config.settle_precision(at.device) {
        at.output.tell(&line);
    }
    LanguageTask::with_corpus(config, corpus, at.device)
}

/// Interval between two lines about the work on a text.
const INTERVAL: Duration = Duration::from_secs(3);

/// Lines about the work on a text that takes long.
struct Watch {
    output: Output,
    next: Cell<Instant>,
}

impl Watch {
    fn new(output: Output) -> Self {
        Self {
            output,
            next: Cell::new(Instant::now() + INTERVAL),
        }
    }

    fn show(&self, progress: DataProgress) {
        if Instant::now() < self.next.get() && progress != DataProgress::Waiting {
            return;
        }
        self.next.set(Instant::now() + INTERVAL);
        self.output.tell(&match progress {
            DataProgress::Waiting => "data   waiting for another process that tokenises the same text".into(),
            DataProgress::Reading { bytes: read } => format!("data   {} of text read", bytes(read)),
            DataProgress::Encoding {
                bytes: encoded,
                of,
                tokens,
            } => {
                let (encoded, of, tokens) = (bytes(encoded), bytes(of), count(tokens));
                format!("data   {encoded} of {of} of text tokenised, {tokens} tokens")
            }
        });
    }
}

/// Tokenizer that the model of a resumed run was trained with, or the model that a new run starts from. Refuses a run
/// folder with another tokenizer.
fn tokenizer(config: &mut LanguageConfig, at: &At<'_>) -> Result<Option<Arc<dyn Tokenizer>>, LanguageError> {
    if let Some(model) = at.initial() {
        let origin = at.origin(initial::KEY);
        return initial::tokenizer(config, model, &origin, at.folder).map(Some);
    }
    let Some((run, point)) = at.resumed() else {
        return Ok(None);
    };
    let (path, model) = (tokenizer_of_run(run.path()), point.folder.join("model.bpk"));
    let tokenizer = TokenizerSpec::load(&path)?;
    if tokenizer.spec() == tokenizer_of(&ModelFile::read(&model)?)?.spec() {
        return Ok(Some(tokenizer));
    }
    Err(LanguageError::OtherTokenizer {
        tokenizer: path,
        model,
    })
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Map<String, Value> {
    entries
        .map(|(key, value)| (key.to_string(), value))
        .into_iter()
        .collect()
}

/// Notes about how a text was read, one line each.
fn said(notes: &[Note]) -> Vec<String> {
    let line = |note: &Note| format!("{}: {note}", note.level());
    notes.iter().map(line).collect()
}

/// Amount of text, in tokens and documents.
fn amount(tokens: &Tokens) -> String {
    let documents = tokens.starts.len();
    let plural = if documents == 1 { "" } else { "s" };
    let (tokens, documents) = (count(tokens.len() as u64), count(documents as u64));
    format!("{tokens} tokens in {documents} document{plural}")
}

/// Tokens with a loss, if not all have one.
fn masked(corpus: &Corpus) -> Option<String> {
    corpus.train.counted.as_ref()?;
    let of = |tokens: &Tokens| {
        let (some, all) = (tokens.with_loss().0 as u64, tokens.len() as u64);
        format!("{} of {}", count(some), count(all))
    };
    Some(format!(
        "loss   on what the assistant writes: {} tokens for training, {} for validation",
        of(&corpus.train),
        of(&corpus.validation)
    ))
}

/// Why training figures are lower than those of evaluations at first: easy tales come first in training only.
fn curriculum(config: &LanguageConfig, corpus: &Corpus) -> Option<String> {
    let SourceConfig::Embedded(tales) = &config.dataset.source else {
        return None;
    };
    let easy = tales.sprouts_from.max(tales.grown_from) as f64;
    let share = (easy / corpus.train.starts.len().max(1) as f64).min(1.0);
    let in_order = config.dataset.windows == WindowStart::InOrder;
    (in_order && easy > 0.0).then(|| {
        format!(
            "order  easy tales come first; evaluations have all kinds, so until {:.0} % of the run their loss is above \
             that of training",
            100.0 * share
        )
    })
}

/// Message about unknown symbols, and their effect on the figures.
fn unknown_symbols(corpus: &Corpus) -> Option<String> {
    let share = |tokens: &Tokens| 100.0 * tokens.unknown_share(&*corpus.tokenizer);
    let (train, validation) = (&corpus.train, &corpus.validation);
    let counts = [train, validation].map(|tokens| tokens.unknown.len());
    (counts != [0, 0]).then(|| {
        format!(
            "{}: {:.2} % of the training symbols ({}) and {:.2} % of the validation symbols ({}) are unknown to the \
             tokenizer; a model predicts only that they are unknown, so the text takes more bits than the figures say",
            if share(train).max(share(validation)) < 1.0 { "note" } else { "warning" },
            share(train),
            counts[0],
            share(validation),
            counts[1]
        )
    })
}
