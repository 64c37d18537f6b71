//! Sixteen lines of sixteen numbers, exchanged.

use crate::buffer::LINE;
use std::arch::x86_64::*;

/// Lines become columns: line `i` of the result has entry `i` of each line.
#[inline]
#[target_feature(enable = "avx512f")]
pub(crate) fn transposed(lines: [__m512i; LINE]) -> [__m512i; LINE] {
    let mut pairs = [_mm512_setzero_si512(); LINE];
    for (two, pair) in lines.as_chunks::<2>().0.iter().zip(pairs.as_chunks_mut::<2>().0) {
        pair[0] = _mm512_unpacklo_epi32(two[0], two[1]);
        pair[1] = _mm512_unpackhi_epi32(two[0], two[1]);
    }
    // fours[4 g + c] has, in each quarter q, column 4 q + c of lines 4 g .. 4 g + 4.
    let mut fours = [_mm512_setzero_si512(); LINE];
    for (two, four) in pairs.as_chunks::<4>().0.iter().zip(fours.as_chunks_mut::<4>().0) {
        four[0] = _mm512_unpacklo_epi64(two[0], two[2]);
        four[1] = _mm512_unpackhi_epi64(two[0], two[2]);
        four[2] = _mm512_unpacklo_epi64(two[1], two[3]);
        four[3] = _mm512_unpackhi_epi64(two[1], two[3]);
    }
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let mut columns = [_mm512_setzero_si512(); LINE];
    for c in 0..4 {
        let [a, b, d, e] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
        let even = [
            _mm512_shuffle_i32x4::<EVEN>(a, b),
            _mm512_shuffle_i32x4::<EVEN>(d, e),
        ]; // a0 a2 b0 b2, d0 d2 e0 e2
        let odd = [
            _mm512_shuffle_i32x4::<ODD>(a, b),
            _mm512_shuffle_i32x4::<ODD>(d, e),
        ];
        columns[c] = _mm512_shuffle_i32x4::<EVEN>(even[0], even[1]); // a0 b0 d0 e0
        columns[4 + c] = _mm512_shuffle_i32x4::<EVEN>(odd[0], odd[1]);
        columns[8 + c] = _mm512_shuffle_i32x4::<ODD>(even[0], even[1]);
        columns[12 + c] = _mm512_shuffle_i32x4::<ODD>(odd[0], odd[1]);
    }
    columns
}
