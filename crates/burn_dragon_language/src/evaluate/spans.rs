//! Spans of a text that are read at once: windows if each begins with an empty memory, else whole documents.

use super::{WindowMemory, WindowReading};
use crate::data::Tokens;
use std::cmp::Reverse;
use std::ops::Range;

/// A part of a document that is read from an empty memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EvaluationSpan {
    /// Index of the document, counted from 0.
    pub(super) document: usize,
    /// Tokens of the document before it.
    pub(super) skipped: usize,
    /// Its tokens in the text; the last is only predicted.
    pub(super) tokens: Range<usize>,
}

impl EvaluationSpan {
    pub(super) fn predictions(&self) -> usize {
        self.tokens.len() - 1
    }
}

/// The spans of a text in its order; together they predict every token but the first of each document, once.
pub(super) fn spans(tokens: &Tokens, reading: WindowReading) -> Vec<EvaluationSpan> {
    let longest = match reading.memory {
        WindowMemory::Reset => reading.block_size,
        WindowMemory::Carried | WindowMemory::Sliding { .. } => usize::MAX,
    };
    let mut spans = Vec::new();
    for (document, range) in tokens.documents().enumerate() {
        let predictions = range.len().saturating_sub(1);
        spans.extend((0..predictions).step_by(longest).map(|skipped| {
            let end = predictions.min(skipped.saturating_add(longest));
            EvaluationSpan {
                document,
                skipped,
                tokens: range.start + skipped..range.start + end + 1,
            }
        }));
    }
    spans
}

/// Sample of `windows` windows of the spans. If each window begins with an empty memory, they are spread evenly; else
/// they are the first ones of the text, because memory needs the windows before.
pub(super) fn sample(
    spans: Vec<EvaluationSpan>,
    reading: WindowReading,
    windows: usize,
) -> Vec<EvaluationSpan> {
    if reading.memory == WindowMemory::Reset {
        let (all, chosen) = (spans.len(), windows.min(spans.len()));
        return (0..chosen).map(|i| spans[i * all / chosen].clone()).collect();
    }
    let mut left = windows.saturating_mul(reading.block_size);
    let mut chosen = Vec::new();
    for mut span in spans {
        span.tokens.end -= span.predictions().saturating_sub(left);
        left -= span.predictions();
        if span.predictions() == 0 {
            break;
        }
        chosen.push(span);
    }
    chosen
}

/// The spans in groups of at most `size`, longest first; spans of one length keep the order of the text, so those of a
/// document are in order. If memory is emptied before each span, a group has spans of one length only, so no padding is
/// needed.
pub(super) fn groups(
    spans: &mut [EvaluationSpan],
    memory: WindowMemory,
    size: usize,
) -> impl Iterator<Item = &[EvaluationSpan]> {
    spans.sort_by_key(|span| Reverse(span.tokens.len()));
    let together = move |a: &EvaluationSpan, b: &EvaluationSpan| {
        memory != WindowMemory::Reset || a.tokens.len() == b.tokens.len()
    };
    spans.chunk_by(together).flat_map(move |group| group.chunks(size))
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_dragon_core::api::expert::Rng;

    fn text(lengths: &[usize]) -> Tokens {
        let mut tokens = Tokens::default();
        for &length in lengths {
            tokens.starts.push(tokens.len());
            tokens.ids = vec![0; tokens.len() + length].into();
        }
        tokens
    }

    fn reading(memory: WindowMemory, block_size: usize) -> WindowReading {
        WindowReading { memory, block_size }
    }

    #[test]
    fn every_token_but_a_documents_first_is_predicted_once() {
        let mut rng = Rng::new(3);
        for _ in 0..200 {
            let lengths: Vec<usize> = (0..1 + rng.below(6)).map(|_| 1 + rng.below(40)).collect();
            let tokens = text(&lengths);
            let expected: Vec<usize> = (0..tokens.len())
                .filter(|at| !tokens.starts.contains(at))
                .collect();
            for memory in [
                WindowMemory::Reset,
                WindowMemory::Carried,
                WindowMemory::Sliding { window: 3 },
            ] {
                let spans = spans(&tokens, reading(memory, 1 + rng.below(15)));
                let predicted = spans.iter().flat_map(|span| span.tokens.clone().skip(1));
                assert_eq!(predicted.collect::<Vec<_>>(), expected, "{lengths:?} {memory:?}");
            }
        }
    }

    #[test]
    fn windows_begin_where_documents_do_and_a_window_later() {
        let spans = spans(&text(&[7, 1, 4, 13]), reading(WindowMemory::Reset, 6));
        let seen: Vec<_> = spans
            .iter()
            .map(|span| (span.document, span.skipped, span.tokens.clone()))
            .collect();
        assert_eq!(
            seen,
            [(0, 0, 0..7), (2, 0, 8..12), (3, 0, 12..19), (3, 6, 18..25)]
        );
    }

    #[test]
    fn a_sample_is_spread_over_the_text_where_windows_stand_alone() {
        let reading = reading(WindowMemory::Reset, 10);
        let all = spans(&text(&[105]), reading); // 11 windows, the last of 4 predictions
        let starts = |windows| {
            let chosen = sample(all.clone(), reading, windows);
            chosen.iter().map(|span| span.skipped).collect::<Vec<_>>()
        };
        assert_eq!(starts(4), [0, 20, 50, 80]);
        assert_eq!(starts(11), (0..11).map(|window| 10 * window).collect::<Vec<_>>());
        assert_eq!(starts(100), starts(11));
    }

    #[test]
    fn a_sample_is_the_start_of_the_text_where_memory_is_carried() {
        let reading = reading(WindowMemory::Carried, 10);
        let all = spans(&text(&[16, 1, 9, 30]), reading);
        let lengths = |windows| {
            let chosen = sample(all.clone(), reading, windows);
            chosen.iter().map(EvaluationSpan::predictions).collect::<Vec<_>>()
        };
        assert_eq!(lengths(1), [10]);
        assert_eq!(lengths(3), [15, 8, 7]);
        assert_eq!(lengths(100), [15, 8, 29]);
    }

    #[test]
    fn windows_of_one_length_are_read_together_and_those_of_a_document_in_its_order() {
        let mut all = spans(&text(&[9, 5, 21, 5, 9]), reading(WindowMemory::Reset, 8));
        let groups: Vec<Vec<_>> = groups(&mut all, WindowMemory::Reset, 3)
            .map(|group| {
                let lengths: Vec<_> = group.iter().map(EvaluationSpan::predictions).collect();
                assert!(lengths.windows(2).all(|pair| pair[0] == pair[1]), "{lengths:?}");
                group.iter().map(|span| (span.document, span.skipped)).collect()
            })
            .collect();
        assert_eq!(
            groups,
            [
                vec![(0, 0), (2, 0), (2, 8)],
                vec![(4, 0)],
                vec![(1, 0), (2, 16), (3, 0)]
            ]
        );
    }
}
