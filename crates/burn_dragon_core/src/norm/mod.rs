//! Norms of a trunk: one kind, and one set of what it learns, at all of its sites.
//!
//! | norm | equation |
//! |---|---|
//! | `layer` | `(z - mean) / sqrt(variance + eps)`, with the biased variance |
//! | `rms` | `z / sqrt(mean of z^2 + eps)` (arXiv:1910.07467) |
//! | `dynamic_tanh` | `tanh(alpha z)` (DyT, arXiv:2503.10622) |
//! | `derf` | `erf(alpha z + shift)` |
//!
//! Each is over the width, and with `affine` is followed by `gain n + bias`. As in the public implementation, the sites share
//! what is learnt: the input of the trunk, the read before `decoder_y`, what a level contributes, and the stream.
//!
//! A layer norm that learns nothing is the kernels' own. With any other a level runs by halves, its read in tensor
//! operations between them, and a decoder reads windows of one token.

mod config;
mod weights;

pub use config::{NormConfig, NormKind};
pub use weights::NormWeights;

use burn::tensor::Tensor;
use burn_dragon_kernel::api::{join, norm};

/// Norm of a pass, with what it has learnt.
#[derive(Clone, Debug)]
pub struct Norm {
    kind: NormKind,
    eps: f64,
    /// Gain and bias, `[D]` each; `None` if they are not learnt.
    affine: Option<[Tensor<1>; 2]>,
    /// `[1]`; of `dynamic_tanh` and `derf`.
    alpha: Option<Tensor<1>>,
    /// `[1]`; of `derf`.
    shift: Option<Tensor<1>>,
}

impl Norm {
    /// Layer norm that learns nothing.
    pub fn layer(eps: f64) -> Self {
        Self {
            kind: NormKind::Layer,
            eps,
            affine: None,
            alpha: None,
            shift: None,
        }
    }

    /// Norm of a configuration, with its weights.
    pub(crate) fn new(config: NormConfig, eps: f64, weights: Option<&NormWeights>) -> Self {
        let learnt = |of: fn(&NormWeights) -> Option<Tensor<1>>| weights.and_then(of);
        let gain = learnt(|weights| weights.gain.as_ref().map(|gain| gain.val()));
        let bias = learnt(|weights| weights.bias.as_ref().map(|bias| bias.val()));
        Self {
            kind: config.kind,
            eps,
            affine: gain.zip(bias).map(<[_; 2]>::from),
            alpha: learnt(|weights| weights.alpha.as_ref().map(|alpha| alpha.val())),
            shift: learnt(|weights| weights.shift.as_ref().map(|shift| shift.val())),
        }
    }

    /// Epsilon that is added to variances and squares.
    pub fn eps(&self) -> f64 {
        self.eps
    }

    /// Whether it is the norm that kernels compute within a level and a join.
    pub fn is_plain(&self) -> bool {
        self.kind == NormKind::Layer && self.affine.is_none()
    }

    /// Norm over the last axis.
    ///
    /// # Shapes
    /// - `z`, output: `[..., D]`
    pub fn of<const R: usize>(&self, z: Tensor<R>) -> Tensor<R> {
        let normed = match self.kind {
            NormKind::Layer => norm(z, self.eps),
            NormKind::Rms => {
                let scale = (z.clone().square().mean_dim(R - 1) + self.eps).sqrt().recip();
                z * scale
            }
            NormKind::DynamicTanh => self.scaled(z).tanh(),
            NormKind::Derf => self.scaled(z).erf(),
        };
        match &self.affine {
            None => normed,
            Some([gain, bias]) => normed * gain.clone().unsqueeze() + bias.clone().unsqueeze(),
        }
    }

    /// `alpha z + shift`.
    fn scaled<const R: usize>(&self, z: Tensor<R>) -> Tensor<R> {
        let z = match &self.alpha {
            Some(alpha) => z * alpha.clone().unsqueeze(),
            None => z,
        };
        match &self.shift {
            Some(shift) => z + shift.clone().unsqueeze(),
            None => z,
        }
    }

    /// `norm(v + norm(u))`.
    ///
    /// # Shapes
    /// - `v`, `u`, output: `[B, 1, T, D]`
    pub fn join(&self, v: Tensor<4>, u: Tensor<4>) -> Tensor<4> {
        match self.is_plain() {
            true => join(v, u, self.eps),
            false => self.of(v + self.of(u)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::{DType, Device, TensorData};

    fn tensor<const R: usize>(values: &[f64], shape: [usize; R]) -> Tensor<R> {
        let data = TensorData::new(values.to_vec(), shape);
        Tensor::from_data(data, (&Device::flex(), DType::F64))
    }

    fn of(kind: NormKind, affine: bool, [alpha, shift]: [Option<f64>; 2]) -> Norm {
        let learnt = |number: Option<f64>| number.map(|number| tensor(&[number], [1]));
        Norm {
            kind,
            eps: 0.25,
            affine: affine.then(|| [tensor(&[2.0, -1.0, 0.5], [3]), tensor(&[0.0, 0.5, 1.0], [3])]),
            alpha: learnt(alpha),
            shift: learnt(shift),
        }
    }

    /// Of (1, 2, -3), by hand: the variance is 14/3, the mean square too, and the mean is 0; of (3, 0, 0) they are 2, 3, 1.
    #[test]
    fn values_are_those_of_the_equations() {
        let rows = [1.0, 2.0, -3.0, 3.0, 0.0, 0.0];
        let (a, b, c) = ((14.0f64 / 3.0 + 0.25).sqrt(), 2.25f64.sqrt(), 3.25f64.sqrt());
        let layer = [1.0 / a, 2.0 / a, -3.0 / a, 2.0 / b, -1.0 / b, -1.0 / b];
        let rms = [1.0 / a, 2.0 / a, -3.0 / a, 3.0 / c, 0.0, 0.0];
        // tanh(z / 2), and erf(z / 2 + 1 / 4), to 15 digits from tables.
        let tanh = [
            0.462_117_157_260_010,
            0.761_594_155_955_765,
            -0.905_148_253_644_866,
            0.905_148_253_644_866,
            0.0,
            0.0,
        ];
        let erf = [
            0.711_155_633_653_515,
            0.922_900_128_256_458,
            -0.922_900_128_256_458,
            0.986_671_671_219_182,
            0.276_326_390_168_237,
            0.276_326_390_168_237,
        ];
        for (kind, learnt, expected) in [
            (NormKind::Layer, [None, None], layer),
            (NormKind::Rms, [None, None], rms),
            (NormKind::DynamicTanh, [Some(0.5), None], tanh),
            (NormKind::Derf, [Some(0.5), Some(0.25)], erf),
        ] {
            for affine in [false, true] {
                let found = of(kind, affine, learnt).of(tensor(&rows, [2, 3]));
                let found: Vec<f64> = found.into_data().try_into_vec().unwrap();
                for (index, (found, expected)) in found.into_iter().zip(expected).enumerate() {
                    let (gain, bias) = ([2.0, -1.0, 0.5][index % 3], [0.0, 0.5, 1.0][index % 3]);
                    let expected = if affine { gain * expected + bias } else { expected };
                    assert!(
                        (found - expected).abs() < 1e-12,
                        "{kind:?} {affine} {index}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_join_norms_what_is_added_and_the_sum() {
        let norm = of(NormKind::Rms, true, [None, None]);
        let (v, u) = (
            tensor(&[1.0, 2.0, -3.0], [1, 1, 1, 3]),
            tensor(&[0.3, -1.0, 2.0], [1, 1, 1, 3]),
        );
        let joined = norm.join(v.clone(), u.clone());
        let defined = norm.of(v + norm.of(u));
        assert!((joined - defined).abs().max().into_scalar::<f64>() < 1e-15);
    }
}
