//! Kernels of neuron-wide work: a cube of units for each row of neurons, a vector of them for each unit at a time.

use crate::gpu::array::UNITS;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Where the rows of a window lie.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Rows {
    pub(super) heads: usize,
    pub(super) lanes: usize,
    /// Tokens of the window, and of the stream, and the window's first in that.
    pub(super) tokens: usize,
    pub(super) stream: usize,
    pub(super) first: usize,
    pub(super) neurons: usize,
}

/// A dropout mask: the halves of its seed, its threshold and its scale.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Mask {
    pub(super) seed_low: u32,
    pub(super) seed_high: u32,
    pub(super) threshold: u32,
    pub(super) scale: f32,
}

/// The factor of entry `index` of a mask: [`DropoutMask::factor`], in halves of 32 bits, since not every device has
/// more.
#[cube]
fn factor(mask: &Mask, index: usize) -> f32 {
    let four = (index / 4) as u32;
    let place = (index % 4) as u32;
    // seed ^ four * 0x9E3779B97F4A7C15
    let mut low = mask.seed_low ^ (four * 0x7F4A_7C15u32);
    let mut high = mask.seed_high ^ (u32::mul_hi(four, 0x7F4A_7C15u32) + four * 0x9E37_79B9u32);
    // word ^= word >> 30; word *= 0xBF58476D1CE4E5B9
    low = low ^ ((low >> 30u32) | (high << 2u32));
    high = high ^ (high >> 30u32);
    high = u32::mul_hi(low, 0x1CE4_E5B9u32) + low * 0xBF58_476Du32 + high * 0x1CE4_E5B9u32;
    low *= 0x1CE4_E5B9u32;
    // word ^= word >> 27; word *= 0x94D049BB133111EB
    low = low ^ ((low >> 27u32) | (high << 5u32));
    high = high ^ (high >> 27u32);
    high = u32::mul_hi(low, 0x1331_11EBu32) + low * 0x94D0_49BBu32 + high * 0x1331_11EBu32;
    low *= 0x1331_11EBu32;
    // word ^= word >> 31
    low = low ^ ((low >> 31u32) | (high << 1u32));
    high = high ^ (high >> 31u32);
    let mut bits = low;
    if place >= 2u32 {
        bits = high;
    }
    bits = (bits >> (16u32 * (place % 2u32))) & 0xFFFFu32;
    let mut factor = 0.0f32;
    if bits < mask.threshold {
        factor = mask.scale;
    }
    factor
}

/// The positive part.
#[cube]
fn positive(x: f32) -> f32 {
    let mut part = 0.0f32;
    if x > 0.0f32 {
        part = x;
    }
    part
}

/// The first entry of the angles of row `row`.
#[cube]
fn angles_of(rows: &Rows, row: usize, lane_stride: usize) -> usize {
    let lane = (row / rows.tokens) % rows.lanes;
    lane * lane_stride + (rows.first + row % rows.tokens) * (rows.neurons / 2)
}

/// The first entry of row `row` in `[B C, H N]`.
#[cube]
fn beside(rows: &Rows, row: usize) -> usize {
    let all = rows.lanes * rows.tokens;
    ((row % all) * rows.heads + row / all) * rows.neurons
}

/// The first entry of row `row` in `[B, H, T, N]` of the stream.
#[cube]
fn in_stream(rows: &Rows, row: usize) -> usize {
    let (head, lane) = (row / (rows.lanes * rows.tokens), (row / rows.tokens) % rows.lanes);
    ((lane * rows.heads + head) * rows.stream + rows.first + row % rows.tokens) * rows.neurons
}

#[cube(launch)]
pub(super) fn relu_rotate<F: Float, N: Size>(
    drive: &[Vector<F, N>],
    cos: &[f32],
    sin: &[f32],
    q: &mut [Vector<F, N>],
    rows: Rows,
    lane_stride: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let size = N::value().comptime();
    let vectors = rows.neurons / N::value();
    let (start, angles) = (row * vectors, angles_of(&rows, row, lane_stride));
    let mut i = UNIT_POS as usize;
    while i < vectors {
        let drive = Vector::<f32, N>::cast_from(drive[start + i]);
        let first = angles + i * (N::value() / 2);
        let mut turned = Vector::<f32, N>::empty();
        #[unroll]
        for pair in 0..comptime!(size / 2) {
            let a = positive(drive.extract(comptime!(2 * pair)));
            let b = positive(drive.extract(comptime!(2 * pair + 1)));
            let c = cos[first + pair];
            let s = sin[first + pair];
            turned.insert(comptime!(2 * pair), a * c - b * s);
            turned.insert(comptime!(2 * pair + 1), b * c + a * s);
        }
        q[start + i] = Vector::cast_from(turned);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn unrotate<F: Float, N: Size>(
    drive: &[Vector<F, N>],
    dq: &[Vector<F, N>],
    cos: &[f32],
    sin: &[f32],
    dx: &mut [Vector<F, N>],
    rows: Rows,
    lane_stride: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let size = N::value().comptime();
    let vectors = rows.neurons / N::value();
    let (start, angles) = (row * vectors, angles_of(&rows, row, lane_stride));
    let mut i = UNIT_POS as usize;
    while i < vectors {
        let drive = Vector::<f32, N>::cast_from(drive[start + i]);
        let dq = Vector::<f32, N>::cast_from(dq[start + i]);
        let through_gate = Vector::<f32, N>::cast_from(dx[start + i]);
        let first = angles + i * (N::value() / 2);
        let mut sum = Vector::<f32, N>::empty();
        #[unroll]
        for pair in 0..comptime!(size / 2) {
            let g = dq.extract(comptime!(2 * pair));
            let h = dq.extract(comptime!(2 * pair + 1));
            let c = cos[first + pair];
            let s = sin[first + pair];
            let mut one = 0.0f32;
            let mut other = 0.0f32;
            if drive.extract(comptime!(2 * pair)) > 0.0f32 {
                one = through_gate.extract(comptime!(2 * pair)) + g * c + h * s;
            }
            if drive.extract(comptime!(2 * pair + 1)) > 0.0f32 {
                other = through_gate.extract(comptime!(2 * pair + 1)) + h * c - g * s;
            }
            sum.insert(comptime!(2 * pair), one);
            sum.insert(comptime!(2 * pair + 1), other);
        }
        dx[start + i] = Vector::cast_from(sum);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn open_gate<F: Float, N: Size>(
    drive: &[Vector<F, N>],
    gate: &[Vector<F, N>],
    y: &mut [Vector<F, N>],
    rows: Rows,
    mask: Mask,
    #[comptime] drops: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let vectors = rows.neurons / N::value();
    let (start, beside) = (row * vectors, beside(&rows, row) / N::value());
    let index = in_stream(&rows, row);
    let mut i = UNIT_POS as usize;
    while i < vectors {
        let drive = Vector::<f32, N>::cast_from(drive[start + i]);
        let gate = Vector::<f32, N>::cast_from(gate[start + i]);
        let mut open = Vector::<f32, N>::empty();
        #[unroll]
        for k in 0..N::value() {
            let mut entry = positive(drive.extract(k)) * positive(gate.extract(k));
            if comptime!(drops) {
                entry *= factor(&mask, index + i * N::value() + k);
            }
            open.insert(k, entry);
        }
        y[beside + i] = Vector::cast_from(open);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn close_gate<F: Float, N: Size>(
    drive: &[Vector<F, N>],
    gate: &mut [Vector<F, N>],
    dz: &mut [Vector<F, N>],
    dx: &mut [Vector<F, N>],
    rows: Rows,
    mask: Mask,
    #[comptime] drops: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let vectors = rows.neurons / N::value();
    let (start, beside) = (row * vectors, beside(&rows, row) / N::value());
    let index = in_stream(&rows, row);
    let mut i = UNIT_POS as usize;
    while i < vectors {
        let drives = Vector::<f32, N>::cast_from(drive[start + i]);
        let gates = Vector::<f32, N>::cast_from(gate[start + i]);
        let gradients = Vector::<f32, N>::cast_from(dz[beside + i]);
        let mut y = Vector::<f32, N>::empty();
        let mut of_gate = Vector::<f32, N>::empty();
        let mut of_x = Vector::<f32, N>::empty();
        #[unroll]
        for k in 0..N::value() {
            let x = positive(drives.extract(k));
            let open = positive(gates.extract(k));
            let mut kept = 1.0f32;
            if comptime!(drops) {
                kept = factor(&mask, index + i * N::value() + k);
            }
            let dy = gradients.extract(k) * kept;
            let mut dg = 0.0f32;
            if open > 0.0f32 {
                dg = dy * x;
            }
            y.insert(k, x * open * kept);
            of_gate.insert(k, dg);
            of_x.insert(k, dy * open);
        }
        dz[beside + i] = Vector::cast_from(y);
        gate[start + i] = Vector::cast_from(of_gate);
        dx[start + i] = Vector::cast_from(of_x);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn keep_positive<F: Float>(drive: &mut [F], rows: Rows, #[define(F)] _dtype: ElemType) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let start = row * rows.neurons;
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        drive[start + i] = F::cast_from(positive(f32::cast_from(drive[start + i])));
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn where_positive<F: Float, G: Float>(
    drive: &[F],
    d: &[G],
    dx: &mut [F],
    rows: Rows,
    #[define(F)] _dtype: ElemType,
    #[define(G)] _of_d: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (start, index) = (row * rows.neurons, in_stream(&rows, row));
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        let mut entry = F::new(0.0f32);
        if f32::cast_from(drive[start + i]) > 0.0f32 {
            entry = F::cast_from(d[index + i]);
        }
        dx[start + i] = entry;
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn zero_silent<F: Float>(drive: &[F], dx: &mut [F], rows: Rows, #[define(F)] _dtype: ElemType) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let start = row * rows.neurons;
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        if f32::cast_from(drive[start + i]) <= 0.0f32 {
            dx[start + i] = F::new(0.0f32);
        }
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
pub(super) fn count_active<F: Float>(
    drive: &[F],
    gate: &[F],
    counts: &mut [u32],
    rows: Rows,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let mut room = Shared::<[u32]>::new_slice(comptime!(2 * UNITS as usize));
    let start = row * rows.neurons;
    let unit = UNIT_POS as usize;
    let mut of_x = 0u32;
    let mut of_y = 0u32;
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        let x = positive(f32::cast_from(drive[start + i]));
        if x > 0.0f32 {
            of_x += 1u32;
        }
        if x * positive(f32::cast_from(gate[start + i])) > 0.0f32 {
            of_y += 1u32;
        }
        i += comptime!(UNITS as usize);
    }
    room[2 * unit] = of_x;
    room[2 * unit + 1] = of_y;
    sync_cube();
    let mut span = comptime!(UNITS as usize / 2).runtime();
    while span > 0 {
        if unit < span {
            room[2 * unit] += room[2 * (unit + span)];
            room[2 * unit + 1] += room[2 * (unit + span) + 1];
        }
        sync_cube();
        span /= 2;
    }
    if unit == 0 {
        counts[2 * row] = room[0];
        counts[2 * row + 1] = room[1];
    }
}
