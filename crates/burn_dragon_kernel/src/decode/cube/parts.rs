//! Parts of the kernels: the norm of a row, the product of a row and a matrix, sums over the units of a cube.

use crate::gpu::array::UNITS;
use crate::gpu::reduce::sum_of_units;
use cubecl::prelude::*;

/// `(v - mean) / sqrt(variance + eps)`, in place. Units touch their own entries only, until all may read all.
#[cube]
pub(super) fn norm_row(v: &mut Shared<[f32]>, width: usize, eps: f32, room: &mut Shared<[f32]>) {
    let size = width as f32;
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        sum += v[i];
        i += comptime!(UNITS as usize);
    }
    let mean = sum_of_units(sum, room) / size;
    let mut squares = 0.0f32;
    i = UNIT_POS as usize;
    while i < width {
        let centred = v[i] - mean;
        squares += centred * centred;
        i += comptime!(UNITS as usize);
    }
    let scale = 1.0f32 / (sum_of_units(squares, room) / size + eps).sqrt();
    i = UNIT_POS as usize;
    while i < width {
        v[i] = (v[i] - mean) * scale;
        i += comptime!(UNITS as usize);
    }
    sync_cube();
}

/// `sums[n] = sum over d of v[d] matrix[d, n]` of the columns of a chunk: `count` vectors of at most `chunk`, a power
/// of two, from `first`, in rows of `stride` vectors. Units share the rows; 0 beyond the columns.
#[cube]
pub(super) fn project<P: Size>(
    v: &Shared<[f32]>,
    matrix: &[Vector<f32, P>],
    first: usize,
    stride: usize,
    count: usize,
    chunk: usize,
    width: usize,
    pieces: &mut Shared<[f32]>,
    sums: &mut Shared<[f32]>,
) {
    let unit = UNIT_POS as usize;
    let (column, groups) = (unit % chunk, comptime!(UNITS as usize) / chunk);
    let mut sum = Vector::<f32, P>::zeroed();
    if column < count {
        let mut d = unit / chunk;
        while d < width {
            sum += Vector::new(v[d]) * matrix[first + d * stride + column];
            d += groups;
        }
    }
    #[unroll]
    for k in 0..P::value() {
        pieces[unit * P::value() + k] = sum.extract(k);
    }
    sync_cube();
    let columns = chunk * P::value();
    if unit < columns {
        let mut total = 0.0f32;
        for group in 0..groups {
            total += pieces[group * columns + unit];
        }
        sums[unit] = total;
    }
    sync_cube();
}

/// Turns a pair of neurons by the angle of the block of positions and that of the place in it.
#[cube]
pub(super) fn turned(
    q: &mut Shared<[f32]>,
    pair: usize,
    blocks: &[f32],
    block: usize,
    tables: &[f32],
    place: usize,
) {
    let (c, s) = (blocks[block], blocks[block + 1]);
    let (d, t) = (tables[place], tables[place + 1]);
    let (cos, sin) = (c * d - s * t, s * d + c * t);
    let (a, b) = (q[2 * pair], q[2 * pair + 1]);
    q[2 * pair] = a * cos - b * sin;
    q[2 * pair + 1] = b * cos + a * sin;
}

/// Writes the sum over groups of `span` units of a vector of each, behind `first + tile`, where there are columns.
#[cube]
pub(super) fn fold<V: Size>(
    sum: Vector<f32, V>,
    pieces: &mut Shared<[f32]>,
    into: &mut [Vector<f32, V>],
    first: usize,
    tile: usize,
    columns: usize,
    span: usize,
) {
    let unit = UNIT_POS as usize;
    #[unroll]
    for k in 0..V::value() {
        pieces[unit * V::value() + k] = sum.extract(k);
    }
    sync_cube();
    if unit < span && tile + unit < columns {
        let mut total = Vector::<f32, V>::zeroed();
        let mut from = unit;
        while from < comptime!(UNITS as usize) {
            #[unroll]
            for k in 0..V::value() {
                let before = total.extract(k);
                total.insert(k, before + pieces[from * V::value() + k]);
            }
            from += span;
        }
        into[first + tile + unit] = total;
    }
    sync_cube();
}
