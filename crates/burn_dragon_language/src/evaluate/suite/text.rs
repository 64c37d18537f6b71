//! Bits per byte of a text.

use super::Measured;
use crate::data::Tokens;
use crate::error::LanguageError;
use crate::evaluate::sums::Ledger;
use crate::evaluate::{Evaluator, WindowReading};
use burn_dragon_core::api::Dragon;
use serde::Serialize;
use std::collections::BTreeMap;
use std::f64::consts::LN_2;

/// Figures of a model on a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TextScore {
    /// Bits per byte of text. The units are windows. Absent if the tokens stand for no bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<Measured>,
    /// Mean cross-entropy per token, in nats. The units are windows.
    pub loss: Measured,
    /// Number of predicted tokens: all but the first of each document.
    pub tokens: u64,
    /// Number of bytes of text that the predicted tokens stand for.
    pub bytes: u64,
    /// Number of documents with predictions.
    pub documents: usize,
}

/// Sums over the predictions of a window.
#[derive(Clone, Copy, Debug, Default)]
struct WindowSums {
    nats: f64,
    tokens: u64,
    bytes: u64,
}

impl Evaluator<'_> {
    /// Figures of all documents of `tokens`, read as `reading` says, with their standard errors over the windows. A
    /// window is a unit also where memory is carried; predictions of neighbouring windows then depend on each other, and
    /// the standard error is too small by as much.
    ///
    /// # Errors
    /// [`LanguageError::UnknownSymbols`] if the tokenizer does not know a symbol of the text; those of
    /// [`evaluate`](Self::evaluate).
    pub fn score_text(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        reading: WindowReading,
    ) -> Result<TextScore, LanguageError> {
        check_known(tokens)?;
        let mut ledger = Ledger::default();
        let mut windows: BTreeMap<(usize, usize), WindowSums> = BTreeMap::new();
        self.predict(dragon, tokens, (reading, None), None, |at, nats, target| {
            let window = windows
                .entry((at.document, at.position / reading.block_size))
                .or_default();
            ledger.add(at.document, at.position, nats, target);
            window.nats += f64::from(nats);
            window.tokens += 1;
            window.bytes += target.bytes as u64;
        })?;
        let (units, sums) = (|| windows.values(), ledger.by_position().whole());
        // The values are those of the plain evaluation, in its order of summation.
        let ratio = |value: f64, of: fn(&WindowSums) -> (f64, f64)| {
            Measured::ratio(units().map(of)).map(|measured| Measured { value, ..measured })
        };
        let Some(loss) = ratio(sums.loss(), |sums| (sums.nats, sums.tokens as f64)) else {
            unreachable!("a text without predictions is refused");
        };
        let bits = |value| ratio(value, |sums| (sums.nats / LN_2, sums.bytes as f64));
        Ok(TextScore {
            bits_per_byte: sums.bits_per_byte().and_then(bits),
            loss,
            tokens: sums.tokens,
            bytes: sums.bytes,
            documents: ledger.documents(),
        })
    }
}

/// Refuses a text with symbols that its tokenizer does not know: their bits cannot be told.
///
/// # Errors
/// [`LanguageError::UnknownSymbols`].
pub fn check_known(tokens: &Tokens) -> Result<(), LanguageError> {
    match tokens.unknown.first() {
        Some(first) => Err(LanguageError::UnknownSymbols {
            unknown: tokens.unknown.len(),
            first: first.at,
        }),
        None => Ok(()),
    }
}
