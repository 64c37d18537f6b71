//! The plain matrix product: a unit for each entry, or for each of several pieces of its sum.
//!
//! For small products, and for those of few rows, which are bound by reading the other factor. It reads factors as they
//! lie in memory, and drivers compile it at once.

use super::array::{element, empty, entries, for_entries};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

/// Units that keep a device busy.
const BUSY: usize = 1 << 14;

/// Smallest number of terms of a piece.
const PIECE: usize = 256;

/// `into = left right`, matrix by matrix, with sums in f32; axes of size 1 before the last two are broadcast.
pub(super) fn product(left: CubeTensor, right: CubeTensor, into: CubeTensor) {
    let rank = left.meta.shape().len();
    let (inner, count) = (left.meta.shape()[rank - 1], entries(&into));
    let pieces = match into.is_contiguous() {
        true => BUSY.div_ceil(count).min(inner / PIECE).max(1),
        false => 1,
    };
    let parts = match pieces {
        1 => into.clone(),
        _ => empty(&into, [pieces, count], DType::F32),
    };
    let client = into.client.clone();
    let (cubes, units) = for_entries(&client, pieces * count);
    let types = [element(&left), element(&right), element(&parts)];
    sum_products::launch(
        &client,
        cubes,
        units,
        left.into_tensor_arg(),
        right.into_tensor_arg(),
        parts.clone().into_tensor_arg(),
        count,
        pieces,
        inner.div_ceil(pieces),
        rank,
        pieces > 1,
        types[0],
        types[1],
        types[2],
    );
    if pieces > 1 {
        let (cubes, units) = for_entries(&client, count);
        let dtype = element(&into);
        sum_pieces::launch(
            &client,
            cubes,
            units,
            parts.into_buffer_arg(),
            into.into_buffer_arg(),
            count,
            pieces,
            dtype,
        );
    }
}

/// One entry of the product, or a piece of its sum, `[pieces, entries]`.
#[cube(launch)]
fn sum_products<L: Float, R: Float, O: Float>(
    left: &Tensor<L>,
    right: &Tensor<R>,
    into: &mut Tensor<O>,
    count: usize,
    pieces: usize,
    length: usize,
    #[comptime] rank: usize,
    #[comptime] splits: bool,
    #[define(L)] _type_of_left: ElemType,
    #[define(R)] _type_of_right: ElemType,
    #[define(O)] _type_of_into: ElemType,
) {
    let index = ABSOLUTE_POS % count;
    let piece = ABSOLUTE_POS / count;
    if piece >= pieces {
        terminate!();
    }
    let (rows, columns) = (left.shape(comptime!(rank - 2)), right.shape(comptime!(rank - 1)));
    let inner = left.shape(comptime!(rank - 1));
    let (column, row) = (index % columns, (index / columns) % rows);
    let mut matrix = index / (columns * rows);
    let mut of_left = row * left.stride(comptime!(rank - 2));
    let mut of_right = column * right.stride(comptime!(rank - 1));
    let mut place = piece * count + index;
    if comptime!(!splits) {
        place = row * into.stride(comptime!(rank - 2)) + column * into.stride(comptime!(rank - 1));
    }
    #[unroll]
    for i in 0..comptime!(rank - 2) {
        let axis = comptime!(rank - 3 - i);
        let mut size = left.shape(axis);
        if right.shape(axis) > size {
            size = right.shape(axis);
        }
        let at = matrix % size;
        matrix /= size;
        if left.shape(axis) > 1 {
            of_left += at * left.stride(axis);
        }
        if right.shape(axis) > 1 {
            of_right += at * right.stride(axis);
        }
        if comptime!(!splits) {
            place += at * into.stride(axis);
        }
    }
    let mut k = piece * length;
    let mut end = k + length;
    if end > inner {
        end = inner;
    }
    let (left_step, right_step) = (
        left.stride(comptime!(rank - 1)),
        right.stride(comptime!(rank - 2)),
    );
    let mut sum = 0.0f32;
    while k < end {
        sum +=
            f32::cast_from(left[of_left + k * left_step]) * f32::cast_from(right[of_right + k * right_step]);
        k += 1;
    }
    into[place] = O::cast_from(sum);
}

/// The sum of the pieces of an entry, in their order.
#[cube(launch)]
fn sum_pieces<O: Float>(
    parts: &[f32],
    into: &mut [O],
    count: usize,
    pieces: usize,
    #[define(O)] _dtype: ElemType,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let mut sum = 0.0f32;
    let mut piece = i;
    while piece < pieces * count {
        sum += parts[piece];
        piece += count;
    }
    into[i] = O::cast_from(sum);
}
