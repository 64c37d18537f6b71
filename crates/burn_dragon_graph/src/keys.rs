//! Keys of a graph run: those that may change on resume.

use burn_dragon_train::api::{KeyRule, Keys, OnResume};

/// Rules of the keys that are specific to the graph family.
pub(crate) const KEYS: Keys = Keys {
    rules: &[
        KeyRule {
            keys: &["dataset.*"],
            on_resume: OnResume::ChangesWithSameData,
            why: "files may move, but a run recognises its graphs; other ones need `--accept-changed-data`",
        },
        KeyRule {
            keys: &["model.*"],
            on_resume: OnResume::Stays,
            why: "the weights have the shapes of this model",
        },
        KeyRule {
            keys: &["loss.*"],
            on_resume: OnResume::Stays,
            why: "the weights were trained with this loss",
        },
        KeyRule {
            keys: &["baselines.*"],
            on_resume: OnResume::Changes,
            why: "they are trained after the run",
        },
    ],
    moved: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::GraphFamily;
    use burn_dragon_train::api::expert::flatten;
    use burn_dragon_train::api::{Layers, resolve};
    use std::collections::BTreeSet;

    /// Every key of the schema: those of the base file with each of its `type`s.
    fn keys() -> BTreeSet<String> {
        let tu = "dataset={ type = \"tu\", path = \"a\", folds = \"b\", fold = 1 }";
        let tsv = "dataset={ type = \"tsv\", path = \"a\" }";
        let optional = "training={ epochs = 1.0, max_minutes = 1.0, guard = {} }";
        let json = "dataset={ type = \"json\", path = \"a\" }";
        let graphml =
            "dataset={ type = \"graphml\", path = \"a\", label = \"b\", part = \"c\", features = [] }";
        let ema = "ema={ decay = 0.9 }";
        let mut keys = BTreeSet::new();
        for variant in [
            "dataset.seed=1",
            "loss.labels=final",
            "dataset.nbody={}",
            "model={ observation = \"gated\", shared_memory = \"mean\" }",
            tu,
            tsv,
            json,
            graphml,
            optional,
            ema,
        ] {
            let base = crate::family::BASE;
            let layers = Layers::new().embedded(base.path, base.text).unwrap();
            let resolved = resolve::<GraphFamily>(layers.assignment(variant).unwrap()).unwrap();
            keys.extend(flatten(&resolved.value).into_keys());
        }
        keys
    }

    #[test]
    fn every_key_of_the_schema_is_classified() {
        let keys = keys();
        for key in [
            "dataset.fold",
            "dataset.part",
            "dataset.nbody.inputs",
            "model.observation",
            "model.shared_memory",
            "baselines.dropout",
            "loss.labels",
            "model.decay",
        ] {
            assert!(keys.contains(key), "{key} is not among the keys tried");
        }
        let unclassified: Vec<_> = keys.iter().filter(|key| KEYS.rule_of(key).is_none()).collect();
        assert!(unclassified.is_empty(), "{unclassified:?}");
    }

    #[test]
    fn the_documentation_says_the_same() {
        let page = std::fs::read_to_string("../../docs/configuration.md").unwrap();
        let own = page.split("## Keys of a graph run").nth(1).unwrap();
        for rule in KEYS.rules {
            let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!("| {} | {} | {} |", keys.join(", "), rule.on_resume, rule.why);
            assert!(own.contains(&row), "docs/configuration.md lacks\n{row}");
        }
    }
}
