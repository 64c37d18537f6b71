//! Time of a token in whole numbers beside f32 and bf16.

use super::*;
use crate::decode::{Decode, DecodeKeys};
use crate::decode::tests::Draws;
use crate::decode::weights::Weights;
use crate::low_bit::LowBitFormat;
use crate::rotation::Frequencies;
use std::sync::Arc;
use std::time::Instant;

/// A model of which about a tenth of x and a thirtieth of y is active.
struct Subject {
    sizes: Sizes,
    matrices: [Vec<f32>; 5],
    frequencies: Frequencies,
}

impl Subject {
    /// Every row of `decoder_x` and `decoder_y` has a part against a direction that all streams and reads share: the
    /// embedding's, which the memory hands on.
    fn new(sizes: Sizes) -> Self {
        let mut draws = Draws(40);
        let Sizes {
            heads,
            neurons,
            width,
            vocab,
            ..
        } = sizes;
        let block = heads * neurons * width;
        let direction: Vec<f32> = draws.numbers(width, 0.0);
        let mut matrices =
            [vocab * width, block, block, block, width * vocab].map(|count| draws.numbers(count, 0.0));
        for (row, d) in matrices[0]
            .chunks_exact_mut(width)
            .flat_map(|row| row.iter_mut().zip(&direction))
        {
            *row += SHARED * d;
        }
        for (matrix, against) in matrices[1..3].iter_mut().zip(AGAINST) {
            for (entries, d) in matrix.chunks_exact_mut(neurons).zip(direction.iter().cycle()) {
                entries.iter_mut().for_each(|w| *w -= against * d);
            }
        }
        matrices[3].iter_mut().for_each(|e| *e *= 0.02);
        Self {
            sizes,
            matrices,
            frequencies: Frequencies::new(65536.0, neurons),
        }
    }

    fn parameters(&self) -> Parameters<'_> {
        let [embed, decoder_x, decoder_y, encoder, lm_head] = &self.matrices;
        Parameters {
            sizes: self.sizes,
            embed,
            decoder_x,
            decoder_y,
            encoder,
            lm_head,
            frequencies: &self.frequencies,
            keys: DecodeKeys::Pairs,
            slopes: &[],
            eps: 1e-5,
        }
    }

    /// All three matrices in a format, int8 rows, and y of 255 levels.
    fn low_bit(&self, format: LowBitFormat) -> LowBit {
        let Sizes {
            heads,
            neurons,
            width,
            ..
        } = self.sizes;
        let shape = [heads, neurons, width];
        let quantise = |rows: &[f32]| Some(LowBitMatrix::quantise(rows, shape, format, ScaleGroups::Head));
        let rows = |matrix: &[f32]| {
            let numbers = neurons_of(matrix, self.sizes);
            quantise(&numbers)
        };
        let row = Some(RowInput {
            levels: Levels::Int8,
            groups: InputGroups::Row,
            hadamard: false,
        });
        LowBit {
            decoder_x: rows(&self.matrices[1]),
            decoder_y: rows(&self.matrices[2]),
            encoder: quantise(&self.matrices[3]),
            v: row,
            a: row,
            y: Some(NeuronInput {
                levels: 255,
                groups: ScaleGroups::All,
            }),
        }
    }
}

/// Rows of D numbers.
fn neurons_of(matrix: &[f32], sizes: Sizes) -> Vec<f32> {
    let lines = neurons(matrix, sizes);
    let rows = lines.chunks_exact(sizes.row());
    rows.flat_map(|row| Line::numbers(row).take(sizes.width))
        .collect()
}

/// Share of the common direction in the embedding, and in the rows against it.
const SHARED: f32 = 0.5;
const AGAINST: [f32; 2] = [0.2, 0.3];

/// Bytes of a token: those of the rows that are read, and written, at its activity.
fn bytes(sizes: Sizes, [x, y]: [f64; 2], weights: f64, encoder: f64, memory: Precision) -> f64 {
    let row = sizes.width as f64;
    let of_level = (sizes.heads * sizes.neurons) as f64 * row;
    let pairs = 1.0 - (1.0 - x).powi(2);
    let of_memory = match memory {
        Precision::F32 => 8.0 * pairs,
        Precision::Bf16 => 2.0 * pairs + 4.0 / 16.0, // nearly all rows are active once in 16 tokens
    };
    let _ = y;
    sizes.levels as f64 * of_level * (weights + encoder + of_memory)
}

/// `cargo test -p burn_dragon_kernel --lib -- --ignored --nocapture speed_tests --test-threads 1`, with
/// `--config profile.dev.package.burn_dragon_kernel.opt-level=3` for the kernel of a release build.
#[test]
#[ignore = "a measurement"]
fn tokens_in_whole_numbers_beside_f32_and_bf16() {
    const PAPER: [usize; 4] = [6, 4, 8192, 256];
    const SMALL: [usize; 4] = [4, 4, 2048, 128];
    for [levels, heads, neurons, width] in [SMALL, PAPER] {
        let sizes = Sizes {
            levels,
            heads,
            neurons,
            width,
            vocab: 256,
        };
        let subject = Subject::new(sizes);
        let parameters = subject.parameters();
        let float = |precision| Arc::new(Weights::new(&parameters, precision));
        let whole = |format| {
            Arc::new(Weights::low_bit(
                &parameters,
                subject.low_bit(format),
                Precision::F32,
            ))
        };
        let weights = [
            ("f32", float(Precision::F32)),
            ("bf16", float(Precision::Bf16)),
            ("int8", whole(LowBitFormat::Int8)),
            ("ternary", whole(LowBitFormat::Ternary)),
        ];
        let mut kinds: Vec<_> = [Precision::F32, Precision::Bf16]
            .into_iter()
            .flat_map(|memory| {
                weights
                    .iter()
                    .map(move |(name, weights)| (*name, memory, weights))
            })
            .map(|(name, memory, weights)| {
                (name, memory, Decode::new(weights.clone(), 1, memory), Vec::new())
            })
            .collect();
        for (.., decode, _) in &mut kinds {
            decode.limit_threads(2);
            (0..64).for_each(|token| {
                decode.step(&[token * 37 % 256]);
            });
        }
        for round in 0..40 {
            for (.., decode, times) in &mut kinds {
                let start = Instant::now();
                (0..16).for_each(|token| {
                    decode.step(&[(round * 16 + token) * 101 % 256]);
                });
                times.push(start.elapsed().as_secs_f64() / 16.0);
            }
        }
        println!("L{levels} D{width} n{} on 2 threads", heads * neurons);
        let mut first = 0.0;
        for (name, memory, decode, times) in &mut kinds {
            times.sort_by(f64::total_cmp);
            let median = times[times.len() / 2];
            first = if first == 0.0 { median } else { first };
            let activity = decode.activity();
            let share = |of: fn(&crate::activity::Activity) -> usize| {
                let count: usize = activity.iter().map(of).sum();
                100.0 * count as f64 / activity.iter().map(|level| level.entries).sum::<usize>() as f64
            };
            println!(
                "  {name:8} memory {memory:5} {:8.1} us a token, least {:8.1}, {:5.2} x; x {:4.1} %, y {:4.1} %",
                median * 1e6,
                times[0] * 1e6,
                first / median,
                share(|level| level.x),
                share(|level| level.y)
            );
        }
    }
}
