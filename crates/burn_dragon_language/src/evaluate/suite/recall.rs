//! Recall of facts in tales.

use super::Measured;
use crate::error::LanguageError;
use crate::evaluate::{Evaluator, WindowReading};
use crate::tales::RecallProbe;
use burn_dragon_core::api::Dragon;
use serde::Serialize;

/// Accuracy on the recalled words of tales.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecallFigure {
    /// Share of right words. The units are tales.
    pub accuracy: Measured,
    /// Mean accuracy of a random guess among the candidates.
    pub chance: f64,
    /// Number of recalled words.
    pub words: usize,
}

impl Evaluator<'_> {
    /// Accuracy on the recalled words of a probe, with its standard error over the tales. `None` if tokens are not single
    /// known bytes or characters.
    ///
    /// # Errors
    /// If a tale cannot be tokenized.
    pub fn score_recall(
        &self,
        dragon: &Dragon,
        probe: &RecallProbe,
        reading: WindowReading,
    ) -> Result<Option<RecallFigure>, LanguageError> {
        if !self.spells(probe.tales().iter().map(|tale| &*tale.text)) {
            return Ok(None);
        }
        let cases: Vec<_> = probe
            .tales()
            .iter()
            .map(|tale| (tale, &tale.recalls[..]))
            .collect();
        let Some(answers) = self.answers(dragon, &cases, reading)? else {
            return Ok(None);
        };
        let mut left = answers.as_slice();
        let tales = probe.tales().iter().map(|tale| {
            let (own, others) = left.split_at(tale.recalls.len());
            left = others;
            let right = own.iter().filter(|right| **right).count();
            (right as f64, own.len() as f64)
        });
        let accuracy = Measured::ratio(tales);
        let chances = probe.recalls().map(|(_, recall)| recall.chance());
        Ok(accuracy.map(|accuracy| RecallFigure {
            accuracy,
            chance: chances.sum::<f64>() / answers.len().max(1) as f64,
            words: answers.len(),
        }))
    }
}
