//! Rotary positions: adjacent neurons `(2i, 2i+1)` form a pair that turns by `frequency_i` of a full turn per token.
//!
//! ```text
//! frequency_i = theta^(-2i/N) / (2 pi)   turns per token, i = 0 .. N/2
//! angle       = 2 pi * frac(position * frequency_i)
//! (a, b)     -> (a cos - b sin, b cos + a sin)
//! ```
//!
//! The read depends on differences of positions only. The phase is reduced modulo one turn in f64 before it becomes an
//! angle, so that it stays exact in a long stream: at position 10^9 to about 1e-7 of a turn.
//!
//! On the processor in f32 pairs turn in one pass, and gradients turn back in another (`cpu.rs`). Where no pair turns, x is
//! given back as it is.

mod backward;
pub(crate) mod cpu;
pub mod reference;

use crate::backend::on_backends;
use backward::on_backend;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Number of positions that share the sines and cosines of the first of them.
const BLOCK: u64 = 64;

/// Frequencies of the neuron pairs of a head, in turns per token; the same for every head.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequencies {
    turns: Vec<f64>,
}

impl Frequencies {
    /// Frequencies `theta^(-2i/N) / (2 pi)` of the `N/2` pairs of a head of `neurons` neurons.
    ///
    /// # Panics
    /// If `neurons` is odd.
    pub fn new(theta: f64, neurons: usize) -> Self {
        assert!(
            neurons.is_multiple_of(2),
            "rotation: {neurons} neurons per head do not form pairs, expected an even number"
        );
        let pairs = neurons / 2;
        let turns = (0..pairs)
            .map(|i| theta.powf(-(i as f64) / pairs as f64) / std::f64::consts::TAU)
            .collect();
        Self { turns }
    }

    /// Given frequencies, pair by pair, in turns per token.
    pub fn from_turns(turns: Vec<f64>) -> Self {
        Self { turns }
    }

    /// Frequencies, pair by pair, in turns per token.
    pub fn turns(&self) -> &[f64] {
        &self.turns
    }

    /// Cosine and sine of each pair's angle at a position.
    fn units(&self, position: u64) -> Vec<[f64; 2]> {
        let unit = |turns: &f64| {
            let (sin, cos) = ((position as f64 * turns).fract() * std::f64::consts::TAU).sin_cos();
            [cos, sin]
        };
        self.turns.iter().map(unit).collect()
    }

    /// Rotation of `tokens` positions of each lane; lane b starts at `starts[b]`.
    ///
    /// If all lanes start at the same position, they share one table.
    ///
    /// # Panics
    /// If `starts` is empty.
    pub fn rotation(&self, starts: &[u64], tokens: usize, dtype: DType, device: &Device) -> Rotation {
        assert!(!starts.is_empty(), "rotation: 0 lanes, expected at least 1");
        let together = starts.iter().all(|&start| start == starts[0]);
        let starts = if together { &starts[..1] } else { starts };
        let size = starts.len() * tokens * self.turns.len();
        let (mut cos, mut sin) = (Vec::with_capacity(size), Vec::with_capacity(size));
        // The angle of a position is the sum of that of its block and that of its place there: all blocks share one
        // table.
        let mut places = vec![Vec::new(); BLOCK as usize];
        for &start in starts {
            let mut block = Vec::new();
            for position in start..start + tokens as u64 {
                let place = position % BLOCK;
                if place == 0 || position == start {
                    block = self.units(position - place);
                }
                let place = &mut places[place as usize];
                if place.is_empty() {
                    *place = self.units(position % BLOCK);
                }
                let pairs = || block.iter().zip(&*place);
                cos.extend(pairs().map(|([c, s], [d, t])| c * d - s * t));
                sin.extend(pairs().map(|([c, s], [d, t])| s * d + c * t));
            }
        }
        let shape = [starts.len(), 1, tokens, self.turns.len()];
        let table = |values: Vec<f64>| {
            let data = TensorData::new(values, shape).convert_dtype(dtype);
            Tensor::from_data(data, (device, dtype))
        };
        Rotation {
            cos: table(cos),
            sin: table(sin),
        }
    }
}

/// Rotation of one window: cosines and sines, `[1 or B, 1, T, N/2]` each.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// Cosines of the pairs' angles.
    pub cos: Tensor<4>,
    /// Sines of the pairs' angles.
    pub sin: Tensor<4>,
}

impl Rotation {
    /// The same rotation without autodiff.
    pub fn inner(self) -> Self {
        let inner = |table: Tensor<4>| if table.is_autodiff() { table.inner() } else { table };
        Self {
            cos: inner(self.cos),
            sin: inner(self.sin),
        }
    }

    /// Rotates the pairs of `x` by their angles.
    ///
    /// # Shapes
    /// - `x`, output: `[B, H, T, N]`
    ///
    /// # Panics
    /// If the table was made for another window or another number of neurons.
    pub fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let [_, _, tokens, neurons] = x.dims();
        let lanes = self.cos.dims()[0];
        crate::assert_shape(
            "rotation",
            "the table",
            self.cos.dims(),
            [lanes, 1, tokens, neurons / 2],
        );
        on_backends!(B, input = x => on_backend::<B>(input, self))
            .unwrap_or_else(|x| reference::rotate(x, self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, values};

    #[test]
    fn values_and_gradients_are_those_of_the_definition() {
        let device = Device::flex().autodiff();
        let (turning, still) = (Frequencies::new(100.0, 12), Frequencies::from_turns(vec![0.0; 6]));
        for (frequencies, starts) in [(&turning, &[5][..]), (&turning, &[0, 9]), (&still, &[3])] {
            let rotation = frequencies.rotation(starts, 7, DType::F32, &device);
            let of = |rotate: &dyn Fn(Tensor<4>) -> Tensor<4>| {
                let x = numbers([2, 3, 7, 12], 1, 2.0, &device).require_grad();
                let turned = rotate(x.clone());
                let loss = (turned.clone() * numbers([2, 3, 7, 12], 2, 1.0, &device)).sum();
                let gradient = x.grad(&loss.backward()).unwrap();
                (values(turned.inner()), values(gradient))
            };
            let fast = of(&|x| rotation.rotate(x));
            let defined = of(&|x| reference::rotate(x, &rotation));
            assert_eq!(fast.0, defined.0);
            for (fast, defined) in fast.1.iter().zip(&defined.1) {
                assert!((fast - defined).abs() < 1e-6, "{fast} {defined}");
            }
        }
    }

    #[test]
    fn a_table_holds_the_angle_of_every_position() {
        let turns = Frequencies::new(100.0, 6);
        for starts in [[0, 0], [3, 61], [63, 64], [1_000_000_000, 5]] {
            let table = turns.rotation(&starts, 130, DType::F64, &Device::flex());
            let values = |table: Tensor<4>| table.into_data().try_to_vec::<f64>().unwrap();
            let (cos, sin) = (values(table.cos), values(table.sin));
            for (i, (cos, sin)) in cos.into_iter().zip(sin).enumerate() {
                let position = starts[i / (130 * 3)] + (i / 3 % 130) as u64;
                let angle = (position as f64 * turns.turns()[i % 3]).fract() * std::f64::consts::TAU;
                // A turn is known to 2^-53 of the turns so far.
                let known = 1e-15 * (1.0 + position as f64);
                assert!(
                    (cos - angle.cos()).abs() < known && (sin - angle.sin()).abs() < known,
                    "{position}"
                );
            }
        }
    }

    #[test]
    fn the_slowest_pair_of_a_large_head_takes_four_hundred_thousand_tokens_a_turn() {
        let turns = Frequencies::new(65536.0, 8192);
        assert!((turns.turns()[0] - 1.0 / std::f64::consts::TAU).abs() < 1e-12);
        assert!((4.0e5..4.2e5).contains(&(1.0 / turns.turns()[4095])));
    }

    #[test]
    fn a_rotation_keeps_the_length_of_every_pair_and_shifts_cancel() {
        let device = Device::flex();
        let turns = Frequencies::new(100.0, 8);
        let x = Tensor::<4>::from_data(
            TensorData::new((0..8).map(f64::from).collect::<Vec<_>>(), [1, 1, 1, 8]),
            (&device, DType::F64),
        );
        let y = Tensor::<4>::from_data(
            TensorData::new(
                (0..8).map(|i| f64::from(i * i % 5)).collect::<Vec<_>>(),
                [1, 1, 1, 8],
            ),
            (&device, DType::F64),
        );
        let dot = |p: u64, q: u64| {
            let at =
                |start, t: &Tensor<4>| turns.rotation(&[start], 1, DType::F64, &device).rotate(t.clone());
            (at(p, &x) * at(q, &y)).sum().into_scalar::<f64>()
        };
        assert!((dot(0, 0) - (x.clone() * y.clone()).sum().into_scalar::<f64>()).abs() < 1e-12);
        assert!((dot(3, 11) - dot(1_000_003, 1_000_011)).abs() < 1e-7);
    }
}
