//! A matrix of whole numbers with scales.

use super::quantise::{int8, sign, ternary};
use super::two_bits::BLOCK;
use super::{GROUP, LowBitError, Trits, base_three, signs, two_bits};
use crate::decode::simd::{Bytes, COARSE};

/// Most entries of a matrix, of whole blocks: their bytes in f32 can be counted.
const MOST: usize = isize::MAX as usize / 4;

/// Quantiser of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LowBitFormat {
    /// -1, 0 and 1, of b1.58: numbers below half the mean magnitude become 0.
    Ternary,
    /// -1 and 1, of b1: signs about the mean.
    Sign,
    /// -127 to 127, of which the largest magnitude is 127.
    Int8,
}

/// Neurons whose numbers share a scale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScaleGroups {
    /// All neurons.
    All,
    /// Those of a head.
    Head,
    /// 64 consecutive neurons of a head; the last ones may be fewer.
    Neurons,
}

impl ScaleGroups {
    /// Number of scales of H heads of N neurons.
    pub fn count(self, heads: usize, neurons: usize) -> usize {
        match self {
            Self::All => 1,
            Self::Head => heads,
            Self::Neurons => heads * neurons.div_ceil(GROUP),
        }
    }

    /// The scale of a neuron of a head, among all scales.
    #[inline(always)]
    pub(crate) fn of(self, head: usize, neuron: usize, neurons: usize) -> usize {
        match self {
            Self::All => 0,
            Self::Head => head,
            Self::Neurons => head * neurons.div_ceil(GROUP) + neuron / GROUP,
        }
    }

    /// Numbers of consecutive neurons that share a scale, group by group.
    fn sizes(self, heads: usize, neurons: usize) -> Vec<usize> {
        match self {
            Self::All => vec![heads * neurons],
            Self::Head => vec![neurons; heads],
            Self::Neurons => {
                let starts = (0..neurons).step_by(GROUP);
                let of_head = starts.map(|start| GROUP.min(neurons - start));
                (0..heads).flat_map(|_| of_head.clone()).collect()
            }
        }
    }
}

impl std::fmt::Display for ScaleGroups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::All => "one for all neurons",
            Self::Head => "one for each head",
            Self::Neurons => "one for each 64 consecutive neurons of a head",
        })
    }
}

/// Form of a matrix's whole numbers in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packing {
    /// Trits of two bits, in blocks of 128.
    TwoBits,
    /// Trits of 1.6875 bits, in blocks of 256.
    BaseThree,
    /// Signs of one bit.
    Signs,
    /// Whole numbers of a byte.
    Bytes,
}

impl Packing {
    /// All packings.
    pub const ALL: [Self; 4] = [Self::TwoBits, Self::BaseThree, Self::Signs, Self::Bytes];

    /// Name, as in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::TwoBits => "two_bits",
            Self::BaseThree => "base_three",
            Self::Signs => "signs",
            Self::Bytes => "bytes",
        }
    }

    /// Number of bytes of `count` whole numbers.
    pub fn length(self, count: usize) -> usize {
        match self {
            Self::TwoBits => two_bits::length(count),
            Self::BaseThree => base_three::length(count),
            Self::Signs => signs::length(count),
            Self::Bytes => count,
        }
    }

    fn encode(self, numbers: &[i8]) -> Result<Vec<u8>, LowBitError> {
        match self {
            Self::TwoBits => Ok(two_bits::encode(numbers)),
            Self::BaseThree => Ok(base_three::encode(numbers)),
            Self::Signs => signs::encode(numbers),
            Self::Bytes => Ok(numbers.iter().map(|number| number.cast_unsigned()).collect()),
        }
    }

    fn decode(self, bytes: &[u8], count: usize) -> Result<Vec<i8>, LowBitError> {
        let expected = self.length(count);
        if bytes.len() != expected {
            let (packing, given) = (self, bytes.len());
            return Err(LowBitError::Length {
                packing,
                given,
                expected,
            });
        }
        match self {
            Self::TwoBits => two_bits::decode(bytes, count),
            Self::BaseThree => base_three::decode(bytes, count),
            Self::Signs => signs::decode(bytes, count),
            Self::Bytes => Ok(bytes.iter().map(|byte| byte.cast_signed()).collect()),
        }
    }
}

impl std::fmt::Display for Packing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// Rows of neurons, each filled to whole blocks.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WholeRows {
    Trits(Vec<Trits>),
    Bytes(Vec<Bytes>),
}

/// A matrix in whole numbers, `[H, N]` rows of D, with a scale for each group of rows: `W^ = scale T`.
#[derive(Clone, Debug, PartialEq)]
pub struct LowBitMatrix {
    shape: [usize; 3], // H, N, D
    rows: WholeRows,
    groups: ScaleGroups,
    scales: Vec<f32>,
}

impl LowBitMatrix {
    /// The nearest matrix of a format to rows `[H, N, D]`.
    ///
    /// # Panics
    /// If the numbers are not those of the shape, or a size is 0.
    pub fn quantise(rows: &[f32], shape: [usize; 3], format: LowBitFormat, groups: ScaleGroups) -> Self {
        let [heads, neurons, width] = shape;
        assert!(
            !rows.is_empty(),
            "LowBitMatrix: a size of {shape:?} is 0, expected at least 1"
        );
        crate::assert_shape("LowBitMatrix", "rows", [rows.len()], [heads * neurons * width]);
        let quantise = match format {
            LowBitFormat::Ternary => ternary,
            LowBitFormat::Sign => sign,
            LowBitFormat::Int8 => int8,
        };
        let (mut numbers, mut scales, mut rest) = (Vec::with_capacity(rows.len()), Vec::new(), rows);
        for size in groups.sizes(heads, neurons) {
            let (group, behind) = rest.split_at(size * width);
            let (whole, scale) = quantise(group);
            numbers.extend(whole);
            scales.push(scale);
            rest = behind;
        }
        let rows = match format {
            LowBitFormat::Ternary | LowBitFormat::Sign => WholeRows::trits(&numbers, width),
            LowBitFormat::Int8 => WholeRows::bytes(&numbers, width),
        };
        Self {
            shape,
            rows,
            groups,
            scales,
        }
    }

    /// A matrix of whole numbers `[H, N, D]` and scales that are given. Numbers within 1 of 0 are stored as trits.
    ///
    /// # Errors
    /// If a size is 0 or they are too many, a number is -128, a scale is not above 0 or not finite, or there are more or
    /// fewer numbers or scales.
    pub fn new(
        numbers: &[i8],
        shape: [usize; 3],
        groups: ScaleGroups,
        scales: Vec<f32>,
    ) -> Result<Self, LowBitError> {
        let (count, [heads, neurons, width]) = (entries(shape)?, shape);
        if numbers.len() != count {
            let (given, expected) = (numbers.len(), count);
            return Err(LowBitError::Numbers { given, expected });
        }
        if let Some(at) = numbers.iter().position(|&number| number == i8::MIN) {
            let (given, expected) = (i8::MIN, "-127 to 127");
            return Err(LowBitError::Number { at, given, expected });
        }
        let (given, expected) = (scales.len(), groups.count(heads, neurons));
        if given != expected {
            return Err(LowBitError::Scales {
                groups,
                given,
                expected,
            });
        }
        if let Some(at) = scales
            .iter()
            .position(|scale| !(scale.is_finite() && *scale > 0.0))
        {
            let given = scales[at];
            return Err(LowBitError::Scale { at, given });
        }
        let rows = if numbers.iter().all(|number| number.abs() <= 1) {
            WholeRows::trits(numbers, width)
        } else {
            WholeRows::bytes(numbers, width)
        };
        Ok(Self {
            shape,
            rows,
            groups,
            scales,
        })
    }

    /// A matrix of packed bytes, and scales.
    ///
    /// # Errors
    /// If the bytes are not those that packing makes of a matrix of the shape, and those of [`new`](Self::new).
    pub fn unpack(
        bytes: &[u8],
        packing: Packing,
        shape: [usize; 3],
        groups: ScaleGroups,
        scales: Vec<f32>,
    ) -> Result<Self, LowBitError> {
        Self::new(&packing.decode(bytes, entries(shape)?)?, shape, groups, scales)
    }

    /// The whole numbers in packed bytes.
    ///
    /// # Errors
    /// If the packing does not hold a number: one other than -1, 0 and 1, or 0 among signs.
    pub fn pack(&self, packing: Packing) -> Result<Vec<u8>, LowBitError> {
        let numbers = self.numbers();
        if let WholeRows::Bytes(_) = self.rows
            && packing != Packing::Bytes
            && let Some(at) = numbers.iter().position(|number| number.abs() > 1)
        {
            let (given, expected) = (numbers[at], "-1, 0 or 1, of which trits and signs are packed");
            return Err(LowBitError::Number { at, given, expected });
        }
        packing.encode(&numbers)
    }

    /// The whole numbers, `[H, N, D]`.
    pub fn numbers(&self) -> Vec<i8> {
        let width = self.shape[2];
        match &self.rows {
            WholeRows::Trits(rows) => {
                let rows = rows.chunks_exact(width.div_ceil(BLOCK));
                rows.flat_map(|row| row.iter().flat_map(Trits::trits).take(width))
                    .collect()
            }
            WholeRows::Bytes(rows) => {
                let rows = rows.chunks_exact(width.div_ceil(COARSE));
                rows.flat_map(|row| row.iter().flat_map(|bytes| bytes.0).take(width))
                    .collect()
            }
        }
    }

    /// `W^`, rows `[H, N, D]` in f32.
    pub fn dequantised(&self) -> Vec<f32> {
        let [_, neurons, width] = self.shape;
        let numbers = self.numbers();
        let rows = numbers.chunks_exact(width).enumerate();
        rows.flat_map(|(n, row)| {
            let scale = self.scales[self.groups.of(n / neurons, n % neurons, neurons)];
            row.iter().map(move |&number| scale * f32::from(number))
        })
        .collect()
    }

    /// Heads, neurons per head, and width.
    pub fn shape(&self) -> [usize; 3] {
        self.shape
    }

    /// Rows that share a scale.
    pub fn groups(&self) -> ScaleGroups {
        self.groups
    }

    /// The scales, in the order of the rows.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The scale of a neuron of a head.
    #[inline(always)]
    pub(crate) fn scale(&self, head: usize, neuron: usize) -> f32 {
        self.scales[self.groups.of(head, neuron, self.shape[1])]
    }

    /// The rows.
    #[inline(always)]
    pub(crate) fn rows(&self) -> &WholeRows {
        &self.rows
    }
}

/// Number of entries of a matrix; its bytes in memory can be counted, too.
fn entries(shape: [usize; 3]) -> Result<usize, LowBitError> {
    let [heads, neurons, width] = shape;
    let count = |width: usize| heads.checked_mul(neurons)?.checked_mul(width);
    let padded = width.checked_next_multiple_of(BLOCK).and_then(count);
    match count(width) {
        Some(count) if count > 0 && padded.is_some_and(|padded| padded <= MOST) => Ok(count),
        _ => Err(LowBitError::Shape { given: shape }),
    }
}

impl WholeRows {
    fn trits(numbers: &[i8], width: usize) -> Self {
        let rows = numbers.chunks_exact(width);
        let blocks = rows.flat_map(|row| row.chunks(BLOCK).map(Trits::pack));
        Self::Trits(blocks.collect())
    }

    fn bytes(numbers: &[i8], width: usize) -> Self {
        let block = |numbers: &[i8]| {
            let mut bytes = Bytes::default();
            bytes.0[..numbers.len()].copy_from_slice(numbers);
            bytes
        };
        let rows = numbers.chunks_exact(width);
        Self::Bytes(rows.flat_map(|row| row.chunks(COARSE).map(block)).collect())
    }
}
