//! AVX-512, with or without VNNI, and AVX2.

use super::{Sums, Whole};
use crate::decode::simd::x86::{Avx2, Avx512, sum_eight_whole};
use crate::decode::simd::{Bytes, LINE};
use crate::low_bit::{Codes, Trits};
use std::arch::x86_64::*;

/// Bytes of a block of trits, and numbers of sums that a block has.
const BYTES: usize = size_of::<Trits>();
const LINES: usize = 4 * BYTES / LINE;

// SAFETY of every block below: an `Avx512` exists only where `detect` found its features. A `Trits` and a `Bytes` are 32
// bytes, a `Codes` 128 and a `Sums` 64, on such boundaries (a `Codes` on one of 64).
impl<const VNNI: bool> Whole for Avx512<VNNI> {
    #[inline(always)]
    fn code_dot(self, row: &[Trits], q: &[Codes]) -> i32 {
        // SAFETY: see above the impl.
        unsafe {
            let mut sum = _mm512_setzero_si512();
            for (block, q) in row.iter().zip(q) {
                sum = self.add_block(sum, block, halves(q));
            }
            let high = _mm512_extracti64x4_epi64::<1>(sum);
            sum_eight_whole(_mm256_add_epi32(_mm512_castsi512_si256(sum), high))
        }
    }
    #[inline(always)]
    fn code_dots(self, rows: &[Trits], starts: [usize; LINE], q: &[Codes], from: i32) -> Sums {
        let last = rows.len().checked_sub(q.len());
        let fit = last.is_some_and(|last| starts.iter().all(|&start| start <= last));
        assert!(
            fit,
            "decode: a row of {} blocks begins outside {starts:?}",
            q.len()
        );
        // SAFETY: see above the impl; every row of `q.len()` blocks is within `rows`.
        unsafe {
            // One of the lanes that are added up in the end.
            let mut sums = [_mm512_zextsi128_si512(_mm_cvtsi32_si128(from)); LINE];
            for (index, q) in q.iter().enumerate() {
                let q = halves(q);
                for (sum, start) in sums.iter_mut().zip(starts) {
                    *sum = self.add_block(*sum, rows.get_unchecked(start + index), q);
                }
            }
            let mut line = Sums::default();
            _mm512_store_si512(line.0.as_mut_ptr().cast(), sums_of_all(sums));
            line
        }
    }
    #[inline(always)]
    fn add_codes(self, y: u8, row: &[Trits], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            let y = _mm512_set1_epi32(i32::from(y));
            for (block, sums) in row.iter().zip(sum.as_chunks_mut::<LINES>().0) {
                let [first, second] = codes(block);
                for (codes, sums) in [first, second].into_iter().zip(sums.as_chunks_mut::<4>().0) {
                    let quarters = [
                        _mm512_castsi512_si128(codes),
                        _mm512_extracti32x4_epi32::<1>(codes),
                        _mm512_extracti32x4_epi32::<2>(codes),
                        _mm512_extracti32x4_epi32::<3>(codes),
                    ];
                    for (quarter, sum) in quarters.into_iter().zip(sums) {
                        add_products(y, _mm512_cvtepu8_epi32(quarter), sum);
                    }
                }
            }
        }
    }
    #[inline(always)]
    fn add_bytes(self, y: u8, row: &[Bytes], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            let y = _mm512_set1_epi32(i32::from(y));
            for (bytes, sums) in row.iter().zip(sum.as_chunks_mut::<2>().0) {
                for (half, sum) in bytes.0.as_chunks::<LINE>().0.iter().zip(sums) {
                    let half = _mm_load_si128(half.as_ptr().cast());
                    add_products(y, _mm512_cvtepi8_epi32(half), sum);
                }
            }
        }
    }
}

impl<const VNNI: bool> Avx512<VNNI> {
    /// Adds the products of a block's codes and activations, four to a lane.
    ///
    /// # Safety
    /// The processor has what the type says.
    #[inline(always)]
    unsafe fn add_block(self, mut sum: __m512i, block: &Trits, [low, high]: [__m512i; 2]) -> __m512i {
        // SAFETY: the caller's promise.
        unsafe {
            let [first, second] = codes(block);
            if VNNI {
                sum = _mm512_dpbusd_epi32(sum, first, low);
                _mm512_dpbusd_epi32(sum, second, high)
            } else {
                // Two products of at most 2 * 128, and two more: far from what sixteen bits hold.
                let pairs = _mm512_add_epi16(
                    _mm512_maddubs_epi16(first, low),
                    _mm512_maddubs_epi16(second, high),
                );
                _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
            }
        }
    }
}

/// The codes of a block in order, a byte each. Both halves of a register hold the block, and each is shifted by its own
/// count. Bits of a byte's neighbour are shifted in above the two that are left.
///
/// # Safety
/// The processor has AVX-512 BW.
#[inline(always)]
unsafe fn codes(block: &Trits) -> [__m512i; 2] {
    // SAFETY: the caller's promise; a `Trits` is 32 bytes on such a boundary.
    unsafe {
        let both = _mm512_broadcast_i64x4(_mm256_load_si256(block.0.as_ptr().cast()));
        // Counts of the two halves.
        let low = _mm512_inserti64x4::<1>(_mm512_set1_epi16(6), _mm256_set1_epi16(4));
        let high = _mm512_inserti64x4::<1>(_mm512_set1_epi16(2), _mm256_set1_epi16(0));
        let two_bits = _mm512_set1_epi8(3);
        [
            _mm512_and_si512(_mm512_srlv_epi16(both, low), two_bits),
            _mm512_and_si512(_mm512_srlv_epi16(both, high), two_bits),
        ]
    }
}

/// The activations of a block.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn halves(q: &Codes) -> [__m512i; 2] {
    // SAFETY: the caller's promise; a `Codes` is 128 bytes on a boundary of 64.
    unsafe {
        let (low, high) = q.0.split_at(64);
        [
            _mm512_load_si512(low.as_ptr().cast()),
            _mm512_load_si512(high.as_ptr().cast()),
        ]
    }
}

/// `sum += y w` for numbers w within 255 and y below 256: each is the lower half of its lane.
///
/// # Safety
/// The processor has AVX-512 BW.
#[inline(always)]
unsafe fn add_products(y: __m512i, w: __m512i, sum: &mut Sums) {
    // SAFETY: the caller's promise; a `Sums` is 64 bytes on such a boundary.
    unsafe {
        let place = sum.0.as_mut_ptr().cast();
        let total = _mm512_add_epi32(_mm512_load_si512(place), _mm512_madd_epi16(w, y));
        _mm512_store_si512(place, total);
    }
}

/// The sums of sixteen registers, in their order.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn sums_of_all(r: [__m512i; LINE]) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        // Quarters of a register, and of the result, have the rows e, e + 4, e + 8 and e + 12.
        let first = add_twos(
            quarters([r[0], r[4], r[8], r[12]]),
            quarters([r[1], r[5], r[9], r[13]]),
        );
        let last = add_twos(
            quarters([r[2], r[6], r[10], r[14]]),
            quarters([r[3], r[7], r[11], r[15]]),
        );
        let (a, b) = (_mm512_castsi512_ps(first), _mm512_castsi512_ps(last));
        let even = _mm512_castps_si512(_mm512_shuffle_ps::<0b10_00_10_00>(a, b));
        _mm512_add_epi32(
            even,
            _mm512_castps_si512(_mm512_shuffle_ps::<0b11_01_11_01>(a, b)),
        )
    }
}

/// The quarters of four registers, added up: a quarter for each register.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn quarters([a, b, c, d]: [__m512i; 4]) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe {
        let lower = _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b);
        let first = _mm512_add_epi32(lower, _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b));
        let lower = _mm512_shuffle_i64x2::<0b01_00_01_00>(c, d);
        let last = _mm512_add_epi32(lower, _mm512_shuffle_i64x2::<0b11_10_11_10>(c, d));
        let even = _mm512_shuffle_i64x2::<0b10_00_10_00>(first, last);
        _mm512_add_epi32(even, _mm512_shuffle_i64x2::<0b11_01_11_01>(first, last))
    }
}

/// In each quarter the two halves of a, added, and those of b.
///
/// # Safety
/// The processor has AVX-512 F.
#[inline(always)]
unsafe fn add_twos(a: __m512i, b: __m512i) -> __m512i {
    // SAFETY: the caller's promise.
    unsafe { _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b)) }
}

// SAFETY of every block below: `self` exists only where `detect` found AVX2, and sizes and boundaries are as above.
impl Whole for Avx2 {
    #[inline(always)]
    fn code_dot(self, row: &[Trits], q: &[Codes]) -> i32 {
        // SAFETY: see above the impl.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for (block, q) in row.iter().zip(q) {
                // Four sums of two products of at most 2 * 128: far from what sixteen bits hold.
                let mut pairs = _mm256_setzero_si256();
                for (codes, q) in planes(block).into_iter().zip(q.0.as_chunks::<BYTES>().0) {
                    let q = _mm256_load_si256(q.as_ptr().cast());
                    pairs = _mm256_add_epi16(pairs, _mm256_maddubs_epi16(codes, q));
                }
                sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
            }
            sum_eight_whole(sum)
        }
    }
    #[inline(always)]
    fn add_codes(self, y: u8, row: &[Trits], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            let y = _mm256_set1_epi32(i32::from(y));
            for (block, sums) in row.iter().zip(sum.as_chunks_mut::<LINES>().0) {
                for (codes, sums) in planes(block).into_iter().zip(sums.as_chunks_mut::<2>().0) {
                    let halves = [
                        _mm256_castsi256_si128(codes),
                        _mm256_extracti128_si256::<1>(codes),
                    ];
                    for (half, sum) in halves.into_iter().zip(sums) {
                        let upper = _mm_unpackhi_epi64(half, half);
                        add_eights(y, [_mm256_cvtepu8_epi32(half), _mm256_cvtepu8_epi32(upper)], sum);
                    }
                }
            }
        }
    }
    #[inline(always)]
    fn add_bytes(self, y: u8, row: &[Bytes], sum: &mut [Sums]) {
        // SAFETY: see above the impl.
        unsafe {
            let y = _mm256_set1_epi32(i32::from(y));
            for (bytes, sums) in row.iter().zip(sum.as_chunks_mut::<2>().0) {
                for (half, sum) in bytes.0.as_chunks::<LINE>().0.iter().zip(sums) {
                    let half = _mm_load_si128(half.as_ptr().cast());
                    let upper = _mm_unpackhi_epi64(half, half);
                    add_eights(y, [_mm256_cvtepi8_epi32(half), _mm256_cvtepi8_epi32(upper)], sum);
                }
            }
        }
    }
}

/// The codes of a block, 32 of a byte each at a time.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn planes(block: &Trits) -> [__m256i; 4] {
    // SAFETY: the caller's promise; a `Trits` is 32 bytes on such a boundary.
    unsafe {
        let bytes = _mm256_load_si256(block.0.as_ptr().cast());
        let two_bits = _mm256_set1_epi8(3);
        [
            _mm256_and_si256(_mm256_srli_epi16::<6>(bytes), two_bits),
            _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), two_bits),
            _mm256_and_si256(_mm256_srli_epi16::<2>(bytes), two_bits),
            _mm256_and_si256(bytes, two_bits),
        ]
    }
}

/// `sum += y w` as above, for two times eight numbers.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn add_eights(y: __m256i, eights: [__m256i; 2], sum: &mut Sums) {
    // SAFETY: the caller's promise; half a `Sums` is 32 bytes on such a boundary.
    unsafe {
        for (w, half) in eights.into_iter().zip(sum.0.as_chunks_mut::<8>().0) {
            let place = half.as_mut_ptr().cast();
            let total = _mm256_add_epi32(_mm256_load_si256(place), _mm256_madd_epi16(w, y));
            _mm256_store_si256(place, total);
        }
    }
}
