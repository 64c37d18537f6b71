//! Facts that are asked about after a long stretch of weather.
//!
//! > Mira hid the red key under the mill. Rain fell over the hill. Stars shone over the lake all day. [...] Mist lay over
//! > the town. Then Mira went to the mill for the red key.
//!
//! A document is a tale with nothing but filling between its facts and what recalls them; without filling it is a
//! seedling, so that the skill of recalling can be found where it is easy and stretched from there.

use burn_dragon_core::seed::{Rng, derive};
use serde::{Deserialize, Serialize};

use super::{
    RecallProbe, Slot, Split, Tale, Tier,
    filler::{SHORTEST, filler},
    grammar::Outline,
    is_held_out,
};
use crate::error::LanguageError;

/// The shortest distance that a case of the probe can have exactly, whatever its words.
const SHORTEST_CASE: usize = 85;

/// Below this a case recalls the fact stated last, for the others are too far away.
const ANY_FACT: usize = 200;

/// Which documents, and how many: the keys of `[dataset]` where `type = "needle"`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NeedleConfig {
    /// Everything is drawn from this. It belongs to the data, not to the training.
    pub seed: u64,
    /// Training text in bytes; the last document is finished.
    pub train_bytes: usize,
    /// Number of held-out documents.
    pub validation_documents: usize,
    /// Most facts of a document, 1 to 3: seedlings, sprouts and grown ones by their number of facts. Each number up to it is as likely as the others.
    pub facts: usize,
    /// Shortest and longest distance in bytes between where the first recalled word is stated and where it is recalled;
    /// every doubling between them is as likely as the others. What is shorter than a document can be is taken as short
    /// as it can be.
    pub distance: [usize; 2],
    /// Number of training documents before the longest distance may come: until then the longest grows, each doubling in
    /// the same number of documents. A curriculum, where windows are read in order.
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
            longest_from: 0,
        }
    }
}

impl NeedleConfig {
    /// Checks the values.
    ///
    /// # Errors
    /// [`LanguageError::Config`] with the key and what would be right.
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

    /// Document `index` of a split: a pure function of the configuration, split and index.
    pub fn document(&self, split: Split, index: u64) -> Tale {
        let purpose = match split {
            Split::Train => "needle.train",
            Split::Validation => "needle.validation",
        };
        let mut plan = Rng::new(derive(self.seed, "needle.plan", index, split as u64));
        let facts = 1 + plan.below(self.facts.max(1));
        let distance = self.draw_distance(split, index, &mut plan);
        let (outline, mut rng) = outline(split, |attempt| {
            let mut rng = Rng::new(derive(self.seed, purpose, index, attempt));
            (Outline::draw(facts, false, &mut rng), rng)
        });
        let filling = match distance.saturating_sub(outline.distance()) {
            few if few < SHORTEST / 2 => 0,
            bytes => bytes.max(SHORTEST),
        };
        outline.with(&filler(filling, &mut rng))
    }

    /// Every doubling as likely as the others.
    fn draw_distance(&self, split: Split, index: u64, rng: &mut Rng) -> usize {
        let [shortest, longest] = self.distance.map(|bytes| (bytes as f64).ln());
        let reached = match split {
            Split::Train if index < self.longest_from => index as f64 / self.longest_from as f64,
            _ => 1.0,
        };
        (shortest + rng.uniform() * reached * (longest - shortest))
            .exp()
            .round() as usize
    }

    /// The documents of a split.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate).
    pub fn documents(&self, split: Split) -> Result<Vec<Vec<u8>>, LanguageError> {
        self.validate()?;
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

    /// A probe of the first `documents` held-out documents, at the distances that are trained on.
    ///
    /// # Errors
    /// Those of [`validate`](Self::validate); [`LanguageError::Config`] if there is no document.
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

/// Held-out facts, each asked about at an exact distance: the first recalled word of each case begins so many bytes
/// after the start of its last earlier mention, and is right when every byte of it is the likeliest.
#[derive(Debug, Clone)]
pub struct NeedleProbe {
    facts: usize,
    distances: Vec<usize>,
    cases: Vec<Tale>,
}

impl NeedleProbe {
    /// So many cases at each distance in bytes.
    ///
    /// # Errors
    /// Those of [`NeedleConfig::validate`]; [`LanguageError::Config`] if there is no case, or a distance is shorter than
    /// two sentences need.
    pub fn new(config: &NeedleConfig, distances: &[usize], cases: usize) -> Result<Self, LanguageError> {
        config.validate()?;
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        if cases == 0 || distances.is_empty() {
            return refuse("needle cases", "are none, but a probe needs one".into());
        }
        if let Some(short) = distances.iter().find(|&&distance| distance < SHORTEST_CASE) {
            let reason = format!(
                "{short} bytes are too few between a fact and its recall; give at least {SHORTEST_CASE}"
            );
            return refuse("needle distances", reason);
        }
        let all = distances
            .iter()
            .flat_map(|&distance| (0..cases as u64).map(move |case| (distance, case)));
        Ok(Self {
            facts: config.facts,
            distances: distances.to_vec(),
            cases: all.map(|(distance, case)| config.case(distance, case)).collect(),
        })
    }

    /// The cases, distance by distance; [`Tale::recalls`]`[0]` is what is asked.
    pub fn cases(&self) -> impl Iterator<Item = &Tale> {
        self.cases.iter()
    }

    /// The score of one answer per case, in the order of [`cases`](Self::cases): `true` where the model was right.
    ///
    /// # Errors
    /// [`LanguageError::AnswerCount`] if there are more or fewer answers than cases.
    pub fn score(&self, answers: &[bool]) -> Result<NeedleScore, LanguageError> {
        let (expected, given) = (self.cases.len(), answers.len());
        if expected != given {
            return Err(LanguageError::AnswerCount { expected, given });
        }
        let count = expected / self.distances.len();
        let groups = self.cases.chunks(count).zip(answers.chunks(count));
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / count as f64;
        let points = self.distances.iter().zip(groups);
        let by_distance = points.map(|(&distance, (cases, answers))| NeedlePoint {
            distance,
            accuracy: mean(&mut answers.iter().map(|&right| f64::from(u8::from(right)))),
            chance: mean(&mut cases.iter().map(|case| case.recalls[0].chance())),
            chance_among_stated: mean(&mut cases.iter().map(chance_among_stated)),
            count,
        });
        Ok(NeedleScore {
            facts: self.facts,
            by_distance: by_distance.collect(),
        })
    }
}

impl NeedleConfig {
    /// One case of the probe.
    fn case(&self, distance: usize, case: u64) -> Tale {
        let (outline, mut rng) = outline(Split::Validation, |attempt| {
            let address = (distance as u64) << 32 | case;
            let mut rng = Rng::new(derive(self.seed, "needle.probe", address, attempt));
            (Outline::draw(self.facts, distance < ANY_FACT, &mut rng), rng)
        });
        let filling = distance - outline.distance();
        outline.with(&filler(filling, &mut rng))
    }
}

/// Probability that a guess among the words of the kind that were stated is right.
fn chance_among_stated(case: &Tale) -> f64 {
    let recall = &case.recalls[0];
    let stated = stated(&case.text[..recall.range.start], recall.slot);
    1.0 / stated.max(1) as f64
}

/// Number of words of a slot that a text has.
fn stated(text: &str, slot: Slot) -> usize {
    let words: std::collections::HashSet<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
    slot.candidates()
        .iter()
        .filter(|word| words.contains(**word))
        .count()
}

/// Accuracy at each distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeedleScore {
    /// Facts of a case, one of which is asked about.
    pub facts: usize,
    /// In the order that was asked for.
    pub by_distance: Vec<NeedlePoint>,
}

/// Accuracy at one distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeedlePoint {
    /// Bytes from where the word was stated to where it is recalled.
    pub distance: usize,
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// What guessing among all words of the kind gives on average.
    pub chance: f64,
    /// What guessing among those words of the kind that stand in the document gives: a model that knows what was
    /// mentioned, but not by which fact.
    pub chance_among_stated: f64,
    /// Number of cases.
    pub count: usize,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::tales::Recall;

    fn check(recall: &Recall, text: &str) {
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
    fn a_case_is_asked_at_its_very_distance() {
        for facts in 1..=3 {
            let config = NeedleConfig {
                facts,
                ..NeedleConfig::default()
            };
            let distances = [SHORTEST_CASE, 100, ANY_FACT - 1, ANY_FACT, 5000];
            let probe = NeedleProbe::new(&config, &distances, 300).unwrap();
            for (tale, distance) in probe.cases().zip(distances.iter().flat_map(|d| [d; 300])) {
                assert_eq!(tale.recalls[0].distance, *distance);
                check(&tale.recalls[0], &tale.text);
                assert_eq!(tale.tier, Tier::ALL[facts - 1]);
            }
        }
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
    fn distances_grow_until_the_longest_may_come() {
        let config = NeedleConfig {
            longest_from: 1000,
            ..NeedleConfig::default()
        };
        let longest = |from: u64| {
            let documents = (from..from + 100).map(|index| config.document(Split::Train, index));
            documents.map(|tale| tale.recalls[0].distance).max().unwrap()
        };
        let (first, half, late) = (longest(0), longest(450), longest(5000));
        assert!(
            first < 150 && (150..320).contains(&half) && late > 1500,
            "{first} {half} {late}"
        );
        let document = config.document(Split::Train, 0).text;
        assert!(document.len() < 250, "{document}");
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
    fn everything_is_a_function_of_the_seed() {
        let config = NeedleConfig::default();
        let of = |config: &NeedleConfig| NeedleProbe::new(config, &[100, 300], 20).unwrap().cases;
        assert_eq!(of(&config), of(&config));
        let other = NeedleConfig {
            seed: 1,
            ..config.clone()
        };
        assert_ne!(of(&config), of(&other));
        assert_eq!(config.document(Split::Train, 3), config.document(Split::Train, 3));
        let distinct: HashSet<_> = of(&config).into_iter().map(|tale| tale.text).collect();
        assert_eq!(distinct.len(), 40);
    }

    #[test]
    fn guessing_among_the_stated_words_is_likelier_to_be_right_and_said_so() {
        let probe = NeedleProbe::new(&NeedleConfig::default(), &[100, 300], 200).unwrap();
        let score = probe
            .score(&[vec![true; 200], vec![false; 200]].concat())
            .unwrap();
        let accuracies: Vec<_> = score.by_distance.iter().map(|point| point.accuracy).collect();
        assert_eq!(accuracies, [1.0, 0.0]);
        for point in &score.by_distance {
            assert!((0.1..0.15).contains(&point.chance), "{point:?}");
            assert!((0.4..0.95).contains(&point.chance_among_stated), "{point:?}");
        }
        assert!(probe.score(&[true]).is_err());
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
