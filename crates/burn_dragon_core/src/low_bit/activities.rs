//! Quantisers of activities.
//!
//! | of | format | codes | value |
//! |---|---|---|---|
//! | v, a | `int8` | `clip(round(x s), -128, 127)` with `s = 127 / max(max \|x\|, 1e-5)` | `codes / s` |
//! | v, a | `int4_exp` | `clip(round(x sqrt 7 / beta), -8, 7)` with `beta = max(mean \|x\|, 1e-5)` | `codes beta / sqrt 7` |
//! | y | so many levels: [`Levels`] | `round(y s)` with `s = levels / max(max y, 1e-5)` | `codes / s` |
//!
//! Means and maxima are over the numbers that share a scale, see [`ActGrouping`].

use super::config::{ActFormat, ActGrouping};
use super::groups::Statistic;
use super::hadamard::Hadamard;
use super::rules::LowBit;
use burn::tensor::{DType, Device, Tensor};
use burn_dragon_kernel::api::expert::straight_through;
use burn_dragon_kernel::api::{Levels, SharedScale};

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
        match self.levels() {
            Some(levels) => levels.round(y),
            None => y,
        }
    }

    /// Levels that y is rounded to; `None` if it is not quantised.
    pub(crate) fn levels(&self) -> Option<Levels> {
        let low_bit = self.low_bit?;
        Some(Levels {
            count: low_bit.y?,
            shared: match low_bit.act_grouping {
                ActGrouping::PerToken => SharedScale::Token,
                ActGrouping::PerHeadGroup => SharedScale::Head,
                ActGrouping::PerGroup => SharedScale::Group,
            },
        })
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
        let scale = |statistic| {
            grouping
                .of_width(x.clone().abs(), statistic)
                .clamp_min(Levels::LEAST)
        };
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
            Self::PerGroup => statistic.of_groups(x, Levels::GROUP),
        }
    }
}
