//! The step against its definition over random shapes, and what must not change its bits.

use super::reference::{self, State};
use super::*;
use crate::matrix::Precision;
use crate::mix::mix;
use crate::rotation::Frequencies;
use burn::tensor::{DType, Device};

/// Draws, a function of a seed.
pub(super) struct Draws(pub(super) u64);

impl Draws {
    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.word() % end as u64) as usize
    }

    /// Numbers within 1 of `centre`.
    pub(super) fn numbers(&mut self, count: usize, centre: f32) -> Vec<f32> {
        let unit = |word: u64| (word >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        (0..count).map(|_| unit(self.word()) + centre).collect()
    }
}

/// A model that owns its numbers.
pub(super) struct Model {
    pub(super) sizes: Sizes,
    pub(super) matrices: [Vec<f32>; 5],
    frequencies: Frequencies,
    pub(super) slopes: Vec<f64>,
    phases: Option<Vec<f32>>, // of polar keys
}

impl Model {
    /// `decoder_x` and `decoder_y` are random but for the share of neurons that never fire.
    pub(super) fn new(sizes: Sizes, silent: f64, draws: &mut Draws) -> Self {
        let Sizes {
            heads,
            neurons,
            width,
            vocab,
            ..
        } = sizes;
        let block = heads * neurons * width;
        let matrices = [vocab * width, block, block, block, width * vocab];
        let mut matrices = matrices.map(|count| draws.numbers(count, 0.0));
        for matrix in &mut matrices[1..3] {
            for (head, n) in (0..heads * neurons).map(|n| (n / neurons, n % neurons)) {
                if draws.below(1000) < (silent * 1000.0) as usize {
                    (0..width).for_each(|d| matrix[(head * width + d) * neurons + n] = 0.0);
                }
            }
        }
        Self {
            sizes,
            matrices,
            frequencies: Frequencies::new(65536.0, neurons),
            slopes: Vec::new(),
            phases: None,
        }
    }

    /// With polar keys of these phases, `[H, N]`, or of none.
    fn polar(self, phases: Vec<f32>) -> Self {
        Self {
            frequencies: Frequencies::new(65536.0, 2 * self.sizes.neurons),
            phases: Some(phases),
            ..self
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
            keys: match &self.phases {
                None => DecodeKeys::Pairs,
                Some(phases) => DecodeKeys::Polar { phases },
            },
            slopes: &self.slopes,
            eps: 1e-5,
        }
    }

    pub(super) fn weights(&self) -> Arc<Weights> {
        Arc::new(Weights::new(&self.parameters(), Precision::F32))
    }
}

#[track_caller]
fn close(what: &str, fast: &[f32], slow: &[f64]) {
    assert_eq!(fast.len(), slow.len());
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let error = length(&mut fast.iter().zip(slow).map(|(a, b)| f64::from(*a) - b));
    let size = length(&mut slow.iter().copied());
    assert!(
        error <= 1e-5 * size + 1e-7,
        "{what}: off by {error:e} of {size:e}"
    );
}

/// Steps of both forms from the same state, which is not empty and far into a stream.
fn check(model: &Model, lanes: usize, isa: Isa, draws: &mut Draws) {
    let sizes = model.sizes;
    let what = format!("{sizes:?}, {lanes} lanes, {isa:?}");
    let mut slow = State::new(&model.parameters(), lanes);
    for rho in &mut slow.rho {
        *rho = draws.numbers(rho.len(), 0.0).into_iter().map(f64::from).collect();
    }
    let start = [0, 3, 1_000_000_000][draws.below(3)];
    let apart = draws.below(2) as u64;
    slow.positions = (0..lanes as u64).map(|lane| start + lane * apart * 77).collect();
    let mut fast = Decode::with(model.weights(), lanes, Precision::F32, isa);
    for (level, rho) in slow.rho.iter().enumerate() {
        fast.restore(level, &rho.iter().map(|&v| v as f32).collect::<Vec<_>>());
    }
    fast.set_positions(&slow.positions);
    for step in 0..3 {
        let tokens: Vec<u32> = (0..lanes).map(|_| draws.below(sizes.vocab) as u32).collect();
        let expected = reference::step(&model.parameters(), &mut slow, &tokens);
        close(
            &format!("logits of step {step}, {what}"),
            fast.step(&tokens),
            &expected,
        );
        for (level, rho) in slow.rho.iter().enumerate() {
            close(
                &format!("memory {level} after step {step}, {what}"),
                &fast.memory(level),
                rho,
            );
        }
    }
    assert_eq!(fast.positions(), slow.positions);
}

pub(super) fn random_sizes(draws: &mut Draws) -> Sizes {
    Sizes {
        levels: 1 + draws.below(3),
        heads: 1 + draws.below(5),
        neurons: 2 * (1 + draws.below(40)),
        width: 1 + draws.below(70),
        vocab: 1 + draws.below(40),
    }
}

#[test]
fn a_step_is_that_of_the_definition_for_any_shape_and_density() {
    let (mut draws, mut slopes) = (Draws(7), Draws(16));
    let kinds = Isa::all();
    for case in 0..300 {
        let silent = [0.0, 0.5, 0.9, 1.0][case % 4];
        let mut model = Model::new(random_sizes(&mut draws), silent, &mut draws);
        if case % 3 == 0 {
            // Slopes from none at all to more than what is left in a token can show.
            let slope = |_| [0.0, 0.01, 0.7, 30.0, f64::INFINITY][slopes.below(5)];
            model.slopes = (0..model.sizes.heads).map(slope).collect();
        }
        check(&model, 1 + draws.below(3), kinds[case % kinds.len()], &mut draws);
    }
}

#[test]
fn polar_keys_have_two_rows_a_neuron_and_phases_of_their_own() {
    let mut draws = Draws(21);
    let kinds = Isa::all();
    for case in 0..120 {
        let silent = [0.0, 0.5, 0.9, 1.0][case % 4];
        let model = Model::new(random_sizes(&mut draws), silent, &mut draws);
        let neurons = model.sizes.heads * model.sizes.neurons;
        let phases = if case % 3 == 0 {
            Vec::new()
        } else {
            draws.numbers(neurons, -3.0)
        };
        let mut model = model.polar(phases);
        if case % 5 == 0 {
            model.slopes = vec![0.3; model.sizes.heads];
        }
        check(&model, 1 + draws.below(3), kinds[case % kinds.len()], &mut draws);
    }
}

#[test]
fn heads_of_several_chunks_and_vocabularies_of_several_parts_are_put_together() {
    let mut draws = Draws(8);
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 250,
        width: 600,
        vocab: 130,
    };
    let model = Model::new(sizes, 0.3, &mut draws);
    for isa in Isa::all() {
        check(&model, 2, isa, &mut draws);
    }
}

#[test]
fn all_neurons_or_none_may_fire() {
    let sizes = Sizes {
        levels: 2,
        heads: 1,
        neurons: 34,
        width: 20,
        vocab: 5,
    };
    for (sign, share) in [(1.0, 1.0), (-1.0, 0.0)] {
        let mut draws = Draws(9);
        let mut model = Model::new(sizes, 0.0, &mut draws);
        // One direction for every token, and every neuron along it or against it.
        let direction = draws.numbers(sizes.width, 0.0);
        let mean = direction.iter().sum::<f32>() / sizes.width as f32;
        model.matrices[0] = direction.repeat(sizes.vocab);
        let along = direction
            .iter()
            .flat_map(|v| vec![sign * (v - mean); sizes.neurons]);
        model.matrices[1] = along.collect();
        model.matrices[3].iter_mut().for_each(|v| *v *= 1e-6);
        check(&model, 2, Isa::best(), &mut draws);
        let mut decode = Decode::new(model.weights(), 2, Precision::F32);
        decode.step(&[0, 4]);
        let activity = decode.activity();
        assert_eq!(activity[0].entries, 2 * sizes.neurons);
        assert_eq!(activity[0].x as f64, share * activity[0].entries as f64);
    }
}

pub(super) fn bits(logits: &[f32]) -> Vec<u32> {
    logits.iter().map(|v| v.to_bits()).collect()
}

#[test]
fn the_bits_depend_neither_on_the_number_of_threads_nor_on_what_other_lanes_read() {
    let mut draws = Draws(10);
    let sizes = Sizes {
        levels: 3,
        heads: 3,
        neurons: 600,
        width: 320,
        vocab: 77,
    };
    let weights = Model::new(sizes, 0.4, &mut draws).weights();
    let mut alone = Decode::new(weights.clone(), 1, Precision::F32);
    alone.limit_threads(1);
    let mut helped = Decode::new(weights.clone(), 1, Precision::F32);
    helped.limit_threads(usize::MAX);
    let mut beside = Decode::new(weights, 2, Precision::F32);
    for step in 0..200 {
        let token = step * 13 % 77;
        let expected = bits(alone.step(&[token]));
        assert_eq!(bits(helped.step(&[token])), expected, "step {step}");
        assert_eq!(bits(&beside.step(&[5, token])[77..]), expected, "step {step}");
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn processors_with_fused_multiply_add_give_the_same_bits() {
    let mut draws = Draws(11);
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 130,
        width: 75,
        vocab: 20,
    };
    let weights = Model::new(sizes, 0.4, &mut draws).weights();
    let fused = Isa::all()
        .into_iter()
        .filter(|isa| !matches!(isa, Isa::Portable(_)));
    let logits: Vec<_> = fused
        .map(|isa| {
            let mut decode = Decode::with(weights.clone(), 1, Precision::F32, isa);
            (0..20)
                .map(|token| bits(decode.step(&[token])))
                .collect::<Vec<_>>()
        })
        .collect();
    assert!(logits.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_fork_and_a_restored_state_go_on_as_the_original() {
    let mut draws = Draws(12);
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 48,
        width: 33,
        vocab: 9,
    };
    // Half the neurons fire: the restored one, which does not know, prefilters them first, and the original does not.
    let weights = Model::new(sizes, 0.0, &mut draws).weights();
    let mut original = Decode::new(weights.clone(), 2, Precision::F32);
    for token in 0..9 {
        original.step(&[token, 8 - token]);
    }
    let mut fork = original.clone();
    let mut restored = Decode::new(weights, 2, Precision::F32);
    (0..2).for_each(|level| restored.restore(level, &original.memory(level)));
    restored.set_positions(original.positions());
    let expected = bits(original.step(&[3, 4]));
    assert_eq!(bits(fork.step(&[3, 4])), expected);
    assert_eq!(bits(restored.step(&[3, 4])), expected);
}

#[test]
fn angles_are_those_of_the_rotation_table_at_any_position() {
    let frequencies = Frequencies::new(65536.0, 514);
    for isa in Isa::all() {
        for position in [0, 1, 2, 100, 4_097, 1_000_003, 1_000_000_000] {
            let rotation = frequencies.rotation(&[position], 1, DType::F64, &Device::flex());
            let table = |t: burn::tensor::Tensor<4>| t.into_data().try_into_vec::<f64>().unwrap();
            let (mut cos, mut sin) = (vec![0.0; 257], vec![0.0; 257]);
            isa.run(angles::Angles {
                position,
                turns: frequencies.turns(),
                cos: &mut cos,
                sin: &mut sin,
            });
            for (fast, slow) in [(cos, table(rotation.cos)), (sin, table(rotation.sin))] {
                let error = fast
                    .iter()
                    .zip(slow)
                    .map(|(a, b)| (f64::from(*a) - b).abs())
                    .fold(0.0, f64::max);
                assert!(error < 6.1e-8, "{isa:?} at {position}: {error:e}");
            }
        }
    }
}

/// A slope of 0.7 leaves 2^-5000 of the first token: rows take over their scale every 40 tokens.
#[test]
fn a_long_stream_decays_as_defined_however_steep() {
    let mut draws = Draws(14);
    let sizes = Sizes {
        levels: 2,
        heads: 4,
        neurons: 24,
        width: 18,
        vocab: 11,
    };
    let mut model = Model::new(sizes, 0.2, &mut draws);
    model.slopes = vec![0.7, 0.25, 0.004, 0.0];
    let (mut fast, mut slow) = (
        Decode::new(model.weights(), 1, Precision::F32),
        State::new(&model.parameters(), 1),
    );
    for step in 0..5000 {
        let tokens = [draws.below(sizes.vocab) as u32];
        let expected = reference::step(&model.parameters(), &mut slow, &tokens);
        let logits = fast.step(&tokens);
        let error = |given: &[f32], expected: &[f64]| {
            let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
            let off = length(&mut given.iter().zip(expected).map(|(a, b)| f64::from(*a) - b));
            off / length(&mut expected.iter().copied())
        };
        // A head that never forgets sums 5,000 writes, each of which is rounded.
        assert!(
            error(logits, &expected) < 1e-4,
            "step {step}: {}",
            error(logits, &expected)
        );
        if step % 37 == 0 {
            for (level, rho) in slow.rho.iter().enumerate() {
                let error = error(&fast.memory(level), rho);
                assert!(error < 2e-5, "memory {level} after step {step}: {error}");
            }
        }
    }
}

#[test]
fn a_slope_of_zero_is_no_decay_and_a_memory_taken_over_has_no_scale_left() {
    let mut draws = Draws(15);
    let sizes = Sizes {
        levels: 2,
        heads: 2,
        neurons: 40,
        width: 20,
        vocab: 9,
    };
    let mut model = Model::new(sizes, 0.3, &mut draws);
    let mut plain = Decode::new(model.weights(), 1, Precision::F32);
    model.slopes = vec![0.0; 2];
    let mut flat = Decode::new(model.weights(), 1, Precision::F32);
    (0..9).for_each(|token| assert_eq!(bits(plain.step(&[token])), bits(flat.step(&[token]))));
    model.slopes = vec![0.3, 0.05];
    let weights = model.weights();
    let (mut original, mut restored) = (
        Decode::new(weights.clone(), 1, Precision::F32),
        Decode::new(weights, 1, Precision::F32),
    );
    (0..50).for_each(|step| {
        original.step(&[step % 9]);
        restored.step(&[(step + 4) % 9]);
    });
    (0..2).for_each(|level| restored.restore(level, &original.memory(level)));
    let expected: Vec<f64> = original.step(&[3]).iter().map(|&v| f64::from(v)).collect();
    close("logits", restored.step(&[3]), &expected);
}
