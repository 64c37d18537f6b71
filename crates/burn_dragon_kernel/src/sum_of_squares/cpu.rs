//! The sum of squares on the processor.

use crate::flex::memory;
use crate::simd::vectorized;
use burn::tensor::Tensor;
use rayon::prelude::*;

/// Entries of a chunk: about 50 us of work, so that small tensors wake no thread.
const CHUNK: usize = 1 << 17;

/// Sums that run side by side within a chunk: enough for the widest vectors.
const LANES: usize = 32;

/// The sum over a plain tensor.
pub(super) fn sum_of_squares(x: Tensor<1>) -> f64 {
    let x = memory(x);
    let parts: Vec<f64> = x.storage().par_chunks(CHUNK).map(of_chunk).collect();
    parts.into_iter().sum()
}

vectorized! {
    /// The sum over one chunk.
    of_chunk(x: &[f32]) -> f64 {
        let (rows, rest) = x.as_chunks::<LANES>();
        let mut sums = [0.0; LANES];
        for row in rows {
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += f64::from(*x) * f64::from(*x);
            }
        }
        let rest = rest.iter().map(|x| f64::from(*x) * f64::from(*x));
        sums.into_iter().chain(rest).sum()
    }
}
