//! AVX-512 and AVX2.

use super::{Bytes, Halves, Kernel, LINE, Line, MAGNITUDE, Shorts, Simd, Sums};
use crate::instructions::Instructions;
use std::arch::x86_64::*;

/// A processor with AVX-512 F, BW, DQ and VL, and VNNI, its dot products of bytes, if the parameter is true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx512<const VNNI: bool>(());

impl<const VNNI: bool> Avx512<VNNI> {
    pub(super) fn detect() -> Option<Self> {
        let has = Instructions::Avx512.usable() && (!VNNI || is_x86_feature_detected!("avx512vnni"));
        has.then_some(Self(()))
    }
}

impl Avx512<true> {
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
        fn compiled<K: Kernel>(kernel: K, simd: Avx512<true>) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists only where `detect` found these features.
        unsafe { compiled(kernel, self) }
    }
}

impl Avx512<false> {
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
        fn compiled<K: Kernel>(kernel: K, simd: Avx512<false>) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists only where `detect` found these features.
        unsafe { compiled(kernel, self) }
    }
}

// SAFETY of every block below: `self` exists only where `detect` found AVX-512, and a `Line` is sixteen f32 on a
// boundary of 64 bytes.
impl<const VNNI: bool> Simd for Avx512<VNNI> {
    type V = __m512;

    #[inline(always)]
    fn load(self, line: &Line) -> __m512 {
        // SAFETY: see above the impl.
        unsafe { _mm512_load_ps(line.0.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, line: &mut Line, v: __m512) {
        // SAFETY: see above the impl.
        unsafe { _mm512_store_ps(line.0.as_mut_ptr(), v) }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: see above the impl.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn numbers(self, whole: &Sums) -> __m512 {
        // SAFETY: see above the impl; a `Sums` is 64 bytes on such a boundary.
        unsafe { _mm512_cvtepi32_ps(_mm512_load_si512(whole.0.as_ptr().cast())) }
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: see above the impl.
        unsafe { _mm512_add_ps(a, b) }
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: see above the impl.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    fn relu(self, v: __m512) -> (__m512, u16) {
        // SAFETY: see above the impl.
        unsafe {
            let zero = _mm512_setzero_ps();
            let v = _mm512_max_ps(v, zero); // of a NaN and 0 it takes the second
            (v, _mm512_cmp_ps_mask::<_CMP_GT_OQ>(v, zero))
        }
    }
    #[inline(always)]
    fn nonzero(self, v: __m512) -> u16 {
        // SAFETY: see above the impl.
        unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(v, _mm512_setzero_ps()) }
    }
    #[inline(always)]
    fn sum(self, v: __m512) -> f32 {
        // SAFETY: see above the impl.
        unsafe {
            let high = _mm512_extractf32x8_ps::<1>(v);
            sum_eight(_mm256_add_ps(_mm512_castps512_ps256(v), high))
        }
    }
    #[inline(always)]
    fn widen(self, halves: &Halves) -> [__m512; 2] {
        // SAFETY: see above the impl; a `Halves` is 64 bytes on such a boundary.
        unsafe {
            let words = _mm512_load_si512(halves.0.as_ptr().cast());
            let upper = _mm512_and_si512(words, _mm512_set1_epi32(-0x1_0000));
            let lower = _mm512_slli_epi32::<16>(words);
            [_mm512_castsi512_ps(lower), _mm512_castsi512_ps(upper)]
        }
    }
    #[inline(always)]
    fn largest(self, [a, b]: [__m512; 2]) -> f32 {
        // SAFETY: see above the impl.
        unsafe {
            let mask = _mm512_set1_epi32(MAGNITUDE.cast_signed());
            let a = _mm512_and_si512(_mm512_castps_si512(a), mask);
            let b = _mm512_and_si512(_mm512_castps_si512(b), mask);
            let most = _mm512_max_epi32(a, b);
            let high = _mm512_extracti64x4_epi64::<1>(most);
            largest_of_eight(_mm256_max_epi32(_mm512_castsi512_si256(most), high))
        }
    }
    #[inline(always)]
    fn widen_bytes(self, bytes: &Bytes) -> [__m512; 2] {
        // SAFETY: see above the impl; half a `Bytes` is 16 bytes on such a boundary.
        unsafe {
            let (low, high) = bytes.0.split_at(LINE);
            let low = _mm512_cvtepi8_epi32(_mm_load_si128(low.as_ptr().cast()));
            let high = _mm512_cvtepi8_epi32(_mm_load_si128(high.as_ptr().cast()));
            [_mm512_cvtepi32_ps(low), _mm512_cvtepi32_ps(high)]
        }
    }
    #[inline(always)]
    fn coarse_dot(self, a: &[Bytes], b: &[Shorts]) -> i32 {
        // SAFETY: see above the impl; a `Bytes` is 32 bytes and a `Shorts` 64, each on such a boundary.
        unsafe {
            let mut sum = _mm512_setzero_si512();
            for (a, b) in a.iter().zip(b) {
                let a = _mm512_cvtepi8_epi16(_mm256_load_si256(a.0.as_ptr().cast()));
                let b = _mm512_load_si512(b.0.as_ptr().cast());
                sum = _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
            }
            let high = _mm512_extracti64x4_epi64::<1>(sum);
            sum_eight_whole(_mm256_add_epi32(_mm512_castsi512_si256(sum), high))
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, memory: &T) {
        // SAFETY: a prefetch has no effect but on the cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(memory).cast()) }
    }
}

/// A processor with AVX2 and fused multiply-add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        Instructions::Avx2.usable().then_some(Self(()))
    }

    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn compiled<K: Kernel>(kernel: K, simd: Avx2) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` exists only where `detect` found these features.
        unsafe { compiled(kernel, self) }
    }
}

// SAFETY of every block below: `self` exists only where `detect` found AVX2 and FMA, and a `Line` is sixteen f32
// on a boundary of 64 bytes.
impl Simd for Avx2 {
    type V = [__m256; 2];

    #[inline(always)]
    fn load(self, line: &Line) -> [__m256; 2] {
        // SAFETY: see above the impl.
        unsafe {
            [
                _mm256_load_ps(line.0.as_ptr()),
                _mm256_load_ps(line.0[8..].as_ptr()),
            ]
        }
    }
    #[inline(always)]
    fn store(self, line: &mut Line, v: [__m256; 2]) {
        // SAFETY: see above the impl.
        unsafe {
            _mm256_store_ps(line.0.as_mut_ptr(), v[0]);
            _mm256_store_ps(line.0[8..].as_mut_ptr(), v[1]);
        }
    }
    #[inline(always)]
    fn splat(self, x: f32) -> [__m256; 2] {
        // SAFETY: see above the impl.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    fn numbers(self, whole: &Sums) -> [__m256; 2] {
        // SAFETY: see above the impl; half a `Sums` is 32 bytes on such a boundary.
        unsafe {
            let (low, high) = whole.0.split_at(8);
            [
                _mm256_cvtepi32_ps(_mm256_load_si256(low.as_ptr().cast())),
                _mm256_cvtepi32_ps(_mm256_load_si256(high.as_ptr().cast())),
            ]
        }
    }
    #[inline(always)]
    fn add(self, a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above the impl.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    fn fma(self, a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: see above the impl.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }
    #[inline(always)]
    fn relu(self, v: [__m256; 2]) -> ([__m256; 2], u16) {
        // SAFETY: see above the impl.
        unsafe {
            let zero = _mm256_setzero_ps();
            let v = v.map(|half| _mm256_max_ps(half, zero)); // of a NaN and 0 it takes the second
            let [low, high] = v.map(|half| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(half, zero)));
            (v, (low | high << 8) as u16)
        }
    }
    #[inline(always)]
    fn nonzero(self, [low, high]: [__m256; 2]) -> u16 {
        // SAFETY: see above the impl.
        unsafe {
            let zero = _mm256_setzero_ps();
            let low = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(low, zero));
            let high = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_NEQ_UQ>(high, zero));
            (low | high << 8) as u16
        }
    }
    #[inline(always)]
    fn sum(self, v: [__m256; 2]) -> f32 {
        // SAFETY: see above the impl.
        unsafe { sum_eight(_mm256_add_ps(v[0], v[1])) }
    }
    #[inline(always)]
    fn widen(self, halves: &Halves) -> [[__m256; 2]; 2] {
        // SAFETY: see above the impl; a `Halves` is 64 bytes on such a boundary.
        unsafe {
            let mask = _mm256_set1_epi32(-0x1_0000);
            let [mut low, mut high] = [[_mm256_setzero_ps(); 2]; 2];
            for (half, (low, high)) in low.iter_mut().zip(&mut high).enumerate() {
                let words = _mm256_load_si256(halves.0[8 * half..].as_ptr().cast());
                *low = _mm256_castsi256_ps(_mm256_slli_epi32::<16>(words));
                *high = _mm256_castsi256_ps(_mm256_and_si256(words, mask));
            }
            [low, high]
        }
    }
    #[inline(always)]
    fn largest(self, [[a, b], [c, d]]: [[__m256; 2]; 2]) -> f32 {
        // SAFETY: see above the impl.
        unsafe {
            let mask = _mm256_set1_ps(f32::from_bits(MAGNITUDE));
            let [a, b] = [_mm256_and_ps(a, mask), _mm256_and_ps(b, mask)];
            let [c, d] = [_mm256_and_ps(c, mask), _mm256_and_ps(d, mask)];
            let first = _mm256_max_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b));
            let last = _mm256_max_epi32(_mm256_castps_si256(c), _mm256_castps_si256(d));
            largest_of_eight(_mm256_max_epi32(first, last))
        }
    }
    #[inline(always)]
    fn widen_bytes(self, bytes: &Bytes) -> [[__m256; 2]; 2] {
        // SAFETY: see above the impl; half a `Bytes` is 16 bytes on such a boundary.
        unsafe {
            let (low, high) = bytes.0.split_at(LINE);
            let low = _mm_load_si128(low.as_ptr().cast());
            let high = _mm_load_si128(high.as_ptr().cast());
            [eights(low), eights(high)]
        }
    }
    #[inline(always)]
    fn coarse_dot(self, a: &[Bytes], b: &[Shorts]) -> i32 {
        // SAFETY: see above the impl; a `Bytes` is 32 bytes and a `Shorts` 64, each on such a boundary.
        unsafe {
            let mut sum = _mm256_setzero_si256();
            for (a, b) in a.iter().zip(b) {
                for half in [0, LINE] {
                    let a = _mm256_cvtepi8_epi16(_mm_load_si128(a.0[half..].as_ptr().cast()));
                    let b = _mm256_load_si256(b.0[half..].as_ptr().cast());
                    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
                }
            }
            sum_eight_whole(sum)
        }
    }
    #[inline(always)]
    fn prefetch<T>(self, memory: &T) {
        // SAFETY: a prefetch has no effect but on the cache.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(memory).cast()) }
    }
}

/// The number with the largest of eight magnitudes, given as bits.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn largest_of_eight(v: __m256i) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let four = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        let two = _mm_max_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
        let one = _mm_max_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
        _mm_cvtss_f32(_mm_castsi128_ps(one))
    }
}

/// Sixteen bytes in f32.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn eights(bytes: __m128i) -> [__m256; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        [
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes))),
        ]
    }
}

/// The sum of eight whole numbers.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
pub(super) unsafe fn sum_eight_whole(v: __m256i) -> i32 {
    // SAFETY: the caller's promise.
    unsafe {
        let four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
        let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
        _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two)))
    }
}

/// The sum of eight lanes by halves.
///
/// # Safety
/// The processor has AVX.
#[inline(always)]
unsafe fn sum_eight(v: __m256) -> f32 {
    // SAFETY: the caller's promise.
    unsafe {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    }
}
