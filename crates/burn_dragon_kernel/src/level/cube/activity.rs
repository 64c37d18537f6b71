//! Neuron-wide work between the products, one launch each, a cube for each row of neurons.
//!
//! Rows are `[H, B, C]`, the C tokens of a window of each lane. x is never stored: the drive is, the product before the
//! relu, and x is its positive part.

use super::Place;
use crate::dropout::DropoutMask;
use crate::gpu::array::{UNITS, contiguous, element, empty, for_rows};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Cosines and sines of the pairs' angles on the device, `[1 or B, 1, T, N/2]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    cos: CubeTensor,
    sin: CubeTensor,
}

impl Angles {
    pub(super) fn new([cos, sin]: [CubeTensor; 2]) -> Self {
        Self {
            cos: contiguous(cos),
            sin: contiguous(sin),
        }
    }

    /// Entries of the table between a lane and the next: none, where all lanes share one.
    fn lane_stride(&self) -> usize {
        let shape = self.cos.meta.shape();
        if shape[0] == 1 { 0 } else { shape[2] * shape[3] }
    }
}

/// q of a window: the positive part of the drive, each pair turned by its angle.
pub(super) fn rotate(drive: &CubeTensor, angles: &Angles, place: &Place) -> CubeTensor {
    let q = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    relu_rotate::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        angles.cos.clone().into_buffer_arg(),
        angles.sin.clone().into_buffer_arg(),
        q.clone().into_buffer_arg(),
        place.launch(),
        angles.lane_stride(),
        element(drive),
    );
    q
}

/// The gradient of the drive: that of q turned back, plus that of x through the gate, where x is positive. It takes the
/// place of the latter.
pub(super) fn rotate_back(
    drive: &CubeTensor,
    dq: CubeTensor,
    dx: &CubeTensor,
    angles: &Angles,
    place: &Place,
) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    unrotate::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        dq.into_buffer_arg(),
        angles.cos.clone().into_buffer_arg(),
        angles.sin.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        angles.lane_stride(),
        element(drive),
    );
}

/// y after dropout, `[B C, H N]`, from the drives of x and of the gate, `[H, B, C, N]` each.
pub(super) fn gate(
    drive: &CubeTensor,
    gate: CubeTensor,
    dropout: Option<&DropoutMask>,
    place: &Place,
) -> CubeTensor {
    let sizes = place.sizes;
    let shape = [sizes.lanes * place.tokens.len(), sizes.heads * sizes.neurons];
    let y = empty(drive, shape, drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    open_gate::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        gate.into_buffer_arg(),
        y.clone().into_buffer_arg(),
        place.launch(),
        Mask::of(dropout),
        dropout.is_some(),
        element(drive),
    );
    y
}

/// Back through the gate: dz, the gradient of y after dropout, becomes y, the gate's drive becomes its gradient, and
/// the result is the gradient of x through the gate.
pub(super) fn gate_back(
    drive: &CubeTensor,
    gate: &CubeTensor,
    dz: &CubeTensor,
    dropout: Option<&DropoutMask>,
    place: &Place,
) -> CubeTensor {
    let dx = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    close_gate::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        gate.clone().into_buffer_arg(),
        dz.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        Mask::of(dropout),
        dropout.is_some(),
        element(drive),
    );
    dx
}

/// The positive part of a drive, in its place.
pub(super) fn relu(drive: &CubeTensor, place: &Place) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    keep_positive::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
}

/// The gradient of the drive from that of x, `[B, H, T, N]`, to `[H, B, T, N]` in the type of the drive.
pub(super) fn relu_back(drive: &CubeTensor, d: CubeTensor, place: &Place) -> CubeTensor {
    let d = contiguous(d);
    let dx = empty(drive, drive.meta.shape().clone(), drive.dtype);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    where_positive::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        d.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
        element(&d),
    );
    dx
}

/// Keeps a gradient where the drive is positive, in its place.
pub(super) fn keep_active(drive: &CubeTensor, dx: &CubeTensor, place: &Place) {
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    zero_silent::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        dx.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
}

/// Entries above zero of x and of y, before dropout: `[rows, 2]`.
pub(super) fn count(drive: &CubeTensor, gate: &CubeTensor, place: &Place) -> CubeTensor {
    let counts = empty(drive, [place.rows(), 2], DType::U32);
    let client = drive.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    count_active::launch(
        &client,
        cubes,
        units,
        drive.clone().into_buffer_arg(),
        gate.clone().into_buffer_arg(),
        counts.clone().into_buffer_arg(),
        place.launch(),
        element(drive),
    );
    counts
}

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

impl Place {
    pub(super) fn launch(&self) -> RowsLaunch {
        RowsLaunch::new(
            self.sizes.heads,
            self.sizes.lanes,
            self.tokens.len(),
            self.sizes.tokens,
            self.tokens.start,
            self.sizes.neurons,
        )
    }
}

/// A dropout mask: the halves of its seed, its threshold and its scale.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
struct Mask {
    seed_low: u32,
    seed_high: u32,
    threshold: u32,
    scale: f32,
}

impl Mask {
    fn of(dropout: Option<&DropoutMask>) -> MaskLaunch {
        let (seed, threshold, scale) = dropout.map_or((0, 0, 0.0), DropoutMask::parts);
        MaskLaunch::new(seed as u32, (seed >> 32) as u32, threshold, scale as f32)
    }
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
    low = low * 0x1CE4_E5B9u32;
    // word ^= word >> 27; word *= 0x94D049BB133111EB
    low = low ^ ((low >> 27u32) | (high << 5u32));
    high = high ^ (high >> 27u32);
    high = u32::mul_hi(low, 0x1331_11EBu32) + low * 0x94D0_49BBu32 + high * 0x1331_11EBu32;
    low = low * 0x1331_11EBu32;
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
fn relu_rotate<F: Float>(
    drive: &[F],
    cos: &[f32],
    sin: &[f32],
    q: &mut [F],
    rows: Rows,
    lane_stride: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (start, angles) = (row * rows.neurons, angles_of(&rows, row, lane_stride));
    let mut pair = UNIT_POS as usize;
    while pair < rows.neurons / 2 {
        let at = start + 2 * pair;
        let a = positive(f32::cast_from(drive[at]));
        let b = positive(f32::cast_from(drive[at + 1]));
        let (c, s) = (cos[angles + pair], sin[angles + pair]);
        q[at] = F::cast_from(a * c - b * s);
        q[at + 1] = F::cast_from(b * c + a * s);
        pair += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn unrotate<F: Float>(
    drive: &[F],
    dq: &[F],
    cos: &[f32],
    sin: &[f32],
    dx: &mut [F],
    rows: Rows,
    lane_stride: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (start, angles) = (row * rows.neurons, angles_of(&rows, row, lane_stride));
    let mut pair = UNIT_POS as usize;
    while pair < rows.neurons / 2 {
        let at = start + 2 * pair;
        let (g, h) = (f32::cast_from(dq[at]), f32::cast_from(dq[at + 1]));
        let (c, s) = (cos[angles + pair], sin[angles + pair]);
        let mut one = F::new(0.0f32);
        let mut other = F::new(0.0f32);
        if f32::cast_from(drive[at]) > 0.0f32 {
            one = F::cast_from(f32::cast_from(dx[at]) + g * c + h * s);
        }
        if f32::cast_from(drive[at + 1]) > 0.0f32 {
            other = F::cast_from(f32::cast_from(dx[at + 1]) + h * c - g * s);
        }
        dx[at] = one;
        dx[at + 1] = other;
        pair += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn open_gate<F: Float>(
    drive: &[F],
    gate: &[F],
    y: &mut [F],
    rows: Rows,
    mask: Mask,
    #[comptime] drops: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (start, beside, index) = (row * rows.neurons, beside(&rows, row), in_stream(&rows, row));
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        let x = positive(f32::cast_from(drive[start + i]));
        let mut open = x * positive(f32::cast_from(gate[start + i]));
        if comptime!(drops) {
            open = open * factor(&mask, index + i);
        }
        y[beside + i] = F::cast_from(open);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn close_gate<F: Float>(
    drive: &[F],
    gate: &mut [F],
    dz: &mut [F],
    dx: &mut [F],
    rows: Rows,
    mask: Mask,
    #[comptime] drops: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (start, beside, index) = (row * rows.neurons, beside(&rows, row), in_stream(&rows, row));
    let mut i = UNIT_POS as usize;
    while i < rows.neurons {
        let x = positive(f32::cast_from(drive[start + i]));
        let open = positive(f32::cast_from(gate[start + i]));
        let mut kept = 1.0f32;
        if comptime!(drops) {
            kept = factor(&mask, index + i);
        }
        let dy = f32::cast_from(dz[beside + i]) * kept;
        let mut dg = 0.0f32;
        if open > 0.0f32 {
            dg = dy * x;
        }
        dz[beside + i] = F::cast_from(x * open * kept);
        gate[start + i] = F::cast_from(dg);
        dx[start + i] = F::cast_from(dy * open);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn keep_positive<F: Float>(drive: &mut [F], rows: Rows, #[define(F)] _dtype: ElemType) {
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
fn where_positive<F: Float, G: Float>(
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
fn zero_silent<F: Float>(drive: &[F], dx: &mut [F], rows: Rows, #[define(F)] _dtype: ElemType) {
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
fn count_active<F: Float>(
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
            room[2 * unit] = room[2 * unit] + room[2 * (unit + span)];
            room[2 * unit + 1] = room[2 * unit + 1] + room[2 * (unit + span) + 1];
        }
        sync_cube();
        span /= 2;
    }
    if unit == 0 {
        counts[2 * row] = room[0];
        counts[2 * row + 1] = room[1];
    }
}
