//! Keys of a vision run: those that may change on resume.

use burn_dragon_train::api::{KeyRule, Keys, OnResume};

/// Rules of the keys that are specific to the vision family.
pub(crate) const KEYS: Keys = Keys {
    rules: &[
        KeyRule {
            keys: &["dataset.*"],
            on_resume: OnResume::ChangesWithSameData,
            why: "files may move, but a run recognises its pictures; other ones need `--accept-changed-data`",
        },
        KeyRule {
            keys: &["augment.*"],
            on_resume: OnResume::Changes,
            why: "a run can go on with other random changes of its pictures",
        },
        KeyRule {
            keys: &["model.evaluation_levels"],
            on_resume: OnResume::Changes,
            why: "the number of levels in evaluation has no weights",
        },
        KeyRule {
            keys: &["model.*"],
            on_resume: OnResume::Stays,
            why: "the weights have the shapes of this model",
        },
        KeyRule {
            keys: &["objective.teacher"],
            on_resume: OnResume::Changes,
            why: "a teacher may move",
        },
        KeyRule {
            keys: &["objective.*"],
            on_resume: OnResume::Stays,
            why: "the weights were trained with this objective",
        },
        KeyRule {
            keys: &["probe.*"],
            on_resume: OnResume::Changes,
            why: "probes do not change the weights",
        },
    ],
    moved: &[],
};
