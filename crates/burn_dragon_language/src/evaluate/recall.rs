//! Accuracy on recalled words: of tales, and of needle probes at exact distances.

use super::reading::Probes;
use super::{Evaluator, WindowReading};
use crate::error::LanguageError;
use crate::tales::{NeedleProbe, NeedleScore, Recall, RecallProbe, RecallScore, Tale};
use crate::tokenizer::Unknown;
use burn_dragon_core::api::Dragon;
use std::cmp::Reverse;

impl Evaluator<'_> {
    /// Accuracy on the recalled words of tales, read as `reading` says. A word is right if each of its bytes is the
    /// likeliest one after the true text before it.
    ///
    /// `None` if tokens are not single bytes or characters, so that the bytes of a word cannot be predicted one by one.
    ///
    /// # Errors
    /// If a tale cannot be tokenized.
    pub fn recall(
        &self,
        dragon: &Dragon,
        probe: &RecallProbe,
        reading: WindowReading,
    ) -> Result<Option<RecallScore>, LanguageError> {
        let cases: Vec<_> = probe
            .tales()
            .iter()
            .map(|tale| (tale, tale.recalls.as_slice()))
            .collect();
        let answers = self.answers(dragon, &cases, reading)?;
        answers.map(|answers| probe.score(&answers)).transpose()
    }

    /// Accuracy on facts at exact distances; `None` as in [`recall`](Self::recall).
    ///
    /// # Errors
    /// If a document cannot be tokenized.
    pub fn needle(
        &self,
        dragon: &Dragon,
        probe: &NeedleProbe,
        reading: WindowReading,
    ) -> Result<Option<NeedleScore>, LanguageError> {
        let cases: Vec<_> = probe.cases().map(|tale| (tale, &tale.recalls[..1])).collect();
        let answers = self.answers(dragon, &cases, reading)?;
        answers.map(|answers| probe.score(&answers)).transpose()
    }

    /// For each tale, which of its recalls are right.
    pub(super) fn answers(
        &self,
        dragon: &Dragon,
        cases: &[(&Tale, &[Recall])],
        reading: WindowReading,
    ) -> Result<Option<Vec<bool>>, LanguageError> {
        reading.validate()?;
        let mut questions = Vec::with_capacity(cases.len());
        for (tale, recalls) in cases {
            let Some(question) = self.question(tale, recalls, reading)? else {
                return Ok(None);
            };
            questions.push(question);
        }
        self.expect(
            questions
                .iter()
                .map(|question| question.ids.len().saturating_sub(1)),
        );
        let mut order: Vec<usize> = (0..questions.len()).collect();
        order.sort_by_key(|&case| Reverse(questions[case].ids.len())); // those of like length share a batch
        let mut guesses: Vec<Vec<i32>> = vec![Vec::new(); questions.len()];
        for batch in order.chunks(self.side_by_side(dragon, reading)) {
            let documents: Vec<&[u32]> = batch.iter().map(|&case| &questions[case].ids[..]).collect();
            reading.read(self.reader(dragon), &documents, Probes::default(), |window| {
                for (&case, window) in batch.iter().zip(window.likeliest()) {
                    guesses[case].extend(window);
                }
            })?;
        }
        let answers = questions.iter().zip(&guesses);
        Ok(Some(
            answers
                .flat_map(|(question, guesses)| question.right(guesses))
                .collect(),
        ))
    }

    /// The part of a tale that must be read for these recalls; `None` if tokens are not bytes.
    fn question<'a>(
        &self,
        tale: &Tale,
        recalls: &'a [Recall],
        reading: WindowReading,
    ) -> Result<Option<Question<'a>>, LanguageError> {
        let first = recalls.first().map_or(0, |recall| recall.range.start - 1);
        let end = recalls.last().map_or(0, |recall| recall.range.end);
        let skipped = reading.memory.earliest(first, reading.block_size);
        let text = &tale.text.as_bytes()[skipped..end];
        let ids = self.tokenizer.encode(text)?;
        Ok((ids.len() == text.len()).then(|| Question {
            recalls,
            skipped,
            unknown: self.tokenizer.unknown(text, &ids),
            ids,
        }))
    }
}

/// Recalls, and the part of their tale that is read.
struct Question<'a> {
    recalls: &'a [Recall],
    skipped: usize,
    ids: Vec<u32>,
    unknown: Vec<Unknown>,
}

impl Question<'_> {
    /// Which of the recalls are right, given one guess for each token that was read. A word with an unknown symbol is
    /// never right, because the model can only say that the symbol is unknown.
    fn right(&self, guesses: &[i32]) -> Vec<bool> {
        let known = |at: usize| {
            self.unknown
                .binary_search_by_key(&at, |symbol| symbol.at)
                .is_err()
        };
        // The guess made at a token predicts the next token.
        let right = |at: usize| guesses[at - 1] == self.ids[at] as i32 && known(at);
        let ranges = self.recalls.iter().map(|recall| &recall.range);
        ranges
            .map(|range| (range.start - self.skipped..range.end - self.skipped).all(right))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::WindowMemory;
    use super::super::tests::{dragon, evaluator};
    use super::*;
    use crate::tales::{NeedleConfig, TalesConfig};
    use crate::tokenizer::CharTokenizer;

    /// A tale in one window.
    const WHOLE: WindowReading = WindowReading {
        memory: WindowMemory::Reset,
        block_size: 1000,
    };

    fn probe() -> RecallProbe {
        RecallProbe::new(&TalesConfig::default(), 20).unwrap()
    }

    #[test]
    fn a_model_that_has_learnt_nothing_recalls_at_most_by_chance() {
        let score = evaluator().recall(&dragon(), &probe(), WHOLE).unwrap().unwrap();
        assert!(score.overall.accuracy < 0.1 && score.overall.count > 20);
    }

    #[test]
    fn a_needle_asked_of_a_model_that_has_learnt_nothing_is_lost() {
        let probe = NeedleProbe::new(&NeedleConfig::default(), &[100, 400], 6).unwrap();
        for memory in [
            WindowMemory::Carried,
            WindowMemory::Reset,
            WindowMemory::Sliding { window: 50 },
        ] {
            let reading = WindowReading {
                memory,
                block_size: 64,
            };
            let score = evaluator().needle(&dragon(), &probe, reading).unwrap().unwrap();
            let distances: Vec<_> = score.by_distance.iter().map(|point| point.distance).collect();
            assert_eq!(distances, [100, 400]);
            assert!(
                score
                    .by_distance
                    .iter()
                    .all(|point| point.count == 6 && point.accuracy < 0.5)
            );
        }
    }

    /// The guesses themselves, since an untrained model is seldom right.
    #[test]
    fn a_recall_is_judged_by_the_guesses_made_just_before_it() {
        let probe = probe();
        let dragon = dragon();
        let tale = &probe.tales()[0];
        let ids: Vec<u32> = tale.text.bytes().map(u32::from).collect();
        let mut whole = Vec::new();
        WHOLE
            .read(
                evaluator().reader(&dragon),
                &[&ids],
                Probes::default(),
                |window| {
                    whole = window.likeliest().remove(0);
                },
            )
            .unwrap();
        // A tale that says what the model guesses is recalled, and with another last byte it is not.
        let mut fortunate = tale.clone();
        let mut recall = tale.recalls[0].clone();
        recall.range.end = recall.range.start + 1;
        let guessed = whole[recall.range.start - 1] as u8;
        for (byte, expected) in [(guessed, true), (guessed ^ 1, false)] {
            if !byte.is_ascii() {
                continue;
            }
            fortunate
                .text
                .replace_range(recall.range.clone(), &char::from(byte).to_string());
            for (memory, block_size) in [(WindowMemory::Reset, 1000), (WindowMemory::Carried, 13)] {
                let reading = WindowReading { memory, block_size };
                let recalls = std::slice::from_ref(&recall);
                let answers = evaluator().answers(&dragon, &[(&fortunate, recalls)], reading);
                assert_eq!(answers.unwrap().unwrap(), [expected]);
            }
        }
    }

    /// Or a model that knows no letter would remember everything.
    #[test]
    fn a_word_of_unknown_symbols_is_never_right() {
        let probe = probe();
        let (tale, recalls) = (&probe.tales()[0], probe.tales()[0].recalls.as_slice());
        let letters: String = ('a'..='z').chain('A'..='Z').collect();
        for (known, expected) in [
            ("0123456789".to_string(), false),
            (format!("{letters} .,?"), true),
        ] {
            let tokenizer = CharTokenizer::train(&[known.as_bytes()], true).unwrap();
            let question = Evaluator::new(&tokenizer).question(tale, recalls, WHOLE);
            let question = question.unwrap().unwrap();
            let guesses: Vec<i32> = question.ids[1..].iter().map(|&id| id as i32).collect();
            assert_eq!(question.right(&guesses), vec![expected; recalls.len()]);
        }
    }

    /// What an untrained model guesses, since it is seldom right.
    #[test]
    fn carried_memory_guesses_as_a_whole_window_does_and_reset_memory_does_not() {
        let (probe, dragon) = (probe(), dragon());
        let mut tales: Vec<Vec<u32>> = probe
            .tales()
            .iter()
            .map(|tale| tale.text.bytes().map(u32::from).collect())
            .collect();
        tales.sort_by_key(|tale| Reverse(tale.len()));
        let documents: Vec<&[u32]> = tales.iter().map(Vec::as_slice).collect();
        let guesses = |memory, block_size| {
            let mut guesses = vec![Vec::new(); documents.len()];
            let reading = WindowReading { memory, block_size };
            let read = reading.read(
                evaluator().reader(&dragon),
                &documents,
                Probes::default(),
                |window| {
                    for (row, window) in guesses.iter_mut().zip(window.likeliest()) {
                        row.extend(window);
                    }
                },
            );
            read.unwrap();
            guesses.concat()
        };
        let whole = guesses(WindowMemory::Reset, 1000);
        let differing = |other: Vec<i32>| {
            assert_eq!(other.len(), whole.len());
            other.iter().zip(&whole).filter(|(a, b)| a != b).count() as f64 / whole.len() as f64
        };
        assert!(differing(guesses(WindowMemory::Carried, 64)) < 0.002); // two logits may be as good as equal
        assert!(differing(guesses(WindowMemory::Carried, 9)) < 0.002);
        assert!(differing(guesses(WindowMemory::Reset, 9)) > 0.1);
    }
}
