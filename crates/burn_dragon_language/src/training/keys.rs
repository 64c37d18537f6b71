//! Keys of a language run: those that may change on resume, and those that have moved.

use burn_dragon_train::api::{KeyRule, Keys, MovedKey, OnResume};

/// The keys of a language run.
pub(crate) const KEYS: Keys = Keys {
    rules: OWN,
    moved: &[
        moved("training.block_size", "sequence.block_size"),
        moved("training.credit", "sequence.credit"),
        moved("training.streams", "sequence.streams"),
    ],
};

const fn moved(from: &'static str, to: &'static str) -> MovedKey {
    MovedKey { from, to }
}

/// Rules of the keys that are specific to the language family.
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
            "dataset.format",
            "dataset.text_fields",
            "dataset.field_separator",
            "dataset.template",
            "dataset.max_records",
            "dataset.one_document",
            "dataset.blank_record",
            "dataset.repo_id",
            "dataset.revision",
            "dataset.train_files",
            "dataset.validation_files",
            "dataset.url",
            "dataset.sources",
            "dataset.width",
            "dataset.document_end",
            "dataset.chat.*",
            "dataset.validation.*",
        ],
        on_resume: OnResume::ChangesWithSameData,
        why: "files may move, but a run recognises its tokens and documents; other ones need `--accept-changed-data`",
    },
    KeyRule {
        keys: &["dataset.cache_dir"],
        on_resume: OnResume::Changes,
        why: "it is only where tokens are kept",
    },
    KeyRule {
        keys: &["dataset.windows"],
        on_resume: OnResume::Stays,
        why: "the run has read windows in this order",
    },
    KeyRule {
        keys: &["dataset.tokenizer.*"],
        on_resume: OnResume::Stays,
        why: "the model was trained with this tokenizer, which is in `tokenizer.json`",
    },
    KeyRule {
        keys: &["model.vocab_size"],
        on_resume: OnResume::Changes,
        why: "only to the size of the tokenizer, which it already has",
    },
    KeyRule {
        keys: &["model.*"],
        on_resume: OnResume::Stays,
        why: "the weights have the shapes of this model",
    },
    KeyRule {
        keys: &["training.batch_size"],
        on_resume: OnResume::ChangesWithout("sequence.streams"),
        why: "the position in the data is a number of units; the fixed sample of evaluations grows or shrinks with it, \
              so the best figure starts anew. On streams every row of a batch has a memory",
    },
    KeyRule {
        keys: &["sequence.block_size", "sequence.streams.*"],
        on_resume: OnResume::Stays,
        why: "they determine the windows and memories of the run",
    },
    KeyRule {
        keys: &["sequence.credit"],
        on_resume: OnResume::Changes,
        why: "it affects only the steps to come",
    },
    KeyRule {
        keys: &["generation.*"],
        on_resume: OnResume::Changes,
        why: "samples do not affect the training",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::training::{BASE, Language};
    use burn_dragon_train::api::expert::flatten;
    use burn_dragon_train::api::{Layers, resolve};
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
            "dataset={ type = \"records\", paths = [], format = \"csv\", template = \"{a}\", max_records = 1, \
             one_document = true, blank_record = \" \", document_separator = \"x\", cache_dir = \"c\" }",
            "dataset={ type = \"hugging_face\", repo_id = \"a/b\", train_files = [], validation_files = [\"a\"] }",
            "dataset={ type = \"tiny_shakespeare\", url = \"http://h/x\" }",
            "dataset={ type = \"records\", paths = [], chat = { mask = \"all\" } }",
            "dataset={ type = \"mixture\", sources = [] }",
            "dataset={ type = \"pretokenized\", paths = [], width = \"u16\", document_end = 1 }",
            "schedule={ type = \"wsd\", decay_steps = 1 }",
            "schedule={ type = \"step\", step_size = 1, gamma = 0.5 }",
            "model={ vocab_size = 256, decay = { type = \"custom\", slopes = [0.1, 0.1, 0.1, 0.1] } }",
            "model={ norm = { type = \"derf\", affine = true }, init = { residual = \"depth_scaled\", \
             gains = { type = \"log_normal\" }, topology = { type = \"modular\" }, firing = { type = \"gaussian\" } } }",
            "training={ epochs = 1.0, max_minutes = 1.0, clip_norm = 1.0 }",
            "generation={ top_k = 1, top_p = 0.5, repetition_penalty = 1.1, stop = [\"a\"] }",
            "generation.context={ type = \"sliding\", window = 4 }",
        ];
        let mut keys = BTreeSet::new();
        for variant in variants {
            let layers = Layers::new().embedded("shown.toml", &shown).unwrap();
            let resolved = resolve::<Language>(layers.assignment(variant).unwrap());
            keys.extend(flatten(&resolved.unwrap().value).into_keys());
        }
        keys
    }

    #[test]
    fn every_key_of_the_schema_is_classified() {
        let keys = keys();
        for key in [
            "training.guard.window",
            "sequence.streams.scales",
            "training.epochs",
            "dataset.document_separator",
            "dataset.validation.type",
            "dataset.tokenizer.special_tokens",
            "model.decay.slopes",
            "model.connector.streams",
            "model.norm.affine",
            "model.init.gains.sigma",
            "model.init.topology.communities",
            "model.init.firing.x",
        ] {
            assert!(keys.contains(key), "{key} is not among the keys tried");
        }
        let unclassified: Vec<_> = keys.iter().filter(|key| KEYS.rule_of(key).is_none()).collect();
        assert!(unclassified.is_empty(), "{unclassified:?}");
    }

    #[test]
    fn every_rule_is_about_a_key_that_there_is() {
        let keys = keys();
        for pattern in KEYS.rules().flat_map(|rule| rule.keys) {
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
        for rule in KEYS.rules() {
            let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!("| {} | {} | {} |", keys.join(", "), rule.on_resume, rule.why);
            assert!(page.contains(&row), "docs/configuration.md lacks\n{row}");
        }
    }
}
