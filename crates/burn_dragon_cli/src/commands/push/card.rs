//! Card of a model: facts for its users, and what is not known.

use super::known::Known;
use burn_dragon::api::checkpoint::{CardText, Exported, ModelInfo, StoredPrecision};
use burn_dragon::api::expert::checkpoint::{is_obeyed, shortened_to};
use std::fmt::{self, Display, Formatter};

/// Card: a README in Markdown, with a header that hubs read.
pub(super) struct Card<'a> {
    pub(super) id: &'a str,
    pub(super) license: Option<&'a str>,
    /// Description of the model by its family.
    pub(super) text: &'a CardText,
    pub(super) parameters: u64,
    /// Unit of the training data.
    pub(super) unit: &'a str,
    pub(super) info: &'a ModelInfo,
    /// Names of the assets, which are also files beside the weights.
    pub(super) assets: &'a [String],
    pub(super) known: &'a Known,
    pub(super) weights: Weights<'a>,
}

/// Files of the weights.
pub(super) struct Weights<'a> {
    pub(super) precision: StoredPrecision,
    pub(super) exported: &'a Exported,
    /// Whether there is also a file with the official names.
    pub(super) official: bool,
    /// Notes about the files.
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
        writeln!(f, "library_name: burn_dragon")?;
        if let Some(tag) = self.text.pipeline_tag {
            writeln!(f, "pipeline_tag: {tag}")?;
        }
        writeln!(f, "tags:\n- bdh\n- dragon-hatchling\n- burn\n- rust\n---\n")?;
        writeln!(f, "# {}\n", self.name())?;
        writeln!(
            f,
            "A Dragon Hatchling (BDH, [arXiv:2509.26507](https://arxiv.org/abs/2509.26507)) {}, {}. {}\n",
            self.text.noun,
            match self.info.is_imported() {
                true => "imported from weights under the names of the official PyTorch code".into(),
                false => format!("trained with burn_dragon {}", plain(&self.info.version)),
            },
            self.text.about
        )
    }

    fn model(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "| | |\n|---|---|")?;
        writeln!(f, "| parameters | {} |", self.parameters)?;
        for (name, text) in &self.text.rows {
            writeln!(f, "| {} | {} |", plain(name), plain(text))?;
        }
        writeln!(
            f,
            "| licence | {} |\n",
            self.license
                .map_or("not stated: ask the publisher".into(), |license| {
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
            true => writeln!(f, "- Optimiser steps and {}: not known", self.unit)?,
            false => writeln!(
                f,
                "- {} optimiser steps, {} {}",
                self.info.step, self.info.units, self.unit
            )?,
        }
        if let Some(said) = &self.known.said {
            let mut lines: Vec<String> = said.lines.iter().map(|line| plain(line)).collect();
            if said.config.is_some() {
                lines.push("all settings are in `config.toml`".into());
            }
            writeln!(f, "- {}", lines.join("; "))?;
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
            writeln!(f, "- {seconds:.0} s by the clock of the run")?;
        }
        if self.known.other_config {
            writeln!(
                f,
                "- Settings and data are not known: by its SHA-256, the configuration in the run is not the one that this \
                 model was trained with, so it was left out"
            )?;
        } else if self.known.said.is_none() {
            writeln!(
                f,
                "- Settings and data are not known: there was no run configuration beside the model"
            )?;
        }
        writeln!(f)
    }

    fn measured(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## Measured\n")?;
        if self.known.measured.is_none() {
            return writeln!(f, "No measurement of the model at this step is known.\n");
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
        for figure in &self.text.figures {
            row(figure.label, figure.key, figure.digits)?;
        }
        let precision = self.weights.precision;
        if precision != StoredPrecision::F32 {
            writeln!(
                f,
                "\nMeasured before the weights were rounded to {precision}; there is no measurement after it."
            )?;
        }
        writeln!(f, "\nNo other benchmark was run for this card.\n")
    }

    fn files(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let weights = &self.weights;
        writeln!(f, "## Files\n\n| file | what |\n|---|---|")?;
        writeln!(
            f,
            "| `model.bpk` | weights ({}), shape{}, under a SHA-256 over every byte |",
            weights.precision,
            self.and_assets()
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
                precision => format!(", rounded to {precision}"),
            };
            writeln!(
                f,
                "| `model.safetensors`, `config.json` | weights (f32{rounded}) under the names of the official PyTorch \
                 code, and the configuration to load them with |"
            )?;
        }
        if self.known.config().is_some() {
            writeln!(
                f,
                "| `config.toml` | configuration of the training, without folders of the machine |"
            )?;
        }
        for name in self.assets {
            let what = name.split('.').next().unwrap_or(name);
            writeln!(f, "| `{name}` | the {what}, which `model.bpk` holds too |")?;
        }
        writeln!(
            f,
            "\nHash of the model, the same in every file format: `{}`\n",
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

    /// Content of `model.bpk` beside weights and configuration.
    fn and_assets(&self) -> String {
        let names = self.assets.iter();
        let stems: Vec<&str> = names.filter_map(|name| name.split('.').next()).collect();
        match stems.is_empty() {
            true => String::new(),
            false => format!(" and {}", stems.join(", ")),
        }
    }

    fn how_to_run(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "## How to run it\n\n{}\n", self.text.usage)
    }

    fn limits(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let limits = match self.info.is_imported() {
            true => &self.text.imported_limits,
            false => &self.text.limits,
        };
        writeln!(f, "## What is not known\n\n{limits}")
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
