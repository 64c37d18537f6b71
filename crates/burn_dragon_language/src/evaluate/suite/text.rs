//! Bits per byte of a text.

use super::Measured;
use crate::data::Tokens;
use crate::error::LanguageError;
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
        if let Some(first) = tokens.unknown.first() {
            return Err(LanguageError::UnknownSymbols {
                unknown: tokens.unknown.len(),
                first: first.at,
            });
        }
        let mut windows: BTreeMap<(usize, usize), WindowSums> = BTreeMap::new();
        self.predict(dragon, tokens, (reading, None), None, |at, nats, target| {
            let window = windows
                .entry((at.document, at.position / reading.block_size))
                .or_default();
            window.nats += f64::from(nats);
            window.tokens += 1;
            window.bytes += target.bytes as u64;
        })?;
        let sums = || windows.values();
        let (tokens, bytes) = (
            sums().map(|sums| sums.tokens).sum(),
            sums().map(|sums| sums.bytes).sum(),
        );
        let mut documents: Vec<usize> = windows.keys().map(|(document, _)| *document).collect();
        documents.dedup();
        let loss = Measured::ratio(sums().map(|sums| (sums.nats, sums.tokens as f64)));
        let Some(loss) = loss else {
            unreachable!("a text without predictions is refused");
        };
        Ok(TextScore {
            bits_per_byte: Measured::ratio(sums().map(|sums| (sums.nats / LN_2, sums.bytes as f64))),
            loss,
            tokens,
            bytes,
            documents: documents.len(),
        })
    }
}
