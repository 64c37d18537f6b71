//! Scores of the tokens of a window, `[H, B, C, C]`: their mask, and what their gradient adds to q.

use super::Place;
use super::activity::Rows;
use super::fading::{Fading, Tables, left};
use crate::gpu::array::{UNITS, element, empty, for_rows};
use crate::gpu::reduce::{room, sum_of_units};
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;

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
            if other > token {
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
