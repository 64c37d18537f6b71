//! Work as wide as the model, `[.., D]`: windows taken from a stream and put into it, sums over heads, row products.

use super::Place;
use super::fading::{Fading, Tables, kept};
use super::kernels::Rows;
use crate::gpu::array::{element, empty, entries, for_entries, for_rows};
use crate::gpu::reduce::{dot_of_rows, room, sum_of_row};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// The tokens of a window, `[1, B, C, D]`, of a stream of f32, `[B, 1, T, D]`; its memory, where it is the whole.
pub(super) fn window(stream: &CubeTensor, place: &Place) -> CubeTensor {
    let sizes = place.sizes;
    let (tokens, width) = (place.tokens.len(), sizes.width);
    let shape = [1, sizes.lanes, tokens, width];
    if tokens == sizes.tokens {
        return crate::gpu::array::shaped(stream.clone(), shape);
    }
    let into = empty(stream, shape, DType::F32);
    let block = Block {
        size: tokens * width,
        stride: sizes.tokens * width,
        offset: place.tokens.start * width,
    };
    block.copy(stream, &into, false);
    into
}

/// Entries at a distance from each other: `size` of them every `stride`, from `offset`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    pub(super) size: usize,
    pub(super) stride: usize,
    pub(super) offset: usize,
}

impl Block {
    /// Copies the blocks of one array into another without gaps, or the other way round if `spread`.
    pub(super) fn copy(&self, from: &CubeTensor, into: &CubeTensor, spread: bool) {
        let count = entries(if spread { from } else { into });
        if count == 0 {
            return;
        }
        let client = from.client.clone();
        let (cubes, units) = for_entries(&client, count);
        copy_blocks::launch(
            &client,
            cubes,
            units,
            from.clone().into_buffer_arg(),
            into.clone().into_buffer_arg(),
            count,
            self.size,
            self.stride,
            self.offset,
            spread,
        );
    }
}

/// Puts the tokens of a window, `[B, C, D]`, into a stream, `[B, 1, T, D]`.
pub(super) fn put(part: &CubeTensor, stream: &CubeTensor, place: &Place) {
    let width = place.sizes.width;
    let block = Block {
        size: place.tokens.len() * width,
        stride: place.sizes.tokens * width,
        offset: place.tokens.start * width,
    };
    block.copy(part, stream, true);
}

/// Puts the sum over heads of one or two parts, `[H, B, C, D]` each, into a stream, `[B, 1, T, D]`.
pub(super) fn put_sum(parts: [Option<CubeTensor>; 2], stream: &CubeTensor, place: &Place) {
    let mut parts = parts.into_iter().flatten();
    let Some(one) = parts.next() else {
        unreachable!("x always has a gradient");
    };
    let other = parts.next();
    let (client, sizes) = (one.client.clone(), place.sizes);
    let (cubes, units) = for_entries(&client, entries(&one) / sizes.heads);
    let two = other.is_some();
    sum_heads::launch(
        &client,
        cubes,
        units,
        one.clone().into_buffer_arg(),
        other.unwrap_or(one).into_buffer_arg(),
        stream.clone().into_buffer_arg(),
        place.launch(),
        sizes.width,
        two,
    );
}

/// `into += part`, in place.
pub(super) fn add(into: &CubeTensor, part: CubeTensor) {
    let (client, count) = (into.client.clone(), entries(into));
    let (cubes, units) = for_entries(&client, count);
    add_entries::launch(
        &client,
        cubes,
        units,
        into.clone().into_buffer_arg(),
        part.into_buffer_arg(),
        element(into),
    );
}

/// Of each row of `[H, B, C, D]` the product with another's, times its distance to the memory before the window, or to
/// that after it: `[H, B C]`. The other may be `[1, B, C, D]`.
pub(super) fn weighted_dots(
    one: &CubeTensor,
    other: &CubeTensor,
    to_the_end: bool,
    place: &Place,
) -> CubeTensor {
    let heads = place.sizes.heads;
    let parts = empty(one, [heads, place.rows() / heads], DType::F32);
    let client = one.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    dot_rows::launch(
        &client,
        cubes,
        units,
        one.clone().into_buffer_arg(),
        other.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        place.launch(),
        place.sizes.width,
        entries(other) < entries(one),
        to_the_end,
    );
    parts
}

/// Of each row of a memory, `[B, H, N, D]`, the product with another's, times the length of the window and what is
/// left of the memory after it: `[H, B N]`.
pub(super) fn memory_dots(
    one: &CubeTensor,
    other: &CubeTensor,
    fading: &Fading,
    place: &Place,
) -> CubeTensor {
    let sizes = place.sizes;
    let parts = empty(one, [sizes.heads, sizes.lanes * sizes.neurons], DType::F32);
    let client = one.client.clone();
    let (cubes, units) = for_rows(&client, entries(&parts));
    dot_memories::launch(
        &client,
        cubes,
        units,
        one.clone().into_buffer_arg(),
        other.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        place.launch(),
        fading.launch(),
        sizes.width,
    );
    parts
}

/// Adds to the gradients of the slopes, `[H]`, minus the sum of each row of `[H, ..]`.
pub(super) fn subtract_sums(slopes: &CubeTensor, parts: CubeTensor) {
    let heads = entries(slopes);
    let client = slopes.client.clone();
    let (cubes, units) = for_rows(&client, heads);
    let width = entries(&parts) / heads;
    subtract_rows::launch(
        &client,
        cubes,
        units,
        parts.into_buffer_arg(),
        slopes.clone().into_buffer_arg(),
        heads,
        width,
    );
}

#[cube(launch)]
fn copy_blocks(
    from: &[f32],
    into: &mut [f32],
    count: usize,
    size: usize,
    stride: usize,
    offset: usize,
    #[comptime] spread: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let apart = (i / size) * stride + offset + i % size;
    if comptime!(spread) {
        into[apart] = from[i];
    } else {
        into[i] = from[apart];
    }
}

#[cube(launch)]
fn sum_heads(
    one: &[f32],
    other: &[f32],
    stream: &mut [f32],
    rows: Rows,
    width: usize,
    #[comptime] two: bool,
) {
    let i = ABSOLUTE_POS;
    let size = rows.lanes * rows.tokens * width;
    if i >= size {
        terminate!();
    }
    let mut sum = 0.0f32;
    let mut head = 0usize.runtime();
    while head < rows.heads {
        sum += one[head * size + i];
        if comptime!(two) {
            sum += other[head * size + i];
        }
        head += 1;
    }
    let block = rows.tokens * width;
    stream[(i / block) * rows.stream * width + rows.first * width + i % block] = sum;
}

#[cube(launch)]
fn add_entries<F: Float>(into: &mut [F], part: &[F], #[define(F)] _dtype: ElemType) {
    let i = ABSOLUTE_POS;
    if i >= into.len() {
        terminate!();
    }
    into[i] += part[i];
}

#[cube(launch)]
fn dot_rows(
    one: &[f32],
    other: &[f32],
    parts: &mut [f32],
    rows: Rows,
    width: usize,
    #[comptime] shared: bool,
    #[comptime] to_the_end: bool,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let mut room = room();
    let mut source = row * width;
    if comptime!(shared) {
        source = (row % (rows.lanes * rows.tokens)) * width;
    }
    let sum = dot_of_rows(one, other, row * width, source, width, &mut room);
    let mut distance = row % rows.tokens;
    if comptime!(to_the_end) {
        distance = rows.tokens - distance;
    }
    if UNIT_POS == 0 {
        parts[row] = sum * distance as f32;
    }
}

#[cube(launch)]
fn dot_memories(one: &[f32], other: &[f32], parts: &mut [f32], rows: Rows, tables: Tables, width: usize) {
    // In the order of parts: head, lane, neuron.
    let row = CUBE_POS;
    let of_head = rows.lanes * rows.neurons;
    if row >= rows.heads * of_head {
        terminate!();
    }
    let mut room = room();
    let (head, lane, neuron) = (
        row / of_head,
        (row / rows.neurons) % rows.lanes,
        row % rows.neurons,
    );
    let start = ((lane * rows.heads + head) * rows.neurons + neuron) * width;
    let sum = dot_of_rows(one, other, start, start, width, &mut room);
    if UNIT_POS == 0 {
        parts[row] = sum * rows.tokens as f32 * kept(&tables, &rows, head, lane);
    }
}

#[cube(launch)]
fn subtract_rows(parts: &[f32], sums: &mut [f32], count: usize, width: usize) {
    let row = CUBE_POS;
    if row >= count {
        terminate!();
    }
    let mut room = room();
    let sum = sum_of_row(parts, row * width, width, &mut room);
    if UNIT_POS == 0 {
        sums[row] -= sum;
    }
}
