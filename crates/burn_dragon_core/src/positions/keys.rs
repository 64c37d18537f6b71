//! Queries and keys of a level, from the activity of its neurons.
//!
//! ```text
//! pairs   q = k = rotate(x)                                   pairs (2c, 2c+1) turn by t f_c
//! polar   q_c = mu_c (cos, sin)(t f_c),  k_c = mu_c (cos, sin)(t f_c + delta_c)        mu = magnitude(x)
//! ```
//!
//! A polar score is `sum over c of mu_c(t) mu_c(s) cos((s - t) f_c + delta_c)`. A memory has what keys wrote.

use super::{Magnitude, PopeConfig, Positions};
use crate::tracking::alike;
use burn::tensor::{Tensor, activation};
use burn_dragon_kernel::api::{Retention, Rotation, polar_read};
use std::f64::consts::{LN_2, TAU};

/// How queries and keys are made.
#[derive(Clone, Debug, Default)]
#[expect(clippy::large_enum_variant, reason = "one of a pass is alive")]
pub enum Keys {
    /// Pairs of neurons turn; keys are the queries.
    #[default]
    Pairs,
    /// Neurons are lengths of vectors that turn.
    Polar {
        /// Length of a vector.
        magnitude: Magnitude,
        /// Angles by which keys turn more, `[1, H, 1, N]`; `None` for 0.
        phase: Option<Tensor<4>>,
    },
}

impl Keys {
    /// Those of positions, with the phases `[H, N]` where they are learnt.
    ///
    /// Phases are clamped to `[-2 pi, 0]`, with the gradient of what is clamped: a phase that has left the range can come
    /// back.
    pub(crate) fn new(positions: Positions, phase: Option<Tensor<2>>) -> Self {
        let phase = phase.map(|phase| {
            let [heads, neurons] = phase.dims();
            let beyond = phase.clone().detach();
            let within = beyond.clone().clamp(-TAU, 0.0);
            (phase + (within - beyond)).reshape([1, heads, 1, neurons])
        });
        match positions {
            Positions::Rotary | Positions::None => Self::Pairs,
            Positions::Pope(PopeConfig { magnitude, .. }) => Self::Polar { magnitude, phase },
            Positions::PopeUpstream => Self::Polar {
                magnitude: Magnitude::Softplus,
                phase: None,
            },
        }
    }

    /// Whether they are those of the kernels.
    pub(crate) fn are_pairs(&self) -> bool {
        matches!(self, Self::Pairs)
    }

    /// Numbers that a key has for each neuron.
    pub(crate) fn numbers_per_neuron(&self) -> usize {
        if self.are_pairs() { 1 } else { 2 }
    }

    /// Those of the first `neurons` of each head.
    pub(crate) fn of_first(&self, neurons: usize) -> Self {
        match self {
            Self::Pairs => Self::Pairs,
            Self::Polar { magnitude, phase } => Self::Polar {
                magnitude: *magnitude,
                phase: phase.as_ref().map(|phase| phase.clone().narrow(3, 0, neurons)),
            },
        }
    }

    /// Causal read of a window from an empty memory by the kernel's operation for these keys, `[B, H, T, D]`; `None` if it has
    /// none.
    ///
    /// # Shapes
    /// - `x`: `[B, H, T, N]`
    /// - `v`: `[B, 1, T, D]`
    pub(crate) fn read(
        &self,
        x: &dyn Fn() -> Tensor<4>,
        v: &Tensor<4>,
        rotation: &Rotation,
        retention: &Retention,
    ) -> Option<Tensor<4>> {
        match self {
            Self::Pairs => None,
            Self::Polar { magnitude, phase } => {
                let lengths = magnitude.of(x());
                Some(polar_read(lengths, phase.clone(), rotation, v.clone(), retention))
            }
        }
    }

    /// Queries, `[B, H, T, K]`, and the keys, if they are not the queries.
    ///
    /// # Shapes
    /// - `x`: `[B, H, T, N]`
    pub(crate) fn of(&self, x: Tensor<4>, rotation: &Rotation) -> (Tensor<4>, Option<Tensor<4>>) {
        let Self::Polar { magnitude, phase } = self else {
            return (rotation.rotate(x), None);
        };
        let lengths = magnitude.of(x);
        let table = |table: &Tensor<4>| alike(table.clone(), &lengths);
        let (cos, sin) = (table(&rotation.cos), table(&rotation.sin)); // [1 or B, 1, T, N]
        let queries = vectors(&lengths, cos.clone(), sin.clone());
        let keys = phase.as_ref().map(|phase| {
            let (c, s) = (phase.clone().cos(), phase.clone().sin());
            let further = cos.clone() * c.clone() - sin.clone() * s.clone(); // cos of the sum, [1 or B, H, T, N]
            vectors(&lengths, further, sin * c + cos * s)
        });
        (queries, keys)
    }
}

impl Magnitude {
    /// Lengths of the vectors of neurons of such an activity.
    fn of(self, x: Tensor<4>) -> Tensor<4> {
        match self {
            Self::Identity => x,
            Self::Softplus => activation::softplus(x, 1.0),
            Self::ShiftedSoftplus => activation::softplus(x, 1.0) - LN_2,
        }
    }
}

/// Vectors of these lengths in these directions, two numbers side by side, `[B, H, T, 2 N]`.
fn vectors(lengths: &Tensor<4>, cos: Tensor<4>, sin: Tensor<4>) -> Tensor<4> {
    let [lanes, heads, tokens, neurons] = lengths.dims();
    let parts = vec![lengths.clone() * cos, lengths.clone() * sin];
    Tensor::stack::<5>(parts, 4).reshape([lanes, heads, tokens, 2 * neurons])
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    fn tensor(values: [f64; 4]) -> Tensor<4> {
        let data = TensorData::new(values.to_vec(), [1, 1, 1, 4]);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    fn values(tensor: Tensor<4>) -> Vec<f64> {
        tensor.into_data().try_into_vec().unwrap()
    }

    fn at(position: u64) -> Rotation {
        let frequencies = Positions::PopeUpstream.frequencies(1e4, 4);
        frequencies.rotation(&[position], 1, DType::F64, &Device::flex())
    }

    fn keys(delta: [f64; 4]) -> Keys {
        Keys::Polar {
            magnitude: Magnitude::Softplus,
            phase: Some(tensor(delta)),
        }
    }

    const QUERY: [f64; 4] = [0.5, -1.0, 2.0, 0.0];
    const KEY: [f64; 4] = [1.0, 0.25, -0.5, -3.0];
    const DELTA: [f64; 4] = [0.0, -0.5, -1.0, -2.0];

    #[test]
    fn scores_are_those_of_the_paper() {
        for (t, s, without, with) in [
            (0, 0, 2.579_958_96, 2.037_066_13),
            (3, 1, 0.763_039_26, 0.179_197_11),
            (7, 2, 1.630_672_48, 0.990_207_6),
            (1_000_003, 1_000_001, 0.763_039_26, 0.179_197_11),
        ] {
            for (delta, expected) in [([0.0; 4], without), (DELTA, with)] {
                let keys = keys(delta);
                let (q, _) = keys.of(tensor(QUERY), &at(t));
                let (_, k) = keys.of(tensor(KEY), &at(s));
                let score = (q * k.unwrap()).sum().into_scalar::<f64>();
                assert!((score - expected).abs() < 1e-7, "{t} {s}: {score} {expected}");
            }
        }
    }

    #[test]
    fn vectors_are_those_of_the_paper() {
        let (q, _) = keys(DELTA).of(tensor(QUERY), &at(3));
        let (_, k) = keys(DELTA).of(tensor(KEY), &at(1));
        let expected = [
            [
                -0.964_328_91,
                0.137_461_75,
                0.299_270_32,
                0.092_575_16,
                2.125_970_97,
                0.063_798_27,
                0.693_144_06,
                0.002_079_44,
            ],
            [
                0.709_558_32,
                1.105_071_61,
                0.760_740_58,
                -0.321_635_96,
                0.260_121_23,
                -0.396_340_67,
                -0.020_175_28,
                -0.044_200_55,
            ],
        ];
        for (found, expected) in [q, k.unwrap()].into_iter().zip(expected) {
            for (a, b) in values(found).into_iter().zip(expected) {
                assert!((a - b).abs() < 1e-7, "{a} {b}");
            }
        }
    }

    #[test]
    fn lengths_of_silent_neurons_are_zero_but_with_softplus() {
        let silent = tensor([0.0; 4]);
        for (magnitude, length) in [
            (Magnitude::Identity, 0.0),
            (Magnitude::ShiftedSoftplus, 0.0),
            (Magnitude::Softplus, LN_2),
        ] {
            let keys = Keys::Polar {
                magnitude,
                phase: None,
            };
            let (q, none) = keys.of(silent.clone(), &at(5));
            assert!(none.is_none());
            let found = q.square().sum().into_scalar::<f64>().sqrt();
            assert!((found - 2.0 * length).abs() < 1e-12, "{magnitude:?}: {found}");
        }
    }

    #[test]
    fn phases_stay_within_a_turn_and_keep_their_gradient() {
        let device = Device::flex().autodiff();
        let data = TensorData::new(vec![-7.0, -1.0, 0.0, 2.0], [1, 4]);
        let phase = Tensor::<2>::from_data(data, (&device, DType::F64)).require_grad();
        let keys = Keys::new(Positions::Pope(PopeConfig::default()), Some(phase.clone()));
        let Keys::Polar {
            phase: Some(used), ..
        } = keys
        else {
            panic!("polar keys with phases");
        };
        let gradients = (used.clone() * 3.0).sum().backward();
        let found = values(used.inner());
        for (a, b) in found.iter().zip([-TAU, -1.0, 0.0, 0.0]) {
            assert!((a - b).abs() < 1e-12, "{found:?}");
        }
        let gradient: Vec<f64> = phase
            .grad(&gradients)
            .unwrap()
            .into_data()
            .try_into_vec()
            .unwrap();
        assert_eq!(gradient, [3.0; 4]);
    }
}
