//! Evaluation of a model on a text: loss, bits per byte, density, and recall where the text has recalled words.
//!
//! There is one way to evaluate a text, [`Evaluator::evaluate`], for training and for `dragon eval`. Documents are read
//! one by one, each from an empty memory, window by window. [`WindowMemory`] sets what is remembered from window to
//! window. Every token but the first of a document is predicted exactly once. `suite` has the figures of `dragon eval
//! --suite`, each with a standard error.

mod counter;
mod exit;
mod lines;
mod reading;
mod recall;
mod room;
mod spans;
mod suite;
mod sums;
mod trace;

pub use counter::EvaluationCounter;
pub use exit::ExitScore;
pub use lines::{evaluation_lines, needle_lines, reading_in_words, recall_lines};
use reading::{Probes, Reader};
pub use reading::{WindowMemory, WindowReading};
pub use suite::{
    LevelScore, Measured, PeriodScore, PhaseScore, PredictabilityScore, PredictabilityTask, RecallFigure,
    TextScore, check_known,
};
pub use sums::PositionScore;

use crate::data::Tokens;
use crate::error::LanguageError;
use crate::tales::RecallScore;
use crate::tokenizer::Tokenizer;
#[cfg(any(test, feature = "train"))]
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::api::{Density, DensityProbe, Dragon, DragonConfig, Precision};
use serde::Serialize;
use spans::{EvaluationSpan, groups, sample, spans};
use std::borrow::Cow;
use sums::{Ledger, Target};

/// Figures of a model on a text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LanguageEvaluation {
    /// Reading of the documents: windows, and the memory between them.
    #[serde(flatten)]
    pub reading: WindowReading,
    /// Number of documents with predictions: those of two tokens or more.
    pub documents: usize,
    /// Mean cross-entropy per token, in nats.
    pub loss: f64,
    /// Bits per byte of text. Absent if the tokens stand for no bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
    /// Number of predicted tokens: all with a loss but the first of each document.
    pub tokens: u64,
    /// Number of bytes of text that the predicted tokens stand for.
    pub bytes: u64,
    /// Number of predicted tokens for symbols that the model does not know.
    pub unknown: u64,
    /// Share of unknown symbols among the predicted symbols, in `[0, 1]`.
    pub unknown_share: f64,
    /// Share of active neurons, level by level. Measured only if each window begins with an empty memory.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub density: Option<Density>,
    /// Figures by position in the document, in order of position.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_position: Vec<PositionScore>,
    /// Accuracy on recalled words, if the text has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallScore>,
}

/// Evaluator of language models, on text and on tales.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    tokenizer: &'a dyn Tokenizer,
    /// Maximum number of windows, or documents, that are read side by side.
    lanes: usize,
    precision: Precision,
    counter: Option<&'a EvaluationCounter>,
}

impl<'a> Evaluator<'a> {
    /// Creates an evaluator for models with this tokenizer.
    pub fn new(tokenizer: &'a dyn Tokenizer) -> Self {
        Self {
            tokenizer,
            lanes: LANES,
            precision: Precision::F32,
            counter: None,
        }
    }

    /// The same evaluator for models whose levels' products have factors of this precision, on the processor.
    #[must_use]
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// The same evaluator, which counts the tokens that it reads.
    #[must_use]
    pub fn counted_by(self, counter: &'a EvaluationCounter) -> Self {
        let counter = Some(counter);
        Self { counter, ..self }
    }

    /// The model that reads, as this evaluator has it read.
    fn reader<'r>(self, dragon: &'r Dragon) -> Reader<'r>
    where
        'a: 'r,
    {
        Reader {
            dragon,
            precision: self.precision,
            counter: self.counter,
        }
    }

    /// Tells the counter how many tokens will be read.
    fn expect(&self, predictions: impl Iterator<Item = usize>) {
        if let Some(counter) = self.counter {
            counter.expect(predictions.map(|tokens| tokens as u64).sum());
        }
    }

    /// Figures of all documents of `tokens`, read as `reading` says. With `windows`, only that many windows are read.
    ///
    /// Sums are taken document by document in the order of the text, so they do not depend on which documents are read
    /// side by side.
    ///
    /// # Errors
    /// If no document has two tokens, a window has no tokens, or there is too little memory.
    pub fn evaluate(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        reading: WindowReading,
        windows: Option<usize>,
    ) -> Result<LanguageEvaluation, LanguageError> {
        let mut ledger = Ledger::default();
        let mut probe = (reading.memory == WindowMemory::Reset).then(DensityProbe::default);
        self.predict(
            dragon,
            tokens,
            (reading, windows),
            probe.as_mut(),
            |at, nats, target| {
                ledger.add(at.document, at.position, nats, target);
            },
        )?;
        let sums = ledger.by_position();
        let all = sums.whole();
        if all.tokens == 0 {
            return Err(LanguageError::NothingCounts {
                text: "the text, as far as it was read,",
                remedy: "read more of it (evaluation.batches)",
            });
        }
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

    /// Gives every prediction that counts to a callback: its place, its nats and its target. Those of a document come in its order.
    fn predict(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        (reading, windows): (WindowReading, Option<usize>),
        mut density: Option<&mut DensityProbe>,
        mut each: impl FnMut(Place, f32, Target),
    ) -> Result<(), LanguageError> {
        reading.validate()?;
        let mut spans = spans(tokens, reading);
        if let Some(counted) = &tokens.counted {
            // What is read for no loss is left out; a document is read whole where memory is carried.
            spans.retain(|span| counted.meets(span.tokens.start + 1..span.tokens.end));
        }
        if let Some(windows) = windows {
            spans = sample(spans, reading, windows);
        }
        if spans.is_empty() {
            return Err(LanguageError::NothingToPredict {
                text: "the text",
                documents: tokens.starts.len(),
            });
        }
        self.expect(spans.iter().map(EvaluationSpan::predictions));
        for group in groups(&mut spans, reading.memory, self.side_by_side(dragon, reading)) {
            let ids = group.iter().map(|span| tokens.ids.read(span.tokens.clone()));
            let ids: Vec<Cow<'_, [u32]>> = ids.collect();
            let ids: Vec<&[u32]> = ids.iter().map(|ids| &**ids).collect();
            let density = density.as_deref_mut();
            let probes = Probes { density, trace: None };
            reading.read(self.reader(dragon), &ids, probes, |window| {
                let positions = window.all_positions();
                for ((span, positions), losses) in group.iter().zip(positions).zip(window.losses()) {
                    for (at, nats) in positions.zip(losses) {
                        let predicted = span.tokens.start + at + 1;
                        if tokens.counts(predicted) {
                            let target = self.target(tokens, predicted);
                            each(Place::of(span.document, span.skipped + at), nats, target);
                        }
                    }
                }
            })?;
        }
        Ok(())
    }

    /// Target of the prediction of token `at`.
    fn target(&self, tokens: &Tokens, at: usize) -> Target {
        match tokens.unknown_at(at) {
            Some(symbol) => Target {
                bytes: symbol.bytes,
                unknown: true,
            },
            None => Target {
                bytes: self.tokenizer.byte_len(tokens.ids.at(at)),
                unknown: false,
            },
        }
    }

    fn side_by_side(&self, dragon: &Dragon, reading: WindowReading) -> usize {
        side_by_side(dragon.config(), reading, self.lanes)
    }
}

/// Place of a prediction.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Index of the document, counted from 0.
    document: usize,
    /// Position in the document of the token at which the prediction is made, counted from 0.
    position: usize,
}

impl Place {
    fn of(document: usize, position: usize) -> Self {
        Self { document, position }
    }
}

/// Maximum number of windows, or documents, that are read side by side.
const LANES: usize = 16;

/// Number of windows or documents that an evaluator reads side by side, as [`Evaluator::new`] creates it.
#[cfg(feature = "train")]
pub(crate) fn lanes_of(config: &DragonConfig, reading: WindowReading) -> usize {
    side_by_side(config, reading, LANES)
}

/// Number of windows or documents to read side by side, at most `most`: as many as memory and computation suit. It is a
/// function of the model and the reading alone, so every caller gets the same bits.
fn side_by_side(config: &DragonConfig, reading: WindowReading, most: usize) -> usize {
    const ROOM: u64 = 1 << 30;
    let activities = 32 * config.n_neurons + 8 * config.vocab_size; // bytes a token, roughly, and its logits
    let window = (reading.block_size as u64).saturating_mul(activities as u64);
    let remembered = config.cost().state_bytes() * reading.memory.states();
    let lanes = ROOM / window.saturating_add(remembered).max(1);
    usize::try_from(lanes).unwrap_or(usize::MAX).clamp(1, most)
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
