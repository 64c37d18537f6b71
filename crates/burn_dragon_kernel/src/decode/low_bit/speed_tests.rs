//! Time of a token in whole numbers beside f32 and bf16.

use super::*;
use crate::decode::tests::Draws;
use crate::decode::weights::Weights;
use crate::decode::{Decode, DecodeKeys, MemoryPrecision};
use crate::low_bit::LowBitFormat;
use crate::rotation::Frequencies;
use std::sync::Arc;
use std::time::Instant;

/// A model of which about a tenth of x and a thirtieth of y is active, and whose matrices are ternary.
pub(super) struct Subject {
    sizes: Sizes,
    matrices: [Vec<f32>; 5],
    ternary: [LowBitMatrix; 3],
    frequencies: Frequencies,
}

/// Share of a common direction in the rows of `embed` and `encoder`, and in those of `decoder_x` and `decoder_y` times the
/// square root of the width.
const SHARES: [f32; 4] = [0.6, -1.2, -0.47, 0.6];

impl Subject {
    /// Streams and reads have a direction in common, and the rows of neurons a part against it.
    pub(super) fn new(sizes: Sizes) -> Self {
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

    pub(super) fn parameters(&self) -> Parameters<'_> {
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

/// Bytes of a token's rows, which are read, and written: at the shares of x and y, with pairs of neurons that are active
/// independently of each other.
fn bytes(sizes: Sizes, [x, y]: [f64; 2], weights: &str, memory: MemoryPrecision) -> f64 {
    let pairs = 1.0 - (1.0 - x).powi(2);
    // Of a number of decoder_x; of decoder_y and encoder; and of the numbers by which neurons are prefiltered.
    let [dense, sparse, coarse] = match weights {
        "f32" => [4.0 * x, 4.0, 1.0],
        "bf16" => [2.0 * x, 2.0, 1.0],
        "int8" => [1.0, 1.0, 0.0],
        _ => [0.25, 0.25, 0.0],
    };
    let of_weights = dense
        + coarse
        + x * coarse
        + y * (1.0 + f64::from(u8::from(coarse == 0.0))) * sparse
        + if coarse == 0.0 { (x - y) * sparse } else { 0.0 };
    // What is pending, and the whole memory once in 16 tokens.
    let pending = 2.0 * pairs * 64.0 / sizes.width as f64;
    let of_memory = match memory {
        MemoryPrecision::F32 => 8.0 * pairs,
        MemoryPrecision::Bf16 => 2.0 * pairs + pending + 4.0 / 16.0,
        MemoryPrecision::Int8 => 1.125 * pairs + pending + 2.25 / 16.0,
    };
    let numbers = sizes.levels * sizes.heads * sizes.neurons * sizes.width;
    numbers as f64 * (of_weights + of_memory)
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
        let whole = |is_ternary| {
            let low_bit = subject.low_bit(is_ternary);
            Arc::new(Weights::low_bit(&parameters, low_bit, Precision::F32))
        };
        let weights = [
            ("f32", float(Precision::F32)),
            ("bf16", float(Precision::Bf16)),
            ("int8", whole(false)),
            ("ternary", whole(true)),
        ];
        use MemoryPrecision::{Bf16, F32, Int8};
        let kinds = [
            (0, F32),
            (1, F32),
            (1, Bf16),
            (0, Int8),
            (2, Bf16),
            (3, F32),
            (3, Bf16),
            (3, Int8),
        ];
        let mut kinds = kinds.map(|(kind, memory)| {
            let (name, weights) = &weights[kind];
            let mut decode = Decode::new(weights.clone(), 1, memory);
            (0..64).for_each(|token| {
                decode.step(&[token * 37 % 256]);
            });
            (*name, memory, decode)
        });
        for threads in [1, 2] {
            println!("L{levels} D{width} n{}, threads: {threads}", heads * neurons);
            measure(&mut kinds, threads, sizes);
        }
    }
}

/// Times of all kinds in turn.
fn measure(kinds: &mut [(&str, MemoryPrecision, Decode)], threads: usize, sizes: Sizes) {
    const TOKENS: u32 = 16;
    let mut times = vec![Vec::new(); kinds.len()];
    for round in 0..30 {
        for ((.., decode), times) in kinds.iter_mut().zip(&mut times) {
            decode.limit_threads(threads);
            let start = Instant::now();
            (0..TOKENS).for_each(|token| {
                decode.step(&[(round * TOKENS + token) * 101 % 256]);
            });
            times.push(start.elapsed().as_secs_f64() / f64::from(TOKENS));
        }
    }
    let mut first = 0.0;
    for ((name, memory, decode), times) in kinds.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        let median = times[times.len() / 2];
        first = if first == 0.0 { median } else { first };
        let activity = decode.activity();
        let sum = |of: fn(&crate::activity::Activity) -> usize| activity.iter().map(of).sum::<usize>() as f64;
        let [x, y] =
            [sum(|level| level.x), sum(|level| level.y)].map(|count| count / sum(|level| level.entries));
        let bytes = bytes(sizes, [x, y], name, *memory);
        println!(
            "  {name:8} memory {memory:5} {:8.1} us a token, least {:8.1}, {:5.2} x; {:6.2} MB, {:5.1} GB/s; x {:4.1} %, y {:4.1} %",
            median * 1e6,
            times[0] * 1e6,
            first / median,
            bytes / 1e6,
            bytes / median / 1e9,
            x * 100.0,
            y * 100.0
        );
    }
}
