//! The card of a model: what whoever finds it should know, and nothing that nobody knows.

use super::known::Known;
use burn_dragon::api::checkpoint::{Exported, ModelInfo, StoredPrecision};
use burn_dragon::api::core::DragonConfig;
use burn_dragon::api::expert::checkpoint::{is_obeyed, shortened_to};
use std::fmt::{self, Display, Formatter};

/// A README in Markdown, with a header that hubs read.
pub(super) struct Card<'a> {
    pub(super) id: &'a str,
    pub(super) license: Option<&'a str>,
    pub(super) config: &'a DragonConfig,
    pub(super) info: &'a ModelInfo,
    pub(super) tokenizer: Option<&'a str>,
    pub(super) known: &'a Known,
    pub(super) weights: Weights<'a>,
}

/// The files of the weights.
pub(super) struct Weights<'a> {
    pub(super) precision: StoredPrecision,
    pub(super) exported: &'a Exported,
    /// Whether they are there under the official names too.
    pub(super) official: bool,
    /// What is to be told of them.
    pub(super) notes: &'a [String],
}

impl Display for Card<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.header(f)?;
        self.model(f)?;
        self.training(f)?;
        self.measured(f)?;
        self.files(f)?;
        self.how_to_run(f)?;
        self.limits(f)
    }
}

impl Card<'_> {
    fn name(&self) -> &str {
        self.id.rsplit('/').next().unwrap_or(self.id)
    }

    fn header(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "---")?;
        if let Some(license) = self.license {
            // Anything else would be another key of this header, or none at all.
            let license = if is_license(license) { license } else { "other" };
            writeln!(f, "license: {license}")?;
        }
        writeln!(f, "library_name: burn_dragon\npipeline_tag: text-generation")?;
        writeln!(f, "tags:\n- bdh\n- dragon-hatchling\n- burn\n- rust\n---\n")?;
        writeln!(f, "# {}\n", self.name())?;
        writeln!(
            f,
            "A Dragon Hatchling (BDH, [arXiv:2509.26507](https://arxiv.org/abs/2509.26507)) language model, {}. \
             Its state is of one size, however long the text; its activations are sparse and positive.\n",
            match self.info.is_imported() {
                true => "imported from weights under the names of the official PyTorch code".into(),
                false => format!("trained with burn_dragon {}", plain(&self.info.version)),
            }
        )
    }

    /// What kind of tokens the model's tokenizer has, if it has one that says so.
    fn kind(&self) -> Option<String> {
        let json: serde_json::Value = serde_json::from_str(self.tokenizer?).ok()?;
        Some(plain(json["type"].as_str()?))
    }

    /// Whether text is nothing to the model but a list of ids: of 256 tokens without a tokenizer, each is a byte.
    fn reads_ids(&self) -> bool {
        match self.tokenizer {
            Some(_) => self.kind().as_deref() == Some("ids"),
            None => self.config.vocab_size != 256,
        }
    }

    fn model(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let config = self.config;
        writeln!(f, "| | |\n|---|---|")?;
        writeln!(f, "| parameters | {} |", config.cost().parameters())?;
        writeln!(
            f,
            "| shape | {} levels of shared weights, width {}, {} heads, {} neurons |",
            config.n_levels, config.d_model, config.n_heads, config.n_neurons
        )?;
        let kind = self.kind().map_or_else(
            || "tokens; which, the model does not say".into(),
            |kind| format!("tokens ({kind})"),
        );
        writeln!(f, "| vocabulary | {} {kind} |", config.vocab_size)?;
        writeln!(f, "| rotary theta | {} |", config.rope_theta)?;
        writeln!(
            f,
            "| decay of the memory | {} |",
            if config.decay.is_some() { "yes" } else { "none" }
        )?;
        writeln!(
            f,
            "| licence | {} |\n",
            self.license
                .map_or("not stated: ask whoever published it".into(), |license| {
                    plain(&shortened_to(400, license))
                })
        )
    }

    fn training(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Training\n")?;
        let provenance = self.info.provenance.as_ref();
        let data = provenance
            .and_then(|provenance| provenance.data.as_deref())
            .map(plain);
        writeln!(f, "- Data: {}", data.as_deref().unwrap_or("not known"))?;
        match self.info.is_imported() {
            true => writeln!(f, "- Optimiser steps and tokens: not known")?,
            false => writeln!(
                f,
                "- {} optimiser steps, {} tokens",
                self.info.step, self.info.tokens
            )?,
        }
        if let Some(config) = &self.known.config {
            let training = &config.training;
            writeln!(
                f,
                "- Batches of {} windows of {} tokens, seed {}; all settings are in `config.toml`",
                training.batch_size, config.sequence.block_size, training.seed
            )?;
        }
        if let Some(info) = &self.known.info {
            let cpu = info
                .cpu
                .as_deref()
                .map(|cpu| format!(" ({}, {} threads)", plain(cpu), info.threads));
            writeln!(
                f,
                "- On the backend {}{}",
                plain(&info.backend),
                cpu.unwrap_or_default()
            )?;
        }
        if let Some(seconds) = self.known.seconds {
            writeln!(f, "- {seconds:.0} s, as the run's own clock says")?;
        }
        if self.known.other_config {
            writeln!(
                f,
                "- With which settings and data is not known: the configuration beside the run is not the one that this \
                 model was trained with, by its SHA-256, and was left out"
            )?;
        } else if self.known.config.is_none() {
            writeln!(
                f,
                "- How it was trained is not known: the run's configuration was not beside the model"
            )?;
        }
        writeln!(f)
    }

    fn measured(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Measured\n")?;
        if self.known.measured.is_none() {
            return writeln!(
                f,
                "Nothing is known to have been measured of the model at this step.\n"
            );
        }
        writeln!(
            f,
            "By the training run itself, on its validation data, at step {}:\n",
            self.info.step
        )?;
        writeln!(f, "| | |\n|---|--:|")?;
        let known = self.known;
        let mut row = |name: &str, key: &str, digits: usize| match known.number(key) {
            Some(value) => writeln!(f, "| {name} | {value:.digits$} |"),
            None => Ok(()),
        };
        row("loss, nats a token", "loss", 4)?;
        row("bits a byte", "bits_per_byte", 4)?;
        row(
            "share of its symbols that are unknown to the model",
            "unknown_share",
            4,
        )?;
        row("recall of stated facts", "recall_accuracy", 3)?;
        row("recall by chance", "recall_chance", 3)?;
        row("density of x: share of neurons above 0", "x_density", 4)?;
        row("density of y", "y_density", 4)?;
        let precision = self.weights.precision;
        if precision != StoredPrecision::F32 {
            writeln!(
                f,
                "\nMeasured before the weights were rounded to {precision}; nobody measured them after."
            )?;
        }
        writeln!(f, "\nNo benchmark beyond that was run by this card.\n")
    }

    fn files(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let weights = &self.weights;
        writeln!(f, "## Files\n\n| file | what |\n|---|---|")?;
        writeln!(
            f,
            "| `model.bpk` | weights ({}), shape and tokenizer, under a SHA-256 over every byte |",
            weights.precision
        )?;
        if weights.exported.manifest.is_some() {
            writeln!(
                f,
                "| `model.bpk.parts.json`, `model.bpk.part-*.bpk` | the same in {} parts |",
                weights.exported.parts
            )?;
        }
        if weights.official {
            let rounded = match weights.precision {
                StoredPrecision::F32 => String::new(),
                precision => format!(", the numbers that {precision} holds"),
            };
            writeln!(
                f,
                "| `model.safetensors`, `config.json` | weights (f32{rounded}) under the names of the official PyTorch \
                 code, and the configuration to load them with |"
            )?;
        }
        if self.known.config_toml.is_some() {
            writeln!(
                f,
                "| `config.toml` | how it was trained; folders of the machine left out |"
            )?;
        }
        if self.tokenizer.is_some() {
            writeln!(
                f,
                "| `tokenizer.json` | the tokenizer, which `model.bpk` holds too |"
            )?;
        }
        writeln!(
            f,
            "\nThe hash of the model, whatever file it is in: `{}`\n",
            weights.exported.model
        )?;
        for note in weights.notes {
            writeln!(f, "- Note: {note}")?;
        }
        if !weights.notes.is_empty() {
            writeln!(f)?;
        }
        Ok(())
    }

    fn how_to_run(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let id = self.id;
        let (prompt, data, text) = match self.reads_ids() {
            true => ("--prompt-tokens 1,2,3", "ids.txt", "1 2 3"),
            false => ("--prompt \"Once upon a time\"", "text.txt", "Once upon a time"),
        };
        writeln!(f, "## How to run it\n")?;
        if self.reads_ids() {
            writeln!(
                f,
                "There is no tokenizer: the model reads and writes token ids, in a text as `{text}`.\n"
            )?;
        }
        writeln!(f, "```sh")?;
        writeln!(f, "dragon generate {id} {prompt} --max-tokens 64")?;
        writeln!(f, "dragon eval {id} {data}\n```\n")?;
        writeln!(
            f,
            "In Rust, with the features `fetch` of `burn_dragon`:\n\n```rust"
        )?;
        writeln!(f, "use burn_dragon::api::checkpoint::ModelPath;")?;
        writeln!(f, "use burn_dragon::api::checkpoint::fetch::{{Fetcher, Source}};")?;
        writeln!(f, "use burn_dragon::api::core::Backend;")?;
        writeln!(
            f,
            "use burn_dragon::api::language::{{GenerationConfig, Generator, LanguageModel}};\n"
        )?;
        writeln!(
            f,
            "let fetched = Fetcher::from_env()?.fetch(&Source::remote(\"{id}\", None)?, &|_| {{}})?;"
        )?;
        writeln!(f, "let device = Backend::Cpu.select()?.device;")?;
        writeln!(
            f,
            "let model = LanguageModel::load(&ModelPath::new(fetched.path), &device)?;"
        )?;
        writeln!(
            f,
            "let settings = GenerationConfig {{ max_tokens: Some(64), ..GenerationConfig::default() }};"
        )?;
        writeln!(
            f,
            "let generator = Generator::new(&model.dragon, model.tokenizer.clone(), &settings)?;"
        )?;
        writeln!(
            f,
            "println!(\"{{}}\", generator.complete(\"{text}\")?.text);\n```\n"
        )
    }

    fn limits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## What is not known\n")?;
        if self.info.is_imported() {
            return writeln!(
                f,
                "How it was trained, whether it was tuned to follow instructions or to refuse any, and what it gets wrong: \
                 its weights do not say."
            );
        }
        writeln!(
            f,
            "It was not tuned to follow instructions or to refuse any, and nobody measured what it gets wrong. It writes \
             what its data makes likely."
        )
    }
}

/// Whether it is a word that hubs have for a licence, `apache-2.0`, and nothing else in a header.
pub(super) fn is_license(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_alphanumeric())
        && word
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+'))
}

/// A text of a run's, in one line and without what Markdown would act on.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| {
            if is_obeyed(c) || matches!(c, '|' | '<' | '>' | '`' | '[' | ']') {
                ' '
            } else {
                c
            }
        })
        .collect()
}
