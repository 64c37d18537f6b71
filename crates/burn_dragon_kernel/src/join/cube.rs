//! The join and its gradient on the GPU: one launch each, a cube for each row.

use crate::gpu::array::{UNITS, contiguous, element, empty, for_rows, rows};
use crate::gpu::reduce::{dot_of_rows, room, squares_of_row, sum_of_row, sum_of_units};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Result of a join, with the data that its gradient needs.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    /// `norm(v + norm(u))`.
    pub(crate) stream: CubeTensor,
    /// `norm(u)`.
    normed: CubeTensor,
    /// One over the standard deviation of each row of u, and of the sum.
    scales: CubeTensor,
}

/// `norm(v + norm(u))`.
pub(crate) fn join(v: CubeTensor, u: CubeTensor, eps: f64) -> Joined {
    let (v, u) = (contiguous(v), contiguous(u));
    let [count, width] = rows(&v);
    let alike = || empty(&v, v.meta.shape().clone(), v.dtype);
    let joined = Joined {
        stream: alike(),
        normed: alike(),
        scales: empty(&v, [count, 2], DType::F32),
    };
    if count * width > 0 {
        let (client, dtype) = (v.client.clone(), element(&v));
        let (cubes, units) = for_rows(&client, count);
        join_rows::launch(
            &client,
            cubes,
            units,
            v.into_buffer_arg(),
            u.into_buffer_arg(),
            joined.stream.clone().into_buffer_arg(),
            joined.normed.clone().into_buffer_arg(),
            joined.scales.clone().into_buffer_arg(),
            count,
            width,
            eps as f32,
            dtype,
        );
    }
    joined
}

/// The gradients of v and u from that of the joined stream.
pub(crate) fn join_back(joined: Joined, d: CubeTensor) -> [CubeTensor; 2] {
    let d = contiguous(d);
    let [count, width] = rows(&d);
    let [dv, du] = [0, 1].map(|_| empty(&d, d.meta.shape().clone(), d.dtype));
    if count * width > 0 {
        let (client, dtype) = (d.client.clone(), element(&d));
        let (cubes, units) = for_rows(&client, count);
        join_rows_back::launch(
            &client,
            cubes,
            units,
            d.into_buffer_arg(),
            joined.stream.into_buffer_arg(),
            joined.normed.into_buffer_arg(),
            joined.scales.into_buffer_arg(),
            dv.clone().into_buffer_arg(),
            du.clone().into_buffer_arg(),
            count,
            width,
            dtype,
        );
    }
    [dv, du]
}

/// From v and u to the stream and the normed u.
#[cube(launch)]
fn join_rows<F: Float>(
    v: &[F],
    u: &[F],
    stream: &mut [F],
    normed: &mut [F],
    scales: &mut [f32],
    count: usize,
    width: usize,
    eps: f32,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= count {
        terminate!();
    }
    let mut room = room();
    let (start, size) = (row * width, width as f32);
    let mean = sum_of_row(u, start, width, &mut room) / size;
    let inner = 1.0f32 / (squares_of_row(u, start, width, mean, &mut room) / size + eps).sqrt();
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        let normed_u = (f32::cast_from(u[start + i]) - mean) * inner;
        normed[start + i] = F::cast_from(normed_u);
        sum += f32::cast_from(v[start + i]) + normed_u;
        i += comptime!(UNITS as usize);
    }
    let outer_mean = sum_of_units(sum, &mut room) / size;
    let mut squares = 0.0f32;
    i = UNIT_POS as usize;
    while i < width {
        let normed_u = (f32::cast_from(u[start + i]) - mean) * inner;
        let centred = f32::cast_from(v[start + i]) + normed_u - outer_mean;
        squares += centred * centred;
        i += comptime!(UNITS as usize);
    }
    let outer = 1.0f32 / (sum_of_units(squares, &mut room) / size + eps).sqrt();
    i = UNIT_POS as usize;
    while i < width {
        let normed_u = (f32::cast_from(u[start + i]) - mean) * inner;
        let centred = f32::cast_from(v[start + i]) + normed_u - outer_mean;
        stream[start + i] = F::cast_from(centred * outer);
        i += comptime!(UNITS as usize);
    }
    if UNIT_POS == 0 {
        scales[2 * row] = inner;
        scales[2 * row + 1] = outer;
    }
}

/// From the gradient of the stream to those of v, through the outer norm, and of u, through the inner one as well.
#[cube(launch)]
fn join_rows_back<F: Float>(
    d: &[F],
    stream: &[F],
    normed: &[F],
    scales: &[f32],
    dv: &mut [F],
    du: &mut [F],
    count: usize,
    width: usize,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= count {
        terminate!();
    }
    let mut room = room();
    let (start, size) = (row * width, width as f32);
    let (inner, outer) = (scales[2 * row], scales[2 * row + 1]);
    let mean = sum_of_row(d, start, width, &mut room) / size;
    let outer_along = dot_of_rows(d, stream, start, start, width, &mut room) / size;
    let mut sum = 0.0f32;
    let mut along = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        let centred = f32::cast_from(d[start + i]) - mean - f32::cast_from(stream[start + i]) * outer_along;
        let turned = outer * centred;
        dv[start + i] = F::cast_from(turned);
        sum += turned;
        along += turned * f32::cast_from(normed[start + i]);
        i += comptime!(UNITS as usize);
    }
    let inner_mean = sum_of_units(sum, &mut room) / size;
    let inner_along = sum_of_units(along, &mut room) / size;
    i = UNIT_POS as usize;
    while i < width {
        let centred = f32::cast_from(d[start + i]) - mean - f32::cast_from(stream[start + i]) * outer_along;
        let turned = outer * centred - inner_mean - f32::cast_from(normed[start + i]) * inner_along;
        du[start + i] = F::cast_from(inner * turned);
        i += comptime!(UNITS as usize);
    }
}
