//! Keys of a sudoku run: those that may change on resume.

use burn_dragon_train::api::{KeyRule, Keys, OnResume};

/// Rules of the keys that are specific to the sudoku family.
pub(crate) const KEYS: Keys = Keys {
    rules: &[
        KeyRule {
            keys: &["dataset.augment", "dataset.order"],
            on_resume: OnResume::Stays,
            why: "the run has read puzzles with this augmentation, in this order",
        },
        KeyRule {
            keys: &["dataset.*"],
            on_resume: OnResume::ChangesWithSameData,
            why: "files may move, but a run recognises its puzzles; other ones need `--accept-changed-data`",
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
            keys: &["policy.*"],
            on_resume: OnResume::Changes,
            why: "a policy can learn on from other rewards and groups",
        },
    ],
    moved: &[],
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Sudoku;
    use burn_dragon_train::api::expert::flatten;
    use burn_dragon_train::api::{Layers, resolve};
    use std::collections::BTreeSet;

    /// Every key of the schema: those of the base file with each of its `type`s.
    fn keys() -> BTreeSet<String> {
        let lists = "dataset={ type = \"lists\", paths = [\"a\"], validation_paths = [\"b\"], limit = 3, validation_limit = 2, order = \"easy_first\", generated = {} }";
        let optional = "training={ epochs = 1.0, max_minutes = 1.0, guard = {} }";
        let ema = "ema={ decay = 0.9 }";
        let policy = "policy={ inputs = 2, advantage_clip = 3.0, rewards = [{ name = \"valid\" }] }";
        let mut keys = BTreeSet::new();
        for variant in ["dataset.seed=1", lists, optional, ema, policy] {
            let base = crate::family::BASE;
            let layers = Layers::new().embedded(base.path, base.text).unwrap();
            let resolved = resolve::<Sudoku>(layers.assignment(variant).unwrap()).unwrap();
            keys.extend(flatten(&resolved.value).into_keys());
        }
        keys
    }

    #[test]
    fn every_key_of_the_schema_is_classified() {
        let keys = keys();
        for key in [
            "dataset.validation_paths",
            "dataset.solved_by",
            "dataset.generated.givens",
            "dataset.order",
            "training.guard.window",
            "loss.levels",
            "policy.rollouts",
        ] {
            assert!(keys.contains(key), "{key} is not among the keys tried");
        }
        let unclassified: Vec<_> = keys.iter().filter(|key| KEYS.rule_of(key).is_none()).collect();
        assert!(unclassified.is_empty(), "{unclassified:?}");
    }

    #[test]
    fn how_puzzles_are_shown_stays_though_their_files_may_move() {
        let rule = |key| KEYS.rule_of(key).map(|rule| rule.on_resume);
        assert_eq!(rule("dataset.augment"), Some(OnResume::Stays));
        assert_eq!(rule("dataset.paths"), Some(OnResume::ChangesWithSameData));
        assert_eq!(rule("model.n_levels"), Some(OnResume::Stays));
        assert_eq!(rule("training.max_steps"), Some(OnResume::Changes));
    }

    #[test]
    fn the_documentation_says_the_same() {
        let page = std::fs::read_to_string("../../docs/configuration.md").unwrap();
        let own = page.split("## Keys of a sudoku run").nth(1).unwrap();
        for rule in KEYS.rules {
            let keys: Vec<String> = rule.keys.iter().map(|key| format!("`{key}`")).collect();
            let row = format!("| {} | {} | {} |", keys.join(", "), rule.on_resume, rule.why);
            assert!(own.contains(&row), "docs/configuration.md lacks\n{row}");
        }
    }
}
