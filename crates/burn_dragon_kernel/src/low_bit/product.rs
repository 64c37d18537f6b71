//! Definition of the integer products.
//!
//! A row of trits is multiplied by its codes u = t + 1, which are not negative: `sum t q = sum u q - sum q`.

use super::Trits;
use super::two_bits::BLOCK;
use crate::decode::simd::{Bytes, COARSE, LINE, Sums};

/// Activations of a block of 128 numbers, each of one byte.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(crate) struct Codes(pub(crate) [i8; BLOCK]);

impl Codes {
    /// A block of zeros.
    pub(crate) const ZERO: Self = Self([0; BLOCK]);
}

/// `sum u q` of a row.
#[inline(always)]
pub(crate) fn code_dot(row: &[Trits], q: &[Codes]) -> i32 {
    let mut sum = 0;
    for (Trits(bytes), Codes(q)) in row.iter().zip(q) {
        for (plane, q) in q.chunks_exact(bytes.len()).enumerate() {
            for (byte, q) in bytes.iter().zip(q) {
                sum += i32::from(*byte >> (6 - 2 * plane) & 3) * i32::from(*q);
            }
        }
    }
    sum
}

/// `sum += y u` with a row.
#[inline(always)]
pub(crate) fn add_codes(y: u8, row: &[Trits], sum: &mut [Sums]) {
    for (Trits(bytes), sums) in row.iter().zip(sum.chunks_mut(BLOCK / LINE)) {
        for (plane, sums) in sums.chunks_mut(bytes.len() / LINE).enumerate() {
            for (sum, bytes) in sums.iter_mut().zip(bytes.chunks_exact(LINE)) {
                for (sum, byte) in sum.0.iter_mut().zip(bytes) {
                    *sum += i32::from(y) * i32::from(*byte >> (6 - 2 * plane) & 3);
                }
            }
        }
    }
}

/// `sum += y w` with a row of bytes.
#[inline(always)]
pub(crate) fn add_bytes(y: u8, row: &[Bytes], sum: &mut [Sums]) {
    for (Bytes(bytes), sums) in row.iter().zip(sum.chunks_mut(COARSE / LINE)) {
        for (sum, bytes) in sums.iter_mut().zip(bytes.chunks_exact(LINE)) {
            for (sum, byte) in sum.0.iter_mut().zip(bytes) {
                *sum += i32::from(y) * i32::from(*byte);
            }
        }
    }
}
