//! Kernels of a token: a cube for each chunk of neurons of a head and a lane.
//!
//! A lane whose place has reached its limit writes nothing more. What is between barriers depends on that, the barriers
//! do not.

use super::parts::{fold, norm_row, project, turned};
use super::streams::HEAD;
use crate::decode::device::CAPACITY;
use crate::gpu::array::UNITS;
use crate::gpu::reduce::room;
use cubecl::prelude::*;

/// Sizes of a launch.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Model {
    pub(super) heads: usize,
    pub(super) lanes: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
    /// Neurons of a cube, a power of two, and cubes of a head.
    pub(super) chunk: usize,
    pub(super) chunks: usize,
    /// Entries of a lane's tape.
    pub(super) tape: usize,
    pub(super) eps: f32,
}

/// Where a cube works.
#[derive(CubeType, Clone, Copy)]
struct Spot {
    lane: usize,
    head: usize,
    /// First neuron of the head, and number of them.
    first: usize,
    count: usize,
    /// Row of the parts of a sum.
    part: usize,
}

#[cube]
fn spot(model: &Model) -> Spot {
    let (lane, chunk) = (CUBE_POS % model.lanes, (CUBE_POS / model.lanes) % model.chunks);
    let head = CUBE_POS / (model.lanes * model.chunks);
    let first = chunk * model.chunk;
    let mut count = model.chunk;
    if first + count > model.neurons {
        count = model.neurons - first;
    }
    let part = (lane * model.heads + head) * model.chunks + chunk;
    Spot {
        lane,
        head,
        first,
        count,
        part,
    }
}

/// Whether a lane reads another token.
#[cube]
fn goes_on(tape: &[u32], lane: usize, stride: usize) -> bool {
    tape[lane * stride] < tape[lane * stride + 1]
}

/// The stream of a lane before a level, in shared memory: the embedding of its token, or the join of the stream before
/// the last level, in half `half` of `stream`, and the contribution of that.
#[cube]
fn enter(
    tape: &[u32],
    source: &[f32],
    stream: &[f32],
    v: &mut Shared<[f32]>,
    lane: usize,
    half: usize,
    model: &Model,
    room: &mut Shared<[f32]>,
    #[comptime] embeds: bool,
) {
    let width = model.width;
    let mut row = lane * width;
    if comptime!(embeds) {
        let start = lane * model.tape;
        row = 0usize.runtime(); // of no token, at the limit
        if goes_on(tape, lane, model.tape) {
            row = tape[start + comptime!(HEAD) + tape[start] as usize] as usize * width;
        }
    }
    let mut i = UNIT_POS as usize;
    while i < width {
        v[i] = source[row + i];
        i += comptime!(UNITS as usize);
    }
    norm_row(v, width, model.eps, room);
    if comptime!(!embeds) {
        let before = (half * model.lanes + lane) * width;
        i = UNIT_POS as usize;
        while i < width {
            v[i] += stream[before + i];
            i += comptime!(UNITS as usize);
        }
        norm_row(v, width, model.eps, room);
    }
}

/// x of a chunk of neurons, and what their rows of the memory give to the read; then they are written.
#[cube(launch)]
pub(super) fn perceive<P: Size, V: Size>(
    tape: &[u32],
    source: &[f32],
    stream: &mut [f32],
    decoder_x: &[Vector<f32, P>],
    rho: &mut [Vector<f32, V>],
    blocks: &[f32],
    tables: &[f32],
    x: &mut [f32],
    parts: &mut [Vector<f32, V>],
    model: Model,
    half: usize,
    #[comptime] embeds: bool,
    #[comptime] fades: bool,
    #[comptime] space: usize,
) {
    if CUBE_POS >= model.lanes * model.heads * model.chunks {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let spot = spot(&model);
    let mut room = room();
    let mut pieces = Shared::<[f32]>::new_slice(comptime!(4 * UNITS as usize));
    let mut v = Shared::<[f32]>::new_slice(space);
    let mut q = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    enter(
        tape, source, &*stream, &mut v, spot.lane, half, &model, &mut room, embeds,
    );
    let reads = goes_on(tape, spot.lane, model.tape);
    if reads && spot.part % (model.heads * model.chunks) == 0 {
        let row = ((1 - half) * model.lanes + spot.lane) * model.width;
        let mut i = UNIT_POS as usize;
        while i < model.width {
            stream[row + i] = v[i];
            i += comptime!(UNITS as usize);
        }
    }
    let vectors = model.neurons / P::value();
    let first = spot.head * model.width * vectors + spot.first / P::value();
    project(
        &v,
        decoder_x,
        first,
        vectors,
        spot.count / P::value(),
        model.chunk / P::value(),
        model.width,
        &mut pieces,
        &mut q,
    );
    if unit < spot.count {
        let mut active = 0.0f32;
        if q[unit] > 0.0f32 {
            active = q[unit];
        }
        q[unit] = active;
        if reads {
            x[(spot.lane * model.heads + spot.head) * model.neurons + spot.first + unit] = active;
        }
    }
    sync_cube();
    let pairs = model.neurons / 2;
    if reads && 2 * unit < spot.count {
        let pair = spot.first / 2 + unit;
        let start = spot.lane * model.tape;
        let place = (tape[start] + tape[start + 2]) as usize;
        let (block, place) = (place / comptime!(CAPACITY), place % comptime!(CAPACITY));
        turned(
            &mut q,
            unit,
            blocks,
            2 * ((2 * spot.lane + block) * pairs + pair),
            tables,
            model.heads + 2 * (place * pairs + pair),
        );
    }
    sync_cube();
    let columns = model.width / V::value();
    let mut span = columns;
    if span > comptime!(UNITS as usize) {
        span = comptime!(UNITS as usize).runtime();
    }
    let (groups, group) = (comptime!(UNITS as usize) / span, unit / span);
    let rows = ((spot.lane * model.heads + spot.head) * model.neurons + spot.first) * columns;
    let left = tables[spot.head];
    let mut tile = 0usize.runtime();
    while tile < columns {
        let column = tile + unit % span;
        let mut sum = Vector::<f32, V>::zeroed();
        if reads && group < groups && column < columns {
            let mut stream = Vector::<f32, V>::zeroed();
            #[unroll]
            for k in 0..V::value() {
                stream.insert(k, v[column * V::value() + k]);
            }
            let mut n = group;
            while n < spot.count {
                let by = q[n];
                if comptime!(fades) || by != 0.0f32 {
                    let at = rows + n * columns + column;
                    let row = rho[at];
                    sum += Vector::new(by) * row;
                    let mut after = row + Vector::new(by) * stream;
                    if comptime!(fades) {
                        after *= Vector::new(left);
                    }
                    rho[at] = after;
                }
                n += groups;
            }
        }
        fold(sum, &mut pieces, parts, spot.part * columns, tile, columns, span);
        tile += span;
    }
}

/// y of a chunk of neurons, and what it gives to the contribution of the level.
#[cube(launch)]
pub(super) fn speak<P: Size, V: Size>(
    tape: &[u32],
    read: &[f32],
    decoder_y: &[Vector<f32, P>],
    encoder: &[Vector<f32, V>],
    x: &[f32],
    parts: &mut [Vector<f32, V>],
    model: Model,
    #[comptime] space: usize,
) {
    if CUBE_POS >= model.lanes * model.heads * model.chunks {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let spot = spot(&model);
    let mut room = room();
    let mut pieces = Shared::<[f32]>::new_slice(comptime!(4 * UNITS as usize));
    let mut a = Shared::<[f32]>::new_slice(space);
    let mut y = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    let row = (spot.lane * model.heads + spot.head) * model.width;
    let mut i = UNIT_POS as usize;
    while i < model.width {
        a[i] = read[row + i];
        i += comptime!(UNITS as usize);
    }
    norm_row(&mut a, model.width, model.eps, &mut room);
    let vectors = model.neurons / P::value();
    let first = spot.head * model.width * vectors + spot.first / P::value();
    project(
        &a,
        decoder_y,
        first,
        vectors,
        spot.count / P::value(),
        model.chunk / P::value(),
        model.width,
        &mut pieces,
        &mut y,
    );
    if unit < spot.count {
        let neuron = (spot.lane * model.heads + spot.head) * model.neurons + spot.first + unit;
        let mut open = 0.0f32;
        if y[unit] > 0.0f32 {
            open = y[unit] * x[neuron];
        }
        y[unit] = open;
    }
    sync_cube();
    let reads = goes_on(tape, spot.lane, model.tape);
    let columns = model.width / V::value();
    let mut span = columns;
    if span > comptime!(UNITS as usize) {
        span = comptime!(UNITS as usize).runtime();
    }
    let (groups, group) = (comptime!(UNITS as usize) / span, unit / span);
    let rows = (spot.head * model.neurons + spot.first) * columns;
    let mut tile = 0usize.runtime();
    while tile < columns {
        let column = tile + unit % span;
        let mut sum = Vector::<f32, V>::zeroed();
        if reads && group < groups && column < columns {
            let mut n = group;
            while n < spot.count {
                let by = y[n];
                if by != 0.0f32 {
                    sum += Vector::new(by) * encoder[rows + n * columns + column];
                }
                n += groups;
            }
        }
        fold(sum, &mut pieces, parts, spot.part * columns, tile, columns, span);
        tile += span;
    }
}

/// Vectors of a row that a cube sums the parts of.
pub(super) const SUMMED: usize = 8;

/// The sums of the parts of each row, `[rows, count, D]` to `[rows, D]`.
#[cube(launch)]
pub(super) fn sum_parts<V: Size>(
    parts: &[Vector<f32, V>],
    sums: &mut [Vector<f32, V>],
    rows: usize,
    count: usize,
    columns: usize,
) {
    let tiles = columns.div_ceil(comptime!(SUMMED));
    if CUBE_POS >= rows * tiles {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let mut pieces = Shared::<[f32]>::new_slice(comptime!(4 * UNITS as usize));
    let (row, tile) = (CUBE_POS / tiles, (CUBE_POS % tiles) * comptime!(SUMMED));
    let column = tile + unit % comptime!(SUMMED);
    let mut sum = Vector::<f32, V>::zeroed();
    if column < columns {
        let mut part = unit / comptime!(SUMMED);
        while part < count {
            sum += parts[(row * count + part) * columns + column];
            part += comptime!(UNITS as usize / SUMMED);
        }
    }
    let span = comptime!(SUMMED).runtime();
    fold(sum, &mut pieces, sums, row * columns, tile, columns, span);
}

/// Logits of a chunk of the vocabulary.
#[cube(launch)]
pub(super) fn read_out<P: Size>(
    tape: &[u32],
    contribution: &[f32],
    stream: &[f32],
    lm_head: &[Vector<f32, P>],
    logits: &mut [f32],
    model: Model,
    half: usize,
    #[comptime] space: usize,
) {
    if CUBE_POS >= model.lanes * model.chunks {
        terminate!();
    }
    let unit = UNIT_POS as usize;
    let spot = spot(&model);
    let mut room = room();
    let mut pieces = Shared::<[f32]>::new_slice(comptime!(4 * UNITS as usize));
    let mut v = Shared::<[f32]>::new_slice(space);
    let mut sums = Shared::<[f32]>::new_slice(comptime!(UNITS as usize));
    enter(
        tape,
        contribution,
        stream,
        &mut v,
        spot.lane,
        half,
        &model,
        &mut room,
        false,
    );
    let vectors = model.neurons / P::value();
    project(
        &v,
        lm_head,
        spot.first / P::value(),
        vectors,
        spot.count / P::value(),
        model.chunk / P::value(),
        model.width,
        &mut pieces,
        &mut sums,
    );
    if unit < spot.count && goes_on(tape, spot.lane, model.tape) {
        logits[spot.lane * model.neurons + spot.first + unit] = sums[unit];
    }
}

/// Moves the place of each lane that is below its limit.
#[cube(launch)]
pub(super) fn advance(tape: &mut [u32], lanes: usize, stride: usize) {
    let lane = ABSOLUTE_POS;
    if lane >= lanes {
        terminate!();
    }
    let (place, limit) = (tape[lane * stride], tape[lane * stride + 1]);
    if place < limit {
        tape[lane * stride] = place + 1u32;
    }
}
