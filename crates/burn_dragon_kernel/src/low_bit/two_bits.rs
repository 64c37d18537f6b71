//! Two bits a trit, in blocks of 128.

use super::{LowBitError, Packing};

/// Trits in a block.
pub(crate) const BLOCK: usize = 128;

/// Bytes of a block; each holds trits that are so many apart.
const BYTES: usize = BLOCK / 4;

/// A byte of four zeros.
const ZEROS: u8 = 0b01_01_01_01;

/// A block of 128 trits: trit j has the code t + 1 in byte `j % 32`, at bit `6 - 2 (j / 32)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(32))]
pub(crate) struct Trits(pub(crate) [u8; BYTES]);

impl Trits {
    /// Trits in a block.
    pub(crate) const BLOCK: usize = BLOCK;

    /// A block of zeros.
    pub(crate) const ZERO: Self = Self([ZEROS; BYTES]);

    /// A block with these trits, at most 128, and zeros behind them.
    pub(crate) fn pack(trits: &[i8]) -> Self {
        let mut block = Self::ZERO;
        for (j, trit) in trits.iter().enumerate() {
            let byte = &mut block.0[j % BYTES];
            *byte = *byte & !(3 << shift(j)) | ((trit + 1) as u8) << shift(j);
        }
        block
    }

    /// Its 128 trits; of bytes that pass [`check`](Self::check), each within 1 of 0.
    pub(crate) fn trits(&self) -> [i8; BLOCK] {
        std::array::from_fn(|j| (self.0[j % BYTES] >> shift(j) & 3) as i8 - 1)
    }

    /// The first of its bytes with a code that is no trit's.
    fn check(&self) -> Option<usize> {
        self.0.iter().position(|byte| byte & byte >> 1 & ZEROS != 0)
    }
}

/// The lowest bit of a trit in its byte.
fn shift(trit: usize) -> usize {
    6 - 2 * (trit / BYTES)
}

/// Number of bytes of `count` trits.
pub(super) fn length(count: usize) -> usize {
    count.div_ceil(BLOCK) * BYTES
}

/// The trits as bytes.
pub(super) fn encode(trits: &[i8]) -> Vec<u8> {
    trits
        .chunks(BLOCK)
        .flat_map(|trits| Trits::pack(trits).0)
        .collect()
}

/// `count` trits of bytes of their [`length`].
pub(super) fn decode(bytes: &[u8], count: usize) -> Result<Vec<i8>, LowBitError> {
    let packing = Packing::TwoBits;
    let mut trits = Vec::with_capacity(count.next_multiple_of(BLOCK));
    for (index, bytes) in bytes.as_chunks::<BYTES>().0.iter().enumerate() {
        let block = Trits(*bytes);
        if let Some(byte) = block.check() {
            let (at, given) = (index * BYTES + byte, bytes[byte]);
            return Err(LowBitError::Byte { packing, at, given });
        }
        trits.extend(block.trits());
    }
    if trits[count..].iter().any(|&trit| trit != 0) {
        let block = count / BLOCK;
        return Err(LowBitError::Padding { packing, block });
    }
    trits.truncate(count);
    Ok(trits)
}
