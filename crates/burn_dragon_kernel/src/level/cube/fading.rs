//! What memory keeps from token to token on the device: decay and resets as tables, and the factors made of them.
//!
//! `left(t, s)` is a power of the head's decay, and 0 where a reset lies between; tokens between the same resets have
//! the same count of resets before them.

use super::Place;
use super::kernels::Rows;
use crate::backend::level::Sizes;
use crate::gpu::array::{UNITS, element, empty, entries, for_entries, for_rows, owned, upload};
use crate::level::powers::power;
use crate::retention::Resets;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::ElemType;
use cubecl::prelude::*;
use std::ops::Range;

/// Decay and resets of a stream as tables.
#[derive(Clone, Debug)]
pub(super) struct Fading {
    /// Factors of 0, 1, 2 ... tokens, head by head, up to the longest window: `[H, L + 1]`; one entry without decay.
    powers: CubeTensor,
    /// Resets of each lane before token t: `[B, T + 1]`; one entry without resets.
    counts: CubeTensor,
    longest: usize,
    pub(super) decays: bool,
    pub(super) resets: bool,
}

impl Fading {
    pub(super) fn new(
        like: &CubeTensor,
        sizes: Sizes,
        slopes: Option<&[f64]>,
        resets: &Resets,
        longest: usize,
    ) -> Self {
        let powers: Vec<f32> = match slopes {
            None => vec![1.0],
            Some(slopes) => {
                let of_head = |slope: &f64| (0..=longest).map(|k| power(*slope, k)).collect::<Vec<_>>();
                slopes.iter().flat_map(of_head).collect()
            }
        };
        let counts: Vec<u32> = match resets.is_empty() {
            true => vec![0],
            false => (0..sizes.lanes)
                .flat_map(|lane| counts(resets.of_lane(lane), sizes.tokens))
                .collect(),
        };
        Self {
            powers: upload(like, f32::as_bytes(&powers), powers.len(), DType::F32),
            counts: upload(like, u32::as_bytes(&counts), counts.len(), DType::U32),
            longest,
            decays: slopes.is_some(),
            resets: !resets.is_empty(),
        }
    }

    /// Whether memory is kept forever.
    pub(super) fn keeps_all(&self) -> bool {
        !self.decays && !self.resets
    }

    pub(super) fn launch(&self) -> TablesLaunch {
        TablesLaunch::new(
            self.powers.clone().into_buffer_arg(),
            self.counts.clone().into_buffer_arg(),
            self.longest + 1,
            self.decays,
            self.resets,
        )
    }

    /// Rows of tokens, `[H, B, C, D]` or `[1, B, C, D]`, times the factor of each: `[H, B, C, D]`.
    pub(super) fn fade(&self, from: &CubeTensor, which: Which, place: &Place) -> CubeTensor {
        let sizes = place.sizes;
        let (tokens, width) = (place.tokens.len(), sizes.width);
        let shared = entries(from) < place.rows() * width;
        let into = empty(from, [sizes.heads, sizes.lanes, tokens, width], from.dtype);
        let client = from.client.clone();
        let (cubes, units) = for_rows(&client, place.rows());
        fade_rows::launch(
            &client,
            cubes,
            units,
            from.clone().into_buffer_arg(),
            into.clone().into_buffer_arg(),
            place.launch(),
            self.launch(),
            width,
            shared,
            which == Which::Written,
            element(from),
        );
        into
    }

    /// The memory after a window, `[B, H, N, D]`, from that before it and from what the window wrote, `[H, B, N, D]`.
    /// It takes the memory before, unless another tensor shares it.
    pub(super) fn extend(&self, before: CubeTensor, written: CubeTensor, place: &Place) -> CubeTensor {
        let memory = owned(before);
        let (client, count) = (memory.client.clone(), entries(&memory));
        let (cubes, units) = for_entries(&client, count);
        extend_memory::launch(
            &client,
            cubes,
            units,
            memory.clone().into_buffer_arg(),
            written.into_buffer_arg(),
            place.launch(),
            self.launch(),
            place.sizes.width,
        );
        memory
    }
}

/// The number of resets before and at each token, after a zero.
fn counts(resets: &[usize], tokens: usize) -> Vec<u32> {
    let mut counts = vec![0; tokens + 1];
    for token in 0..tokens {
        counts[token + 1] = counts[token] + u32::from(resets.contains(&token));
    }
    counts
}

/// A factor of each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// Of the memory before the window, when the token reads it.
    Recalled,
    /// Of the token's write in the memory after the window.
    Written,
}

/// Windows of a stream, all of about one length.
pub(super) fn windows(tokens: usize, longest: usize) -> Vec<Range<usize>> {
    (0..tokens)
        .step_by(longest)
        .map(|start| start..tokens.min(start + longest))
        .collect()
}

/// [`Fading`] in a kernel.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Tables {
    powers: Box<[f32]>,
    counts: Box<[u32]>,
    length: usize,
    #[cube(comptime)]
    decays: bool,
    #[cube(comptime)]
    resets: bool,
}

/// Factor of `tokens` tokens of a head.
#[cube]
fn power_of(tables: &Tables, head: usize, tokens: usize) -> f32 {
    let mut factor = 1.0f32;
    if comptime!(tables.decays) {
        factor = tables.powers[head * tables.length + tokens];
    }
    factor
}

/// 1 where no reset lies in `from .. to`, counted from the first token of the stream, 0 where one does.
#[cube]
fn unbroken(tables: &Tables, rows: &Rows, lane: usize, from: usize, to: usize) -> f32 {
    let mut factor = 1.0f32;
    if comptime!(tables.resets) {
        let start = lane * (rows.stream + 1);
        if tables.counts[start + from] != tables.counts[start + to] {
            factor = 0.0f32;
        }
    }
    factor
}

/// `left(t, s)` for tokens of a window, s before t.
#[cube]
pub(super) fn left(
    tables: &Tables,
    rows: &Rows,
    head: usize,
    lane: usize,
    later: usize,
    earlier: usize,
) -> f32 {
    let first = rows.first + 1;
    power_of(tables, head, later - earlier) * unbroken(tables, rows, lane, first + earlier, first + later)
}

/// Factor of the memory before a window when token `token` reads it.
#[cube]
fn recalled(tables: &Tables, rows: &Rows, head: usize, lane: usize, token: usize) -> f32 {
    power_of(tables, head, token) * unbroken(tables, rows, lane, rows.first, rows.first + 1 + token)
}

/// Factor in the memory after a window of the write of token `token`.
#[cube]
fn written(tables: &Tables, rows: &Rows, head: usize, lane: usize, token: usize) -> f32 {
    let end = rows.first + rows.tokens;
    power_of(tables, head, rows.tokens - token) * unbroken(tables, rows, lane, rows.first + 1 + token, end)
}

/// Factor in the memory after a window of that before it.
#[cube]
pub(super) fn kept(tables: &Tables, rows: &Rows, head: usize, lane: usize) -> f32 {
    power_of(tables, head, rows.tokens) * unbroken(tables, rows, lane, rows.first, rows.first + rows.tokens)
}

#[cube(launch)]
fn fade_rows<F: Float>(
    from: &[F],
    into: &mut [F],
    rows: Rows,
    tables: Tables,
    width: usize,
    #[comptime] shared: bool,
    #[comptime] written_last: bool,
    #[define(F)] _dtype: ElemType,
) {
    let row = CUBE_POS;
    if row >= rows.heads * rows.lanes * rows.tokens {
        terminate!();
    }
    let all = rows.lanes * rows.tokens;
    let (head, lane, token) = (row / all, (row / rows.tokens) % rows.lanes, row % rows.tokens);
    let mut source = row * width;
    if comptime!(shared) {
        source = (row % all) * width;
    }
    let mut factor = recalled(&tables, &rows, head, lane, token);
    if comptime!(written_last) {
        factor = written(&tables, &rows, head, lane, token);
    }
    let mut i = UNIT_POS as usize;
    while i < width {
        into[row * width + i] = F::cast_from(f32::cast_from(from[source + i]) * factor);
        i += comptime!(UNITS as usize);
    }
}

#[cube(launch)]
fn extend_memory(memory: &mut [f32], written: &[f32], rows: Rows, tables: Tables, width: usize) {
    let i = ABSOLUTE_POS;
    if i >= memory.len() {
        terminate!();
    }
    let size = rows.neurons * width;
    let (head, lane, within) = ((i / size) % rows.heads, i / (size * rows.heads), i % size);
    let factor = kept(&tables, &rows, head, lane);
    memory[i] = memory[i] * factor + written[(head * rows.lanes + lane) * size + within];
}
