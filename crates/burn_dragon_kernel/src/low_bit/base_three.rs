//! Five trits a byte, in blocks of 256.
//!
//! A byte is `ceil(256 q / 243)`, where q has the trits as its digits in base three, the first one highest. So trit n is
//! the whole part of three times the fraction `3^n byte / 256`: no division. Four trits have a fifth digit of 0.
//!
//! A block has 32 bytes of the trits m, m + 32, ..., then 16 of m, m + 16, ..., then 4 of four, and 1.0 in f16, the place
//! of a scale: those of a matrix are apart, in f32.

use super::{LowBitError, Packing};

/// Trits in a block.
const BLOCK: usize = 256;

/// Bytes of a block.
const BYTES: usize = 54;

/// Sections of a block: bytes, and trits of each byte.
const SECTIONS: [[usize; 2]; 3] = [[32, 5], [16, 5], [4, 4]];

/// 1.0 in f16, little-endian.
const ONE: [u8; 2] = [0x00, 0x3C];

/// The byte of trits, at most five.
pub(super) fn byte(trits: impl Iterator<Item = i8>) -> u8 {
    let (q, _) = trits.fold((0, 81), |(q, place), trit| {
        (q + (trit + 1) as u16 * place, place / 3)
    });
    (256 * q).div_ceil(243) as u8
}

/// Trit n of a byte.
pub(super) fn trit(byte: u8, n: usize) -> i8 {
    let fraction = byte.wrapping_mul(3u8.pow(n as u32));
    ((u16::from(fraction) * 3) >> 8) as i8 - 1
}

/// Number of bytes of `count` trits.
pub(super) fn length(count: usize) -> usize {
    count.div_ceil(BLOCK) * BYTES
}

/// The trits as bytes.
pub(super) fn encode(trits: &[i8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(trits.len()));
    for given in trits.chunks(BLOCK) {
        let mut block = [0; BLOCK];
        block[..given.len()].copy_from_slice(given);
        let mut rest = &block[..];
        for [count, each] in SECTIONS {
            let (section, behind) = rest.split_at(count * each);
            bytes.extend((0..count).map(|m| byte((0..each).map(|n| section[m + n * count]))));
            rest = behind;
        }
        bytes.extend(ONE);
    }
    bytes
}

/// `count` trits of bytes of their [`length`].
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Vec<i8>, LowBitError> {
    let packing = Packing::BaseThree;
    let mut trits = Vec::with_capacity(count.next_multiple_of(BLOCK));
    for (index, block) in bytes.as_chunks::<BYTES>().0.iter().enumerate() {
        let mut first = 0;
        for [count, each] in SECTIONS {
            let section = &block[first..first + count];
            for (m, &given) in section.iter().enumerate() {
                if byte((0..each).map(|n| trit(given, n))) != given {
                    let at = index * BYTES + first + m;
                    return Err(LowBitError::Byte { packing, at, given });
                }
            }
            trits.extend((0..each).flat_map(|n| section.iter().map(move |&byte| trit(byte, n))));
            first += count;
        }
        if block[first..] != ONE {
            return Err(LowBitError::Padding {
                packing,
                block: index,
            });
        }
    }
    if trits[count..].iter().any(|&trit| trit != 0) {
        let block = count / BLOCK;
        return Err(LowBitError::Padding { packing, block });
    }
    trits.truncate(count);
    Ok(trits)
}
