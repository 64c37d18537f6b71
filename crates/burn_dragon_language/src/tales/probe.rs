//! Recall probe: accuracy of recall on tales.

use serde::Serialize;

use super::{Recall, Split, Tale, TalesConfig, Tier};
use crate::error::LanguageError;

/// Upper ends of the distance groups in bytes. The last group has no upper end.
const DISTANCES: [usize; 10] = [32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384];

/// Held-out tales whose recalled words are to be predicted.
///
/// A recalled word is right if every byte of [`Recall::range`] is the likeliest one after the true text before it.
/// [`score`](Self::score) takes the answers in the order of [`recalls`](Self::recalls).
#[derive(Debug, Clone)]
pub struct RecallProbe {
    tales: Vec<Tale>,
}

impl RecallProbe {
    /// Creates a probe of the first `n_tales` validation tales, which are also in the validation text.
    ///
    /// # Errors
    /// Those of [`TalesConfig::validate`]; [`LanguageError::Config`] if `n_tales` is 0.
    pub fn new(config: &TalesConfig, n_tales: usize) -> Result<Self, LanguageError> {
        config.validate()?;
        Self::of(
            (0..n_tales as u64)
                .map(|index| config.tale(Split::Validation, index))
                .collect(),
        )
    }

    /// Number of bytes of its tales.
    #[cfg(feature = "train")]
    pub(crate) fn bytes(&self) -> u64 {
        self.tales.iter().map(|tale| tale.text.len() as u64).sum()
    }

    /// Creates a probe of the given tales.
    ///
    /// # Errors
    /// [`LanguageError::Config`] if there are none.
    pub fn of(tales: Vec<Tale>) -> Result<Self, LanguageError> {
        if tales.is_empty() {
            let reason = "are 0, but a probe needs at least one tale".into();
            return Err(LanguageError::Config {
                key: "recall tales",
                reason,
            });
        }
        Ok(Self { tales })
    }

    /// Tales to be read by the model.
    pub fn tales(&self) -> &[Tale] {
        &self.tales
    }

    /// All recalled words with their tales, tale by tale, in the order of the text.
    pub fn recalls(&self) -> impl Iterator<Item = (&Tale, &Recall)> {
        self.tales
            .iter()
            .flat_map(|tale| tale.recalls.iter().map(move |recall| (tale, recall)))
    }

    /// Score of the answers, one per recalled word: `true` if the model was right.
    ///
    /// # Errors
    /// [`LanguageError::AnswerCount`] if the number of answers is not that of [`recalls`](Self::recalls).
    pub fn score(&self, answers: &[bool]) -> Result<RecallScore, LanguageError> {
        let expected = self.recalls().count();
        if answers.len() != expected {
            return Err(LanguageError::AnswerCount {
                expected,
                given: answers.len(),
            });
        }
        let group = |name: String, belongs: &dyn Fn(&Tale, &Recall) -> bool| {
            let answered = self.recalls().zip(answers);
            let members = answered.filter(|((tale, recall), _)| belongs(tale, recall));
            GroupScore::of(
                name,
                members.map(|((_, recall), &right)| (recall.chance(), right)),
            )
        };
        let ends = DISTANCES.into_iter().chain([usize::MAX]);
        let starts = std::iter::once(1).chain(DISTANCES.map(|end| end + 1));
        let by_distance = starts.zip(ends).map(|(start, end)| {
            let name = if end == usize::MAX {
                format!("{start}+")
            } else {
                format!("{start}-{end}")
            };
            group(name, &|_, recall| (start..=end).contains(&recall.distance))
        });
        let by_tier =
            Tier::ALL.map(|tier| group(format!("{tier:?}").to_lowercase(), &|tale, _| tale.tier == tier));
        Ok(RecallScore {
            overall: group("overall".into(), &|_, _| true),
            by_distance: by_distance.filter(|group| group.count > 0).collect(),
            by_tier: by_tier.into_iter().filter(|group| group.count > 0).collect(),
        })
    }

    /// Up to `n` prompts as examples, from tales spread over the probe.
    pub fn prompts(&self, n: usize) -> Vec<Prompt> {
        let n = n.min(self.tales.len());
        let tales = (0..n).map(|i| &self.tales[i * self.tales.len() / n]);
        tales
            .filter_map(|tale| tale.recalls.first().map(|recall| Prompt::new(tale, recall)))
            .collect()
    }
}

/// Prompt: a tale that stops before a recalled word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Text up to the word, including the space before it.
    pub text: String,
    /// The word.
    pub answer: String,
    /// Difficulty of the tale.
    pub tier: Tier,
    /// Distance in bytes to the statement of the word.
    pub distance: usize,
}

impl Prompt {
    /// Creates the prompt for one recalled word of a tale.
    pub fn new(tale: &Tale, recall: &Recall) -> Self {
        let text = tale.text[..recall.range.start].to_owned();
        Self {
            text,
            answer: recall.word.clone(),
            tier: tale.tier,
            distance: recall.distance,
        }
    }

    /// Last sentence with a gap: `Later Mira looked under the old ___`.
    pub fn question(&self) -> String {
        // A question and its answer ("Who hid the key? It was ") belong together, so only a full stop separates.
        let start = self.text.rfind(". ").map_or(0, |stop| stop + 2);
        format!("{}___", &self.text[start..])
    }
}

/// Score of a recall probe.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RecallScore {
    /// Score of all recalled words.
    pub overall: GroupScore,
    /// Scores by distance, nearest first; only groups with words.
    pub by_distance: Vec<GroupScore>,
    /// Scores by tier, easiest first; only tiers with words.
    pub by_tier: Vec<GroupScore>,
}

/// Score of a group of recalled words.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GroupScore {
    /// Name of the group: a range of distances in bytes (`33-64`), or a tier (`sprout`).
    pub name: String,
    /// Share of right answers, 0 to 1; 0 for an empty group.
    pub accuracy: f64,
    /// Mean accuracy of a random guess among the candidates.
    pub chance: f64,
    /// Number of recalled words.
    pub count: usize,
}

impl GroupScore {
    fn of(name: String, members: impl Iterator<Item = (f64, bool)>) -> Self {
        let (mut count, mut right, mut chance) = (0usize, 0.0, 0.0);
        for (guess, answer) in members {
            count += 1;
            right += f64::from(u8::from(answer));
            chance += guess;
        }
        let n = count.max(1) as f64;
        Self {
            name,
            accuracy: right / n,
            chance: chance / n,
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn probe() -> RecallProbe {
        RecallProbe::new(&TalesConfig::default(), 200).unwrap()
    }

    #[test]
    fn groups_partition_the_recalls() {
        let probe = probe();
        let answers: Vec<_> = probe
            .recalls()
            .map(|(tale, _)| tale.tier == Tier::Sprout)
            .collect();
        let score = probe.score(&answers).unwrap();
        assert_eq!(score.overall.count, answers.len());
        for groups in [&score.by_distance, &score.by_tier] {
            assert_eq!(
                groups.iter().map(|group| group.count).sum::<usize>(),
                answers.len()
            );
            let right: f64 = groups
                .iter()
                .map(|group| group.accuracy * group.count as f64)
                .sum();
            assert!((right - score.overall.accuracy * answers.len() as f64).abs() < 1e-6);
        }
        assert_eq!(
            score
                .by_tier
                .iter()
                .map(|group| group.accuracy)
                .collect::<Vec<_>>(),
            [0.0, 1.0, 0.0]
        );
    }

    #[test]
    fn chance_is_the_mean_over_the_candidates() {
        let probe = probe();
        let right = vec![true; probe.recalls().count()];
        let score = probe.score(&right).unwrap();
        let mean = probe
            .recalls()
            .map(|(_, recall)| 1.0 / recall.candidates as f64)
            .sum::<f64>()
            / right.len() as f64;
        assert!(
            (score.overall.chance - mean).abs() < 1e-12 && (0.1..0.2).contains(&mean),
            "{mean}"
        );
        assert_eq!(score.overall.accuracy, 1.0);
    }

    #[test]
    fn a_wrong_number_of_answers_is_an_error() {
        let error = probe().score(&[true]).unwrap_err();
        assert!(
            matches!(error, LanguageError::AnswerCount { given: 1, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_probe_without_tales_is_an_error() {
        let error = RecallProbe::new(&TalesConfig::default(), 0).unwrap_err();
        assert!(matches!(error, LanguageError::Config { .. }), "{error}");
    }

    #[test]
    fn a_prompt_and_its_answer_begin_a_held_out_tale() {
        let probe = probe();
        let prompts = probe.prompts(12);
        assert_eq!(prompts.len(), 12);
        for prompt in prompts {
            let begun = format!("{}{}", prompt.text, prompt.answer);
            assert!(
                probe.tales().iter().any(|tale| tale.text.starts_with(&begun)),
                "{begun}"
            );
            assert!(prompt.text.contains(&prompt.answer), "{begun}");
            let question = prompt.question();
            assert!(
                question.ends_with(" ___") && !question.contains(". "),
                "{question}"
            );
        }
    }

    /// Counts of the byte after each context of up to six bytes.
    #[derive(Default)]
    struct NGrams(HashMap<Vec<u8>, [u32; 128]>);

    impl NGrams {
        /// The contexts of a place, longest first.
        fn contexts(text: &[u8], at: usize) -> impl Iterator<Item = &[u8]> {
            (0..=6.min(at)).rev().map(move |order| &text[at - order..at])
        }

        fn learn(&mut self, text: &[u8]) {
            for at in 0..text.len() {
                for context in Self::contexts(text, at) {
                    self.0.entry(context.to_vec()).or_insert([0; 128])[usize::from(text[at])] += 1;
                }
            }
        }

        /// The word whose first letter is the likeliest here, by the longest context in which any of them was seen.
        fn choose(&self, text: &[u8], at: usize, words: &[&'static str]) -> Option<&'static str> {
            let of = |counts: &[u32; 128], word: &str| counts[usize::from(word.as_bytes()[0])];
            let contexts = Self::contexts(text, at).filter_map(|context| self.0.get(context));
            let mut known = contexts.filter(|counts| words.iter().any(|word| of(counts, word) > 0));
            known
                .next()
                .and_then(|counts| words.iter().copied().max_by_key(|word| of(counts, word)))
        }
    }

    /// The corpus keeps its promise only if the words around a recall do not give it away: even told which slot it is,
    /// a reader of the last six bytes does no better than a guess.
    #[test]
    fn what_stands_before_a_recall_does_not_give_it_away() {
        let config = TalesConfig::default();
        let mut grams = NGrams::default();
        config
            .tales(Split::Train)
            .take(5000)
            .for_each(|tale| grams.learn(tale.text.as_bytes()));
        let probe = RecallProbe::new(&config, 2000).unwrap();
        let right = |(tale, recall): (&Tale, &Recall)| {
            let choice = grams.choose(tale.text.as_bytes(), recall.range.start, recall.slot.candidates());
            choice == Some(&recall.word[..])
        };
        let answers: Vec<_> = probe.recalls().map(right).collect();
        let score = probe.score(&answers).unwrap();
        for group in score
            .by_tier
            .iter()
            .chain(&score.by_distance)
            .chain([&score.overall])
        {
            let GroupScore {
                name,
                accuracy,
                chance,
                count,
            } = group;
            let noise = (chance * (1.0 - chance) / *count as f64).sqrt();
            println!("{name}: {count} recalls, n-grams {accuracy:.4}, chance {chance:.4} +- {noise:.4}");
            assert!(
                (accuracy - chance).abs() < 4.0 * noise,
                "{name}: n-grams {accuracy}, chance {chance} +- {noise}"
            );
        }
    }
}
