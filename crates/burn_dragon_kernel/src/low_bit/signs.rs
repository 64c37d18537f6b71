//! One bit a sign.

use super::{LowBitError, Packing};

/// Number of bytes of `count` signs.
pub(super) fn length(count: usize) -> usize {
    count.div_ceil(8)
}

/// The signs, 1 and -1, as bytes.
pub(super) fn encode(signs: &[i8]) -> Result<Vec<u8>, LowBitError> {
    if let Some(at) = signs.iter().position(|&sign| sign == 0) {
        let expected = "1 or -1, all that the packing `signs` can hold";
        return Err(LowBitError::Number {
            at,
            given: 0,
            expected,
        });
    }
    let byte = |signs: &[i8]| {
        let bits = signs.iter().enumerate().map(|(j, &sign)| u8::from(sign > 0) << j);
        bits.sum()
    };
    Ok(signs.chunks(8).map(byte).collect())
}

/// `count` signs of bytes of their [`length`].
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Vec<i8>, LowBitError> {
    let sign = |j: usize| if bytes[j / 8] >> (j % 8) & 1 == 1 { 1 } else { -1 };
    let rest = count % 8;
    if rest > 0 && bytes[count / 8] >> rest != 0 {
        let (packing, block) = (Packing::Signs, count / 8);
        return Err(LowBitError::Padding { packing, block });
    }
    Ok((0..count).map(sign).collect())
}
