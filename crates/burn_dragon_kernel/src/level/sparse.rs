//! Products with a strip of a tile of activities, over the entries that a pattern marks: in the widest vectors there are.

#[cfg(target_arch = "x86_64")]
use crate::instructions::Instructions;
use pulp::{Arch, Simd, WithSimd};

/// The widest vectors that may be used.
#[cfg(target_arch = "x86_64")]
pub(super) fn vectors() -> Arch {
    if Instructions::Avx512.usable() {
        return Arch::new();
    }
    let avx2 = Instructions::Avx2.usable().then(pulp::x86::V3::try_new).flatten();
    avx2.map_or(Arch::Scalar, Arch::V3)
}

/// The vectors that every processor of this kind has.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn vectors() -> Arch {
    Arch::new()
}

/// Numbers in a vector of this processor.
pub(super) fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    vectors().dispatch(Lanes)
}

/// The bits of a word that are set, lowest first.
#[inline(always)]
fn set_bits(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let bit = word.trailing_zeros() as usize;
        word &= word - 1;
        Some(bit)
    })
}

/// `NV` vectors from the start of a slice.
#[inline(always)]
fn load<S: Simd, const NV: usize>(from: &[f32]) -> [S::f32s; NV] {
    let (vectors, _) = S::as_simd_f32s(&from[..NV * S::F32_LANES]);
    std::array::from_fn(|i| vectors[i])
}

/// `NV` vectors to the start of a slice.
#[inline(always)]
fn store<S: Simd, const NV: usize>(to: &mut [f32], values: [S::f32s; NV]) {
    let (vectors, _) = S::as_mut_simd_f32s(&mut to[..NV * S::F32_LANES]);
    (0..NV).for_each(|i| vectors[i] = values[i]);
}

/// `sum + the terms' values times their rows`.
#[inline(always)]
fn add_terms<'a, S: Simd, const NV: usize>(
    simd: S,
    sum: [S::f32s; NV],
    mut terms: impl Iterator<Item = (f32, &'a [f32])>,
) -> [S::f32s; NV] {
    let add = |sum: &mut [S::f32s; NV], (value, row): (f32, &[f32])| {
        let (value, row) = (simd.splat_f32s(value), load::<S, NV>(row));
        (0..NV).for_each(|i| sum[i] = simd.mul_add_f32s(value, row[i], sum[i]));
    };
    let mut sums = [sum, [simd.splat_f32s(0.0); NV]];
    while let Some(term) = terms.next() {
        add(&mut sums[0], term);
        // A narrow sum would wait for itself: two of them take turns.
        if NV <= 4
            && let Some(term) = terms.next()
        {
            add(&mut sums[1], term);
        }
    }
    std::array::from_fn(|i| {
        if NV <= 4 {
            simd.add_f32s(sums[0][i], sums[1][i])
        } else {
            sums[0][i]
        }
    })
}

/// Calls a function for blocks of 8, 4, 2 and 1 vectors that make up the width; each gets its first column.
macro_rules! by_blocks {
    ($simd:ident, $self:ident.$function:ident) => {{
        let mut at = 0;
        while at < $self.width {
            let vectors = ($self.width - at) / S::F32_LANES;
            at += S::F32_LANES
                * match vectors {
                    8.. => $self.$function::<S, 8>($simd, at),
                    4.. => $self.$function::<S, 4>($simd, at),
                    2.. => $self.$function::<S, 2>($simd, at),
                    _ => $self.$function::<S, 1>($simd, at),
                };
        }
    }};
}

/// `into += tile weights` in one strip.
pub(super) struct Rows<'a> {
    pub(super) words: &'a [u64],
    pub(super) tile: &'a [f32],
    pub(super) stride: usize,
    pub(super) weights: &'a [f32],
    pub(super) into: &'a mut [f32],
    pub(super) width: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Rows<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (t, &word) in self.words.iter().enumerate() {
            if word == 0 {
                continue;
            }
            let row = &self.tile[t * self.stride..];
            let place = &mut self.into[t * self.width + at..];
            let terms = set_bits(word).map(|n| (row[n], &self.weights[n * self.width + at..]));
            let sum = add_terms::<S, NV>(simd, load::<S, NV>(place), terms);
            store::<S, NV>(place, sum);
        }
        NV
    }
}

/// `into = left weights^T` in one strip, where the tile is active.
pub(super) struct Dots<'a> {
    pub(super) words: &'a [u64],
    pub(super) left: &'a [f32],
    pub(super) weights: &'a [f32],
    pub(super) into: &'a mut [f32],
    pub(super) stride: usize,
    pub(super) width: usize,
}

impl WithSimd for Dots<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Dots<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (t, &word) in self.words.iter().enumerate() {
            let left = load::<S, NV>(&self.left[t * self.width + at..]);
            let row = &mut self.into[t * self.stride..];
            for n in set_bits(word) {
                let weights = load::<S, NV>(&self.weights[n * self.width + at..]);
                // Two sums, so that one does not wait for the other.
                let mut sums = [simd.splat_f32s(0.0); 2];
                for i in 0..NV {
                    sums[i % 2] = simd.mul_add_f32s(left[i], weights[i], sums[i % 2]);
                }
                let dot = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
                row[n] = if at == 0 { dot } else { row[n] + dot };
            }
        }
        NV
    }
}

/// `into += tile^T right` in one strip.
pub(super) struct Columns<'a> {
    pub(super) words: &'a [u64],
    pub(super) tile: &'a [f32],
    pub(super) stride: usize,
    pub(super) right: &'a [f32],
    pub(super) into: &'a mut [f32],
    pub(super) width: usize,
}

impl WithSimd for Columns<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        by_blocks!(simd, self.block);
    }
}

impl Columns<'_> {
    #[inline(always)]
    fn block<S: Simd, const NV: usize>(&mut self, simd: S, at: usize) -> usize {
        for (group, words) in self.words.chunks(64).enumerate() {
            let first = group * 64;
            for (n, word) in columns_of(words).into_iter().enumerate() {
                if word == 0 {
                    continue;
                }
                let place = &mut self.into[n * self.width + at..];
                let terms = set_bits(word).map(|t| {
                    let t = first + t;
                    (self.tile[t * self.stride + n], &self.right[t * self.width + at..])
                });
                let sum = add_terms::<S, NV>(simd, load::<S, NV>(place), terms);
                store::<S, NV>(place, sum);
            }
        }
        NV
    }
}

/// At most 64 rows of 64 bits as 64 columns.
#[inline(always)]
fn columns_of(rows: &[u64]) -> [u64; 64] {
    let mut bits = [0; 64];
    bits[..rows.len()].copy_from_slice(rows);
    // Blocks of half the size change places, six times over.
    let (mut half, mut low) = (32, u64::MAX >> 32);
    while half > 0 {
        let mut row = 0;
        while row < 64 {
            let swap = ((bits[row] >> half) ^ bits[row + half]) & low;
            bits[row] ^= swap << half;
            bits[row + half] ^= swap;
            row = (row + half + 1) & !half;
        }
        half /= 2;
        low ^= low << half;
    }
    bits
}
