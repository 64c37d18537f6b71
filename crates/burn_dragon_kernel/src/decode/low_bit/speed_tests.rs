//! Time of a token in whole numbers beside f32 and bf16.

use super::*;
use crate::decode::tests::Draws;
use crate::decode::weights::Weights;
use crate::decode::{Decode, DecodeKeys};
use crate::low_bit::LowBitFormat;
use crate::rotation::Frequencies;
use std::sync::Arc;
use std::time::Instant;

/// A model of which about a tenth of x and a thirtieth of y is active, and whose matrices are ternary.
struct Subject {
    sizes: Sizes,
    matrices: [Vec<f32>; 5],
    ternary: [LowBitMatrix; 3],
    frequencies: Frequencies,
}

/// Share of a common direction in the rows of `embed` and `encoder`, and in those of `decoder_x` and `decoder_y` times the
/// square root of the width.
const SHARES: [f32; 4] = [0.6, -1.05, -0.45, 0.6];

impl Subject {
    /// Streams and reads have a direction in common, and the rows of neurons a part against it.
    fn new(sizes: Sizes) -> Self {
        let mut draws = Draws(40);
        let Sizes {
            heads,
            neurons,
            width,
            vocab,
            ..
        } = sizes;
        let direction: Vec<f32> = draws.numbers(width, 0.0).iter().map(|x| x.signum()).collect();
        let mut rows = |count: usize, share: f32| {
            let mut rows = draws.numbers(count * width, 0.0);
            let directions = direction.iter().cycle();
            rows.iter_mut().zip(directions).for_each(|(x, d)| *x += share * d);
            rows
        };
        let [embed, x, y, encoder] = {
            let block = heads * neurons;
            let counts = [vocab, block, block, block];
            let long = (width as f32).sqrt().recip();
            let shares = [SHARES[0], SHARES[1] * long, SHARES[2] * long, SHARES[3]];
            std::array::from_fn(|i| rows(counts[i], shares[i]))
        };
        let lm_head = rows(vocab, 0.0);
        let shape = [heads, neurons, width];
        let ternary = [x, y, encoder]
            .map(|rows| LowBitMatrix::quantise(&rows, shape, LowBitFormat::Ternary, ScaleGroups::Head));
        let columns = |rows: &[f32]| -> Vec<f32> {
            let heads = rows.chunks_exact(neurons * width);
            let column =
                |head: &[f32], d: usize| head.iter().skip(d).step_by(width).copied().collect::<Vec<_>>();
            heads
                .flat_map(|head| (0..width).flat_map(|d| column(head, d)).collect::<Vec<_>>())
                .collect()
        };
        let [x, y, encoder] = ternary.each_ref().map(LowBitMatrix::dequantised);
        Self {
            sizes,
            matrices: [embed, columns(&x), columns(&y), encoder, lm_head],
            ternary,
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

    /// All three matrices as they are or in int8, int8 rows, and y of 255 levels.
    fn low_bit(&self, is_ternary: bool) -> LowBit {
        let [x, y, encoder] = self.ternary.each_ref().map(|matrix| {
            let (shape, groups) = (matrix.shape(), matrix.groups());
            if is_ternary {
                matrix.clone()
            } else {
                LowBitMatrix::quantise(&matrix.dequantised(), shape, LowBitFormat::Int8, groups)
            }
        });
        let row = Some(RowInput {
            levels: Levels::Int8,
            groups: InputGroups::Row,
            hadamard: false,
        });
        LowBit {
            decoder_x: Some(x),
            decoder_y: Some(y),
            encoder: Some(encoder),
            v: row,
            a: row,
            y: Some(NeuronInput {
                levels: 255,
                groups: ScaleGroups::All,
            }),
        }
    }
}

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

/// `cargo test -p burn_dragon_kernel --lib -- --ignored --nocapture speed_tests --test-threads 1`, with the options
/// `opt-level=3`, `debug-assertions=false` and `overflow-checks=false` of the profile, as in a release build.
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
            ("int8", whole(false)),
            ("ternary", whole(true)),
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
