//! Decoding in whole numbers: matrices of low-bit rows, and rows of the stream, the read and y quantised for them.
//!
//! ```text
//! v^ = Q(v),  x = relu(v^ Wx^)          the memory is asked with x and written with v itself
//! a^ = Q(a),  y = relu(a^ Wy^) * x
//! y^ = Q(y),  u = y^ We^                y^ = 0 for small y: their rows are not read
//! ```
//!
//! Each product is exact in whole numbers, in rows that are read as they are packed, and then scaled:
//! `x = relu((gamma / s) sum T q)`. A matrix or an input that is not quantised stays in f32 or bf16. A matrix in whole
//! numbers whose input is not quantised is multiplied out when the weights are made. The memory is as ever.
//!
//! The scale of y depends on the largest y. If that is of a whole head or token, all chunks must have fired before one
//! of them can speak, and a level has three phases.
//!
//! `inputs.rs` quantises, `level.rs` has the products. The definition is `reference.rs` of decoding with quantisers in f64
//! (`tests.rs`).

#[cfg(test)]
mod drift_tests;
mod inputs;
mod level;
#[cfg(test)]
mod speed_tests;
#[cfg(test)]
mod tests;

pub(super) use inputs::WholeInputs;
pub(super) use level::Speech;

use super::prefilter::Neurons;
use super::simd::{COARSE, LINE, Line};
use super::stored::{Halves, Stored};
use super::weights::{Parameters, Sizes, columns, neurons, rows};
use crate::low_bit::{Levels, LowBitMatrix, ScaleGroups, Trits, WholeRows};
use crate::matrix::Precision;

/// Largest width of a row whose product fits i32: `2^17 * 127 * 128`.
const WIDEST: usize = 1 << 17;

/// Matrices and inputs of a model in whole numbers. What is `None` is not quantised.
#[derive(Clone, Debug, Default)]
pub struct LowBit {
    /// Rows of `decoder_x`.
    pub decoder_x: Option<LowBitMatrix>,
    /// Rows of `decoder_y`.
    pub decoder_y: Option<LowBitMatrix>,
    /// Rows of `encoder`.
    pub encoder: Option<LowBitMatrix>,
    /// The stream v that `decoder_x` is multiplied by.
    pub v: Option<RowInput>,
    /// The read a that `decoder_y` is multiplied by.
    pub a: Option<RowInput>,
    /// The gated neurons y that `encoder` is multiplied by.
    pub y: Option<NeuronInput>,
}

/// How a row of the width is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowInput {
    /// Its whole numbers.
    pub levels: Levels,
    /// Numbers that share a scale.
    pub groups: InputGroups,
    /// Whether the row is first transformed by [`hadamard`](crate::low_bit::hadamard); its width is a power of two then.
    pub hadamard: bool,
}

/// Numbers of a row that share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InputGroups {
    /// All numbers of a row.
    Row,
    /// 64 consecutive numbers; the last ones may be fewer.
    Width,
}

/// How y is quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeuronInput {
    /// The whole number of the largest y, at least 1; smaller ones are between 0 and it.
    pub levels: u8,
    /// Neurons of a token that share a scale.
    pub groups: ScaleGroups,
}

/// Matrices of which some are in whole numbers.
#[derive(Debug)]
pub(super) struct LowBitStacks {
    pub(super) decoder_x: Projection, // [H, N] rows
    pub(super) decoder_y: Projection, // [H, N] rows
    pub(super) encoder: Encoder,      // [H, N] rows
    pub(super) lm_head: FloatRows,    // [V] rows
    pub(super) v: Option<RowInput>,
    pub(super) a: Option<RowInput>,
    pub(super) y: Option<NeuronInput>,
}

/// A matrix of neurons that is multiplied by a row of the width.
#[derive(Debug)]
pub(super) enum Projection {
    Float(FloatNeurons),
    Whole(LowBitMatrix),
}

/// Neurons in a precision.
#[derive(Debug)]
pub(super) enum FloatNeurons {
    F32(Neurons<Line>),
    Bf16(Neurons<Halves>),
}

/// A matrix whose rows are summed.
#[derive(Debug)]
pub(super) enum Encoder {
    Float(FloatRows),
    Whole(LowBitMatrix),
}

/// Rows in a precision.
#[derive(Debug)]
pub(super) enum FloatRows {
    F32(Vec<Line>),
    Bf16(Vec<Halves>),
}

impl FloatRows {
    fn new(rows: Vec<Line>, row: usize, precision: Precision) -> Self {
        match precision {
            Precision::F32 => Self::F32(rows),
            Precision::Bf16 => Self::Bf16(Halves::pack(rows, row)),
        }
    }

    pub(super) fn precision(&self) -> Precision {
        match self {
            Self::F32(_) => Precision::F32,
            Self::Bf16(_) => Precision::Bf16,
        }
    }
}

impl Projection {
    /// The matrix `[H, D, N]`, or the one in its place, whose input is quantised or not.
    fn new(
        matrix: &[f32],
        whole: Option<LowBitMatrix>,
        input: Option<RowInput>,
        sizes: Sizes,
        precision: Precision,
    ) -> Self {
        let lines = match (whole, input) {
            (Some(whole), Some(_)) => return Self::Whole(whole),
            (Some(whole), None) => rows(&whole.dequantised(), sizes.width),
            (None, _) => neurons(matrix, sizes),
        };
        Self::Float(match precision {
            Precision::F32 => FloatNeurons::F32(Neurons::new(lines, sizes.width)),
            Precision::Bf16 => FloatNeurons::Bf16(Neurons::new(lines, sizes.width)),
        })
    }

    /// Form of the rows that it is multiplied by.
    fn form(&self) -> Form {
        match self {
            Self::Float(_) => Form::Numbers,
            Self::Whole(matrix) => match matrix.rows() {
                WholeRows::Trits(_) => Form::Codes,
                WholeRows::Bytes(_) => Form::Shorts,
            },
        }
    }
}

/// Form of a quantised row, for what it is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Whole numbers of a byte, for trits.
    Codes,
    /// Whole numbers of two bytes, for bytes.
    Shorts,
    /// The numbers in f32 that the whole ones stand for.
    Numbers,
}

impl LowBitStacks {
    /// Copy of a model's parameters in this form.
    pub(super) fn new(parameters: &Parameters<'_>, low_bit: LowBit, precision: Precision) -> Self {
        low_bit.check(parameters.sizes);
        let unused = [&low_bit.decoder_x, &low_bit.decoder_y, &low_bit.encoder];
        parameters.check_but(unused.map(Option::is_some));
        let sizes = parameters.sizes;
        let LowBit { v, a, y, .. } = low_bit;
        let floats = |lines: Vec<Line>| FloatRows::new(lines, sizes.row(), precision);
        let project = |matrix, whole, input| Projection::new(matrix, whole, input, sizes, precision);
        Self {
            decoder_x: project(parameters.decoder_x, low_bit.decoder_x, v),
            decoder_y: project(parameters.decoder_y, low_bit.decoder_y, a),
            encoder: match (low_bit.encoder, y) {
                (Some(whole), Some(_)) => Encoder::Whole(whole),
                (Some(whole), None) => Encoder::Float(floats(rows(&whole.dequantised(), sizes.width))),
                (None, _) => Encoder::Float(floats(rows(parameters.encoder, sizes.width))),
            },
            lm_head: floats(columns(parameters.lm_head, sizes.width, sizes.vocab)),
            v,
            a,
            y,
        }
    }

    /// Whether no chunk can use its y before all have theirs.
    pub(super) fn speaks_apart(&self) -> bool {
        let groups = self.y.map(|y| y.groups);
        matches!(groups, Some(ScaleGroups::All | ScaleGroups::Head))
    }

    /// Lines of the encoder's sums in whole numbers.
    pub(super) fn sums(&self) -> usize {
        let Encoder::Whole(matrix) = &self.encoder else {
            return 0;
        };
        let width = matrix.shape()[2];
        match matrix.rows() {
            WholeRows::Trits(_) => width.next_multiple_of(Trits::BLOCK) / LINE,
            WholeRows::Bytes(_) => width.next_multiple_of(COARSE) / LINE,
        }
    }
}

impl LowBit {
    /// Panics unless it fits a model's sizes.
    fn check(&self, sizes: Sizes) {
        let expected = [sizes.heads, sizes.neurons, sizes.width];
        for (what, matrix) in [
            ("the low-bit decoder_x", &self.decoder_x),
            ("the low-bit decoder_y", &self.decoder_y),
            ("the low-bit encoder", &self.encoder),
        ] {
            if let Some(matrix) = matrix {
                crate::assert_shape("decode", what, matrix.shape(), expected);
            }
        }
        assert!(
            sizes.width <= WIDEST,
            "decode: width {} in whole numbers, expected at most {WIDEST}, where sums fit i32",
            sizes.width
        );
        let transformed = [self.v, self.a].into_iter().flatten().any(|row| row.hadamard);
        assert!(
            !transformed || sizes.width.is_power_of_two(),
            "decode: the Hadamard transform of width {}, expected a power of two",
            sizes.width
        );
        assert!(
            self.y.is_none_or(|y| y.levels > 0),
            "decode: y has 0 levels, expected at least 1"
        );
    }
}
