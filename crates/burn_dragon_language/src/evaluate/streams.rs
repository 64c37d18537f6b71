//! Bits per byte by position in the document, with memory carried from window to window or not.

use super::{Evaluator, WindowReading};
use crate::data::Tokens;
use crate::error::LanguageError;
use crate::tales::RecallScore;
use burn_dragon_core::Dragon;
use burn_dragon_stream::StreamError;
use serde::Serialize;
use std::cmp::Reverse;
use std::f64::consts::LN_2;

/// Positions in the first bucket; each further one ends at twice the position of the one before.
const FIRST_BUCKET: usize = 256;

/// Figures of documents that were read window by window, each document from an empty memory.
#[derive(Clone, Debug, Serialize)]
pub struct StreamEvaluation {
    /// How they were read.
    #[serde(flatten)]
    pub reading: WindowReading,
    /// Documents of two tokens or more.
    pub documents: usize,
    /// Mean cross entropy per token, nats.
    pub loss: f64,
    /// Bits per byte of text.
    pub bits_per_byte: f64,
    /// Tokens predicted: all but the first of each document.
    pub tokens: u64,
    /// The same by position in the document, first positions first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub by_position: Vec<PositionScore>,
    /// Accuracy on the recalled words, where the text has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallScore>,
}

/// Figures of the predictions made between two positions of a document. A prediction's position is that of the token
/// it is made at, counted from 0: so many tokens of the document come before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionScore {
    /// First position.
    pub from: usize,
    /// Last position.
    pub to: usize,
    /// Tokens predicted.
    pub tokens: u64,
    /// Bits per byte of text.
    pub bits_per_byte: f64,
}

impl Evaluator<'_> {
    /// Loss and bits per byte of every document of `tokens`, in all and by position, read as `reading` says.
    ///
    /// # Errors
    /// If no document has two tokens.
    pub fn streams(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        reading: WindowReading,
    ) -> Result<StreamEvaluation, LanguageError> {
        let mut documents: Vec<&[u32]> = documents(tokens).filter(|ids| ids.len() > 1).collect();
        if documents.is_empty() {
            let documents = tokens.starts.len();
            return Err(StreamError::NoDocument { documents }.into());
        }
        documents.sort_by_key(|ids| Reverse(ids.len())); // documents of like length end together
        let mut sums = Vec::new();
        for documents in documents.chunks(self.side_by_side(dragon)) {
            reading.read(dragon, documents, |window| {
                let ranges: Vec<_> = (0..window.documents.len())
                    .map(|lane| window.positions(lane))
                    .collect();
                for ((losses, range), ids) in window.losses().iter().zip(ranges).zip(documents) {
                    for (at, &nats) in range.zip(losses) {
                        let bucket = bucket(at);
                        if bucket >= sums.len() {
                            sums.resize(bucket + 1, Sum::default());
                        }
                        sums[bucket].add(nats, self.tokenizer.byte_len(ids[at + 1]));
                    }
                }
            })?;
        }
        let all = sums.iter().fold(Sum::default(), Sum::and);
        let by_position = sums.iter().enumerate().map(|(bucket, sum)| PositionScore {
            from: start(bucket),
            to: start(bucket + 1) - 1,
            tokens: sum.tokens,
            bits_per_byte: sum.bits_per_byte(),
        });
        Ok(StreamEvaluation {
            reading,
            documents: documents.len(),
            loss: all.nats / all.tokens.max(1) as f64,
            bits_per_byte: all.bits_per_byte(),
            tokens: all.tokens,
            by_position: by_position.collect(),
            recall: None,
        })
    }
}

/// The ids of each document.
fn documents(tokens: &Tokens) -> impl Iterator<Item = &[u32]> {
    let ends = tokens.starts.iter().skip(1).copied().chain([tokens.len()]);
    tokens
        .starts
        .iter()
        .zip(ends)
        .map(|(&start, end)| &tokens.ids[start..end])
}

/// 0 to 255, 256 to 511, 512 to 1023, 1024 to 2047, ...
fn bucket(position: usize) -> usize {
    (position / FIRST_BUCKET)
        .checked_ilog2()
        .map_or(0, |log| log as usize + 1)
}

/// The first position of a bucket.
fn start(bucket: usize) -> usize {
    bucket
        .checked_sub(1)
        .map_or(0, |doublings| FIRST_BUCKET << doublings)
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    nats: f64,
    tokens: u64,
    bytes: u64,
}

impl Sum {
    fn add(&mut self, nats: f32, bytes: usize) {
        self.nats += f64::from(nats);
        self.tokens += 1;
        self.bytes += bytes as u64;
    }

    fn and(self, other: &Self) -> Self {
        Self {
            nats: self.nats + other.nats,
            tokens: self.tokens + other.tokens,
            bytes: self.bytes + other.bytes,
        }
    }

    fn bits_per_byte(&self) -> f64 {
        self.nats / LN_2 / self.bytes.max(1) as f64
    }
}

/// The figures for a person.
pub fn stream_lines(evaluation: &StreamEvaluation) -> Vec<String> {
    let mut lines = vec![
        format!(
            "loss           {:.4} nats a token, over {} tokens of {} documents",
            evaluation.loss, evaluation.tokens, evaluation.documents
        ),
        format!("bits per byte  {:.4}", evaluation.bits_per_byte),
    ];
    lines.extend(evaluation.by_position.iter().map(|bucket| {
        let range = format!("{}-{}", bucket.from, bucket.to);
        format!(
            "  {range:<14} {:.4}  ({} tokens)",
            bucket.bits_per_byte, bucket.tokens
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dragon, evaluator};
    use super::*;
    use crate::data::{WindowPlan, WindowStart};
    use crate::evaluate::Memory;

    fn tokens(lengths: &[usize]) -> Tokens {
        let mut tokens = Tokens::default();
        for (salt, &length) in lengths.iter().enumerate() {
            tokens.starts.push(tokens.len());
            tokens
                .ids
                .extend((0..length).map(|i| ((i * i + salt) % 251) as u32));
        }
        tokens.bytes = tokens.len();
        tokens
    }

    fn of(tokens: &Tokens, memory: Memory, block_size: usize) -> StreamEvaluation {
        let reading = WindowReading { memory, block_size };
        evaluator().streams(&dragon(), tokens, reading).unwrap()
    }

    #[test]
    fn buckets_double_and_leave_no_gap() {
        let edges: Vec<_> = (0..5).map(start).collect();
        assert_eq!(edges, [0, 256, 512, 1024, 2048]);
        for position in 0..5000 {
            let bucket = bucket(position);
            assert!(
                (start(bucket)..start(bucket + 1)).contains(&position),
                "{position}"
            );
        }
    }

    #[test]
    fn with_an_empty_memory_it_is_the_plain_evaluation() {
        let tokens = tokens(&[700]);
        let plan = WindowPlan::new(&tokens, 48, WindowStart::Anywhere).unwrap();
        let plain = evaluator().text(&dragon(), &tokens, &plan, None).unwrap();
        let reset = of(&tokens, Memory::Reset, 48);
        assert_eq!(reset.tokens, plain.tokens);
        assert!(
            (reset.loss - plain.loss).abs() < 1e-5,
            "{} {}",
            reset.loss,
            plain.loss
        );
        assert!((reset.bits_per_byte - plain.bits_per_byte).abs() < 1e-5);
    }

    #[test]
    fn the_buckets_sum_to_the_whole() {
        let tokens = tokens(&[30, 600, 1, 1100, 257]);
        let whole = of(&tokens, Memory::Carried, 64);
        assert_eq!((whole.documents, whole.tokens), (4, 29 + 599 + 1099 + 256));
        let counts: Vec<_> = whole.by_position.iter().map(|bucket| bucket.tokens).collect();
        assert_eq!(counts, [29 + 3 * 256, 2 * 256, 599 - 512 + 512, 1099 - 1024]);
        let bits = |bucket: &PositionScore| bucket.bits_per_byte * bucket.tokens as f64;
        let sum: f64 = whole.by_position.iter().map(bits).sum();
        assert!((sum / whole.tokens as f64 - whole.bits_per_byte).abs() < 1e-9);
    }

    #[test]
    fn a_text_of_single_tokens_is_refused() {
        let reading = WindowReading {
            memory: Memory::Carried,
            block_size: 8,
        };
        let error = evaluator()
            .streams(&dragon(), &tokens(&[1, 1]), reading)
            .unwrap_err();
        assert!(error.to_string().contains("none of the 2 documents"), "{error}");
    }
}
