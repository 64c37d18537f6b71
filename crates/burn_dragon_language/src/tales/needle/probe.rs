//! Needle probe: accuracy of recall at exact distances.

use std::collections::HashSet;

use burn_dragon_core::api::expert::{Rng, derive};
use burn_dragon_core::api::{FreeMemory, Need};
use serde::Serialize;

use super::{NeedleConfig, outline};
use crate::error::LanguageError;
use crate::tales::{Slot, Split, Tale, filler::filler, grammar::Outline};

/// Shortest distance in bytes that every case of the probe can have exactly.
const SHORTEST_CASE: usize = 85;

/// Distance in bytes below which a case recalls the fact stated last, because the other facts are further away.
const ANY_FACT: usize = 200;

/// Held-out facts, each recalled at an exact distance. The first recalled word of a case starts `distance` bytes after
/// the start of its last earlier mention. It is right if each of its bytes is the likeliest one. The facts of a case
/// are of one kind, so a model must remember which words belong together.
#[derive(Debug, Clone)]
pub struct NeedleProbe {
    facts: usize,
    distances: Vec<usize>,
    cases: Vec<Tale>,
}

impl NeedleProbe {
    /// Creates a probe with `cases` cases at each distance in bytes.
    ///
    /// # Errors
    /// Those of [`NeedleConfig::validate`]; [`LanguageError::Config`] if there are no cases, or a distance is too short
    /// for two sentences; [`LanguageError::Memory`].
    pub fn new(config: &NeedleConfig, distances: &[usize], cases: usize) -> Result<Self, LanguageError> {
        config.validate()?;
        let refuse = |key, reason: String| Err(LanguageError::Config { key, reason });
        if cases == 0 || distances.is_empty() {
            return refuse("needle cases", "are 0, but a probe needs at least one".into());
        }
        if let Some(short) = distances.iter().find(|&&distance| distance < SHORTEST_CASE) {
            let reason = format!(
                "{short} bytes are too few between a fact and its recall; give at least {SHORTEST_CASE}"
            );
            return refuse("needle distances", reason);
        }
        let each = distances
            .iter()
            .fold(0, |sum, &distance| distance.saturating_add(sum));
        let bytes = (each as u64).saturating_mul(cases as u64);
        let need = Need::of("the needle probe").with("text", bytes.saturating_mul(2)); // and as tokens, case by case
        FreeMemory::room_for(&need, || {
            "use shorter distances, or fewer cases at each (--cases)".into()
        })?;
        let all = distances
            .iter()
            .flat_map(|&distance| (0..cases as u64).map(move |case| (distance, case)));
        Ok(Self {
            facts: config.facts,
            distances: distances.to_vec(),
            cases: all.map(|(distance, case)| config.case(distance, case)).collect(),
        })
    }

    /// Cases, distance by distance. [`Tale::recalls`]`[0]` is the word to predict.
    pub fn cases(&self) -> impl Iterator<Item = &Tale> {
        self.cases.iter()
    }

    /// Score of the answers, one per case in the order of [`cases`](Self::cases): `true` if the model was right.
    ///
    /// # Errors
    /// [`LanguageError::AnswerCount`] if the number of answers is not the number of cases.
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
            (Outline::alike(self.facts, distance < ANY_FACT, &mut rng), rng)
        });
        let filling = distance - outline.distance();
        outline.with(&filler(filling, &mut rng))
    }
}

/// Probability that a random guess is right among the words of its kind in the document.
fn chance_among_stated(case: &Tale) -> f64 {
    let recall = &case.recalls[0];
    let stated = stated(&case.text[..recall.range.start], recall.slot);
    1.0 / stated.max(1) as f64
}

/// Number of words of a slot that a text has.
fn stated(text: &str, slot: Slot) -> usize {
    let words: HashSet<&str> = text.split(|c: char| !c.is_alphabetic()).collect();
    slot.candidates()
        .iter()
        .filter(|word| words.contains(**word))
        .count()
}

/// Score of a needle probe: accuracy at each distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeedleScore {
    /// Number of facts in a case. One of them is recalled.
    pub facts: usize,
    /// Accuracy at each distance, in the order of the request.
    pub by_distance: Vec<NeedlePoint>,
}

/// Accuracy at one distance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NeedlePoint {
    /// Distance in bytes from the statement of the word to its recall.
    pub distance: usize,
    /// Share of right answers, 0 to 1.
    pub accuracy: f64,
    /// Mean accuracy of a random guess among all words of the kind.
    pub chance: f64,
    /// Mean accuracy of a random guess among the words of the kind in the document: that of a model which knows the
    /// words mentioned, but not to which fact they belong.
    pub chance_among_stated: f64,
    /// Number of cases.
    pub count: usize,
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;
    use crate::tales::Tier;

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
            assert!((0.4..=0.5).contains(&point.chance_among_stated), "{point:?}");
        }
        assert!(probe.score(&[true]).is_err());
    }
}
