//! A model's figures on held-out text: loss, bits per byte, density, and recall where the text has recalls.
//!
//! [`Evaluator::text`] takes windows that know nothing of each other, as training on independent windows does;
//! [`Evaluator::streams`] reads documents window by window with a [`Memory`] of one's choice.

mod reading;
mod recall;
mod room;
mod streams;

pub use reading::{Memory, WindowReading};
pub use recall::{needle_lines, recall_lines};
pub use streams::{PositionScore, StreamEvaluation, stream_lines};

use crate::data::{Tokens, WindowPlan};
use crate::error::LanguageError;
use crate::tales::RecallScore;
use crate::tokenizer::Tokenizer;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn_dragon_core::density::{Density, DensityProbe};
use burn_dragon_core::loss::token_losses;
use burn_dragon_core::{Dragon, Pass};
use serde::Serialize;
use std::ops::Range;

/// Figures of a model on a text.
#[derive(Clone, Debug, Serialize)]
pub struct LanguageEvaluation {
    /// Mean cross entropy per token, nats.
    pub loss: f64,
    /// Bits per byte of text; absent where the tokens stand for no bytes.
    pub bits_per_byte: f64,
    /// Tokens predicted.
    pub tokens: u64,
    /// Share of active neurons, level by level.
    #[serde(flatten)]
    pub density: Density,
    /// Accuracy on the recalled words, where the text has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recall: Option<RecallScore>,
}

/// Evaluates a model on text and on tales.
#[derive(Clone, Copy, Debug)]
pub struct Evaluator<'a> {
    /// Text to tokens and back.
    pub tokenizer: &'a dyn Tokenizer,
    /// Windows, or documents side by side, in a batch.
    pub batch_size: usize,
}

impl Evaluator<'_> {
    /// Documents that are read side by side: as many as a batch has, where there is room for their memories.
    fn side_by_side(&self, dragon: &Dragon) -> usize {
        const ROOM: u64 = 1 << 30;
        let room = ROOM / dragon.config().cost().state_bytes().max(1);
        usize::try_from(room)
            .unwrap_or(usize::MAX)
            .min(self.batch_size)
            .max(1)
    }

    /// Loss, bits per byte and density over all windows of `tokens`, or over at most `windows` of them.
    ///
    /// # Errors
    /// If the text is shorter than one window.
    pub fn text(
        &self,
        dragon: &Dragon,
        tokens: &Tokens,
        plan: &WindowPlan,
        windows: Option<usize>,
    ) -> Result<LanguageEvaluation, LanguageError> {
        let mut ranges = plan.evaluation(windows);
        ranges.sort_by_key(ExactSizeIterator::len); // windows of one length share a batch
        let longest = ranges.last().map_or(0, |range| range.len() - 1);
        room::for_windows(dragon, self.batch_size.min(ranges.len()), longest)?;
        let (mut nats, mut count, mut bytes) = (0.0, 0u64, 0u64);
        let mut probe = DensityProbe::default();
        for group in equal_lengths(&ranges, self.batch_size) {
            let rows: Vec<&[u32]> = group.iter().map(|range| &tokens.ids[range.clone()]).collect();
            let (inputs, targets) = inputs_and_targets(&rows, &dragon.device());
            let pass = Pass {
                density: Some(&mut probe),
                ..Pass::default()
            };
            let losses = token_losses(dragon.forward_pass(inputs, pass), targets);
            nats += losses.sum().into_scalar::<f64>();
            for row in rows {
                count += row.len() as u64 - 1;
                bytes += row[1..]
                    .iter()
                    .map(|&id| self.tokenizer.byte_len(id) as u64)
                    .sum::<u64>();
            }
        }
        Ok(LanguageEvaluation {
            loss: nats / count.max(1) as f64,
            bits_per_byte: nats / std::f64::consts::LN_2 / bytes.max(1) as f64,
            tokens: count,
            density: probe.density(),
            recall: None,
        })
    }
}

/// Groups of at most `size` neighbouring ranges of one length.
fn equal_lengths(ranges: &[Range<usize>], size: usize) -> impl Iterator<Item = &[Range<usize>]> {
    ranges
        .chunk_by(|a, b| a.len() == b.len())
        .flat_map(move |same| same.chunks(size))
}

/// Windows of `T + 1` tokens as inputs and next-token targets, `[B, T]` each.
///
/// # Panics
/// If the rows differ in length.
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
mod tests {
    use super::*;
    use crate::data::WindowStart;
    use crate::tokenizer::ByteTokenizer;
    use burn_dragon_core::DragonConfig;

    pub(super) fn dragon() -> Dragon {
        let config = DragonConfig {
            n_neurons: 128,
            d_model: 16,
            n_levels: 2,
            ..DragonConfig::tiny()
        };
        Dragon::new(&config, 1, &Device::flex()).unwrap()
    }

    pub(super) fn evaluator() -> Evaluator<'static> {
        Evaluator {
            tokenizer: &ByteTokenizer,
            batch_size: 3,
        }
    }

    #[test]
    fn the_loss_is_the_mean_over_every_token_whatever_the_batch() {
        let text: Vec<u32> = (0..200u32).map(|i| i * i % 251).collect();
        let tokens = Tokens {
            ids: text,
            starts: vec![0],
            bytes: 200,
        };
        let plan = WindowPlan::new(&tokens, 16, WindowStart::Anywhere).unwrap();
        let dragon = dragon();
        let of = |batch_size| {
            Evaluator {
                batch_size,
                ..evaluator()
            }
            .text(&dragon, &tokens, &plan, None)
            .unwrap()
        };
        let (one, many) = (of(1), of(5));
        assert_eq!(one.tokens, 199);
        assert!((one.loss - many.loss).abs() < 1e-5);
        assert!((one.bits_per_byte - one.loss / std::f64::consts::LN_2).abs() < 1e-9);
        assert_eq!(one.density.x.len(), 2);
    }
}
