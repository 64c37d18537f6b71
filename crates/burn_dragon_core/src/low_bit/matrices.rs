//! Low-bit matrices of a trunk in whole numbers, with their scales: for files and for decoders.
//!
//! A neuron is a row, in all three: `[H, N, D]`. Numbers and scales are those of the quantisers, bit for bit. Of matrices that are
//! quantised already, what 1 is worth is the largest magnitude of a group, of 8 bits a 127th of it.

use super::config::{ActFormat, ActGrouping, Target, WeightFormat, WeightGrouping};
use super::rules::LowBit;
use super::weights::{Codes, Neurons};
use crate::trunk::Trunk;
use burn::tensor::{DType, Tensor};
use burn_dragon_kernel::api::low_bit::{
    InputGroups, Levels, LowBit as InWholeNumbers, LowBitError, LowBitMatrix, NeuronInput, RowInput,
    ScaleGroups,
};

impl Target {
    /// Name of the tensor.
    pub fn name(self) -> &'static str {
        match self {
            Self::DecoderX => "decoder_x",
            Self::DecoderY => "decoder_y",
            Self::Encoder => "encoder",
        }
    }
}

impl WeightGrouping {
    /// The rows of neurons that share a scale.
    pub fn rows(self) -> ScaleGroups {
        match self {
            Self::PerTensor => ScaleGroups::All,
            Self::PerHeadGroup => ScaleGroups::Head,
            Self::PerGroup => ScaleGroups::Neurons,
        }
    }
}

impl LowBit {
    /// Format of a matrix.
    pub fn format(&self, target: Target) -> WeightFormat {
        match target {
            Target::DecoderX => self.decoder_x,
            Target::DecoderY => self.decoder_y,
            Target::Encoder => self.encoder,
        }
    }

    /// A matrix in whole numbers; `None` if it is not quantised.
    fn matrix(
        &self,
        format: WeightFormat,
        w: Tensor<3>,
        axis: Neurons,
    ) -> Option<Result<LowBitMatrix, LowBitError>> {
        let codes = match self.is_packed {
            true => unpacked(format, w, axis, self.weight_grouping),
            false => format.codes(w, axis, self.weight_grouping),
        };
        let by_rows = |w: Tensor<3>| match axis {
            Neurons::Rows => w,
            Neurons::Columns => w.swap_dims(1, 2),
        };
        let Codes { numbers, unit } = codes?;
        let (numbers, unit) = (by_rows(numbers), by_rows(unit));
        let (shape, groups) = (numbers.dims(), self.weight_grouping.rows());
        let [heads, neurons, _] = shape;
        let unit = values(unit.expand([heads, neurons, 1]).clamp_min(f32::MIN_POSITIVE)); // of signs of zeros it is 0
        let scales = match groups {
            ScaleGroups::All => vec![unit[0]],
            ScaleGroups::Head => unit.chunks(neurons).map(|head| head[0]).collect(),
            ScaleGroups::Neurons => {
                let heads = unit.chunks(neurons);
                heads
                    .flat_map(|head| head.chunks(ScaleGroups::NEURONS).map(|group| group[0]))
                    .collect()
            }
        };
        let numbers: Vec<i8> = values(numbers).into_iter().map(|number| number as i8).collect();
        Some(LowBitMatrix::new(&numbers, shape, groups, scales))
    }
}

/// Codes of a matrix of which the numbers are quantised already; `None` if it is not quantised.
fn unpacked(format: WeightFormat, w: Tensor<3>, axis: Neurons, grouping: WeightGrouping) -> Option<Codes> {
    let levels = match format {
        WeightFormat::Fp16 => return None,
        WeightFormat::Sign1 | WeightFormat::Ternary158 | WeightFormat::Packed2 => 1.0,
        WeightFormat::Int8 => 127.0,
    };
    let unit = grouping.largest(w.clone().abs(), axis) / levels;
    let unit = unit.clone().mask_fill(unit.equal_elem(0.0), 1.0); // of a group of zeros
    let numbers = (w / unit.clone()).round().clamp(-127.0, 127.0);
    Some(Codes { numbers, unit })
}

fn values<const R: usize>(tensor: Tensor<R>) -> Vec<f32> {
    match tensor.cast(DType::F32).into_data().try_into_vec() {
        Ok(values) => values,
        Err(error) => unreachable!("a tensor cast to f32 is f32: {error}"),
    }
}

impl ActFormat {
    /// Quantiser of a row of the width; `None` if it is not quantised.
    fn row(self, grouping: ActGrouping, hadamard: bool) -> Option<RowInput> {
        let levels = match self {
            Self::Fp16 | Self::Uint8PosExp => return None,
            Self::Int8 => Levels::Int8,
            Self::Int4Exp => Levels::Int4,
        };
        let groups = match grouping {
            ActGrouping::PerToken | ActGrouping::PerHeadGroup => InputGroups::Row,
            ActGrouping::PerGroup => InputGroups::Width,
        };
        Some(RowInput {
            levels,
            groups,
            hadamard,
        })
    }
}

impl LowBit {
    /// What a decoder computes with: these matrices, and the quantisers of what they are multiplied with.
    pub(crate) fn decoding(&self, matrices: Vec<(Target, LowBitMatrix)>) -> InWholeNumbers {
        let mut parts = InWholeNumbers {
            v: self.v.row(self.act_grouping, self.is_turned),
            a: self.a.row(self.act_grouping, self.is_turned),
            y: self.y.map(|levels| NeuronInput {
                levels: levels as u8,
                groups: match self.act_grouping {
                    ActGrouping::PerToken => ScaleGroups::All,
                    ActGrouping::PerHeadGroup => ScaleGroups::Head,
                    ActGrouping::PerGroup => ScaleGroups::Neurons,
                },
            }),
            ..InWholeNumbers::default()
        };
        for (target, matrix) in matrices {
            let place = match target {
                Target::DecoderX => &mut parts.decoder_x,
                Target::DecoderY => &mut parts.decoder_y,
                Target::Encoder => &mut parts.encoder,
            };
            *place = Some(matrix);
        }
        parts
    }
}

impl Trunk {
    /// Matrices of this trunk that are quantised, in whole numbers, `[H, N, D]`.
    ///
    /// # Errors
    /// If weights are so large that their mean is not finite.
    pub fn low_bit_matrices(&self) -> Result<Vec<(Target, LowBitMatrix)>, LowBitError> {
        let Some(low_bit) = self.config().low_bit() else {
            return Ok(Vec::new());
        };
        let [heads, width, neurons] = self.decoder_x.dims();
        let matrix = |target: Target| {
            let (w, axis) = match target {
                Target::DecoderX => (self.decoder_x.val(), Neurons::Columns),
                Target::DecoderY => (self.decoder_y.val(), Neurons::Columns),
                Target::Encoder => (self.encoder.val().reshape([heads, neurons, width]), Neurons::Rows),
            };
            let matrix = low_bit.matrix(low_bit.format(target), w.detach(), axis)?;
            Some(matrix.map(|matrix| (target, matrix)))
        };
        Target::ALL.into_iter().filter_map(matrix).collect()
    }
}
