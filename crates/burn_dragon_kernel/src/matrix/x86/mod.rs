//! Products by the vectors and tiles of x86-64.

pub(crate) mod amx;
mod bf16;
pub(crate) mod dot;
mod layout;
mod pack;
pub(crate) mod wide;

pub(crate) use layout::Layout;

use super::Precision;
use super::factor::{Factor, Side};
use crate::buffer::LINE;
use std::arch::x86_64::*;

/// A way to compute products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// f32, by AVX-512; for right factors whose columns are contiguous, or that are packed.
    Wide,
    /// bf16, by Intel's matrix unit.
    Amx,
    /// bf16, by the dot products of AVX-512.
    Dot,
}

impl Unit {
    /// The fastest one that this machine has, where it has one that is worth it.
    pub(crate) fn of(precision: Precision) -> Option<Self> {
        match precision {
            Precision::F32 => wide::available().then_some(Self::Wide),
            Precision::Bf16 if amx::available() => Some(Self::Amx),
            // Intel's cores issue the dot products at half the rate of f32, AMD's at its rate: twice the numbers.
            Precision::Bf16 => (is_amd() && dot::available()).then_some(Self::Dot),
        }
    }

    /// How many times as fast as f32 it is on tiles, about.
    pub(crate) fn speed(self) -> f64 {
        match self {
            Self::Wide => 1.0,
            Self::Dot => 1.7,
            Self::Amx => 3.5,
        }
    }

    /// Whether it is the fastest for a product with this right factor. In f32 the `gemm` crate is as fast or faster
    /// where rows are contiguous; where columns are, it takes a fifth more time, and a third more for few rows.
    pub(crate) fn suits(self, right: &Factor<'_>) -> bool {
        match right {
            Factor::Plain(right) => self != Self::Wide || right.column_stride != 1,
            Factor::Packed(_) => true,
        }
    }

    /// How this unit wants a factor; `None`: as it is.
    pub(crate) fn layout(self, side: Side, outer: usize, inner: usize) -> Option<Layout> {
        (self != Self::Wide || side == Side::Right).then_some(Layout::new(self, side, outer, inner))
    }

    /// `into = left right`, or `into += left right`; nothing is empty.
    pub(crate) fn multiply(
        self,
        into: &mut [f32],
        stride: usize,
        left: Factor<'_>,
        right: Factor<'_>,
        add: bool,
    ) {
        match self {
            Self::Wide => wide::multiply(into, stride, left.plain(), right, add),
            Self::Amx => bf16::multiply::<amx::Tiles>(into, stride, left, right, add),
            Self::Dot => bf16::multiply::<dot::Vectors>(into, stride, left, right, add),
        }
    }
}

/// Whether AMD made the processor.
fn is_amd() -> bool {
    let leaf = __cpuid(0);
    [leaf.ebx, leaf.edx, leaf.ecx]
        .map(u32::to_le_bytes)
        .as_flattened()
        == b"AuthenticAMD"
}

/// Lines become columns: line `i` of the result has entry `i` of each line.
#[inline]
#[target_feature(enable = "avx512f")]
fn transposed(lines: [__m512i; LINE]) -> [__m512i; LINE] {
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
