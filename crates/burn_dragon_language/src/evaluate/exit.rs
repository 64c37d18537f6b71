//! Loss, and levels of a token, where passes may end before the last level.

use super::spans::{sample, spans};
use super::sums::Ledger;
use super::{Evaluator, WindowReading};
use crate::data::Tokens;
use crate::error::LanguageError;
use burn_dragon_core::api::{Decoder, Dragon, Exit};
use serde::Serialize;

/// Figures at one confidence.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ExitScore {
    /// Least probability of the likeliest next token at which a pass ends.
    pub confidence: f64,
    /// Mean number of levels of a token.
    pub levels: f64,
    /// Mean cross-entropy per token, in nats.
    pub loss: f64,
    /// Bits per byte of text. Absent if the tokens stand for no bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
    /// Number of predicted tokens.
    pub tokens: u64,
}

impl Evaluator<'_> {
    /// Figures of a model that reads token by token, each span of the text from an empty memory, and leaves out levels where it
    /// is confident. `windows` windows are read, as in [`evaluate`](Self::evaluate).
    ///
    /// # Errors
    /// If nothing can be predicted.
    pub fn with_exit(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        (reading, windows): (WindowReading, usize),
        exit: Exit,
    ) -> Result<ExitScore, LanguageError> {
        reading.validate()?;
        let mut ledger = Ledger::default();
        let mut levels = 0.0;
        for span in sample(spans(tokens, reading), reading, windows) {
            let mut decoder = Decoder::with_exit(dragon, 1, exit);
            for (index, at) in (span.tokens.start..span.tokens.end - 1).enumerate() {
                let next = tokens.ids.at(at + 1) as usize;
                let nats = surprise(decoder.step(&[tokens.ids.at(at)])?, next);
                let position = span.skipped + index;
                ledger.add(span.document, position, nats as f32, self.target(tokens, at + 1));
            }
            levels += decoder.mean_levels().unwrap_or(0.0) * span.predictions() as f64;
        }
        let all = ledger.by_position().whole();
        if all.tokens == 0 {
            return Err(LanguageError::NothingToPredict {
                text: "the text",
                documents: tokens.starts.len(),
            });
        }
        Ok(ExitScore {
            confidence: exit.confidence,
            levels: levels / all.tokens as f64,
            loss: all.loss(),
            bits_per_byte: all.bits_per_byte(),
            tokens: all.tokens,
        })
    }
}

/// Nats of a token by its logits.
fn surprise(logits: &[f32], token: usize) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let sum: f64 = logits.iter().map(|&logit| f64::from(logit - largest).exp()).sum();
    sum.ln() - f64::from(logits[token] - largest)
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;
