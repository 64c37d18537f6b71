//! Quantisers of activities.
//!
//! | of | format | codes | value |
//! |---|---|---|---|
//! | v, a | `int8` | `clip(round(x s), -128, 127)` with `s = 127 / max(max \|x\|, 1e-5)` | `codes / s` |
//! | v, a | `int4_exp` | `clip(round(x sqrt 7 / beta), -8, 7)` with `beta = max(mean \|x\|, 1e-5)` | `codes beta / sqrt 7` |
//! | y | so many levels | `round(y s)` with `s = levels / max(max y, 1e-5)` | `codes / s` |
//!
//! Means and maxima are over the numbers that share a scale, see [`ActGrouping`].

use super::config::{ActFormat, ActGrouping};
use super::groups::{GROUP, LEAST, Statistic};
use super::hadamard::Hadamard;
use super::rules::LowBit;
use super::straight::straight_through;
use burn::tensor::{DType, Device, Tensor};

/// Quantisers of the activities of a pass; the default quantises nothing.
#[derive(Clone, Debug, Default)]
pub struct Quantisers {
    low_bit: Option<LowBit>,
    hadamard: Option<Hadamard>,
}

impl Quantisers {
    /// Those of a trunk of this width, for tensors of this type.
    pub(crate) fn new(low_bit: Option<LowBit>, width: usize, dtype: DType, device: &Device) -> Self {
        let low_bit = low_bit.filter(LowBit::has_activities);
        let is_turned = low_bit.is_some_and(|low_bit| low_bit.is_turned);
        Self {
            low_bit,
            hadamard: is_turned.then(|| Hadamard::new(width, dtype, device)),
        }
    }

    /// Whether none of the activities is quantised.
    pub fn are_none(&self) -> bool {
        self.low_bit.is_none()
    }

    /// Stream that `decoder_x` is multiplied with, `[B, 1, T, D]`.
    pub(crate) fn v(&self, v: Tensor<4>) -> Tensor<4> {
        self.of_width(v, |low_bit| low_bit.v)
    }

    /// Normed read that `decoder_y` is multiplied with, `[B, H, T, D]`.
    pub(crate) fn a(&self, a: Tensor<4>) -> Tensor<4> {
        self.of_width(a, |low_bit| low_bit.a)
    }

    /// Activity that the encoder is multiplied with, `[B, H, T, N]`.
    pub(crate) fn y(&self, y: Tensor<4>) -> Tensor<4> {
        match self.low_bit {
            Some(LowBit {
                y: Some(levels),
                act_grouping,
                ..
            }) => straight_through(y, |y| {
                let per_unit = act_grouping.most_of_neurons(y.clone()).recip() * f64::from(levels);
                (y * per_unit.clone()).round() / per_unit
            }),
            _ => y,
        }
    }

    /// Number of levels of y, and what shares a scale; `None` if y is not quantised.
    pub(crate) fn levels(&self) -> Option<(u32, ActGrouping)> {
        self.low_bit
            .and_then(|low_bit| Some((low_bit.y?, low_bit.act_grouping)))
    }

    fn of_width(&self, x: Tensor<4>, format: fn(&LowBit) -> ActFormat) -> Tensor<4> {
        let Some(low_bit) = &self.low_bit else {
            return x;
        };
        let format = format(low_bit);
        if format == ActFormat::Fp16 {
            return x;
        }
        let turned = match &self.hadamard {
            Some(hadamard) => hadamard.turn(x),
            None => x,
        };
        straight_through(turned, |x| format.dequantised(x, low_bit.act_grouping))
    }
}

impl ActFormat {
    /// Rows of the width, `[B, H, T, D]`, after quantisation.
    fn dequantised(self, x: Tensor<4>, grouping: ActGrouping) -> Tensor<4> {
        let scale = |statistic| grouping.of_width(x.clone().abs(), statistic).clamp_min(LEAST);
        match self {
            // Without negative numbers it is a format of y alone.
            Self::Fp16 | Self::Uint8PosExp => x,
            Self::Int8 => {
                let per_unit = scale(Statistic::Largest).recip() * 127.0;
                (x * per_unit.clone()).round().clamp(-128.0, 127.0) / per_unit
            }
            Self::Int4Exp => {
                let unit = scale(Statistic::Mean) / 7f64.sqrt();
                (x / unit.clone()).round().clamp(-8.0, 7.0) * unit
            }
        }
    }
}

impl ActGrouping {
    /// A statistic of the numbers of `[B, H, T, D]` that share a scale, in a shape that expands to it.
    fn of_width(self, x: Tensor<4>, statistic: Statistic) -> Tensor<4> {
        match self {
            Self::PerToken | Self::PerHeadGroup => statistic.over(x, 3),
            Self::PerGroup => statistic.of_groups(x, GROUP),
        }
    }

    /// Largest of the neurons that share a scale, at least 1e-5, in a shape that expands to that of `y`, `[B, H, T, N]`.
    fn most_of_neurons(self, y: Tensor<4>) -> Tensor<4> {
        let most = match self {
            Self::PerToken => y.max_dim(3).max_dim(1),
            Self::PerHeadGroup => y.max_dim(3),
            Self::PerGroup => Statistic::Largest.of_groups(y, GROUP),
        };
        most.clamp_min(LEAST)
    }
}
