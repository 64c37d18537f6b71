//! Stored form of a tensor of a model: numbers of a float type, or packed integer codes.

use crate::burnpack::MAX_AXES;
use crate::precision::StoredPrecision;
use burn::tensor::{DType, TensorData, bf16, f16};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Stored form of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredTensor {
    /// Numbers in f32, f16 or bf16.
    Float(TensorData),
    /// Integer codes of a few bits each.
    Codes(Codes),
}

impl StoredTensor {
    /// A tensor of numbers of a float type, unchanged.
    ///
    /// # Errors
    /// A message with the type, if it is not f32, f16 or bf16.
    pub fn float(data: TensorData) -> Result<Self, String> {
        match StoredPrecision::of(data.dtype()) {
            Some(_) => Ok(Self::Float(data)),
            None => Err(format!(
                "it is {}; weights are f32, f16 or bf16",
                data.dtype().name()
            )),
        }
    }

    /// Shape of the tensor; for codes, the shape of the decoded tensor.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Float(data) => data.shape().to_vec(),
            Self::Codes(codes) => codes.shape.clone(),
        }
    }

    /// Numbers in f32, with exact values; `None` for codes.
    pub fn floats(&self) -> Option<Cow<'_, TensorData>> {
        match self {
            Self::Float(data) if StoredPrecision::F32.holds(data) => Some(Cow::Borrowed(data)),
            Self::Float(data) => Some(Cow::Owned(StoredPrecision::widen(data.clone()))),
            Self::Codes(_) => None,
        }
    }

    /// Tensor as it lies in the file.
    pub fn data(&self) -> &TensorData {
        match self {
            Self::Float(data) => data,
            Self::Codes(codes) => &codes.packed,
        }
    }

    /// Tensor as it lies in the file, by value.
    pub fn into_data(self) -> TensorData {
        match self {
            Self::Float(data) => data,
            Self::Codes(codes) => codes.packed,
        }
    }

    /// Storage of the entries.
    pub fn stored(&self) -> Stored {
        match self {
            Self::Float(_) => Stored::Float,
            Self::Codes(codes) => Stored::Codes { bits: codes.bits },
        }
    }

    /// Whether all numbers are finite. Codes always are.
    pub fn is_finite(&self) -> bool {
        match self {
            Self::Float(data) => is_finite(data),
            Self::Codes(_) => true,
        }
    }
}

/// Storage of the entries of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// Numbers in one of the three float types.
    Float,
    /// Packed codes.
    Codes {
        /// Number of bits of a code: 1, 2, 4 or 8.
        bits: u8,
    },
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float => f.write_str("floats"),
            Self::Codes { bits } => write!(f, "codes of {bits} bits"),
        }
    }
}

/// Integer codes from 0 to `2^bits - 1`, packed into bytes, with the name of the tensor that holds their scales.
///
/// Codes are in row-major order. The first is in the lowest bits of the first byte, and the bits after the last code
/// are zero. The family defines the value of a code, from the code and the scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    bits: u8,
    shape: Vec<usize>,
    scales: String,
    /// `[bytes]`, u8.
    packed: TensorData,
}

/// Metadata of packed codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesEntry {
    bits: u8,
    #[serde(deserialize_with = "crate::bounded::list::<_, _, MAX_AXES>")]
    shape: Vec<usize>,
    scales: String,
}

impl Codes {
    /// Packs codes, given one in each byte of `codes`, for a tensor of `shape`. `scales` is the name of the tensor with
    /// their scales.
    ///
    /// # Errors
    /// If `bits` is not 1, 2, 4 or 8, there is no code, their number does not match the shape, or a code has more bits.
    pub fn pack(codes: &[u8], bits: u8, shape: &[usize], scales: &str) -> Result<Self, String> {
        let bytes = packed_length(bits, shape)?;
        let entries: usize = shape.iter().product(); // no overflow, as the length has none
        if codes.len() != entries {
            return Err(format!("{} codes are no tensor of shape {shape:?}", codes.len()));
        }
        if let Some(code) = codes.iter().find(|&&code| u16::from(code) >> bits != 0) {
            return Err(format!("the code {code} has more than {bits} bits"));
        }
        let in_byte = usize::from(8 / bits);
        let byte = |codes: &[u8]| {
            let placed = codes.iter().zip(0u8..);
            placed.fold(0, |byte, (code, place)| byte | code << (place * bits))
        };
        let packed: Vec<u8> = codes.chunks(in_byte).map(byte).collect();
        Ok(Self {
            bits,
            shape: shape.to_vec(),
            scales: scales.into(),
            packed: TensorData::new(packed, [bytes]),
        })
    }

    /// Unpacked codes, one in each byte.
    pub fn unpack(&self) -> Vec<u8> {
        let entries: usize = self.shape.iter().product();
        let mask = u8::MAX >> (8 - self.bits);
        let places = 0..8 / self.bits;
        let bytes = self.packed.as_bytes().iter();
        let codes = bytes.flat_map(|byte| {
            places
                .clone()
                .map(move |place| byte >> (place * self.bits) & mask)
        });
        codes.take(entries).collect()
    }

    /// Number of bits of a code.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Shape of the decoded tensor.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Name of the tensor with the scales.
    pub fn scales(&self) -> &str {
        &self.scales
    }

    /// Metadata of these codes.
    pub(crate) fn entry(&self) -> CodesEntry {
        CodesEntry {
            bits: self.bits,
            shape: self.shape.clone(),
            scales: self.scales.clone(),
        }
    }

    /// Codes from the tensor of a file and their metadata.
    pub(crate) fn from_file(packed: TensorData, entry: CodesEntry) -> Result<Self, String> {
        let CodesEntry { bits, shape, scales } = entry;
        let bytes = packed_length(bits, &shape)?;
        if packed.dtype() != DType::U8 || packed.shape().as_slice() != [bytes] {
            return Err(format!(
                "it is {} {:?}; codes of {bits} bits for the shape {shape:?} are u8 [{bytes}]",
                packed.dtype().name(),
                packed.shape().to_vec()
            ));
        }
        let used = shape.iter().product::<usize>() * usize::from(bits) % 8; // of the last byte; 0 is all
        let last = packed.as_bytes().last().copied().unwrap_or_default();
        if used > 0 && last >> used != 0 {
            return Err("the unused bits after its last code are not zero".into());
        }
        Ok(Self {
            bits,
            shape,
            scales,
            packed,
        })
    }
}

/// Number of bytes of the packed codes of a tensor.
fn packed_length(bits: u8, shape: &[usize]) -> Result<usize, String> {
    if !matches!(bits, 1 | 2 | 4 | 8) {
        return Err(format!("codes have 1, 2, 4 or 8 bits, not {bits}"));
    }
    let bits = shape
        .iter()
        .try_fold(usize::from(bits), |bits, &size| bits.checked_mul(size));
    match bits {
        None => Err(format!(
            "a tensor of shape {shape:?} is too large for this machine"
        )),
        Some(0) => Err(format!("a tensor of shape {shape:?} holds no code")),
        Some(bits) => Ok(bits.div_ceil(8)),
    }
}

/// Whether all numbers of a float tensor are finite.
pub(crate) fn is_finite(data: &TensorData) -> bool {
    match data.dtype() {
        DType::F32 => data
            .as_slice::<f32>()
            .is_ok_and(|values| all_finite(values, |value| value.is_finite())),
        DType::F16 => data
            .as_slice::<f16>()
            .is_ok_and(|values| all_finite(values, |value| value.is_finite())),
        DType::BF16 => data
            .as_slice::<bf16>()
            .is_ok_and(|values| all_finite(values, |value| value.is_finite())),
        _ => data.iter::<f64>().all(f64::is_finite),
    }
}

/// Whether all values are finite. A piece has no branch inside, so that it is compiled to vectors.
pub(crate) fn all_finite<E: Copy>(values: &[E], is_finite: impl Fn(E) -> bool) -> bool {
    values
        .chunks(1 << 10)
        .all(|piece| piece.iter().fold(true, |all, value| all & is_finite(*value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_back_and_lie_from_the_lowest_bit() {
        for bits in [1, 2, 4, 8] {
            let codes: Vec<u8> = (0..15u8)
                .map(|code| code.wrapping_mul(37) & (u8::MAX >> (8 - bits)))
                .collect();
            let packed = Codes::pack(&codes, bits, &[3, 5], "w.scales").unwrap();
            assert_eq!(packed.unpack(), codes, "{bits} bits");
            let again = Codes::from_file(packed.packed.clone(), packed.entry()).unwrap();
            assert_eq!(again, packed);
            assert_eq!(
                packed.packed.as_bytes().len(),
                (15 * usize::from(bits)).div_ceil(8)
            );
        }
        let packed = Codes::pack(&[1, 2, 3, 0, 2], 2, &[5], "s").unwrap();
        assert_eq!(packed.packed.as_bytes(), [0b0011_1001, 0b10]);
    }

    #[test]
    fn codes_that_are_not_what_is_said_of_them_are_refused() {
        let refused = |result: Result<Codes, String>, reason: &str| {
            let error = result.unwrap_err();
            assert!(error.contains(reason), "{error}");
        };
        refused(Codes::pack(&[1], 3, &[1], "s"), "1, 2, 4 or 8");
        refused(Codes::pack(&[4], 2, &[1], "s"), "more than 2 bits");
        refused(Codes::pack(&[1, 1], 2, &[3], "s"), "no tensor of shape");
        refused(Codes::pack(&[], 2, &[0], "s"), "holds no code");
        refused(Codes::pack(&[1], 2, &[usize::MAX, 2], "s"), "too large");
        let entry = Codes::pack(&[1, 2, 3], 2, &[3], "s").unwrap().entry();
        let of = |bytes: Vec<u8>| {
            let length = bytes.len();
            Codes::from_file(TensorData::new(bytes, [length]), entry.clone())
        };
        refused(of(vec![0b1100_0000]), "not zero");
        refused(of(vec![0, 0]), "u8 [1]");
        refused(
            Codes::from_file(TensorData::new(vec![1i8], [1]), entry.clone()),
            "u8 [1]",
        );
    }
}
