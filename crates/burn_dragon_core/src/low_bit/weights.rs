//! Quantisers of weights.
//!
//! | format | codes | unit |
//! |---|---|---|
//! | `ternary158`, `packed2` | `clip(round(W / gamma), -1, 1)` | `gamma = max(mean \|W\|, 1e-5)` |
//! | `sign1` | `sign(W - mean W)`, 0 to -1 | `mean \|W\|` |
//! | `int8` | `clip(round(W 127 / m), -128, 127)` | `m / 127` with `m = max(max \|W\|, 1e-5)` |
//!
//! Means and maxima are over the weights that share a scale, see [`WeightGrouping`].

use super::config::{WeightFormat, WeightGrouping};
use super::groups::Statistic;
use super::rules::LowBit;
use burn::tensor::Tensor;
use burn_dragon_kernel::api::expert::straight_through;
use burn_dragon_kernel::api::{LevelWeights, Levels};

/// A matrix as whole numbers, times what one is worth.
#[derive(Clone, Debug)]
pub(super) struct Codes {
    /// Whole numbers, in the shape of the matrix.
    pub(super) numbers: Tensor<3>,
    /// What 1 is worth, in a shape that expands to that of the matrix.
    pub(super) unit: Tensor<3>,
}

/// Axis of the neurons in a matrix of heads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Neurons {
    /// `[H, N, D]`, as of the encoder.
    Rows,
    /// `[H, D, N]`, as of the decoders.
    Columns,
}

impl WeightGrouping {
    /// A statistic over the weights that share a scale, in a shape that expands to that of the matrix.
    fn statistic(self, w: Tensor<3>, neurons: Neurons, statistic: Statistic) -> Tensor<3> {
        let over = |w, axis| statistic.over(w, axis);
        match (self, neurons) {
            (Self::PerTensor, _) => over(over(over(w, 2), 1), 0),
            (Self::PerHeadGroup, _) => over(over(w, 2), 1),
            (Self::PerGroup, Neurons::Columns) => statistic.of_groups(over(w, 1), Levels::GROUP),
            (Self::PerGroup, Neurons::Rows) => {
                let of_neurons = over(w, 2).swap_dims(1, 2); // [H, 1, N]
                statistic.of_groups(of_neurons, Levels::GROUP).swap_dims(1, 2)
            }
        }
    }
}

impl WeightGrouping {
    /// Largest of the numbers that share a scale, in a shape that expands to that of the matrix.
    pub(super) fn largest(self, w: Tensor<3>, neurons: Neurons) -> Tensor<3> {
        self.statistic(w, neurons, Statistic::Largest)
    }
}

impl WeightFormat {
    /// Codes of a matrix; `None` if it is not quantised.
    pub(super) fn codes(self, w: Tensor<3>, neurons: Neurons, grouping: WeightGrouping) -> Option<Codes> {
        let over = |w: Tensor<3>, statistic| grouping.statistic(w, neurons, statistic);
        Some(match self {
            Self::Fp16 => return None,
            Self::Ternary158 | Self::Packed2 => {
                let unit = over(w.clone().abs(), Statistic::Mean).clamp_min(Levels::LEAST);
                let numbers = (w / unit.clone()).round().clamp(-1.0, 1.0);
                Codes { numbers, unit }
            }
            Self::Sign1 => {
                let centre = over(w.clone(), Statistic::Mean);
                let sign = (w.clone() - centre).sign();
                Codes {
                    numbers: sign.clone() + sign.abs() - 1.0, // 1 + 1 - 1, 0 + 0 - 1, and -1 + 1 - 1
                    unit: over(w.abs(), Statistic::Mean),
                }
            }
            Self::Int8 => {
                let most = over(w.clone().abs(), Statistic::Largest).clamp_min(Levels::LEAST);
                let per_unit = most.clone().recip() * 127.0;
                Codes {
                    numbers: (w * per_unit).round().clamp(-128.0, 127.0),
                    unit: most / 127.0,
                }
            }
        })
    }

    /// A matrix after quantisation, with a straight-through gradient.
    fn quantised(self, w: Tensor<3>, neurons: Neurons, grouping: WeightGrouping) -> Tensor<3> {
        if self == Self::Fp16 {
            return w;
        }
        straight_through(w, |w| match self.codes(w.clone(), neurons, grouping) {
            Some(Codes { numbers, unit }) => numbers * unit,
            None => w,
        })
    }
}

impl LowBit {
    /// Weights of a pass: all three matrices after quantisation, if they are not quantised already.
    pub(crate) fn weights(
        &self,
        decoder_x: Tensor<3>,
        decoder_y: Tensor<3>,
        encoder: Tensor<2>,
    ) -> LevelWeights {
        if self.is_packed {
            return LevelWeights::new(decoder_x, decoder_y, encoder);
        }
        let ([heads, width, neurons], grouping) = (decoder_x.dims(), self.weight_grouping);
        let encoder = encoder.reshape([heads, neurons, width]);
        let encoder = self.encoder.quantised(encoder, Neurons::Rows, grouping);
        LevelWeights::new(
            self.decoder_x.quantised(decoder_x, Neurons::Columns, grouping),
            self.decoder_y.quantised(decoder_y, Neurons::Columns, grouping),
            encoder.reshape([heads * neurons, width]),
        )
    }
}
