//! The Newton-Schulz iterations on the GPU: products of the library, and one launch for what is between them.

use super::{COEFFICIENTS, EPSILON};
use crate::gpu::array::{UNITS, contiguous, empty, entries, for_entries, for_rows};
use crate::gpu::product::{product, transposed};
use crate::gpu::reduce::{largest_of_units, room, sum_of_units};
use crate::sum_of_squares::cube::{CHUNK, parts};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// The iterations on `[M, R, C]`.
pub(crate) fn newton_schulz(matrices: CubeTensor, iterations: usize) -> CubeTensor {
    let matrices = contiguous(matrices);
    if entries(&matrices) == 0 {
        return matrices;
    }
    let [rows, columns] = [1, 2].map(|axis| matrices.meta.shape()[axis]);
    let turned = |x: CubeTensor| if rows > columns { transposed(x) } else { x };
    let mut x = turned(normalised(matrices));
    for _ in 0..iterations {
        let square = product(x.clone(), transposed(x.clone()), DType::F32);
        let fourth = product(square.clone(), square.clone(), DType::F32);
        x = product(polynomial(square, fourth), x, DType::F32);
    }
    turned(x)
}

/// Each matrix over its Frobenius norm.
fn normalised(matrices: CubeTensor) -> CubeTensor {
    let count = matrices.meta.shape()[0];
    let size = entries(&matrices) / count;
    let into = empty(&matrices, matrices.meta.shape().clone(), DType::F32);
    let (client, chunks) = (matrices.client.clone(), size.div_ceil(CHUNK));
    let parts = parts(matrices.clone(), count, size);
    let (cubes, units) = for_rows(&client, count * chunks);
    normalise::launch(
        &client,
        cubes,
        units,
        matrices.into_buffer_arg(),
        parts.into_buffer_arg(),
        into.clone().into_buffer_arg(),
        count * chunks,
        chunks,
        size,
        EPSILON as f32,
    );
    into
}

/// `a I + b A + c A^2`, from A and A^2, `[M, R, R]` each.
fn polynomial(square: CubeTensor, fourth: CubeTensor) -> CubeTensor {
    let into = empty(&square, square.meta.shape().clone(), DType::F32);
    let (client, count, side) = (square.client.clone(), entries(&square), square.meta.shape()[1]);
    let (cubes, units) = for_entries(&client, count);
    let [a, b, c] = COEFFICIENTS.map(|coefficient| coefficient as f32);
    combine::launch(
        &client,
        cubes,
        units,
        square.into_buffer_arg(),
        fourth.into_buffer_arg(),
        into.clone().into_buffer_arg(),
        side,
        a,
        b,
        c,
    );
    into
}

/// One chunk of a matrix over the matrix's norm, which each cube puts together from the parts of all chunks.
#[cube(launch)]
fn normalise(
    x: &[f32],
    parts: &[f32],
    into: &mut [f32],
    count: usize,
    chunks: usize,
    size: usize,
    epsilon: f32,
) {
    let chunk = CUBE_POS;
    if chunk >= count {
        terminate!();
    }
    let mut room = room();
    let (matrix, first) = (chunk / chunks, (chunk % chunks) * comptime!(CHUNK));
    let mut top = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < chunks {
        let largest = parts[2 * (matrix * chunks + i)];
        if largest > top {
            top = largest;
        }
        i += comptime!(UNITS as usize);
    }
    top = largest_of_units(top, &mut room);
    let mut sum = 0.0f32;
    i = UNIT_POS as usize;
    while i < chunks {
        let part = 2 * (matrix * chunks + i);
        let relative = parts[part] / top;
        sum += relative * relative * parts[part + 1];
        i += comptime!(UNITS as usize);
    }
    let factor = 1.0f32 / (top * sum_of_units(sum, &mut room).sqrt() + epsilon);
    let start = matrix * size;
    let mut end = first + comptime!(CHUNK);
    if end > size {
        end = size;
    }
    i = first + UNIT_POS as usize;
    while i < end {
        into[start + i] = x[start + i] * factor;
        i += comptime!(UNITS as usize);
    }
}

/// One entry of the polynomial.
#[cube(launch)]
fn combine(square: &[f32], fourth: &[f32], into: &mut [f32], side: usize, a: f32, b: f32, c: f32) {
    let i = ABSOLUTE_POS;
    if i >= into.len() {
        terminate!();
    }
    let mut entry = fourth[i] * c + square[i] * b;
    let within = i % (side * side);
    if within / side == within % side {
        entry += a;
    }
    into[i] = entry;
}
