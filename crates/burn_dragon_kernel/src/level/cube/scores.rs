//! Scores of the tokens of a window, `[H, B, C, C]`: their mask, and what their gradient adds to q.

use super::Place;
use super::fading::{Fading, Tables, left};
use super::kernels::Rows;
use crate::gpu::array::{UNITS, element, empty, for_rows, part};
use crate::gpu::product::{product_into, transposed};
use crate::gpu::reduce::{room, sum_of_units};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use std::ops::Range;

/// Tokens of a block of scores: blocks above the diagonal are not computed.
const BLOCK: usize = 128;

/// Blocks of the tokens of a window; one, where the blocks above the diagonal are few.
fn blocks(tokens: usize) -> impl Iterator<Item = Range<usize>> {
    let block = if tokens < 2 * BLOCK { tokens } else { BLOCK };
    (0..tokens)
        .step_by(block)
        .map(move |start| start..tokens.min(start + block))
}

/// `left right^T` below the diagonal and on it, `[H, B, C, C]`, from `[H, B, C, K]`; what is above is not initialised.
pub(super) fn lower(left: &CubeTensor, right: &CubeTensor, dtype: DType, place: &Place) -> CubeTensor {
    let tokens = place.tokens.len();
    let [heads, lanes, ..] = place.of_heads();
    let into = empty(left, [heads, lanes, tokens, tokens], dtype);
    let of_block = |rows: Range<usize>| {
        let columns = 0..rows.end;
        let right = part(right, 2, columns.clone())?;
        let into = part(&part(&into, 2, rows.clone())?, 3, columns)?;
        Some((part(left, 2, rows)?, transposed(right), into))
    };
    in_blocks(blocks(tokens).map(of_block), || {
        (left.clone(), transposed(right.clone()), into.clone())
    });
    into
}

/// `scores values`, `[H, B, C, D]`, without what is above the diagonal.
pub(super) fn read(scores: &CubeTensor, values: &CubeTensor, place: &Place) -> CubeTensor {
    let into = empty(scores, place.of_heads(), DType::F32);
    let of_block = |rows: Range<usize>| {
        let columns = 0..rows.end;
        let scores = part(&part(scores, 2, rows.clone())?, 3, columns.clone())?;
        Some((scores, part(values, 2, columns)?, part(&into, 2, rows)?))
    };
    in_blocks(blocks(place.tokens.len()).map(of_block), || {
        (scores.clone(), values.clone(), into.clone())
    });
    into
}

/// `scores^T rows`, `[H, B, C, D]`, without what is above the diagonal of the scores.
pub(super) fn read_back(scores: &CubeTensor, rows: &CubeTensor, place: &Place) -> CubeTensor {
    let (into, tokens) = (empty(scores, place.of_heads(), DType::F32), place.tokens.len());
    let of_block = |columns: Range<usize>| {
        let readers = columns.start..tokens;
        let scores = part(&part(scores, 2, readers.clone())?, 3, columns.clone())?;
        Some((
            transposed(scores),
            part(rows, 2, readers)?,
            part(&into, 2, columns)?,
        ))
    };
    in_blocks(blocks(tokens).map(of_block), || {
        (transposed(scores.clone()), rows.clone(), into.clone())
    });
    into
}

/// Two factors and the memory of their product.
type Product = (CubeTensor, CubeTensor, CubeTensor);

/// Products block by block, or one of the whole where a block cannot be bound.
fn in_blocks(blocks: impl Iterator<Item = Option<Product>>, whole: impl FnOnce() -> Product) {
    let products = blocks
        .collect::<Option<Vec<_>>>()
        .unwrap_or_else(|| vec![whole()]);
    for (left, right, into) in products {
        product_into(left, right, into);
    }
}

/// Multiplies scores by what is left of each write, in place; nothing is left on and above the diagonal.
pub(super) fn mask(scores: &CubeTensor, fading: &Fading, place: &Place) {
    let client = scores.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    mask_rows::launch(
        &client,
        cubes,
        units,
        scores.clone().into_buffer_arg(),
        place.launch(),
        fading.launch(),
        element(scores),
    );
}

/// From the gradient of masked scores to the matrix that maps q to its gradient: below the diagonal a token's use of q
/// as a query, above it that as a key, where keys are credited.
pub(super) fn mirror(
    gradient: &CubeTensor,
    fading: &Fading,
    credits_keys: bool,
    dtype: DType,
    place: &Place,
) -> CubeTensor {
    let both = empty(gradient, gradient.meta.shape().clone(), dtype);
    let client = gradient.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    mirror_rows::launch(
        &client,
        cubes,
        units,
        gradient.clone().into_buffer_arg(),
        both.clone().into_buffer_arg(),
        place.launch(),
        fading.launch(),
        credits_keys,
        element(gradient),
        element(&both),
    );
    both
}

/// Of each token the sum of `(t - s) S dS` over the tokens before it, `[H, B C]`: its part in the gradient of `ln
/// lambda`. S is masked, dS is not.
pub(super) fn slope_of_rows(scores: &CubeTensor, gradient: &CubeTensor, place: &Place) -> CubeTensor {
    let parts = empty(
        scores,
        [place.sizes.heads, place.rows() / place.sizes.heads],
        DType::F32,
    );
    let client = scores.client.clone();
    let (cubes, units) = for_rows(&client, place.rows());
    slope_rows::launch(
        &client,
        cubes,
        units,
        scores.clone().into_buffer_arg(),
        gradient.clone().into_buffer_arg(),
        parts.clone().into_buffer_arg(),
        place.launch(),
        element(scores),
        element(gradient),
    );
    parts
}

#[cube(launch)]
fn mask_rows<F: Float>(scores: &mut [F], rows: Rows, tables: Tables, #[define(F)] _dtype: ElemType) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (head, lane) = (row / (rows.lanes * rows.tokens), (row / rows.tokens) % rows.lanes);
    let (later, start) = (row % rows.tokens, row * rows.tokens);
    let mut earlier = UNIT_POS as usize;
    while earlier < rows.tokens {
        let mut score = 0.0f32;
        if earlier < later {
            score =
                f32::cast_from(scores[start + earlier]) * left(&tables, &rows, head, lane, later, earlier);
        }
        scores[start + earlier] = F::cast_from(score);
        earlier += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn mirror_rows<F: Float, G: Float>(
    gradient: &[F],
    both: &mut [G],
    rows: Rows,
    tables: Tables,
    #[comptime] credits_keys: bool,
    #[define(F)] _dtype: ElemType,
    #[define(G)] _of_both: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let (head, lane) = (row / (rows.lanes * rows.tokens), (row / rows.tokens) % rows.lanes);
    let token = row % rows.tokens;
    let matrix = (row - token) * rows.tokens;
    let mut other = UNIT_POS as usize;
    while other < rows.tokens {
        let mut entry = 0.0f32;
        if other < token {
            let at = matrix + token * rows.tokens + other;
            entry = f32::cast_from(gradient[at]) * left(&tables, &rows, head, lane, token, other);
        }
        if comptime!(credits_keys) {
            let is_later = other > token; // apart, since the first condition is of the compiler
            if is_later {
                let at = matrix + other * rows.tokens + token;
                entry = f32::cast_from(gradient[at]) * left(&tables, &rows, head, lane, other, token);
            }
        }
        both[row * rows.tokens + other] = G::cast_from(entry);
        other += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn slope_rows<F: Float, G: Float>(
    scores: &[F],
    gradient: &[G],
    parts: &mut [f32],
    rows: Rows,
    #[define(F)] _dtype: ElemType,
    #[define(G)] _of_gradient: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let mut room = room();
    let (later, start) = (row % rows.tokens, row * rows.tokens);
    let mut sum = 0.0f32;
    let mut earlier = UNIT_POS as usize;
    while earlier < later {
        let product = f32::cast_from(scores[start + earlier]) * f32::cast_from(gradient[start + earlier]);
        sum += (later - earlier) as f32 * product;
        earlier += comptime!(UNITS as usize);
    }
    sum = sum_of_units(sum, &mut room);
    if UNIT_POS == 0 {
        parts[row] = sum;
    }
}
