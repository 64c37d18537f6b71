//! Needle documents: facts that are recalled after a long stretch of sentences about the weather.
//!
//! > Mira hid the red key under the mill. Rain fell over the hill. Stars shone over the lake all day. [...] Mist lay
//! > over the town. Then Mira went to the mill for the red key.
//!
//! A document is a tale with filler between its facts and the sentences that recall them. Without filler it is a
//! seedling, so that recall can be learnt at a short distance first.

mod probe;

use burn_dragon_core::api::expert::{Rng, derive};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::probe::{NeedlePoint, NeedleProbe, NeedleScore};
use super::{
    MAX_BYTES, RecallProbe, Split, Tale, Tier,
    filler::{SHORTEST, filler},
    grammar::Outline,
    is_held_out, room_for,
};
use crate::error::LanguageError;

/// Needle documents: the keys of `[dataset]` where `type = "needle"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NeedleConfig {
    /// Seed of the documents. It belongs to the data: it is independent of the training seed.
    #[serde(with = "burn_dragon_core::api::expert::whole")]
    #[schemars(with = "u64")]
    pub seed: u64,
    /// Size of the training text in bytes. The last document is completed.
    pub train_bytes: usize,
    /// Number of held-out documents.
    pub validation_documents: usize,
    /// Maximum number of facts in a document, 1 to 3 (as in seedlings, sprouts and grown tales). Each number up to it
    /// is equally likely.
    pub facts: usize,
    /// Shortest and longest distance in bytes between the statement of the first recalled word and its recall. Each
    /// doubling between them is equally likely. A distance that is too short for a document is raised to the shortest
    /// possible one.
    pub distance: [usize; 2],
    /// Number of training documents at the start that are seedlings, with one fact recalled at once: a curriculum if
    /// windows are read in order.
    pub seedlings: u64,
    /// Number of training documents before the longest distance may come. Between the seedlings and then the maximum
    /// distance grows, each doubling over the same number of documents.
    pub longest_from: u64,
}

impl Default for NeedleConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            train_bytes: 16_000_000,
            validation_documents: 200,
            facts: 2,
            distance: [40, 2000],
            seedlings: 0,
            longest_from: 0,
        }
    }
}

impl NeedleConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`LanguageError::Config`] with the key and the expected values.
    pub fn validate(&self) -> Result<(), LanguageError> {
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        let [shortest, longest] = self.distance;
        if self.train_bytes == 0 {
            refuse("train_bytes", "is 0, but training needs text".into())
        } else if self.validation_documents == 0 {
            refuse(
                "validation_documents",
                "is 0, but evaluation needs documents".into(),
            )
        } else if !(1..=Tier::ALL.len()).contains(&self.facts) {
            let reason = format!(
                "is {}, but a document has 1 to {} facts",
                self.facts,
                Tier::ALL.len()
            );
            refuse("facts", reason)
        } else if shortest == 0 || shortest > longest {
            let reason = format!("is [{shortest}, {longest}]; give [shortest, longest], both above 0");
            refuse("distance", reason)
        } else {
            Ok(())
        }
    }

    /// Document `index` of a split: a pure function of configuration, split and index.
    pub fn document(&self, split: Split, index: u64) -> Tale {
        let purpose = match split {
            Split::Train => "needle.train",
            Split::Validation => "needle.validation",
        };
        let mut plan = Rng::new(derive(self.seed, "needle.plan", index, split as u64));
        let reached = match split {
            Split::Train => self.reached(index),
            Split::Validation => Some(1.0),
        };
        let facts = 1 + plan.below(reached.map_or(1, |_| self.facts.max(1)));
        let distance = reached.map_or(0, |reached| self.draw_distance(reached, &mut plan));
        let (outline, mut rng) = outline(split, |attempt| {
            let mut rng = Rng::new(derive(self.seed, purpose, index, attempt));
            (Outline::draw(facts, &mut rng), rng)
        });
        let filling = match distance.saturating_sub(outline.distance()) {
            few if few < SHORTEST / 2 => 0,
            bytes => bytes.max(SHORTEST),
        };
        outline.with(&filler(filling, &mut rng))
    }

    /// Growth of the maximum distance when training document `index` is drawn, 0 to 1; `None` for a seedling.
    fn reached(&self, index: u64) -> Option<f64> {
        let grown = index.checked_sub(self.seedlings)? as f64;
        let growth = self.longest_from.saturating_sub(self.seedlings) as f64;
        Some(if grown < growth { grown / growth } else { 1.0 })
    }

    /// Every doubling as likely as the others.
    fn draw_distance(&self, reached: f64, rng: &mut Rng) -> usize {
        let [shortest, longest] = self.distance.map(|bytes| (bytes as f64).ln());
        (shortest + rng.uniform() * reached * (longest - shortest))
            .exp()
            .round() as usize
    }

    /// Documents of a split.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate).
    pub fn documents(&self, split: Split) -> Result<Vec<Vec<u8>>, LanguageError> {
        self.validate()?;
        let longest = self.distance[1].saturating_add(MAX_BYTES);
        let held_out = (self.validation_documents, longest);
        room_for(
            split,
            self.train_bytes.saturating_add(longest),
            held_out,
            "validation_documents or distance",
        )?;
        let (count, enough) = match split {
            Split::Train => (u64::MAX, self.train_bytes),
            Split::Validation => (self.validation_documents as u64, usize::MAX),
        };
        let texts = (0..count).map(|index| self.document(split, index).text.into_bytes());
        let wanted = texts.scan(0, |bytes, text| {
            let wanted = *bytes < enough;
            *bytes += text.len();
            wanted.then_some(text)
        });
        Ok(wanted.collect())
    }

    /// Recall probe on the first `documents` held-out documents, at the distances of the training.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); [`LanguageError::Config`] if `documents` is 0.
    pub fn recall_probe(&self, documents: usize) -> Result<RecallProbe, LanguageError> {
        self.validate()?;
        RecallProbe::of(
            (0..documents as u64)
                .map(|index| self.document(Split::Validation, index))
                .collect(),
        )
    }
}

/// The first outline that belongs to the split. What is held out are facts with their questions, whatever lies between.
fn outline<R>(split: Split, draw: impl Fn(u64) -> (Outline, R)) -> (Outline, R) {
    let mut attempt = 0;
    loop {
        let (outline, rest) = draw(attempt);
        if is_held_out(outline.text()) == (split == Split::Validation) {
            return (outline, rest);
        }
        attempt += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tales::Recall;

    pub(super) fn check(recall: &Recall, text: &str) {
        assert_eq!(&text[recall.range.clone()], recall.word);
        let mention = recall.range.start - recall.distance;
        assert_eq!(&text[mention..recall.fact_end], recall.word, "{text}");
        let between = &text[recall.fact_end..recall.range.start];
        assert!(
            between
                .split(|c: char| !c.is_alphabetic())
                .all(|word| word != recall.word),
            "{text}"
        );
    }

    #[test]
    fn the_places_of_facts_and_recalls_are_exact() {
        let config = NeedleConfig {
            facts: 3,
            ..NeedleConfig::default()
        };
        for split in [Split::Train, Split::Validation] {
            for index in 0..500 {
                let Tale { text, recalls, .. } = config.document(split, index);
                assert!(
                    text.is_ascii() && text.ends_with(".\n") && !text.contains("  "),
                    "{text}"
                );
                recalls.iter().for_each(|recall| check(recall, &text));
            }
        }
    }

    #[test]
    fn a_document_is_a_function_of_seed_split_and_index() {
        let of = |seed| {
            let config = NeedleConfig {
                seed,
                ..NeedleConfig::default()
            };
            (0..40).map(move |index| config.document(Split::Train, index))
        };
        assert!(of(0).eq(of(0)));
        // Numbers of facts and distances are drawn apart from words: another seed has others of both.
        let tiers = |seed| of(seed).map(|tale| tale.tier).collect::<Vec<_>>();
        assert_ne!(tiers(0), tiers(1));
        let first = |tale: Tale| tale.text.split('.').next().unwrap_or_default().to_string();
        let alike = of(0).map(first).zip(of(1).map(first)).filter(|(a, b)| a == b);
        assert!(alike.count() < 4);
    }

    #[test]
    fn every_doubling_of_the_distance_is_as_likely_as_the_others() {
        let config = NeedleConfig {
            distance: [125, 2000],
            facts: 1,
            ..NeedleConfig::default()
        };
        let mut counts = [0; 4];
        for index in 0..4000 {
            let distance = config.document(Split::Train, index).recalls[0].distance;
            assert!((125..=2000).contains(&distance), "{distance}");
            counts[((distance / 125).ilog2() as usize).min(3)] += 1;
        }
        assert!(
            counts.iter().all(|count| (900..1100).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn distances_grow_from_the_seedlings_until_the_longest_may_come() {
        let config = NeedleConfig {
            seedlings: 500,
            longest_from: 1500,
            ..NeedleConfig::default()
        };
        let longest = |from: u64| {
            let documents = (from..from + 100).map(|index| config.document(Split::Train, index));
            documents.map(|tale| tale.recalls[0].distance).max().unwrap()
        };
        let (first, half, late) = (longest(500), longest(950), longest(5000));
        assert!(
            first < 150 && (150..320).contains(&half) && late > 1500,
            "{first} {half} {late}"
        );
        for index in 0..500 {
            let Tale { tier, text, .. } = config.document(Split::Train, index);
            assert!(tier == Tier::Seedling && text.len() < 120, "{text}");
        }
        let later = (500..600).map(|index| config.document(Split::Train, index).tier);
        assert!(later.collect::<Vec<_>>().contains(&Tier::Sprout));
    }

    #[test]
    fn training_never_shows_facts_and_questions_that_are_held_out() {
        let config = NeedleConfig::default();
        // The filling is all that is between: without it a document is its outline.
        let outline = |tale: &Tale| {
            let sentences = tale.text.trim_end().split_inclusive(['.', '?']);
            sentences
                .filter(|sentence| !sentence.contains(" over the "))
                .collect::<String>()
                + "\n"
        };
        let probe = NeedleProbe::new(&config, &[100, 1000], 100).unwrap();
        for tale in probe.cases().chain(config.recall_probe(100).unwrap().tales()) {
            assert!(is_held_out(&outline(tale)), "{}", tale.text);
        }
        for index in 0..500 {
            assert!(!is_held_out(&outline(&config.document(Split::Train, index))));
        }
    }

    #[test]
    fn what_cannot_be_asked_is_refused() {
        let good = NeedleConfig::default();
        let refused = |config: NeedleConfig, expected: &str| {
            let error = config.documents(Split::Train).unwrap_err();
            assert!(
                matches!(error, LanguageError::Config { key, .. } if key == expected),
                "{error}"
            );
        };
        refused(
            NeedleConfig {
                train_bytes: 0,
                ..good.clone()
            },
            "train_bytes",
        );
        refused(
            NeedleConfig {
                validation_documents: 0,
                ..good.clone()
            },
            "validation_documents",
        );
        refused(
            NeedleConfig {
                facts: 4,
                ..good.clone()
            },
            "facts",
        );
        refused(
            NeedleConfig {
                distance: [50, 40],
                ..good.clone()
            },
            "distance",
        );
        for (distances, cases) in [(&[20][..], 3), (&[], 3), (&[100], 0)] {
            assert!(NeedleProbe::new(&good, distances, cases).is_err());
        }
    }
}
