//! NEON.

use super::{Bytes, COARSE, Halves, Kernel, LINE, Line, Shorts, Simd, Sums, relu_by_lane};
use crate::instructions::Instructions;
use std::arch::aarch64::*;

/// A processor with NEON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        let has = Instructions::Avx2.usable() && std::arch::is_aarch64_feature_detected!("neon");
        has.then_some(Self(()))
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
    fn numbers(self, whole: &Sums) -> [float32x4_t; 4] {
        // SAFETY: see above the impl; offsets stay within the sixteen numbers of a `Sums`.
        std::array::from_fn(|i| unsafe { vcvtq_f32_s32(vld1q_s32(whole.0[i * 4..LINE].as_ptr())) })
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
    #[inline(always)]
    fn widen(self, halves: &Halves) -> [[float32x4_t; 4]; 2] {
        // SAFETY: see above the impl; offsets stay within the sixteen words of a `Halves`.
        let words: [_; 4] = std::array::from_fn(|i| unsafe { vld1q_u32(halves.0[i * 4..LINE].as_ptr()) });
        // SAFETY: see above the impl.
        unsafe {
            let upper = vdupq_n_u32(0xFFFF_0000);
            [
                words.map(|words| vreinterpretq_f32_u32(vshlq_n_u32::<16>(words))),
                words.map(|words| vreinterpretq_f32_u32(vandq_u32(words, upper))),
            ]
        }
    }
    #[inline(always)]
    fn largest(self, [a, b]: [[float32x4_t; 4]; 2]) -> f32 {
        let mut most = 0;
        for v in a.into_iter().chain(b) {
            // SAFETY: see above the impl.
            let bits = unsafe { vmaxvq_u32(vreinterpretq_u32_f32(vabsq_f32(v))) };
            most = most.max(bits);
        }
        f32::from_bits(most)
    }
    #[inline(always)]
    fn coarse_dot(self, a: &[Bytes], b: &[Shorts]) -> i32 {
        // SAFETY: see above the impl; offsets stay within the 32 numbers of a `Bytes` and a `Shorts`.
        unsafe {
            let mut sum = vdupq_n_s32(0);
            for (a, b) in a.iter().zip(b) {
                for eighth in (0..COARSE).step_by(8) {
                    let a = vmovl_s8(vld1_s8(a.0[eighth..].as_ptr()));
                    let b = vld1q_s16(b.0[eighth..].as_ptr());
                    sum = vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b));
                    sum = vmlal_high_s16(sum, a, b);
                }
            }
            vaddvq_s32(sum)
        }
    }
}
