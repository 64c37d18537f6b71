//! The norm and its gradient on the GPU: one launch each, a cube for each row.

use crate::gpu::array::{UNITS, contiguous, element, empty, for_rows, rows};
use crate::gpu::reduce::{dot_of_rows, room, squares_of_row, sum_of_row};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Data that the gradient needs: normed rows, and one over each row's standard deviation.
#[derive(Clone, Debug)]
pub(crate) struct Normed {
    pub(crate) a: CubeTensor,
    pub(crate) scales: CubeTensor,
}

/// The normed rows.
pub(crate) fn norm(v: CubeTensor, eps: f64) -> Normed {
    let v = contiguous(v);
    let [count, width] = rows(&v);
    let normed = Normed {
        a: empty(&v, v.meta.shape().clone(), v.dtype),
        scales: empty(&v, [count], DType::F32),
    };
    if count * width > 0 {
        let (client, dtype) = (v.client.clone(), element(&v));
        let (cubes, units) = for_rows(&client, count);
        norm_rows::launch(
            &client,
            cubes,
            units,
            v.into_buffer_arg(),
            normed.a.clone().into_buffer_arg(),
            normed.scales.clone().into_buffer_arg(),
            count,
            width,
            eps as f32,
            dtype,
        );
    }
    normed
}

/// The gradient before the norm from the gradient `d` after it.
pub(crate) fn norm_back(Normed { a, scales }: Normed, d: CubeTensor) -> CubeTensor {
    let d = contiguous(d);
    let [count, width] = rows(&a);
    let before = empty(&d, d.meta.shape().clone(), d.dtype);
    if count * width > 0 {
        let (client, dtype) = (d.client.clone(), element(&d));
        let (cubes, units) = for_rows(&client, count);
        norm_rows_back::launch(
            &client,
            cubes,
            units,
            d.into_buffer_arg(),
            a.into_buffer_arg(),
            scales.into_buffer_arg(),
            before.clone().into_buffer_arg(),
            count,
            width,
            dtype,
        );
    }
    before
}

/// `(v - mean) / sqrt(variance + eps)` of each row.
#[cube(launch)]
fn norm_rows<F: Float>(
    v: &[F],
    a: &mut [F],
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
    let mean = sum_of_row(v, start, width, &mut room) / size;
    let variance = squares_of_row(v, start, width, mean, &mut room) / size;
    let scale = 1.0f32 / (variance + eps).sqrt();
    let mut i = UNIT_POS as usize;
    while i < width {
        a[start + i] = F::cast_from((f32::cast_from(v[start + i]) - mean) * scale);
        i += comptime!(UNITS as usize);
    }
    if UNIT_POS == 0 {
        scales[row] = scale;
    }
}

/// `scale (d - mean(d) - a mean(d a))` of each row.
#[cube(launch)]
fn norm_rows_back<F: Float>(
    d: &[F],
    a: &[F],
    scales: &[f32],
    before: &mut [F],
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
    let mean = sum_of_row(d, start, width, &mut room) / size;
    let along = dot_of_rows(d, a, start, start, width, &mut room) / size;
    let mut i = UNIT_POS as usize;
    while i < width {
        let centred = f32::cast_from(d[start + i]) - mean - f32::cast_from(a[start + i]) * along;
        before[start + i] = F::cast_from(scales[row] * centred);
        i += comptime!(UNITS as usize);
    }
}
