//! Rules for the keys of a configuration: which may change when a run resumes, and which have moved. Code and
//! documentation both come from here.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::Value;

/// Rule for a change of some keys when a run resumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnResume {
    /// May change, from the next step on.
    Changes,
    /// May change if the data stays the same, or if its change is accepted.
    ChangesWithSameData,
    /// May change if the configuration does not have this table.
    ChangesWithout(&'static str),
    /// Must not change.
    Stays,
}

impl Display for OnResume {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changes => f.write_str("yes"),
            Self::ChangesWithSameData => f.write_str("yes, if the data comes out the same"),
            Self::ChangesWithout(table) => write!(f, "yes, but not with `{table}`"),
            Self::Stays => f.write_str("no"),
        }
    }
}

/// Rule for some keys of a configuration, with its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// Full keys; `table.*` is every key of a table without a rule of its own.
    pub keys: &'static [&'static str],
    /// Rule for a change when a run resumes.
    pub on_resume: OnResume,
    /// Reason, for the user.
    pub why: &'static str,
}

/// Key, or table with all its keys, that has moved since an earlier version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MovedKey {
    /// Old path: `training.block_size`.
    pub from: &'static str,
    /// New path: `sequence.block_size`.
    pub to: &'static str,
}

/// Rules for the keys of a family's configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// Rules of the family's own tables. A rule for a shared key replaces the shared rule.
    pub rules: &'static [KeyRule],
    /// Keys of earlier versions.
    pub moved: &'static [MovedKey],
}

impl Keys {
    /// Rules in force, the family's first.
    pub fn rules(self) -> impl Iterator<Item = &'static KeyRule> {
        let own = move |key: &&str| self.rules.iter().any(|rule| rule.keys.contains(key));
        let shared = SHARED.iter().filter(move |rule| !rule.keys.iter().all(own));
        self.rules.iter().chain(shared)
    }

    /// Rule of a full key: one that names it, else one of the closest table that contains it.
    pub fn rule_of(self, key: &str) -> Option<&'static KeyRule> {
        let fits = |pattern: &str| match pattern.strip_suffix('*') {
            Some(table) => key.starts_with(table).then_some(table.len()),
            None => (pattern == key).then_some(usize::MAX),
        };
        let fit = |rule: &KeyRule| rule.keys.iter().filter_map(|pattern| fits(pattern)).max();
        let mut best: Option<(usize, &KeyRule)> = None;
        for rule in self.rules() {
            let Some(fit) = fit(rule) else { continue };
            if best.is_none_or(|(closest, _)| fit > closest) {
                best = Some((fit, rule));
            }
        }
        best.map(|(_, rule)| rule)
    }

    /// Values that a run must keep. A key without a rule is kept.
    pub fn kept(self, config: &impl Serialize) -> BTreeMap<String, String> {
        let flat = flatten(config);
        let has = |table: &str| flat.keys().any(|key| is_in(key, table));
        let rule = |key: &str| self.rule_of(key).map(|rule| rule.on_resume);
        let stays = |key: &str| match rule(key).unwrap_or(OnResume::Stays) {
            OnResume::Stays => true,
            OnResume::ChangesWithout(table) => has(table),
            OnResume::Changes | OnResume::ChangesWithSameData => false,
        };
        let kept = flat.iter().filter(|(key, _)| stays(key));
        kept.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Settings of a run of an earlier version, under their current keys.
    pub fn renamed(self, settings: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let settings = settings.iter();
        settings
            .map(|(key, value)| (self.today(key), value.clone()))
            .collect()
    }

    fn today(self, key: &str) -> String {
        let moved = self.moved.iter().find(|moved| is_in(key, moved.from));
        moved.map_or_else(|| key.into(), |moved| key.replacen(moved.from, moved.to, 1))
    }
}

/// Whether a key is this one, or is in this table.
fn is_in(key: &str, table: &str) -> bool {
    key.strip_prefix(table)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Rules of the tables that every family shares.
const SHARED: &[KeyRule] = &[
    KeyRule {
        keys: &["training.max_steps", "training.epochs"],
        on_resume: OnResume::Changes,
        why: "what is left follows from the steps and units behind the run; the schedule stretches over the new number of \
              steps",
    },
    KeyRule {
        keys: &["training.accumulate"],
        on_resume: OnResume::Changes,
        why: "the position in the data is a number of units, not of steps",
    },
    KeyRule {
        keys: &["training.batch_size"],
        on_resume: OnResume::Changes,
        why: "the same; the fixed sample of evaluations grows or shrinks with it, so the best figure starts anew",
    },
    KeyRule {
        keys: &[
            "training.max_minutes",
            "training.clip_norm",
            "training.log_every",
            "training.events",
            "training.precision",
            "training.guard.*",
        ],
        on_resume: OnResume::Changes,
        why: "they say how the steps to come are taken",
    },
    KeyRule {
        keys: &["training.seed"],
        on_resume: OnResume::Stays,
        why: "every random number derives from it, the order of the data too",
    },
    KeyRule {
        keys: &["optimizer.*", "schedule.*"],
        on_resume: OnResume::Changes,
        why: "moments go on, where `method` is another they begin anew; the factor of a step is a function of the step \
              and the number of steps",
    },
    KeyRule {
        keys: &["ema.*"],
        on_resume: OnResume::Changes,
        why: "the average goes on; a new one begins at the weights that there are",
    },
    KeyRule {
        keys: &["evaluation.*"],
        on_resume: OnResume::Changes,
        why: "with other `batches` the best figure starts anew",
    },
    KeyRule {
        keys: &["checkpoint.*"],
        on_resume: OnResume::Changes,
        why: "they say what is kept from now on",
    },
];

/// Values of a configuration by full key, as JSON text. A list is one value.
pub fn flatten(config: &impl Serialize) -> BTreeMap<String, String> {
    let values = flat_values(config).into_iter();
    values.map(|(key, value)| (key, value.to_string())).collect()
}

/// Values of a configuration by full key. A list is one value.
pub(crate) fn flat_values(config: &impl Serialize) -> BTreeMap<String, Value> {
    let mut flat = BTreeMap::new();
    // A value that JSON cannot represent has no keys.
    walk(serde_json::to_value(config).unwrap_or_default(), "", &mut flat);
    flat
}

fn walk(value: Value, key: &str, flat: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let key = if key.is_empty() {
                    name
                } else {
                    format!("{key}.{name}")
                };
                walk(value, &key, flat);
            }
        }
        value => drop(flat.insert(key.into(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KEYS: Keys = Keys {
        rules: &[
            KeyRule {
                keys: &["a.*"],
                on_resume: OnResume::Stays,
                why: "",
            },
            KeyRule {
                keys: &["a.b"],
                on_resume: OnResume::Changes,
                why: "",
            },
            KeyRule {
                keys: &["a.c.*"],
                on_resume: OnResume::ChangesWithSameData,
                why: "",
            },
            KeyRule {
                keys: &["training.batch_size"],
                on_resume: OnResume::ChangesWithout("sequence.streams"),
                why: "",
            },
        ],
        moved: &[
            MovedKey {
                from: "training.block_size",
                to: "sequence.block_size",
            },
            MovedKey {
                from: "training.streams",
                to: "sequence.streams",
            },
        ],
    };

    #[test]
    fn a_key_has_the_rule_that_names_it_or_that_of_its_table_and_the_family_s_before_the_shared_one() {
        let of = |key| KEYS.rule_of(key).map(|rule| rule.on_resume);
        assert_eq!(of("a.b"), Some(OnResume::Changes));
        assert_eq!(of("a.bb"), Some(OnResume::Stays));
        assert_eq!(of("a.c.d"), Some(OnResume::ChangesWithSameData));
        assert_eq!(of("ab"), None);
        let without = OnResume::ChangesWithout("sequence.streams");
        assert_eq!(of("training.batch_size"), Some(without));
        let shared = Keys::default().rule_of("training.batch_size").unwrap();
        assert_eq!(shared.on_resume, OnResume::Changes);
        assert_eq!(KEYS.rules().count(), KEYS.rules.len() + SHARED.len() - 1);
    }

    #[test]
    fn a_run_keeps_its_seed_and_where_a_table_asks_for_it_its_batch_size() {
        let mut config =
            json!({ "training": { "seed": 1, "batch_size": 2, "accumulate": 4 }, "sequence": { "n": 3 } });
        let of = |config: &Value| KEYS.kept(config).into_keys().collect::<Vec<_>>();
        assert_eq!(of(&config), ["sequence.n", "training.seed"]);
        config["sequence"]["streams"] = json!({ "unroll": 1 });
        let kept = [
            "sequence.n",
            "sequence.streams.unroll",
            "training.batch_size",
            "training.seed",
        ];
        assert_eq!(of(&config), kept);
    }

    #[test]
    fn a_key_that_nobody_has_classified_is_kept() {
        let kept = Keys::default().kept(&json!({ "new": { "key": [1] } }));
        assert_eq!(kept["new.key"], "[1]");
    }

    #[test]
    fn settings_of_an_earlier_version_stand_under_the_keys_of_today() {
        let then = [
            "training.block_size",
            "training.streams.unroll",
            "training.streams_not",
            "model.x",
        ];
        let then = then.map(|key| (key.to_string(), "1".to_string())).into();
        let now: Vec<String> = KEYS.renamed(&then).into_keys().collect();
        assert_eq!(
            now,
            [
                "model.x",
                "sequence.block_size",
                "sequence.streams.unroll",
                "training.streams_not"
            ]
        );
    }
}
