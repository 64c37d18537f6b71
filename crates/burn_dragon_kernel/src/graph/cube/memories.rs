//! Kernels that pass over the memories of the targets.

use super::edges::{
    Ends, Links, Weights, edge_of, first_of, kept, other_of, reader_of, target_of, ungated, weight,
};
use crate::gpu::array::UNITS;
use crate::gpu::reduce::{room, sum_of_team, sum_of_units};
use cubecl::prelude::*;

/// Sizes of an operation in a kernel.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    pub(super) groups: usize,
    pub(super) readers: usize,
    pub(super) targets: usize,
    pub(super) neurons: usize,
    pub(super) width: usize,
}

/// The row of a value, of which a lane has one for all heads, or one for each.
#[cube]
pub(super) fn value_row(
    group: usize,
    heads: usize,
    places: usize,
    place: usize,
    #[comptime] shared: bool,
) -> usize {
    let mut of_values = group;
    if comptime!(shared) {
        of_values = group / heads;
    }
    of_values * places + place
}

/// `sum over t of w q_s rho_t`: a unit for each entry of `[B, H, S, D]`, or of `[B, 1, S, D]` with a sum over the heads.
#[cube(launch)]
pub(super) fn read_memories(
    q: &[f32],
    rho: &[f32],
    read: &mut [f32],
    links: Links,
    weights: Weights,
    sizes: Sizes,
    count: usize,
    #[comptime] sums_heads: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let (row, column) = (i / sizes.width, i % sizes.width);
    let reader = row % sizes.readers;
    let mut group = row / sizes.readers;
    let mut last = group + 1;
    if comptime!(sums_heads) {
        group *= weights.heads;
        last = group + weights.heads;
    }
    let mut sum = 0.0f32;
    while group < last {
        let of_q = (group * sizes.readers + reader) * sizes.neurons;
        let mut position = first_of(&links, reader);
        let end = first_of(&links, reader + 1);
        while position < end {
            let memory = (group * sizes.targets + other_of(&links, position)) * sizes.neurons;
            let mut product = 0.0f32;
            let mut neuron = 0usize.runtime();
            while neuron < sizes.neurons {
                let activity = q[of_q + neuron];
                if activity != 0.0f32 {
                    product += activity * rho[(memory + neuron) * sizes.width + column];
                }
                neuron += 1;
            }
            sum += weight(&weights, group, edge_of(&links, position)) * product;
            position += 1;
        }
        group += 1;
    }
    read[i] = sum;
}

/// `sum over t of w rho_t u_s`, the gradient of a query: a team of units for each entry of `[B, H, S, N]`.
#[cube(launch)]
pub(super) fn turn_memories(
    u: &[f32],
    rho: &[f32],
    turned: &mut [f32],
    links: Links,
    weights: Weights,
    sizes: Sizes,
    team: usize,
    #[comptime] shared: bool,
) {
    let mut room = room();
    let (unit, teams) = (UNIT_POS as usize, comptime!(UNITS as usize) / team);
    let (i, member) = (CUBE_POS * teams + unit / team, unit % team);
    let is_there = i < sizes.groups * sizes.readers * sizes.neurons;
    let mut sum = 0.0f32;
    if is_there {
        let (row, neuron) = (i / sizes.neurons, i % sizes.neurons);
        let (group, reader) = (row / sizes.readers, row % sizes.readers);
        let of_u = value_row(group, weights.heads, sizes.readers, reader, shared) * sizes.width;
        let mut position = first_of(&links, reader);
        let end = first_of(&links, reader + 1);
        while position < end {
            let memory = (group * sizes.targets + other_of(&links, position)) * sizes.neurons;
            let of_rho = (memory + neuron) * sizes.width;
            let mut product = 0.0f32;
            let mut column = member;
            while column < sizes.width {
                product += rho[of_rho + column] * u[of_u + column];
                column += team;
            }
            sum += weight(&weights, group, edge_of(&links, position)) * product;
            position += 1;
        }
    }
    sum = sum_of_team(sum, team, &mut room);
    if is_there && member == 0 {
        turned[i] = sum;
    }
}

/// `lambda rho_t + sum over s of w q_s (outer) v_s`, in place, or the sum alone: a unit for each entry of
/// `[B, H, T, N, D]`.
#[cube(launch)]
pub(super) fn write_memories(
    q: &[f32],
    v: &[f32],
    rho: &mut [f32],
    incoming: Links,
    weights: Weights,
    sizes: Sizes,
    count: usize,
    #[comptime] shared: bool,
    #[comptime] adds: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let (column, neuron) = (i % sizes.width, i / sizes.width % sizes.neurons);
    let memory = i / (sizes.width * sizes.neurons);
    let (group, target) = (memory / sizes.targets, memory % sizes.targets);
    let mut sum = 0.0f32;
    let mut position = first_of(&incoming, target);
    let end = first_of(&incoming, target + 1);
    while position < end {
        let reader = other_of(&incoming, position);
        let activity = q[(group * sizes.readers + reader) * sizes.neurons + neuron];
        if activity != 0.0f32 {
            let of_v = value_row(group, weights.heads, sizes.readers, reader, shared) * sizes.width;
            let by = weight(&weights, group, edge_of(&incoming, position));
            sum += by * activity * v[of_v + column];
        }
        position += 1;
    }
    if comptime!(adds) {
        sum += kept(&weights, group) * rho[i];
    }
    rho[i] = sum;
}

/// Memories times the factors of their heads, in place.
#[cube(launch)]
pub(super) fn fade_memories(rho: &mut [f32], weights: Weights, size: usize, count: usize) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    rho[i] *= kept(&weights, i / size);
}

/// The gradient of the gates, `q_s rho_t u_s` times the weight without the gate, summed over the heads that share a gate:
/// a cube for each entry of `[1 or B, E]`.
#[cube(launch)]
pub(super) fn gate_memories(
    q: &[f32],
    u: &[f32],
    rho: &[f32],
    gates: &mut [f32],
    ends: Ends,
    weights: Weights,
    sizes: Sizes,
    rows: usize,
    #[comptime] shared: bool,
) {
    let i = CUBE_POS;
    if i >= rows * ends.edges {
        terminate!();
    }
    let mut room = room();
    let edge = i % ends.edges;
    let (reader, target) = (reader_of(&ends, edge), target_of(&ends, edge));
    let each = sizes.groups / rows;
    let mut group = i / ends.edges * each;
    let last = group + each;
    let mut sum = 0.0f32;
    while group < last {
        let of_q = (group * sizes.readers + reader) * sizes.neurons;
        let of_u = value_row(group, weights.heads, sizes.readers, reader, shared) * sizes.width;
        let of_rho = (group * sizes.targets + target) * sizes.neurons * sizes.width;
        let mut product = 0.0f32;
        let mut entry = UNIT_POS as usize;
        while entry < sizes.neurons * sizes.width {
            let activity = q[of_q + entry / sizes.width];
            if activity != 0.0f32 {
                product += activity * rho[of_rho + entry] * u[of_u + entry % sizes.width];
            }
            entry += comptime!(UNITS as usize);
        }
        sum += ungated(&weights, group, edge) * product;
        group += 1;
    }
    sum = sum_of_units(sum, &mut room);
    if UNIT_POS == 0 {
        gates[i] = sum;
    }
}
