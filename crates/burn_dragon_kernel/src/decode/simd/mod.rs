//! Vectors of sixteen numbers, on the widest instructions that the processor has.
//!
//! A [`Line`] is one cache line. All work of decoding is written once, over lines, generic in [`Simd`]; an
//! [`Isa`] is chosen when the program runs. Where there is a fused multiply-add (all but [`Portable`]) the bits are the
//! same on every processor, because each of the sixteen lanes is summed in the same order.

//!
//! [`Whole`] are the integer operations, `whole/`.

#[cfg(target_arch = "aarch64")]
mod arm;
pub(crate) mod whole;
#[cfg(target_arch = "x86_64")]
mod x86;

use super::stored::Halves;
pub(crate) use whole::{Sums, Whole};

/// Numbers in a line.
pub(crate) const LINE: usize = 16;

/// Sixteen numbers, one cache line.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [f32; LINE]);

/// Numbers in a coarse line: whole coarse lines fill whole lines.
pub(crate) const COARSE: usize = 2 * LINE;

/// Thirty-two numbers of one byte each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C, align(32))]
pub(crate) struct Bytes(pub(crate) [i8; COARSE]);

/// Thirty-two numbers of two bytes each.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
pub(crate) struct Shorts(pub(crate) [i16; COARSE]);

/// Bits of a number without its sign. As whole numbers they are in the order of magnitudes, with NaN above infinity.
const MAGNITUDE: u32 = 0x7FFF_FFFF;

/// Sixteen f32 in registers. A value of an implementing type is the proof that the processor has what it needs.
pub(crate) trait Simd: Whole {
    /// Sixteen numbers.
    type V: Copy;

    fn load(self, line: &Line) -> Self::V;
    fn store(self, line: &mut Line, v: Self::V);
    fn splat(self, x: f32) -> Self::V;
    /// The nearest numbers to whole ones.
    fn numbers(self, whole: &Sums) -> Self::V {
        self.load(&Line(whole.0.map(|whole| whole as f32)))
    }
    fn add(self, a: Self::V, b: Self::V) -> Self::V;
    /// `a b + c`.
    fn fma(self, a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `max(v, 0)`, which takes a NaN to 0, and a bit for each lane that is above 0, the first lane lowest.
    fn relu(self, v: Self::V) -> (Self::V, u16);
    /// A bit for each lane that is not 0, the first lane lowest.
    fn nonzero(self, v: Self::V) -> u16 {
        let mut line = Line::default();
        self.store(&mut line, v);
        let bit = |(i, x): (usize, &f32)| u16::from(*x != 0.0) << i;
        line.0.iter().enumerate().map(bit).sum()
    }
    /// The sum of the lanes: halves added until one is left.
    fn sum(self, v: Self::V) -> f32 {
        let mut line = Line::default();
        self.store(&mut line, v);
        sum_by_halves(line)
    }
    /// The two lines of numbers stored in bf16.
    fn widen(self, halves: &Halves) -> [Self::V; 2] {
        halves.widened().map(|line| self.load(&line))
    }
    /// The largest magnitude of two lines; NaN, if there is one.
    fn largest(self, pair: [Self::V; 2]) -> f32 {
        let mut most = 0;
        for v in pair {
            let mut line = Line::default();
            self.store(&mut line, v);
            let bits = line.0.iter().map(|number| number.to_bits() & MAGNITUDE);
            most = bits.fold(most, u32::max);
        }
        f32::from_bits(most)
    }
    /// The two lines of numbers of whole ones.
    fn widen_bytes(self, bytes: &Bytes) -> [Self::V; 2] {
        let (low, high) = bytes.0.split_at(LINE);
        [low, high].map(|half| self.load(&Line(std::array::from_fn(|i| f32::from(half[i])))))
    }
    /// Scalar product of whole numbers; the caller must ensure that it fits i32.
    fn coarse_dot(self, a: &[Bytes], b: &[Shorts]) -> i32 {
        let product = |(a, b): (&i8, &i16)| i32::from(*a) * i32::from(*b);
        a.iter()
            .zip(b)
            .flat_map(|(a, b)| a.0.iter().zip(&b.0))
            .map(product)
            .sum()
    }
    /// Prefetches memory that will be needed soon.
    fn prefetch<T>(self, _memory: &T) {}
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
pub(crate) trait Kernel {
    type Output;

    /// Runs the work. It must be `#[inline(always)]`, and so must all that it calls.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Instruction set that this processor is known to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isa {
    #[cfg(target_arch = "x86_64")]
    Vnni(x86::Avx512<true>),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512<false>),
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "aarch64")]
    Neon(arm::Neon),
    Portable(Portable),
}

impl Isa {
    /// All that this processor can run, the best first.
    pub(crate) fn all() -> Vec<Self> {
        [
            #[cfg(target_arch = "x86_64")]
            x86::Avx512::detect().map(Self::Vnni),
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
    pub(crate) fn best() -> Self {
        Self::all()[0]
    }

    /// Does the work with it.
    #[inline]
    pub(crate) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Vnni(simd) => simd.run(kernel),
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
pub(crate) struct Portable;

impl Whole for Portable {}

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
