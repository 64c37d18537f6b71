//! Which settings of a language run may change when it goes on.

use crate::config::LanguageConfig;
use burn_dragon_train::resume::{self, KeyRule, OnResume, SHARED};
use std::collections::BTreeMap;

/// The rules of the tables that a language run does not share with other families.
const OWN: &[KeyRule] = &[
    KeyRule {
        keys: &[
            "dataset.type",
            "dataset.seed",
            "dataset.train_bytes",
            "dataset.validation_tales",
            "dataset.sprouts_from",
            "dataset.grown_from",
            "dataset.mix.*",
            "dataset.validation_documents",
            "dataset.facts",
            "dataset.distance",
            "dataset.seedlings",
            "dataset.longest_from",
            "dataset.paths",
            "dataset.document_separator",
            "dataset.train_ratio",
            "dataset.validation.*",
        ],
        on_resume: OnResume::ChangesWithSameData,
        why: "files may move, but a run knows its tokens and documents again; other ones need `--accept-changed-data`",
    },
    KeyRule {
        keys: &["dataset.windows"],
        on_resume: OnResume::Stays,
        why: "it decides which windows were read",
    },
    KeyRule {
        keys: &["dataset.tokenizer.*"],
        on_resume: OnResume::Stays,
        why: "the model speaks these tokens; they are in `tokenizer.json`",
    },
    KeyRule {
        keys: &["model.vocab_size"],
        on_resume: OnResume::Changes,
        why: "to the tokenizer's number, which it is anyway",
    },
    KeyRule {
        keys: &["model.*"],
        on_resume: OnResume::Stays,
        why: "the weights are those of this model",
    },
    KeyRule {
        keys: &["generation.*"],
        on_resume: OnResume::Changes,
        why: "samples teach nothing",
    },
];

/// All rules of a language run.
pub fn rules() -> impl Iterator<Item = &'static KeyRule> {
    OWN.iter().chain(SHARED)
}

/// The settings that a run keeps, by their full keys, as JSON text.
pub fn kept(config: &LanguageConfig) -> BTreeMap<String, String> {
    resume::kept(&rules().collect::<Vec<_>>(), config)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BASE;
    use burn_dragon_train::config::Layers;
    use burn_dragon_train::resume::{flatten, rule_of};
    use std::collections::BTreeSet;

    /// Every key of the schema: those of the base file, those that it shows behind a `#`, and those of every `type`.
    fn keys() -> BTreeSet<String> {
        let shown: String = BASE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(text) if text.contains(" = ") || text.starts_with('[') => format!("{text}\n"),
                _ => format!("{line}\n"),
            })
            .filter(|line| line.parse::<toml::Table>().is_ok() || line.starts_with('['))
            .collect();
        let variants = [
            "dataset={ type = \"text\", paths = [], document_separator = \"\\n\", validation = { type = \"needle\" } }",
            "dataset={ type = \"needle\", tokenizer = { type = \"char\" } }",
            "dataset={ type = \"embedded\", validation = { type = \"embedded\" } }",
            "schedule={ type = \"wsd\", decay_steps = 1 }",
            "schedule={ type = \"step\", step_size = 1, gamma = 0.5 }",
            "model={ vocab_size = 256, decay = { type = \"custom\", slopes = [0.1, 0.1, 0.1, 0.1] } }",
            "training={ epochs = 1.0, max_minutes = 1.0, clip_norm = 1.0 }",
            "generation={ top_k = 1, top_p = 0.5, repetition_penalty = 1.1, stop = [\"a\"] }",
            "generation.context={ type = \"sliding\", window = 4 }",
        ];
        let mut keys = BTreeSet::new();
        for variant in variants {
            let layers = Layers::new().embedded("shown.toml", &shown).unwrap();
            let resolved = layers.assignment(variant).unwrap().resolve::<LanguageConfig>();
            keys.extend(flatten(&resolved.unwrap().value).into_keys());
        }
        keys
    }

    #[test]
    fn every_key_of_the_schema_is_classified() {
        let keys = keys();
        for key in [
            "training.guard.window",
            "training.streams.scales",
            "training.epochs",
            "dataset.document_separator",
            "dataset.validation.type",
            "dataset.tokenizer.special_tokens",
            "model.decay.slopes",
        ] {
            assert!(keys.contains(key), "{key} is not among the keys tried");
        }
        let unclassified: Vec<_> = keys
            .iter()
            .filter(|key| rule_of(rules(), key).is_none())
            .collect();
        assert!(unclassified.is_empty(), "{unclassified:?}");
    }

    #[test]
    fn every_rule_is_about_a_key_that_there_is() {
        let keys = keys();
        for pattern in rules().flat_map(|rule| rule.keys) {
            let fits = |key: &String| match pattern.strip_suffix('*') {
                Some(table) => key.starts_with(table),
                None => key == pattern,
            };
            assert!(keys.iter().any(fits), "{pattern}");
        }
    }

    #[test]
    fn the_documentation_says_the_same() {
        let page = std::fs::read_to_string("../../docs/configuration.md").unwrap();
        for rule in rules() {
            let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!("| {} | {} | {} |", keys.join(", "), rule.on_resume, rule.why);
            assert!(page.contains(&row), "docs/configuration.md lacks\n{row}");
        }
    }
}
