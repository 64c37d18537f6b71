//! The sum of squares on the processor.

use crate::parallel::*;
use crate::simd::vectorized;
use burn_flex::FlexTensor;

/// Entries of a chunk: about 50 us of work, so that small tensors wake no thread.
const CHUNK: usize = 1 << 17;

/// Sums that run side by side within a chunk: enough for the widest vectors.
const LANES: usize = 32;

/// The sum over contiguous numbers.
pub(crate) fn sum_of_squares(x: &FlexTensor) -> f64 {
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
