//! The sum of squares on the GPU: one launch and one read back.
//!
//! A cube sums a chunk of a fixed size in a fixed order, relative to the chunk's largest entry, so that nothing
//! overflows; the chunks are summed in f64 by the processor.

use crate::gpu::array::{UNITS, contiguous, empty, entries, for_rows};
use crate::gpu::reduce::{largest_of_units, room, sum_of_units};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Entries of a chunk.
pub(crate) const CHUNK: usize = 16 * UNITS as usize;

/// The sum over all entries.
pub(crate) fn sum_of_squares(x: CubeTensor) -> f64 {
    let count = entries(&x);
    if count == 0 {
        return 0.0;
    }
    let client = x.client.clone();
    let parts = parts(contiguous(x), 1, count);
    let bytes = client.read_one_unchecked(parts.handle);
    let pairs = f32::from_bytes(&bytes)
        .chunks_exact(2)
        .take(count.div_ceil(CHUNK));
    pairs
        .map(|pair| f64::from(pair[0]) * f64::from(pair[0]) * f64::from(pair[1]))
        .sum()
}

/// Of each chunk of `matrices` arrays of `size` entries, its largest entry and the sum of squares relative to it:
/// `[matrices, chunks, 2]`.
pub(crate) fn parts(x: CubeTensor, matrices: usize, size: usize) -> CubeTensor {
    let chunks = size.div_ceil(CHUNK);
    let parts = empty(&x, [matrices, chunks, 2], DType::F32);
    let client = x.client.clone();
    let (cubes, units) = for_rows(&client, matrices * chunks);
    sum_chunks::launch(
        &client,
        cubes,
        units,
        x.into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        matrices * chunks,
        chunks,
        size,
        f32::MAX,
    );
    parts
}

/// One chunk of one array.
#[cube(launch)]
fn sum_chunks(x: &[f32], parts: &mut [f32], count: usize, chunks: usize, size: usize, greatest: f32) {
    let chunk = CUBE_POS;
    if chunk >= count {
        terminate!();
    }
    let mut room = room();
    let first = (chunk % chunks) * comptime!(CHUNK);
    let start = (chunk / chunks) * size;
    let mut end = first + comptime!(CHUNK);
    if end > size {
        end = size;
    }
    let mut top = 0.0f32;
    let mut i = first + UNIT_POS as usize;
    while i < end {
        let entry = x[start + i].abs();
        if entry > top {
            top = entry;
        }
        i += comptime!(UNITS as usize);
    }
    top = largest_of_units(top, &mut room);
    // What is not finite shows in the sum.
    if top == 0.0f32 || top > greatest {
        top = 1.0f32;
    }
    let mut sum = 0.0f32;
    i = first + UNIT_POS as usize;
    while i < end {
        let entry = x[start + i] / top;
        sum += entry * entry;
        i += comptime!(UNITS as usize);
    }
    sum = sum_of_units(sum, &mut room);
    if UNIT_POS == 0 {
        parts[2 * chunk] = top;
        parts[2 * chunk + 1] = sum;
    }
}
