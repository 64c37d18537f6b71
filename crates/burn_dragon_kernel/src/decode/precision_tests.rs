//! Decoding with weights in bf16 or memory in bf16 or int8: against the definition for the rounded weights, and what must
//! not change its bits.

use super::reference::{self, State};
use super::simd::{LINE, Line};
use super::stored::{Halves, Stored};
use super::tests::{Draws, Model, bits, random_sizes};
use super::*;
use crate::matrix::Precision;
use burn::tensor::bf16;

/// All pairs of precisions, of the weights and the memory.
const PAIRS: [(Precision, MemoryPrecision); 6] = [
    (Precision::F32, MemoryPrecision::F32),
    (Precision::Bf16, MemoryPrecision::F32),
    (Precision::F32, MemoryPrecision::Bf16),
    (Precision::Bf16, MemoryPrecision::Bf16),
    (Precision::F32, MemoryPrecision::Int8),
    (Precision::Bf16, MemoryPrecision::Int8),
];

impl Model {
    fn weights_in(&self, precision: Precision) -> Arc<Weights> {
        Arc::new(Weights::new(&self.parameters(), precision))
    }

    /// The model whose matrices are rounded as the weights in bf16 are.
    fn rounded(mut self, precision: Precision) -> Self {
        if precision == Precision::Bf16 {
            let numbers = self.matrices[1..].iter_mut().flatten();
            numbers.for_each(|number| *number = bf16::from_f32(*number).to_f32());
        }
        self
    }
}

/// Length of a difference, relative to that of the second.
fn error(given: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(given.len(), expected.len());
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let off = length(&mut given.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
    off / length(&mut expected.iter().copied()).max(1e-20)
}

#[test]
fn weights_in_bf16_give_the_bits_of_the_rounded_model_in_f32() {
    let mut draws = Draws(20);
    for isa in Isa::all() {
        for silent in [0.0, 0.5, 0.9] {
            let model = Model::new(random_sizes(&mut draws), silent, &mut draws);
            let mut stored = Decode::with(model.weights_in(Precision::Bf16), 1, Precision::F32, isa);
            let rounded = model.rounded(Precision::Bf16);
            let mut rounded = Decode::with(rounded.weights(), 1, Precision::F32, isa);
            for _ in 0..10 {
                let token = [draws.below(stored.sizes().vocab) as u32];
                assert_eq!(bits(stored.step(&token)), bits(rounded.step(&token)), "{isa:?}");
            }
        }
    }
}

#[test]
fn every_precision_is_near_the_definition_for_the_rounded_model() {
    let mut draws = Draws(21);
    let kinds = Isa::all();
    for case in 0..120 {
        let (weights, memory) = PAIRS[case % PAIRS.len()];
        let mut model = Model::new(random_sizes(&mut draws), [0.0, 0.5, 0.9][case % 3], &mut draws);
        if case % 5 == 0 {
            let slope = |_| [0.0, 0.01, 0.7, 30.0, f64::INFINITY][draws.below(5)];
            model.slopes = (0..model.sizes.heads).map(slope).collect();
        }
        let (lanes, isa) = (1 + draws.below(3), kinds[case % kinds.len()]);
        let mut fast = Decode::with(model.weights_in(weights), lanes, memory, isa);
        let model = model.rounded(weights);
        let mut slow = State::new(&model.parameters(), lanes);
        for step in 0..40 {
            let tokens: Vec<u32> = (0..lanes)
                .map(|_| draws.below(model.sizes.vocab) as u32)
                .collect();
            let expected = reference::step(&model.parameters(), &mut slow, &tokens);
            let what = format!("{:?}, {weights} {memory}, {isa:?}, step {step}", model.sizes);
            let logits = error(fast.step(&tokens), &expected);
            let exact = memory == MemoryPrecision::F32;
            assert!(logits < 2e-5 || !exact, "{what}: logits are off by {logits:e}");
            // What the first level writes does not depend on a memory. Norms of a read near zero amplify errors later.
            let levels = if exact { model.sizes.levels } else { 1 };
            for (level, rho) in slow.rho.iter().enumerate().take(levels) {
                let off = error(&fast.memory(level), rho);
                let within = [2e-5, 0.01, 0.02][memory as usize];
                assert!(off < within, "{what}: memory {level} is off by {off:e}");
            }
        }
    }
}

/// Sizes of several chunks, which write what is pending at different tokens.
const SEVERAL_CHUNKS: Sizes = Sizes {
    levels: 3,
    heads: 3,
    neurons: 600,
    width: 320,
    vocab: 77,
};

#[test]
fn the_bits_depend_neither_on_the_number_of_threads_nor_on_what_other_lanes_read() {
    let model = Model::new(SEVERAL_CHUNKS, 0.4, &mut Draws(22));
    for (weights, memory) in PAIRS {
        let weights = model.weights_in(weights);
        let mut alone = Decode::new(weights.clone(), 1, memory);
        alone.limit_threads(1);
        let mut helped = Decode::new(weights.clone(), 1, memory);
        helped.limit_threads(usize::MAX);
        let mut beside = Decode::new(weights, 2, memory);
        for step in 0..60 {
            let token = step * 13 % 77;
            let expected = bits(alone.step(&[token]));
            assert_eq!(bits(helped.step(&[token])), expected, "step {step}");
            assert_eq!(bits(&beside.step(&[5, token])[77..]), expected, "step {step}");
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn processors_with_fused_multiply_add_give_the_same_bits() {
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 130,
        width: 75,
        vocab: 20,
    };
    let mut model = Model::new(sizes, 0.4, &mut Draws(23));
    model.slopes = vec![0.9, 0.1];
    for (weights, memory) in PAIRS {
        let weights = model.weights_in(weights);
        let fused = Isa::all()
            .into_iter()
            .filter(|isa| !matches!(isa, Isa::Portable(_)));
        let logits: Vec<_> = fused
            .map(|isa| {
                let mut decode = Decode::with(weights.clone(), 1, memory, isa);
                let step = |token: u32| bits(decode.step(&[token % 20]));
                (0..60).map(step).collect::<Vec<_>>()
            })
            .collect();
        assert!(logits.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn a_fork_goes_on_with_the_same_bits_and_a_restored_state_within_rounding() {
    let model = Model::new(SEVERAL_CHUNKS, 0.3, &mut Draws(24));
    for (weights, memory) in PAIRS {
        let weights = model.weights_in(weights);
        let mut original = Decode::new(weights.clone(), 1, memory);
        for token in 0..37 {
            original.step(&[token]);
        }
        let mut fork = original.clone();
        let mut restored = Decode::new(weights, 1, memory);
        // A memory that held other tokens before.
        for token in 60..65 {
            restored.step(&[token]);
        }
        (0..3).for_each(|level| restored.restore(level, &original.memory(level)));
        restored.set_positions(original.positions());
        for token in 0..20 {
            let expected = original.step(&[token]);
            assert_eq!(bits(fork.step(&[token])), bits(expected));
            let expected: Vec<f64> = expected.iter().map(|&v| f64::from(v)).collect();
            let off = error(restored.step(&[token]), &expected);
            let within = [0.0, 0.05, 0.1][memory as usize];
            assert!(off <= within, "token {token}, memory {memory}: off by {off:e}");
        }
    }
}

#[test]
fn a_rounded_memory_gives_nearly_the_logits_of_one_in_f32_at_every_token() {
    let mut model = Model::new(SEVERAL_CHUNKS, 0.3, &mut Draws(27));
    for slopes in [vec![], vec![0.0, 0.02, 1.5]] {
        model.slopes = slopes;
        let weights = model.weights();
        let mut exact = Decode::new(weights.clone(), 1, MemoryPrecision::F32);
        let rounded = [(MemoryPrecision::Bf16, 0.02), (MemoryPrecision::Int8, 0.05)];
        let mut rounded =
            rounded.map(|(memory, within)| (Decode::new(weights.clone(), 1, memory), memory, within));
        for step in 0..80 {
            let token = [step * 29 % 77];
            let expected: Vec<f64> = exact.step(&token).iter().map(|&v| f64::from(v)).collect();
            for (decode, memory, within) in &mut rounded {
                let off = error(decode.step(&token), &expected);
                assert!(off < *within, "{memory}, step {step}: logits are off by {off:e}");
            }
        }
    }
}

/// Sums of thousands of small terms: to the nearest, entries would stop to grow.
#[test]
fn a_long_stream_with_a_rounded_memory_stays_near_the_definition() {
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 48,
        width: 40,
        vocab: 11,
    };
    for (precision, logits, memory) in [
        (MemoryPrecision::Bf16, 0.3, 0.03),
        (MemoryPrecision::Int8, 0.6, 0.1),
    ] {
        let mut draws = Draws(25);
        let model = Model::new(sizes, 0.2, &mut draws);
        let mut fast = Decode::new(model.weights(), 1, precision);
        let mut slow = State::new(&model.parameters(), 1);
        for step in 0..6000 {
            let tokens = [draws.below(sizes.vocab) as u32];
            let expected = reference::step(&model.parameters(), &mut slow, &tokens);
            let off = error(fast.step(&tokens), &expected);
            assert!(off < logits, "{precision}, step {step}: logits are off by {off}");
            if step % 500 == 499 {
                let off = error(&fast.memory(1), &slow.rho[1]);
                assert!(
                    off < memory,
                    "{precision}, step {step}: the memory is off by {off}"
                );
            }
        }
    }
}

/// Blocks of one size differ from those of another by their scale alone.
#[test]
fn a_memory_in_int8_keeps_small_rows_beside_large_ones() {
    let model = Model::new(SEVERAL_CHUNKS, 0.3, &mut Draws(28));
    let mut decode = Decode::new(model.weights(), 1, MemoryPrecision::Int8);
    let width = SEVERAL_CHUNKS.width;
    let count = decode.memory(1).len();
    let size = |i: usize| 10f32.powi((i / width % 9) as i32 * 3 - 15);
    let rho: Vec<f32> = Draws(29)
        .numbers(count, 0.0)
        .into_iter()
        .enumerate()
        .map(|(i, x)| x * size(i))
        .collect();
    decode.restore(1, &rho);
    for (given, expected) in decode.memory(1).chunks(width).zip(rho.chunks(width)) {
        let expected: Vec<f64> = expected.iter().map(|&x| f64::from(x)).collect();
        let off = error(given, &expected);
        assert!(off < 0.01, "a row of {:e} is off by {off}", expected[0]);
    }
}

#[test]
fn rounding_is_to_the_nearest_for_weights_and_on_average_exact_for_sums() {
    let mut draws = Draws(26);
    let rows: Vec<Line> = (0..64)
        .map(|_| Line(std::array::from_fn(|_| draws.numbers(1, 0.0)[0])))
        .collect();
    let stored = Halves::pack(rows.clone(), 2);
    let expected = rows.iter().flat_map(|line| line.0.map(bf16::from_f32));
    assert!(Halves::numbers(&stored).eq(expected.map(bf16::to_f32)));

    struct Set(u32, Line);
    impl simd::Kernel for Set {
        type Output = [Line; 2];
        fn run<S: simd::Simd>(self, simd: S) -> [Line; 2] {
            Halves::stochastic(simd, [simd.load(&self.1); 2], self.0).widened()
        }
    }
    for isa in Isa::all() {
        for number in [1.0 + 0.3 / 128.0, -(1.0 + 0.9 / 128.0), 3e-30, 1.0, 0.0f32] {
            let line = Line([number; LINE]);
            let numbers = (0..4000).flat_map(|seed| isa.run(Set(seed, line)).map(|line| line.0));
            let sum: f64 = numbers.flatten().map(f64::from).sum();
            let mean = sum / (4000.0 * 2.0 * LINE as f64);
            let off = (mean - f64::from(number)).abs();
            assert!(off <= 3e-5 * f64::from(number.abs()), "{isa:?}, {number}: {mean}");
        }
        for number in [
            f32::INFINITY,
            f32::NEG_INFINITY,
            f32::NAN,
            -f32::NAN,
            f32::from_bits(0x7FFF_FFFF),
        ] {
            let set = isa.run(Set(7, Line([number; LINE])));
            let is_kept = |v: &f32| v.to_bits() == number.to_bits() || v.is_nan() && number.is_nan();
            assert!(
                set.iter().flat_map(|line| &line.0).all(is_kept),
                "{number}: {set:?}"
            );
        }
    }
}
