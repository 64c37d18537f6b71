//! Dropout whose mask is a function, not a state: neuron `i` of a draw is kept if a hash of `(seed, i)` is below a
//! threshold. The same seed gives the same mask on every backend, in any order of evaluation, and no state has to be
//! saved.

#[cfg(target_arch = "x86_64")]
use crate::instructions::Instructions;
use crate::mix::mix;
use crate::simd::vectorized;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Hash of four entries.
#[inline(always)]
fn word(seed: u64, four: u64) -> u64 {
    mix(seed ^ four.wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

vectorized! {
    /// Multiplies fours of entries by their factors.
    scale_fours(seed: u64, threshold: u32, scale: f32, first: u64, fours: &mut [[f32; 4]]) {
        for (four, entries) in (first..).zip(fours) {
            let word = word(seed, four);
            for (i, entry) in entries.iter_mut().enumerate() {
                let bits = (word >> (16 * i)) as u32 & 0xFFFF;
                *entry *= if bits < threshold { scale } else { 0.0 };
            }
        }
    }
}

/// Which of 32 entries are kept, the first of them that of a four: the hashes of eight fours are the entries' bits in their
/// order.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn kept_avx512(seed: u64, threshold: u32, first: u64) -> u32 {
    use std::arch::x86_64::{__m512i, _mm512_cmple_epu16_mask, _mm512_set1_epi16};
    let mut words = [0; 8];
    for (four, into) in (first..).zip(&mut words) {
        *into = word(seed, four);
    }
    // SAFETY: both types are 64 plain bytes.
    let bits = unsafe { std::mem::transmute::<[u64; 8], __m512i>(words) };
    _mm512_cmple_epu16_mask(bits, _mm512_set1_epi16((threshold - 1) as i16)) // the threshold is at least 1
}

/// Dropout mask of one draw: the factor of kept entries is `1 / (1 - probability)`, that of dropped ones 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DropoutMask {
    seed: u64,
    /// Threshold of the 16 bits of an entry's hash: the entry is kept if they are below it.
    threshold: u32,
    scale: f64,
}

impl DropoutMask {
    /// A mask that drops each entry with `probability`, rounded to a multiple of 1/65536.
    ///
    /// # Panics
    /// If `probability` is outside `[0, 1)`.
    pub fn new(seed: u64, probability: f64) -> Self {
        assert!(
            (0.0..1.0).contains(&probability),
            "dropout: probability {probability} is outside [0, 1)"
        );
        let threshold = ((1.0 - probability) * 65536.0).round().max(1.0);
        Self {
            seed,
            threshold: threshold as u32,
            scale: 65536.0 / threshold,
        }
    }

    /// Whether entry `index` (row-major) is kept.
    pub fn keeps(&self, index: u64) -> bool {
        let bits = (word(self.seed, index >> 2) >> (16 * (index & 3))) as u32 & 0xFFFF;
        bits < self.threshold
    }

    /// Factor of entry `index` (row-major): 0, or [`scale`](Self::scale()), which keeps the mean.
    pub fn factor(&self, index: u64) -> f64 {
        if self.keeps(index) { self.scale } else { 0.0 }
    }

    /// Factor of a kept entry, `1 / (1 - probability)`.
    pub fn scale(&self) -> f64 {
        self.scale
    }

    /// Seed, threshold and scale, for a backend that draws the mask itself.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    pub(crate) fn parts(&self) -> (u64, u32, f64) {
        (self.seed, self.threshold, self.scale)
    }

    /// Multiplies entries `first..` by their factors.
    pub(crate) fn scale_entries(&self, first: u64, entries: &mut [f32]) {
        // One hash is for four entries; those before the first whole four are done one by one.
        let ragged = (first.wrapping_neg() & 3).min(entries.len() as u64) as usize;
        let (head, fours) = entries.split_at_mut(ragged);
        let (fours, tail) = fours.as_chunks_mut::<4>();
        let one_by_one = |from: u64, entries: &mut [f32]| {
            let indexed = (from..).zip(entries);
            indexed.for_each(|(index, entry)| *entry *= self.factor(index) as f32);
        };
        one_by_one(first, head);
        let whole = first + ragged as u64;
        scale_fours(self.seed, self.threshold, self.scale as f32, whole / 4, fours);
        one_by_one(whole + 4 * fours.len() as u64, tail);
    }

    /// Entries of a block that are kept, one bit for each of at most 32 columns; the first entries of its rows are
    /// `first` and then `stride` apart.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn kept_block(
        &self,
        first: u64,
        stride: u64,
        [rows, columns]: [usize; 2],
        into: &mut [u32; 32],
    ) {
        let starts = (0..rows as u64).map(|row| first + row * stride);
        if first.is_multiple_of(4) && stride.is_multiple_of(4) && Instructions::Avx512.usable() {
            for (into, start) in into.iter_mut().zip(starts) {
                // SAFETY: the processor has the features that the function is compiled for.
                *into = unsafe { kept_avx512(self.seed, self.threshold, start / 4) };
            }
        } else {
            for (into, start) in into.iter_mut().zip(starts) {
                let kept = (0..columns).map(|column| u32::from(self.keeps(start + column as u64)) << column);
                *into = kept.sum();
            }
        }
    }

    /// Multiplies `x` by the mask.
    ///
    /// # Shapes
    /// - `x`, output: any shape of rank R
    pub fn apply<const R: usize>(&self, x: Tensor<R>) -> Tensor<R> {
        let mask = self.tensor(x.dims(), x.dtype(), &x.device());
        x * mask
    }

    fn tensor<const R: usize>(&self, shape: [usize; R], dtype: DType, device: &Device) -> Tensor<R> {
        let size = shape.iter().product::<usize>() as u64;
        let values: Vec<f32> = (0..size).map(|index| self.factor(index) as f32).collect();
        Tensor::from_data(
            TensorData::new(values, shape).convert_dtype(dtype),
            (device, dtype),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_dropped_entries_is_the_probability_and_the_mean_is_kept() {
        let mask = DropoutMask::new(7, 0.1);
        let n = 200_000;
        let dropped = (0..n).filter(|&i| !mask.keeps(i)).count() as f64 / n as f64;
        let mean = (0..n).map(|i| mask.factor(i)).sum::<f64>() / n as f64;
        assert!((dropped - 0.1).abs() < 0.003, "{dropped}");
        assert!((mean - 1.0).abs() < 0.005, "{mean}");
    }

    #[test]
    fn scaling_many_entries_equals_scaling_each() {
        let mask = DropoutMask::new(11, 0.3);
        for first in 0..9 {
            for length in 0..40 {
                let mut entries: Vec<f32> = (0..length).map(|i| i as f32 + 1.0).collect();
                mask.scale_entries(first, &mut entries);
                for (i, entry) in entries.iter().enumerate() {
                    assert_eq!(*entry, (i as f32 + 1.0) * mask.factor(first + i as u64) as f32);
                }
            }
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_block_keeps_what_each_entry_says() {
        for (probability, first, stride, columns) in [
            (0.3, 8, 64, 32),
            (0.0, 0, 4, 32),
            (0.5, 5, 64, 32),
            (0.1, 12, 78, 14),
        ] {
            let mask = DropoutMask::new(11, probability);
            let mut kept = [u32::MAX; 32];
            mask.kept_block(first, stride, [31, columns], &mut kept);
            for (row, bits) in kept.iter().enumerate().take(31) {
                for column in 0..columns {
                    let index = first + row as u64 * stride + column as u64;
                    assert_eq!(bits >> column & 1 == 1, mask.keeps(index), "{row}, {column}");
                }
            }
        }
    }

    #[test]
    fn another_seed_is_another_mask_and_the_same_seed_the_same() {
        let keeps = |seed| {
            (0..4096)
                .map(|i| DropoutMask::new(seed, 0.5).keeps(i))
                .collect::<Vec<_>>()
        };
        assert_eq!(keeps(1), keeps(1));
        let differing = keeps(1).iter().zip(keeps(2)).filter(|(a, b)| **a != *b).count();
        assert!((1800..2300).contains(&differing), "{differing}");
    }

    #[test]
    fn probability_zero_keeps_everything_unscaled() {
        let mask = DropoutMask::new(3, 0.0);
        assert!((0..1000).all(|i| mask.factor(i) == 1.0));
    }
}
