//! Sixteen numbers at a time, with the widest vectors that the processor has.
//!
//! A [`Line`] is one cache line. All that decoding does is written once, over lines, generic in [`Simd`]; an
//! [`Isa`] is chosen when the program runs. Where there is a fused multiply-add (all but [`Portable`]) the bits are the
//! same on every processor, because each of the sixteen lanes is summed in the same order.

/// Numbers in a line.
pub(super) const LINE: usize = 16;

/// Sixteen numbers, one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Line(pub(super) [f32; LINE]);

/// Sixteen f32 in registers. A value of an implementing type is the proof that the processor has what it needs.
pub(super) trait Simd: Copy {
    /// Sixteen numbers.
    type V: Copy;

    fn load(self, line: &Line) -> Self::V;
    fn store(self, line: &mut Line, v: Self::V);
    fn splat(self, x: f32) -> Self::V;
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `max(v, 0)`, which takes a NaN to 0, and a bit for each lane that is above 0, the first lane lowest.
    fn relu(self, v: Self::V) -> (Self::V, u16);
    /// The sum of the lanes: halves added until one is left.
    fn sum(self, v: Self::V) -> f32 {
        let mut line = Line::default();
        self.store(&mut line, v);
        sum_by_halves(line)
    }
    /// Asks for a line that will be needed soon.
    fn prefetch(self, _line: &Line) {}
}

#[inline(always)]
fn sum_by_halves(Line(mut lanes): Line) -> f32 {
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            lanes[i] += lanes[i + half];
        }
    }
    lanes[0]
}

#[inline(always)]
fn relu_by_lane(Line(lanes): &mut Line) -> u16 {
    let mut positive = 0;
    for (i, x) in lanes.iter_mut().enumerate() {
        *x = x.max(0.0);
        positive |= u16::from(*x > 0.0) << i;
    }
    positive
}

/// Work that is compiled for every kind of processor.
pub(super) trait Kernel {
    type Output;

    /// Does it; must be `#[inline(always)]`, as must be all that it calls.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// A kind of processor, known to be this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(arm::Neon),
    Portable(Portable),
}

impl Isa {
    /// All that this processor can run, the best first.
    pub(super) fn all() -> Vec<Self> {
        [
            #[cfg(target_arch = "x86_64")]
            x86::Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            x86::Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "aarch64")]
            arm::Neon::detect().map(Self::Neon),
            Some(Self::Portable(Portable)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// The best that this processor has.
    pub(super) fn best() -> Self {
        Self::all()[0]
    }

    /// Does the work with it.
    #[inline]
    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(simd) => simd.run(kernel),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(simd) => simd.run(kernel),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(simd) => simd.run(kernel),
            Self::Portable(simd) => kernel.run(simd),
        }
    }
}

/// Any processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Portable;

impl Simd for Portable {
    type V = Line;

    #[inline(always)]
    fn load(self, line: &Line) -> Line {
        *line
    }
    #[inline(always)]
    fn store(self, line: &mut Line, v: Line) {
        *line = v;
    }
    #[inline(always)]
    fn splat(self, x: f32) -> Line {
        Line([x; LINE])
    }
    #[inline(always)]
    fn add(self, Line(a): Line, Line(b): Line) -> Line {
        Line(std::array::from_fn(|i| a[i] + b[i]))
    }
    #[inline(always)]
    fn fma(self, Line(a): Line, Line(b): Line, Line(c): Line) -> Line {
        Line(std::array::from_fn(|i| a[i] * b[i] + c[i]))
    }
    #[inline(always)]
    fn relu(self, mut v: Line) -> (Line, u16) {
        let positive = relu_by_lane(&mut v);
        (v, positive)
    }
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use super::{Kernel, Line, Simd};
    use std::arch::x86_64::*;

    /// A processor with AVX-512 F, BW, DQ and VL.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Avx512(());

    impl Avx512 {
        pub(super) fn detect() -> Option<Self> {
            let has = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            has.then_some(Self(()))
        }

        #[inline]
        pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl")]
            fn compiled<K: Kernel>(kernel: K, simd: Avx512) -> K::Output {
                kernel.run(simd)
            }
            // SAFETY: `self` exists only where `detect` found these features.
            unsafe { compiled(kernel, self) }
        }
    }

    // SAFETY of every block below: `self` exists only where `detect` found AVX-512, and a `Line` is sixteen f32 on a
    // boundary of 64 bytes.
    impl Simd for Avx512 {
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
        fn sum(self, v: __m512) -> f32 {
            // SAFETY: see above the impl.
            unsafe {
                let high = _mm512_extractf32x8_ps::<1>(v);
                sum_eight(_mm256_add_ps(_mm512_castps512_ps256(v), high))
            }
        }
        #[inline(always)]
        fn prefetch(self, line: &Line) {
            // SAFETY: a prefetch has no effect but on the cache.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()) }
        }
    }

    /// A processor with AVX2 and fused multiply-add.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        pub(super) fn detect() -> Option<Self> {
            (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
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
        fn sum(self, v: [__m256; 2]) -> f32 {
            // SAFETY: see above the impl.
            unsafe { sum_eight(_mm256_add_ps(v[0], v[1])) }
        }
        #[inline(always)]
        fn prefetch(self, line: &Line) {
            // SAFETY: a prefetch has no effect but on the cache.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.0.as_ptr().cast()) }
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
}

#[cfg(target_arch = "aarch64")]
pub(super) mod arm {
    use super::{Kernel, LINE, Line, Simd, relu_by_lane};
    use std::arch::aarch64::*;

    /// A processor with NEON.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct Neon(());

    impl Neon {
        pub(super) fn detect() -> Option<Self> {
            std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
        }

        #[inline]
        pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
            #[target_feature(enable = "neon")]
            fn compiled<K: Kernel>(kernel: K, simd: Neon) -> K::Output {
                kernel.run(simd)
            }
            // SAFETY: `self` exists only where `detect` found NEON.
            unsafe { compiled(kernel, self) }
        }
    }

    // SAFETY of every block below: `self` exists only where `detect` found NEON, and offsets stay within the sixteen
    // f32 of a `Line`.
    impl Simd for Neon {
        type V = [float32x4_t; 4];

        #[inline(always)]
        fn load(self, line: &Line) -> [float32x4_t; 4] {
            // SAFETY: see above the impl.
            std::array::from_fn(|i| unsafe { vld1q_f32(line.0[i * 4..LINE].as_ptr()) })
        }
        #[inline(always)]
        fn store(self, line: &mut Line, v: [float32x4_t; 4]) {
            for (i, v) in v.into_iter().enumerate() {
                // SAFETY: see above the impl.
                unsafe { vst1q_f32(line.0[i * 4..LINE].as_mut_ptr(), v) }
            }
        }
        #[inline(always)]
        fn splat(self, x: f32) -> [float32x4_t; 4] {
            // SAFETY: see above the impl.
            unsafe { [vdupq_n_f32(x); 4] }
        }
        #[inline(always)]
        fn add(self, a: [float32x4_t; 4], b: [float32x4_t; 4]) -> [float32x4_t; 4] {
            // SAFETY: see above the impl.
            std::array::from_fn(|i| unsafe { vaddq_f32(a[i], b[i]) })
        }
        #[inline(always)]
        fn fma(self, a: [float32x4_t; 4], b: [float32x4_t; 4], c: [float32x4_t; 4]) -> [float32x4_t; 4] {
            // SAFETY: see above the impl.
            std::array::from_fn(|i| unsafe { vfmaq_f32(c[i], a[i], b[i]) })
        }
        #[inline(always)]
        fn relu(self, v: [float32x4_t; 4]) -> ([float32x4_t; 4], u16) {
            let mut line = Line::default();
            self.store(&mut line, v);
            let positive = relu_by_lane(&mut line);
            (self.load(&line), positive)
        }
    }
}
