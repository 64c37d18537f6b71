//! Sums over predictions, by document and by position in the document.

use serde::Serialize;
use std::f64::consts::LN_2;

/// Positions in the first bucket; each further one ends at twice the position of the one before.
const FIRST_BUCKET: usize = 256;

/// Figures of the predictions between two positions of a document. The position of a prediction is that of the token at
/// which it is made, counted from 0: the number of tokens of the document before that token.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PositionScore {
    /// First position.
    pub from: usize,
    /// Last position.
    pub to: usize,
    /// Number of predicted tokens.
    pub tokens: u64,
    /// Mean cross-entropy per token, in nats.
    pub loss: f64,
    /// Bits per byte of text. Absent if the tokens stand for no bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bits_per_byte: Option<f64>,
}

/// Target of a prediction.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Number of bytes of text that it stands for.
    pub(super) bytes: usize,
    /// Whether the model does not know the symbol.
    pub(super) unknown: bool,
}

/// Losses of the predictions, document by document.
#[derive(Debug, Default)]
pub(super) struct Ledger(Vec<Vec<Sum>>);

impl Ledger {
    /// Adds a prediction. Those of one document are to come in its order, of several documents in any.
    pub(super) fn add(&mut self, document: usize, position: usize, nats: f32, target: Target) {
        let bucket = bucket(position);
        if document >= self.0.len() {
            self.0.resize(document + 1, Vec::new());
        }
        let sums = &mut self.0[document];
        if bucket >= sums.len() {
            sums.resize(bucket + 1, Sum::default());
        }
        sums[bucket].add(nats, target);
    }

    /// Documents that something was predicted of.
    pub(super) fn documents(&self) -> usize {
        self.0.iter().filter(|sums| !sums.is_empty()).count()
    }

    /// The sums of all documents, added in their order.
    pub(super) fn by_position(&self) -> ByPosition {
        let longest = self.0.iter().map(Vec::len).max().unwrap_or(0);
        let of_bucket = |bucket| self.0.iter().filter_map(move |sums: &Vec<Sum>| sums.get(bucket));
        ByPosition(
            (0..longest)
                .map(|bucket| of_bucket(bucket).fold(Sum::default(), Sum::and))
                .collect(),
        )
    }
}

/// A sum a bucket.
#[derive(Debug)]
pub(super) struct ByPosition(Vec<Sum>);

impl ByPosition {
    /// The sum over all positions.
    pub(super) fn whole(&self) -> Sum {
        self.0.iter().fold(Sum::default(), Sum::and)
    }

    /// The figures of each bucket that has any.
    pub(super) fn scores(&self) -> Vec<PositionScore> {
        let buckets = self.0.iter().enumerate().filter(|(_, sum)| sum.tokens > 0);
        buckets
            .map(|(bucket, sum)| PositionScore {
                from: start(bucket),
                to: start(bucket + 1) - 1,
                tokens: sum.tokens,
                loss: sum.loss(),
                bits_per_byte: sum.bits_per_byte(),
            })
            .collect()
    }
}

/// Sum of the losses of some predictions, with the counts of their targets.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sum {
    nats: f64,
    pub(super) tokens: u64,
    pub(super) bytes: u64,
    /// Tokens of symbols: that stand for bytes.
    symbols: u64,
    pub(super) unknown: u64,
}

impl Sum {
    fn add(&mut self, nats: f32, target: Target) {
        self.nats += f64::from(nats);
        self.tokens += 1;
        self.bytes += target.bytes as u64;
        self.symbols += u64::from(target.bytes > 0);
        self.unknown += u64::from(target.unknown);
    }

    fn and(self, other: &Self) -> Self {
        Self {
            nats: self.nats + other.nats,
            tokens: self.tokens + other.tokens,
            bytes: self.bytes + other.bytes,
            symbols: self.symbols + other.symbols,
            unknown: self.unknown + other.unknown,
        }
    }

    /// Nats a token.
    pub(super) fn loss(&self) -> f64 {
        self.nats / self.tokens.max(1) as f64
    }

    /// Bits a byte, where there are bytes.
    pub(super) fn bits_per_byte(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.nats / LN_2 / self.bytes as f64)
    }

    /// Unknown symbols among the symbols.
    pub(super) fn unknown_share(&self) -> f64 {
        self.unknown as f64 / self.symbols.max(1) as f64
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const BYTE: Target = Target {
        bytes: 1,
        unknown: false,
    };

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

    /// Numbers of very different sizes, whose sum depends on the order they are added in.
    #[test]
    fn sums_do_not_depend_on_which_document_came_first() {
        let costs = |document: usize| (0..400).map(move |at| (1.37f32 + document as f32).powi(at % 37 - 18));
        let sum = |order: &[usize]| {
            let mut ledger = Ledger::default();
            for &document in order {
                for (at, nats) in costs(document).enumerate() {
                    ledger.add(document, at, nats, BYTE);
                }
            }
            let sums = ledger.by_position();
            (sums.whole().loss().to_bits(), sums.scores())
        };
        let expected = sum(&[0, 1, 2, 3]);
        for order in [[3, 2, 1, 0], [1, 3, 0, 2]] {
            assert_eq!(sum(&order), expected);
        }
    }

    #[test]
    fn bits_are_of_the_bytes_of_the_text_and_unknown_symbols_are_counted() {
        let mut ledger = Ledger::default();
        let nats = 8.0 * std::f32::consts::LN_2;
        for (bytes, unknown) in [(1, false), (3, true), (0, false), (4, true)] {
            ledger.add(0, 0, nats, Target { bytes, unknown });
        }
        let sum = ledger.by_position().whole();
        assert!((sum.bits_per_byte().unwrap() - 32.0 / 8.0).abs() < 1e-6);
        // The third is an end of text, and no symbol.
        assert_eq!((sum.unknown, sum.unknown_share()), (2, 2.0 / 3.0));
    }

    #[test]
    fn tokens_that_stand_for_no_bytes_have_no_bits_per_byte() {
        let mut ledger = Ledger::default();
        let silent = Target {
            bytes: 0,
            unknown: false,
        };
        ledger.add(2, 0, 1.5, silent);
        let sums = ledger.by_position();
        assert_eq!((sums.whole().bits_per_byte(), sums.whole().loss()), (None, 1.5));
        assert_eq!(sums.scores()[0].bits_per_byte, None);
        assert_eq!(ledger.documents(), 1);
    }
}
