//! NEON.

use super::{Sums, Whole};
use crate::decode::simd::arm::Neon;
use crate::decode::simd::{Bytes, LINE};
use crate::low_bit::{Codes, Trits};
use std::arch::aarch64::*;

/// Bytes of a block of trits, and lines of sums that a block has.
const BYTES: usize = size_of::<Trits>();
const LINES: usize = 4 * BYTES / LINE;

// SAFETY of every block below: `self` exists only where `detect` found NEON, and loads and stores are of whole chunks.
impl Whole for Neon {
    #[inline(always)]
    fn code_dot(self, row: &[Trits], q: &[Codes]) -> i32 {
        // SAFETY: see above the impl.
        unsafe {
            let mut sum = vdupq_n_s32(0);
            for (block, q) in row.iter().zip(q) {
                // Sixteen products of at most 2 * 128: far from what sixteen bits hold.
                let mut products = vdupq_n_s16(0);
                for (codes, q) in planes(block).into_iter().zip(q.0.as_chunks::<LINE>().0) {
                    let (codes, q) = (vreinterpretq_s8_u8(codes), vld1q_s8(q.as_ptr()));
                    products = vmlal_s8(products, vget_low_s8(codes), vget_low_s8(q));
                    products = vmlal_high_s8(products, codes, q);
                }
                sum = vpadalq_s16(sum, products);
            }
            vaddvq_s32(sum)
        }
    }
    #[inline(always)]
    fn add_codes(self, y: u8, row: &[Trits], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            let y = vdup_n_u8(y);
            for (block, sums) in row.iter().zip(sum.as_chunks_mut::<LINES>().0) {
                for (codes, sum) in planes(block).into_iter().zip(sums) {
                    let [low, high] = [vget_low_u8(codes), vget_high_u8(codes)];
                    add_products([low, high].map(|u| vreinterpretq_s16_u16(vmull_u8(u, y))), sum);
                }
            }
        }
    }
    #[inline(always)]
    fn add_bytes(self, y: u8, row: &[Bytes], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            for (bytes, sums) in row.iter().zip(sum.as_chunks_mut::<2>().0) {
                for (half, sum) in bytes.0.as_chunks::<LINE>().0.iter().zip(sums) {
                    let w = vld1q_s8(half.as_ptr());
                    let [low, high] = [vget_low_s8(w), vget_high_s8(w)].map(|w| vmovl_s8(w));
                    // A product is within 127 * 255.
                    add_products([low, high].map(|w| vmulq_n_s16(w, i16::from(y))), sum);
                }
            }
        }
    }
}

/// The codes of a block, 16 of a byte each at a time.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn planes(block: &Trits) -> [uint8x16_t; 8] {
    // SAFETY: the caller's promise.
    unsafe {
        let two_bits = vdupq_n_u8(3);
        let [low, high] = [0, LINE].map(|half| vld1q_u8(block.0[half..BYTES].as_ptr()));
        [
            vshrq_n_u8::<6>(low),
            vshrq_n_u8::<6>(high),
            vandq_u8(vshrq_n_u8::<4>(low), two_bits),
            vandq_u8(vshrq_n_u8::<4>(high), two_bits),
            vandq_u8(vshrq_n_u8::<2>(low), two_bits),
            vandq_u8(vshrq_n_u8::<2>(high), two_bits),
            vandq_u8(low, two_bits),
            vandq_u8(high, two_bits),
        ]
    }
}

/// Adds two times eight products.
///
/// # Safety
/// The processor has NEON.
#[inline(always)]
unsafe fn add_products(products: [int16x8_t; 2], sum: &mut Sums) {
    // SAFETY: the caller's promise.
    unsafe {
        for (products, half) in products.into_iter().zip(sum.0.as_chunks_mut::<8>().0) {
            let (low, high) = half.split_at_mut(4);
            let total = vaddw_s16(vld1q_s32(low.as_ptr()), vget_low_s16(products));
            vst1q_s32(low.as_mut_ptr(), total);
            let total = vaddw_high_s16(vld1q_s32(high.as_ptr()), products);
            vst1q_s32(high.as_mut_ptr(), total);
        }
    }
}
