//! Stored form of a tensor of a model: numbers of a float type, packed integer codes, or the whole numbers of a low-bit matrix.

use crate::burnpack::MAX_AXES;
use crate::precision::StoredPrecision;
use crate::text::shortened;
use burn::tensor::{DType, TensorData, bf16, f16};
use burn_dragon_kernel::api::low_bit::Packing;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// Stored form of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum StoredTensor {
    /// Numbers in f32, f16 or bf16.
    Float(TensorData),
    /// Integer codes of a few bits each, or whole numbers.
    Codes(Codes),
}

/// Coding of the entries of a tensor in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// Codes from 0 of so many bits: 1, 2, 4 or 8. The first is in the lowest bits of the first byte, and the bits after the
    /// last are zero.
    Bits(u8),
    /// Whole numbers about 0, packed as those of a low-bit matrix.
    Whole(Packing),
}

impl std::fmt::Display for Coding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bits(bits) => write!(f, "codes of {bits} bits"),
            Self::Whole(_) => f.write_str("whole numbers"),
        }
    }
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
            Self::Codes(codes) => match codes.coding {
                Coding::Bits(bits) => Stored::Codes { bits },
                Coding::Whole(_) => Stored::Whole,
            },
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
    /// Whole numbers, in any packing.
    Whole,
}

impl std::fmt::Display for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Float => f.write_str("floats"),
            Self::Codes { bits } => Coding::Bits(*bits).fmt(f),
            Self::Whole => f.write_str("whole numbers"),
        }
    }
}

/// Integer codes, packed into bytes, with the name of the tensor that holds their scales.
///
/// Codes are in row-major order. The family defines the value of a code, from the code and the scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    coding: Coding,
    shape: Vec<usize>,
    scales: String,
    /// `[bytes]`, u8.
    packed: TensorData,
}

/// Metadata of packed codes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CodesEntry {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bits: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    packing: Option<String>,
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
            coding: Coding::Bits(bits),
            shape: shape.to_vec(),
            scales: scales.into(),
            packed: TensorData::new(packed, [bytes]),
        })
    }

    /// Packs whole numbers for a tensor of `shape`. `scales` is the name of the tensor with their scales.
    ///
    /// # Errors
    /// If their number does not match the shape, or the packing does not hold one of them.
    pub fn whole(numbers: &[i8], packing: Packing, shape: &[usize], scales: &str) -> Result<Self, String> {
        let bytes = whole_length(packing, shape)?;
        if numbers.len() != shape.iter().product::<usize>() {
            return Err(format!(
                "{} numbers are no tensor of shape {shape:?}",
                numbers.len()
            ));
        }
        if packing != Packing::Bytes
            && let Some(number) = numbers.iter().find(|number| number.unsigned_abs() > 1)
        {
            return Err(format!("the number {number} is not packed as {packing}"));
        }
        let packed = packing.encode(numbers).map_err(|error| error.to_string())?;
        Ok(Self {
            coding: Coding::Whole(packing),
            shape: shape.to_vec(),
            scales: scales.into(),
            packed: TensorData::new(packed, [bytes]),
        })
    }

    /// Unpacked codes, one in each byte; whole numbers as the bytes of an i8.
    pub fn unpack(&self) -> Vec<u8> {
        match self.coding {
            Coding::Bits(bits) => self.unpack_bits(bits),
            Coding::Whole(_) => self.numbers().into_iter().map(i8::cast_unsigned).collect(),
        }
    }

    /// Unpacked whole numbers; empty for codes of bits.
    pub fn numbers(&self) -> Vec<i8> {
        let Coding::Whole(packing) = self.coding else {
            return Vec::new();
        };
        let entries = self.shape.iter().product();
        match packing.decode(self.packed.as_bytes(), entries) {
            Ok(numbers) => numbers,
            Err(error) => unreachable!("bytes were packed or checked: {error}"),
        }
    }

    /// Unpacked codes, u8, or whole numbers, i8, in the shape of the tensor.
    pub fn values(&self) -> TensorData {
        match self.coding {
            Coding::Bits(_) => TensorData::new(self.unpack(), self.shape()),
            Coding::Whole(_) => TensorData::new(self.numbers(), self.shape()),
        }
    }

    /// Whether codes of the same value mean the same.
    pub fn is_coded_as(&self, other: &Self) -> bool {
        match (self.coding, other.coding) {
            (Coding::Whole(_), Coding::Whole(_)) => true,
            (a, b) => a == b,
        }
    }

    fn unpack_bits(&self, bits: u8) -> Vec<u8> {
        let entries: usize = self.shape.iter().product();
        let mask = u8::MAX >> (8 - bits);
        let places = 0..8 / bits;
        let bytes = self.packed.as_bytes().iter();
        let codes = bytes.flat_map(|byte| places.clone().map(move |place| byte >> (place * bits) & mask));
        codes.take(entries).collect()
    }

    /// Coding of the entries.
    pub fn coding(&self) -> Coding {
        self.coding
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
        let (bits, packing) = match self.coding {
            Coding::Bits(bits) => (Some(bits), None),
            Coding::Whole(packing) => (None, Some(packing.name().to_string())),
        };
        CodesEntry {
            bits,
            packing,
            shape: self.shape.clone(),
            scales: self.scales.clone(),
        }
    }

    /// Codes from the tensor of a file and their metadata.
    pub(crate) fn from_file(packed: TensorData, entry: CodesEntry) -> Result<Self, String> {
        let CodesEntry {
            bits,
            packing,
            shape,
            scales,
        } = entry;
        let coding = match (bits, packing) {
            (Some(bits), None) => Coding::Bits(bits),
            (None, Some(name)) => Packing::named(&name).map(Coding::Whole).ok_or_else(|| {
                format!(
                    "its packing is `{}`, which this version does not know",
                    shortened(&name)
                )
            })?,
            _ => return Err("its codes have neither a number of bits nor a packing, or both".into()),
        };
        let bytes = match coding {
            Coding::Bits(bits) => packed_length(bits, &shape)?,
            Coding::Whole(packing) => whole_length(packing, &shape)?,
        };
        if packed.dtype() != DType::U8 || packed.shape().as_slice() != [bytes] {
            return Err(format!(
                "it is {} {:?}; {coding} for the shape {shape:?} are u8 [{bytes}]",
                packed.dtype().name(),
                packed.shape().to_vec()
            ));
        }
        check_packed(coding, packed.as_bytes(), shape.iter().product())?;
        Ok(Self {
            coding,
            shape,
            scales,
            packed,
        })
    }
}

/// Checks that packed bytes are those of so many codes.
fn check_packed(coding: Coding, packed: &[u8], entries: usize) -> Result<(), String> {
    match coding {
        Coding::Bits(bits) => {
            let used = entries * usize::from(bits) % 8; // of the last byte; 0 is all
            let last = packed.last().copied().unwrap_or_default();
            match used > 0 && last >> used != 0 {
                true => Err("the unused bits after its last code are not zero".into()),
                false => Ok(()),
            }
        }
        Coding::Whole(packing) => {
            let numbers = packing
                .decode(packed, entries)
                .map_err(|error| error.to_string())?;
            match numbers.contains(&i8::MIN) {
                true => Err("a whole number is -128, expected -127 to 127".into()),
                false => Ok(()),
            }
        }
    }
}

/// Number of bytes of the packed whole numbers of a tensor.
fn whole_length(packing: Packing, shape: &[usize]) -> Result<usize, String> {
    let entries = packed_length(8, shape)?; // no overflow, with room for the filling of the last block
    match entries <= isize::MAX as usize / 4 {
        true => Ok(packing.length(entries)),
        false => Err(format!(
            "a tensor of shape {shape:?} is too large for this machine"
        )),
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
    fn whole_numbers_come_back_from_every_packing_and_damaged_ones_are_refused() {
        let trits: Vec<i8> = (0..300).map(|n| (n * 7 % 3) as i8 - 1).collect();
        for packing in [Packing::TwoBits, Packing::BaseThree, Packing::Bytes] {
            let whole = Codes::whole(&trits, packing, &[3, 100], "w.scales").unwrap();
            assert_eq!(whole.numbers(), trits);
            let again = Codes::from_file(whole.packed.clone(), whole.entry()).unwrap();
            assert_eq!(again, whole);
            let damaged = |change: &dyn Fn(&mut Vec<u8>)| {
                let mut bytes = whole.packed.as_bytes().to_vec();
                change(&mut bytes);
                let length = bytes.len();
                Codes::from_file(TensorData::new(bytes, [length]), whole.entry()).unwrap_err()
            };
            assert!(damaged(&|bytes| bytes.push(0)).contains("for the shape"));
            let bad = if packing == Packing::Bytes { 0x80 } else { 0xff };
            assert!(!damaged(&|bytes| bytes.iter_mut().for_each(|byte| *byte = bad)).is_empty());
        }
        assert!(
            Codes::whole(&[2], Packing::TwoBits, &[1], "s")
                .unwrap_err()
                .contains("not packed")
        );
        assert!(Codes::whole(&[0], Packing::Signs, &[1], "s").is_err());
        assert!(
            Codes::whole(&[1], Packing::TwoBits, &[2], "s")
                .unwrap_err()
                .contains("no tensor of shape")
        );
        let entry = |text: &str| {
            let entry: CodesEntry = serde_json::from_str(text).unwrap();
            Codes::from_file(TensorData::new(vec![0u8], [1]), entry).unwrap_err()
        };
        assert!(entry(r#"{"packing":"base_nine","shape":[1],"scales":"s"}"#).contains("base_nine"));
        assert!(entry(r#"{"shape":[1],"scales":"s"}"#).contains("neither"));
        assert!(entry(r#"{"bits":2,"packing":"two_bits","shape":[1],"scales":"s"}"#).contains("both"));
        let huge = format!(
            r#"{{"packing":"two_bits","shape":[{},4],"scales":"s"}}"#,
            usize::MAX / 9
        );
        assert!(entry(&huge).contains("too large"));
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
