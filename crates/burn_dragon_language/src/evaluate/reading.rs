//! Reading of documents a window at a time, with the memory of earlier windows or without.

use super::EvaluationCounter;
use super::room;
use super::trace::ActivityTrace;
use crate::error::LanguageError;
use crate::learnt::{LearntMemory, LearntReading};
use burn::tensor::{Int, Tensor, TensorData};
use burn_dragon_core::api::expert::Watch;
use burn_dragon_core::api::{DecoderError, DensityProbe, Dragon, DragonState, Pass, Precision, token_losses};
use serde::Serialize;
use std::ops::Range;

/// Memory of the earlier windows of a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "memory", rename_all = "snake_case")]
pub enum WindowMemory {
    /// All of it: the state is carried from window to window.
    Carried,
    /// None: each window starts from an empty memory.
    Reset,
    /// At most two memory windows: two states start a window apart and are cleared every two windows. The older state
    /// gives the logits.
    Sliding {
        /// Number of tokens in a window of the memory, independent of the length of the windows that are read.
        #[serde(rename = "context_window")]
        window: usize,
    },
}

impl WindowMemory {
    /// Index of the first token that can affect a prediction made at token `at`, for windows of `block_size` tokens.
    pub(super) fn earliest(self, at: usize, block_size: usize) -> usize {
        match self {
            Self::Carried => 0,
            Self::Reset => at / block_size * block_size,
            Self::Sliding { window } => (at / window).saturating_sub(1) * window,
        }
    }

    /// Number of memories that are held per document while it is read.
    pub(crate) fn states(self) -> u64 {
        match self {
            Self::Reset => 0,
            Self::Carried => 1,
            Self::Sliding { .. } => 2,
        }
    }
}

/// Model that reads, the precision of the factors in its levels' products, and a count of what it reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    pub(super) dragon: &'a Dragon,
    pub(super) precision: Precision,
    pub(super) counter: Option<&'a EvaluationCounter>,
}

/// Probes of the activities of a reading.
#[derive(Debug, Default)]
pub(super) struct Probes<'a> {
    /// Counts active neurons where memory is emptied before each window; padding is counted too.
    pub(super) density: Option<&'a mut DensityProbe>,
    /// Traces active neurons token by token.
    pub(super) trace: Option<&'a mut ActivityTrace>,
}

impl Reader<'_> {
    /// Options of a pass.
    fn pass<'p>(self) -> Pass<'p> {
        Pass {
            precision: self.precision,
            ..Pass::default()
        }
    }
}

/// Reading of documents: windows, and the memory between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct WindowReading {
    /// Memory from window to window.
    #[serde(flatten)]
    pub memory: WindowMemory,
    /// Number of tokens in a window.
    pub block_size: usize,
}

/// The reading that the model was trained with.
impl From<&LearntReading> for WindowReading {
    fn from(learnt: &LearntReading) -> Self {
        Self {
            memory: match learnt.memory {
                LearntMemory::Reset => WindowMemory::Reset,
                LearntMemory::Carried => WindowMemory::Carried,
            },
            block_size: learnt.block_size.get(),
        }
    }
}

impl WindowReading {
    /// Checks that windows have tokens.
    ///
    /// # Errors
    /// [`LanguageError::Config`] if a length is 0.
    pub fn validate(self) -> Result<(), LanguageError> {
        let refuse = |key| {
            let reason = "is 0, but a window needs at least one token".into();
            Err(LanguageError::Config { key, reason })
        };
        match (self.block_size, self.memory) {
            (0, _) => refuse("window length"),
            (_, WindowMemory::Sliding { window: 0 }) => refuse("context window"),
            _ => Ok(()),
        }
    }

    /// Reads documents side by side, each from an empty memory, and gives every window to a callback. The last token of
    /// a document is only predicted, so a document of fewer than two tokens gives nothing. Documents that have ended
    /// leave the batch.
    ///
    /// # Panics
    /// If the documents are not ordered by length, longest first.
    pub(super) fn read(
        self,
        reader: Reader<'_>,
        documents: &[&[u32]],
        mut probes: Probes<'_>,
        mut visit: impl FnMut(Window<'_>),
    ) -> Result<(), LanguageError> {
        self.validate()?;
        assert!(
            documents.is_sorted_by_key(|document| std::cmp::Reverse(document.len())),
            "WindowReading::read: documents must be ordered by length, longest first"
        );
        let predictions = documents
            .first()
            .map_or(0, |longest| longest.len().saturating_sub(1));
        room::check(reader.dragon, self, documents.len(), predictions)?;
        let mut lanes = None;
        for start in (0..predictions).step_by(self.block_size) {
            let going = documents.partition_point(|document| document.len() > start + 1);
            let documents = &documents[..going];
            let window = start..predictions.min(start + self.block_size);
            let lanes = lanes.get_or_insert_with(|| Lanes::new(reader, self.memory, going));
            lanes.keep(going)?;
            let tokens = Tensor::from_data(matrix(documents, window), &reader.dragon.device());
            let window = Window {
                documents,
                start,
                logits: lanes.read(tokens, &mut probes)?,
            };
            if let Some(counter) = reader.counter {
                counter.add(
                    window
                        .all_positions()
                        .iter()
                        .map(|range| range.len() as u64)
                        .sum(),
                );
            }
            visit(window);
        }
        Ok(())
    }
}

/// One window of the documents that reach so far.
#[derive(Clone)]
pub(super) struct Window<'a> {
    /// The whole documents.
    pub(super) documents: &'a [&'a [u32]],
    /// Position of the window's first token.
    pub(super) start: usize,
    logits: Tensor<3>, // [B, T, V]
}

impl Window<'_> {
    /// Positions of the window's tokens at which a document predicts another.
    pub(super) fn positions(&self, document: usize) -> Range<usize> {
        let [_, length, _] = self.logits.dims();
        self.start..(self.start + length).min(self.documents[document].len() - 1)
    }

    /// Nats that each document's next token costs, for all its [`positions`](Self::positions).
    pub(super) fn losses(self) -> Vec<Vec<f32>> {
        let [_, length, _] = self.logits.dims();
        let ranges = self.all_positions();
        let after = self.start + 1..self.start + 1 + length;
        let targets = matrix(self.documents, after);
        let targets = Tensor::from_data(targets, &self.logits.device());
        let losses = token_losses(self.logits, targets).into_data().convert::<f32>();
        rows(&losses.try_into_vec().unwrap_or_default(), length, &ranges)
    }

    /// The likeliest next token of each document, for all its [`positions`](Self::positions).
    pub(super) fn likeliest(self) -> Vec<Vec<i32>> {
        let [_, length, _] = self.logits.dims();
        let ranges = self.all_positions();
        let guesses = self.logits.argmax(2).into_data().convert::<i32>();
        rows(&guesses.try_into_vec().unwrap_or_default(), length, &ranges)
    }

    /// The [`positions`](Self::positions) of each document.
    pub(super) fn all_positions(&self) -> Vec<Range<usize>> {
        (0..self.documents.len())
            .map(|document| self.positions(document))
            .collect()
    }
}

/// Rows of a matrix without their padding.
fn rows<T: Copy>(values: &[T], length: usize, ranges: &[Range<usize>]) -> Vec<Vec<T>> {
    let rows = values.chunks(length).zip(ranges);
    rows.map(|(row, range)| row[..range.len()].to_vec()).collect()
}

/// A window of tokens `[B, T]`; where a document has ended, token 0, which no earlier position can see.
fn matrix(documents: &[&[u32]], window: Range<usize>) -> TensorData {
    let token = |document: &[u32], at| document.get(at).map_or(0, |&id| id as i32);
    let ids: Vec<i32> = documents
        .iter()
        .flat_map(|document| window.clone().map(move |at| token(document, at)))
        .collect();
    TensorData::new(ids, [documents.len(), window.len()])
}

/// Documents that are read side by side, all at the same position.
struct Lanes<'a> {
    reader: Reader<'a>,
    memory: WindowMemory,
    /// Memories: none, one carried state, or two states of which the older gives the logits.
    states: Vec<DragonState>,
    read: usize,
}

impl<'a> Lanes<'a> {
    fn new(reader: Reader<'a>, memory: WindowMemory, lanes: usize) -> Self {
        let remembers = memory != WindowMemory::Reset;
        Self {
            reader,
            memory,
            states: remembers
                .then(|| reader.dragon.empty_state(lanes))
                .into_iter()
                .collect(),
            read: 0,
        }
    }

    /// Keeps only the first `lanes` lanes.
    fn keep(&mut self, lanes: usize) -> Result<(), LanguageError> {
        let first: Vec<usize> = (0..lanes).collect();
        for state in self.states.iter_mut().filter(|state| lanes < state.lanes()) {
            *state = state.select_lanes(&first).map_err(DecoderError::from)?;
        }
        Ok(())
    }

    /// Logits `[B, T, V]` of the next tokens `[B, T]`.
    fn read(&mut self, tokens: Tensor<2, Int>, probes: &mut Probes<'_>) -> Result<Tensor<3>, LanguageError> {
        let trace = probes.trace.as_deref_mut();
        match self.memory {
            WindowMemory::Reset => {
                let density = probes.density.as_deref_mut();
                let pass = Pass {
                    density,
                    watch: trace.map(|trace| trace as &mut dyn Watch),
                    ..self.reader.pass()
                };
                Ok(self.reader.dragon.forward_pass(tokens, pass))
            }
            WindowMemory::Carried => advance(self.reader, &mut self.states[0], tokens, trace),
            WindowMemory::Sliding { window } => self.slide(&tokens, window, trace),
        }
    }

    /// Both states read on; no span goes over an edge between two windows. The older state, which gives the logits, is
    /// traced.
    fn slide(
        &mut self,
        tokens: &Tensor<2, Int>,
        window: usize,
        mut trace: Option<&mut ActivityTrace>,
    ) -> Result<Tensor<3>, LanguageError> {
        let [lanes, length] = tokens.dims();
        let (mut logits, mut from) = (Vec::new(), 0);
        while from < length {
            // At every edge the older state is dropped, and the younger, now a window old, replaces it.
            if self.read > 0 && self.read.is_multiple_of(window) {
                if self.states.len() > 1 {
                    self.states.remove(0);
                }
                self.states.push(self.reader.dragon.empty_state(lanes));
            }
            let size = (length - from).min(window - self.read % window);
            let span = tokens.clone().narrow(1, from, size);
            for younger in &mut self.states[1..] {
                advance(self.reader, younger, span.clone(), None)?;
            }
            let trace = trace.as_deref_mut();
            logits.push(advance(self.reader, &mut self.states[0], span, trace)?);
            self.read += size;
            from += size;
        }
        Ok(Tensor::cat(logits, 1))
    }
}

fn advance(
    reader: Reader<'_>,
    state: &mut DragonState,
    tokens: Tensor<2, Int>,
    trace: Option<&mut ActivityTrace>,
) -> Result<Tensor<3>, LanguageError> {
    let pass = Pass {
        watch: trace.map(|trace| trace as &mut dyn Watch),
        ..reader.pass()
    };
    let (logits, next) = reader
        .dragon
        .forward_pass_with_state(tokens, state.take(), pass)
        .map_err(DecoderError::from)?;
    *state = next;
    Ok(logits)
}

#[cfg(test)]
mod tests {
    use super::super::tests::dragon;
    use super::*;

    fn text(length: usize, salt: u32) -> Vec<u32> {
        (0..length as u32)
            .map(|i| (i * i + salt * i + salt) % 251)
            .collect()
    }

    /// Losses of one document, position by position.
    fn losses(documents: &[&[u32]], memory: WindowMemory, block_size: usize) -> Vec<Vec<f32>> {
        let mut all = vec![Vec::new(); documents.len()];
        let reading = WindowReading { memory, block_size };
        let dragon = dragon();
        let reader = Reader {
            dragon: &dragon,
            precision: Precision::F32,
            counter: None,
        };
        let read = reading.read(reader, documents, Probes::default(), |window| {
            for (losses, lane) in window.losses().into_iter().zip(&mut all) {
                lane.extend(losses);
            }
        });
        read.unwrap();
        all
    }

    fn distance(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }

    #[test]
    fn carried_memory_reads_as_one_long_window_however_it_is_cut() {
        let text = text(150, 3);
        let whole = losses(&[&text], WindowMemory::Reset, 1000);
        assert_eq!(whole[0].len(), 149);
        for block_size in [1, 7, 32, 149, 150] {
            let carried = losses(&[&text], WindowMemory::Carried, block_size);
            assert!(distance(&carried[0], &whole[0]) < 1e-4, "{block_size}");
        }
    }

    #[test]
    fn documents_side_by_side_read_as_they_do_alone() {
        let texts = [text(90, 1), text(61, 2), text(33, 5), text(2, 7), text(1, 8)];
        let documents: Vec<&[u32]> = texts.iter().map(Vec::as_slice).collect();
        for memory in [
            WindowMemory::Carried,
            WindowMemory::Reset,
            WindowMemory::Sliding { window: 12 },
        ] {
            let together = losses(&documents, memory, 16);
            for (document, together) in documents.iter().zip(&together) {
                let alone = losses(&[document], memory, 16);
                assert!(distance(&alone[0], together) < 1e-4, "{memory:?}");
                assert_eq!(together.len(), document.len() - 1);
            }
        }
    }

    /// What a prediction rests on, by changing one token at a time.
    #[test]
    fn a_memory_sees_as_far_as_it_says_and_no_further() {
        let (text, at) = (text(64, 3), 62);
        for memory in [
            WindowMemory::Carried,
            WindowMemory::Reset,
            WindowMemory::Sliding { window: 12 },
        ] {
            let of = |text: &[u32]| losses(&[text], memory, 8)[0][at];
            let seen = of(&text);
            let matters = |place: usize| {
                let mut changed = text.clone();
                changed[place] = 255;
                of(&changed) != seen
            };
            let earliest = memory.earliest(at, 8);
            assert!((0..earliest).all(|place| !matters(place)), "{memory:?}");
            assert!(matters(earliest) && matters(at), "{memory:?}");
            // Starting there gives the same.
            let trimmed = losses(&[&text[earliest..]], memory, 8)[0][at - earliest];
            assert!((trimmed - seen).abs() < 1e-4, "{memory:?}");
        }
        let sliding = WindowMemory::Sliding { window: 12 };
        assert!((0..1000).all(|at| at - sliding.earliest(at, 8) < 24));
    }

    #[test]
    fn windows_without_tokens_are_refused() {
        let dragon = dragon();
        let reader = Reader {
            dragon: &dragon,
            precision: Precision::F32,
            counter: None,
        };
        for (memory, block_size) in [
            (WindowMemory::Carried, 0),
            (WindowMemory::Sliding { window: 0 }, 8),
        ] {
            let error = WindowReading { memory, block_size }
                .read(reader, &[], Probes::default(), |_| ())
                .unwrap_err();
            assert!(matches!(error, LanguageError::Config { .. }), "{error}");
        }
    }
}
