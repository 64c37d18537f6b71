//! A model's figures on a text: loss, bits per byte, density, and recall where the text has any.
//!
//! There is one way to judge a text, [`Evaluator::evaluate`], whoever asks: documents are read one by one, each from an
//! empty memory, window by window, with a [`Memory`] of one's choice of the windows before. Every token but a
//! document's first is predicted exactly once.

mod lines;
mod reading;
mod recall;
mod room;
mod spans;
mod sums;

pub use lines::{evaluation_lines, needle_lines, reading_in_words, recall_lines};
pub use reading::{WindowMemory, WindowReading};
pub use sums::PositionScore;

use crate::data::Tokens;
use crate::error::LanguageError;
use crate::tales::RecallScore;
use crate::tokenizer::Tokenizer;
#[cfg(any(test, feature = "train"))]
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::{Density, DensityProbe, Dragon};
use serde::Serialize;
use spans::{groups, sample, spans};
use sums::{Ledger, Target};

/// Figures of a model on a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageEvaluation {
    /// How its documents were read.
    #[serde(flatten)]
    pub reading: WindowReading,
    /// Documents of which something was predicted: those of two tokens or more.
    pub documents: usize,
    /// Mean cross entropy per token, nats.
    pub loss: f64,
    /// Bits per byte of text; absent where the tokens stand for no bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
    /// Tokens predicted: all but the first of each document.
    pub tokens: u64,
    /// Bytes of the text that they stand for.
    pub bytes: u64,
    /// How many of them are of symbols that the model does not know.
    pub unknown: u64,
    /// The same as a share of the symbols predicted, in `[0, 1]`.
    pub unknown_share: f64,
    /// Share of active neurons, level by level; counted where windows begin with an empty memory.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// Figures by position in the document, first positions first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_position: Vec<PositionScore>,
    /// Accuracy on the recalled words, where the text has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallScore>,
}

/// Evaluates a model on text and on tales.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    tokenizer: &'a dyn Tokenizer,
    /// Windows, or documents, that are read side by side at most.
    lanes: usize,
}

impl<'a> Evaluator<'a> {
    /// An evaluator of a model with this tokenizer.
    pub fn new(tokenizer: &'a dyn Tokenizer) -> Self {
        const LANES: usize = 16;
        Self {
            tokenizer,
            lanes: LANES,
        }
    }

    /// The figures of all documents of `tokens`, read as `reading` says; or of a sample of so many windows.
    ///
    /// Sums are taken document by document in the order of the text, so that they do not depend on what was read side by
    /// side.
    ///
    /// # Errors
    /// If no document has two tokens.
    pub fn evaluate(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        reading: WindowReading,
        windows: Option<usize>,
    ) -> Result<LanguageEvaluation, LanguageError> {
        reading.validate()?;
        let mut spans = spans(tokens, reading);
        if let Some(windows) = windows {
            spans = sample(spans, reading, windows);
        }
        if spans.is_empty() {
            return Err(LanguageError::NothingToPredict {
                text: "the text",
                documents: tokens.starts.len(),
            });
        }
        let mut ledger = Ledger::default();
        let mut probe = (reading.memory == WindowMemory::Reset).then(DensityProbe::default);
        for group in groups(&mut spans, reading.memory, self.side_by_side(dragon, reading)) {
            let ids: Vec<&[u32]> = group
                .iter()
                .map(|span| &tokens.ids[span.tokens.clone()])
                .collect();
            reading.read(dragon, &ids, probe.as_mut(), |window| {
                let positions = window.all_positions();
                for ((span, positions), losses) in group.iter().zip(positions).zip(window.losses()) {
                    for (at, nats) in positions.zip(losses) {
                        let target = self.target(tokens, span.tokens.start + at + 1);
                        ledger.add(span.document, span.skipped + at, nats, target);
                    }
                }
            })?;
        }
        let sums = ledger.by_position();
        let all = sums.whole();
        Ok(LanguageEvaluation {
            reading,
            documents: ledger.documents(),
            loss: all.loss(),
            bits_per_byte: all.bits_per_byte(),
            tokens: all.tokens,
            bytes: all.bytes,
            unknown: all.unknown,
            unknown_share: all.unknown_share(),
            density: probe.map(|probe| probe.density()),
            by_position: sums.scores(),
            recall: None,
        })
    }

    /// What token `at` of the text is when it is predicted.
    fn target(&self, tokens: &Tokens, at: usize) -> Target {
        match tokens.unknown_at(at) {
            Some(symbol) => Target {
                bytes: symbol.bytes,
                unknown: true,
            },
            None => Target {
                bytes: self.tokenizer.byte_len(tokens.ids[at]),
                unknown: false,
            },
        }
    }

    /// How much is read side by side: as much as there is room for, in memory and in what is computed with. A function
    /// of the model and the reading alone, so that whoever asks gets the same bits.
    fn side_by_side(&self, dragon: &Dragon, reading: WindowReading) -> usize {
        const ROOM: u64 = 1 << 30;
        let config = dragon.config();
        let activities = 32 * config.n_neurons + 8 * config.vocab_size; // bytes a token, roughly, and its logits
        let window = (reading.block_size as u64).saturating_mul(activities as u64);
        let remembered = config.cost().state_bytes() * reading.memory.states();
        let lanes = ROOM / window.saturating_add(remembered).max(1);
        usize::try_from(lanes).unwrap_or(usize::MAX).clamp(1, self.lanes)
    }
}

/// Windows of `T + 1` tokens as inputs and next-token targets, `[B, T]` each.
///
/// # Panics
/// If the rows differ in length.
#[cfg(any(test, feature = "train"))]
pub(crate) fn inputs_and_targets(rows: &[&[u32]], device: &Device) -> (Tensor<2, Int>, Tensor<2, Int>) {
    let length = rows[0].len() - 1;
    let matrix = |skip: usize| {
        let ids: Vec<i32> = rows
            .iter()
            .flat_map(|row| row[skip..skip + length].iter().map(|&id| id as i32))
            .collect();
        Tensor::from_data(TensorData::new(ids, [rows.len(), length]), device)
    };
    (matrix(0), matrix(1))
}

#[cfg(test)]
mod tests;
