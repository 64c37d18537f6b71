//! Which settings a run that goes on may change: the one place that says it, for code and documentation.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use serde_json::Value;

/// Whether a run that goes on may take another value of some keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnResume {
    /// From its next step on.
    Changes,
    /// As long as the data comes out the same, or where it is accepted that it does not.
    ChangesWithSameData,
    /// Where no memory is carried from step to step.
    ChangesWithoutStreams,
    /// Never.
    Stays,
}

impl Display for OnResume {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Changes => "yes",
            Self::ChangesWithSameData => "yes, if the tokens come out the same",
            Self::ChangesWithoutStreams => "yes, but not with `training.streams`",
            Self::Stays => "no",
        })
    }
}

/// What holds for some keys of a configuration, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRule {
    /// Full keys; `table.*` is every key of a table that no rule names.
    pub keys: &'static [&'static str],
    /// Whether they may change.
    pub on_resume: OnResume,
    /// Why, for a person.
    pub why: &'static str,
}

/// The rules of the tables that every family shares.
pub const SHARED: &[KeyRule] = &[
    KeyRule {
        keys: &["training.max_steps", "training.epochs"],
        on_resume: OnResume::Changes,
        why: "what is left follows from the steps and tokens behind the run; the schedule stretches over the new number \
              of steps",
    },
    KeyRule {
        keys: &["training.accumulate"],
        on_resume: OnResume::Changes,
        why: "the place in the data is a number of tokens, not of steps",
    },
    KeyRule {
        keys: &["training.batch_size"],
        on_resume: OnResume::ChangesWithoutStreams,
        why: "the same; the fixed sample of evaluations grows or shrinks with it, so the best figure starts anew. On \
              streams every row of a batch has a memory",
    },
    KeyRule {
        keys: &[
            "training.max_minutes",
            "training.clip_norm",
            "training.log_every",
            "training.precision",
            "training.credit",
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
        keys: &["training.block_size", "training.streams.*"],
        on_resume: OnResume::Stays,
        why: "they decide what was read, and what is remembered of it",
    },
    KeyRule {
        keys: &["optimizer.*", "schedule.*"],
        on_resume: OnResume::Changes,
        why: "moments go on, where `method` is another they begin anew; the factor of a step is a function of the step and \
              the number of steps",
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

/// The values of a configuration by their full keys, as JSON text. A list is one value.
pub fn flatten(config: &impl Serialize) -> BTreeMap<String, String> {
    let mut flat = BTreeMap::new();
    // What has no JSON has no keys.
    walk(serde_json::to_value(config).unwrap_or_default(), "", &mut flat);
    flat
}

fn walk(value: Value, key: &str, flat: &mut BTreeMap<String, String>) {
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
        value => drop(flat.insert(key.into(), value.to_string())),
    }
}

/// The rule of a full key: of those that name it, or else the closest table that it is in.
pub fn rule_of<'a>(rules: impl IntoIterator<Item = &'a KeyRule>, key: &str) -> Option<&'a KeyRule> {
    let fits = |pattern: &str| match pattern.strip_suffix('*') {
        Some(table) => key.starts_with(table).then_some(table.len()),
        None => (pattern == key).then_some(usize::MAX),
    };
    let best = rules.into_iter().filter_map(|rule| {
        let fit = rule.keys.iter().filter_map(|pattern| fits(pattern)).max()?;
        Some((fit, rule))
    });
    best.max_by_key(|(fit, _)| *fit).map(|(_, rule)| rule)
}

/// The values that a run keeps. A key without a rule is kept: nobody has said that it may change.
pub fn kept(rules: &[&KeyRule], config: &impl Serialize) -> BTreeMap<String, String> {
    let mut flat = flatten(config);
    let streams = flat.keys().any(|key| key.starts_with("training.streams."));
    flat.retain(|key, _| {
        let rule = rule_of(rules.iter().copied(), key).map(|rule| rule.on_resume);
        match rule.unwrap_or(OnResume::Stays) {
            OnResume::Stays => true,
            OnResume::ChangesWithoutStreams => streams,
            OnResume::Changes | OnResume::ChangesWithSameData => false,
        }
    });
    flat
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_key_has_the_rule_that_names_it_or_that_of_its_table() {
        let rule = |keys, on_resume| KeyRule {
            keys,
            on_resume,
            why: "",
        };
        let rules = [
            rule(&["a.*"], OnResume::Stays),
            rule(&["a.b"], OnResume::Changes),
            rule(&["a.c.*"], OnResume::ChangesWithSameData),
        ];
        let of = |key| rule_of(&rules, key).map(|rule| rule.on_resume);
        assert_eq!(of("a.b"), Some(OnResume::Changes));
        assert_eq!(of("a.bb"), Some(OnResume::Stays));
        assert_eq!(of("a.c.d"), Some(OnResume::ChangesWithSameData));
        assert_eq!(of("ab"), None);
    }

    #[test]
    fn a_run_keeps_its_seed_and_windows_and_on_streams_its_batch_size() {
        let config = json!({ "training": { "seed": 1, "batch_size": 2, "block_size": 3, "accumulate": 4 } });
        let shared: Vec<&KeyRule> = SHARED.iter().collect();
        let of = |config: &Value| kept(&shared, config).into_keys().collect::<Vec<_>>();
        assert_eq!(of(&config), ["training.block_size", "training.seed"]);
        let mut streams = config;
        streams["training"]["streams"] = json!({ "unroll": 1 });
        assert_eq!(
            of(&streams),
            [
                "training.batch_size",
                "training.block_size",
                "training.seed",
                "training.streams.unroll"
            ]
        );
    }

    #[test]
    fn a_key_that_nobody_has_classified_is_kept() {
        assert_eq!(kept(&[], &json!({ "new": { "key": [1] } }))["new.key"], "[1]");
    }
}
