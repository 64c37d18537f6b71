//! Drift of memories in few bits from that in f32.

use super::speed_tests::Subject;
use crate::decode::tests::Draws;
use crate::decode::{Decode, MemoryPrecision, Parameters, Sizes, Weights};
use crate::matrix::Precision;
use std::sync::Arc;

/// Length of a difference, relative to that of the second.
fn error(given: &[f32], expected: &[f32]) -> f64 {
    let length =
        |values: &mut dyn Iterator<Item = f32>| values.map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
    let off = length(&mut given.iter().zip(expected).map(|(a, b)| a - b));
    off / length(&mut expected.iter().copied())
}

/// Random tokens, of which a memory that never fades is the sum: `cargo test -p burn_dragon_kernel --lib -- --ignored
/// --nocapture drift_tests`.
#[test]
#[ignore = "a measurement"]
fn memories_in_bf16_and_int8_drift_from_that_in_f32() {
    let sizes = Sizes {
        levels: 4,
        heads: 4,
        neurons: 512,
        width: 128,
        vocab: 256,
    };
    let subject = Subject::new(sizes);
    for slope in [0.0, 1.0 / 512.0] {
        let slopes = vec![slope; sizes.heads];
        let parameters = Parameters {
            slopes: &slopes,
            ..subject.parameters()
        };
        let weights = Arc::new(Weights::new(&parameters, Precision::F32));
        let memories = [MemoryPrecision::F32, MemoryPrecision::Bf16, MemoryPrecision::Int8];
        let mut decodes = memories.map(|memory| Decode::new(weights.clone(), 1, memory));
        let (mut draws, mut sums, mut since) = (Draws(41), [[0.0; 2]; 3], 0);
        println!("decay of {slope} a token");
        for token in 1..=65_536 {
            let given = draws.below(sizes.vocab) as u32;
            decodes.iter_mut().for_each(|decode| {
                decode.step(&[given]);
            });
            let [exact, ..] = &decodes;
            let likeliest =
                |logits: &[f32]| (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b]));
            for (sums, decode) in sums.iter_mut().zip(&decodes) {
                sums[0] += error(decode.logits(), exact.logits());
                sums[1] += f64::from(u8::from(likeliest(decode.logits()) == likeliest(exact.logits())));
            }
            since += 1;
            if [256, 1024, 4096, 16_384, 65_536].contains(&token) {
                for ((memory, decode), sums) in memories.iter().zip(&decodes).zip(&mut sums).skip(1) {
                    let levels =
                        (0..sizes.levels).map(|level| error(&decode.memory(level), &exact.memory(level)));
                    let levels: Vec<String> = levels.map(|off| format!("{:.3} %", off * 100.0)).collect();
                    println!(
                        "  after {token:6} tokens, {memory:5}: memories off by {}; logits by {:.2} %, {:.1} % the same token",
                        levels.join(", "),
                        100.0 * sums[0] / f64::from(since),
                        100.0 * sums[1] / f64::from(since)
                    );
                    *sums = [0.0; 2];
                }
                since = 0;
            }
        }
    }
}
