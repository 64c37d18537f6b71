//! Identity of a run: the settings that it must keep, and its data.
//!
//! Both are part of every checkpoint. A resumed run is compared with its checkpoint before anything is written. A
//! changed setting is refused by its key, changed data by its size and hash.

use crate::error::TrainError;
use crate::keys::{Keys, OnResume};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

/// Identity of a run: settings and data that must not change when it resumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Settings that cannot change, by full key, each as JSON text.
    pub settings: BTreeMap<String, String>,
    /// Data for training and validation.
    pub data: DataHashes,
}

/// Hashes of the data of a run, in two parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataHashes {
    /// Training data.
    pub training: DataHash,
    /// Held-out data.
    pub validation: DataHash,
}

/// Hash and size of one part of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataHash {
    /// SHA-256 of everything that the model sees of this part, as 64 hexadecimal digits.
    pub sha256: String,
    /// Size by unit: `tokens`, `documents`.
    pub sizes: BTreeMap<String, u64>,
}

impl Display for DataHash {
    /// `1200 tokens in 3 documents`, and the first digits of the hash.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        // Largest count first: tokens before the documents that contain them.
        let mut sizes: Vec<_> = self.sizes.iter().collect();
        sizes.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
        for (place, (name, count)) in sizes.into_iter().enumerate() {
            let between = if place == 0 { "" } else { " in " };
            let name = match count {
                1 => name.strip_suffix('s').unwrap_or(name),
                _ => name,
            };
            write!(f, "{between}{count} {name}")?;
        }
        write!(
            f,
            " (SHA-256 {}...)",
            self.sha256.get(..12).unwrap_or(&self.sha256)
        )
    }
}

/// Setting that a run must keep, and that was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedSetting {
    /// Full key.
    pub key: String,
    /// Value of the run, as JSON text; `None` if the run has none.
    pub then: Option<String>,
    /// Value that was asked for.
    pub now: Option<String>,
}

impl Display for ChangedSetting {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { key, then, now } = self;
        match (then, now) {
            (Some(then), Some(now)) => write!(f, "{key} = {now} instead of {then}"),
            (None, Some(now)) => write!(f, "{key} = {now}, which the run does not have"),
            (_, None) => write!(f, "no {key} instead of {}", then.as_deref().unwrap_or("none")),
        }
    }
}

impl ChangedSetting {
    /// Differences between two sets of settings, by key.
    pub fn between(then: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<Self> {
        let keys: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
        let differing = keys.into_iter().filter(|&key| then.get(key) != now.get(key));
        let changed = differing.map(|key| Self {
            key: key.clone(),
            then: then.get(key).cloned(),
            now: now.get(key).cloned(),
        });
        changed.collect()
    }
}

/// Data that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedData {
    /// Data by the checkpoint.
    pub then: DataHashes,
    /// Data now.
    pub now: DataHashes,
}

/// Held-out data that has changed since a model was evaluated on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedPart {
    /// Data by the checkpoint.
    pub then: DataHash,
    /// Data now.
    pub now: DataHash,
}

impl Display for ChangedPart {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { then, now } = self;
        write!(f, "was {then} and is {now}")
    }
}

impl ChangedData {
    /// Whether the training data has changed.
    pub fn training(&self) -> bool {
        self.then.training != self.now.training
    }

    /// Whether the held-out data has changed.
    pub fn validation(&self) -> bool {
        self.then.validation != self.now.validation
    }

    /// Changed parts: `training`, `validation`.
    pub fn parts(&self) -> Vec<&'static str> {
        let parts = [("training", self.training()), ("validation", self.validation())];
        let changed = parts.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(name, _)| name).collect()
    }

    /// Consequences for a run that continues with the changed data.
    pub fn consequences(&self) -> String {
        let mut said = Vec::new();
        if self.training() {
            said.push(
                "the run continues after as much of the changed training data as it has read, and what it carries from \
                 step to step starts anew (on streams, every lane with an empty memory): some data may be read again, \
                 and some may never be read",
            );
        }
        if self.validation() {
            said.push(
                "held-out data has changed: figures before and after are not comparable, so the best one starts anew, and \
                 if it is a share of the data, some of the training data may be held out now",
            );
        } else {
            said.push("held-out data is the same, so figures before and after are comparable");
        }
        said.join("; ")
    }
}

impl Display for ChangedData {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let parts = [
            ("training", &self.then.training, &self.now.training),
            ("validation", &self.then.validation, &self.now.validation),
        ];
        for (place, (name, then, now)) in parts.into_iter().enumerate() {
            let between = if place == 0 { "" } else { "; " };
            match changed(then, now) {
                Some(changed) => write!(f, "{between}the {name} data {changed}")?,
                None => write!(f, "{between}the {name} data is the same, {then}")?,
            }
        }
        Ok(())
    }
}

fn changed(then: &DataHash, now: &DataHash) -> Option<ChangedPart> {
    (then != now).then(|| ChangedPart {
        then: then.clone(),
        now: now.clone(),
    })
}

impl Identity {
    /// An identity of these settings, for data that a family generates from its settings and that has no hash.
    pub fn of_settings(settings: BTreeMap<String, String>) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Refuses settings that differ from those of the run. Settings of an earlier version are renamed with the current
    /// `keys` first.
    ///
    /// # Errors
    /// [`TrainError::ChangedSettings`], with each changed setting and both values.
    pub fn check_settings(&self, now: &BTreeMap<String, String>, keys: Keys) -> Result<(), TrainError> {
        let mut changed = ChangedSetting::between(&keys.renamed(&self.settings), now);
        // A key that is kept only because of a table differs where the table does, and the table is reported itself.
        changed.retain(|setting| {
            let rule = keys.rule_of(&setting.key).map(|rule| rule.on_resume);
            let with_a_table = matches!(rule, Some(OnResume::ChangesWithout(_)));
            !with_a_table || (setting.then.is_some() && setting.now.is_some())
        });
        if changed.is_empty() {
            Ok(())
        } else {
            Err(TrainError::ChangedSettings { changed })
        }
    }

    /// Change of the held-out data, if there is one.
    pub fn changed_validation(&self, now: &DataHash) -> Option<ChangedPart> {
        changed(&self.data.validation, now)
    }

    /// Change of the data, if there is one.
    pub fn changed_data(&self, now: &DataHashes) -> Option<ChangedData> {
        (self.data != *now).then(|| ChangedData {
            then: self.data.clone(),
            now: now.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{KeyRule, MovedKey};

    fn hash(sha256: &str, tokens: u64, documents: u64) -> DataHash {
        let sizes = [("documents", documents), ("tokens", tokens)];
        DataHash {
            sha256: sha256.into(),
            sizes: sizes.map(|(name, count)| (name.to_string(), count)).into(),
        }
    }

    fn identity(settings: &[(&str, &str)]) -> Identity {
        let settings = settings.iter();
        Identity {
            settings: settings
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            data: DataHashes {
                training: hash("aa", 90, 3),
                validation: hash("bb", 10, 1),
            },
        }
    }

    #[test]
    fn every_setting_that_differs_is_named_once_with_both_values() {
        let run = identity(&[("model.d_model", "16"), ("training.seed", "1"), ("gone", "2")]);
        let asked = identity(&[("model.d_model", "32"), ("training.seed", "1"), ("new", "3")]);
        let keys = Keys::default();
        assert!(run.check_settings(&run.settings, keys).is_ok());
        let error = run.check_settings(&asked.settings, keys).unwrap_err();
        let TrainError::ChangedSettings { changed } = &error else {
            panic!("{error}")
        };
        let said: Vec<String> = changed.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "no gone instead of 2",
                "model.d_model = 32 instead of 16",
                "new = 3, which the run does not have",
            ]
        );
        for said in said {
            assert!(error.to_string().contains(&said), "{error}");
        }
    }

    #[test]
    fn a_table_that_is_new_is_named_and_not_the_batch_size_that_is_kept_with_it() {
        const KEYS: Keys = Keys {
            rules: &[KeyRule {
                keys: &["training.batch_size"],
                on_resume: OnResume::ChangesWithout("streams"),
                why: "",
            }],
            moved: &[MovedKey {
                from: "training.streams",
                to: "streams",
            }],
        };
        let streams = [("training.batch_size", "2"), ("streams.unroll", "1")];
        let said = |run: &Identity, asked: &Identity| {
            let refused = run.check_settings(&asked.settings, KEYS);
            refused.unwrap_err().to_string()
        };
        let (windows, larger) = (identity(&[]), [("training.batch_size", "4"), streams[1]]);
        for text in [
            said(&windows, &identity(&streams)),
            said(&identity(&streams), &windows),
        ] {
            assert!(
                text.contains("streams.unroll") && !text.contains("batch_size"),
                "{text}"
            );
        }
        let text = said(&identity(&streams), &identity(&larger));
        assert!(text.contains("training.batch_size = 4 instead of 2"), "{text}");
        // A run of before said the same of another key.
        let before = identity(&[streams[0], ("training.streams.unroll", "1")]);
        assert!(before.check_settings(&identity(&streams).settings, KEYS).is_ok());
    }

    #[test]
    fn changed_data_says_which_part_and_both_sizes() {
        let run = identity(&[]);
        assert_eq!(run.changed_data(&run.data), None);
        let mut grown = run.data.clone();
        grown.training = hash("cc", 95, 3);
        let changed = run.changed_data(&grown).unwrap();
        assert_eq!(changed.parts(), ["training"]);
        let text = changed.to_string();
        assert!(
            text.contains("training data was 90 tokens in 3 documents"),
            "{text}"
        );
        assert!(text.contains("and is 95 tokens in 3 documents"), "{text}");
        assert!(text.contains("validation data is the same, 10 tokens"), "{text}");
        assert!(changed.consequences().contains("is the same, so figures"));
        // Another text of the same lengths is another text.
        grown = run.data.clone();
        grown.validation.sha256 = "dd".into();
        let changed = run.changed_data(&grown).unwrap();
        assert_eq!(changed.parts(), ["validation"]);
        assert!(changed.consequences().contains("not comparable"));
    }
}
