//! Kernels of a step on a grid and of its gradient.

use super::near::{Near, around, count_near, is_near, place_in, share};
use crate::gpu::array::UNITS;
use crate::gpu::reduce::{room, sum_of_team, sum_of_units};
use cubecl::prelude::*;

/// Sizes of a step in a kernel. A plane is a head of a lane.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Sizes {
    planes: usize,
    heads: usize,
    places: usize,
    neurons: usize,
    width: usize,
}

/// The write of a step in a kernel.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Write {
    /// `[B, 1 or H, P, D]`.
    value: Box<[f32]>,
    /// Decay factors of what was there, then of what is written: `[2, H]`.
    factors: Box<[f32]>,
    /// Planes that share values.
    share: usize,
}

/// A value that a plane writes at a place.
#[cube]
fn value(write: &Write, sizes: &Sizes, plane: usize, place: usize, column: usize) -> f32 {
    write.value[(plane / write.share * sizes.places + place) * sizes.width + column]
}

/// Decay factor of what was there.
#[cube]
fn kept(write: &Write, sizes: &Sizes, plane: usize) -> f32 {
    write.factors[plane % sizes.heads]
}

/// Decay factor of what is written.
#[cube]
fn written(write: &Write, sizes: &Sizes, plane: usize) -> f32 {
    write.factors[sizes.heads + plane % sizes.heads]
}

/// What places read: a unit for each entry of `[B, H, P, D]`.
#[cube(launch)]
pub(super) fn read_near(query: &[f32], rho: &[f32], read: &mut [f32], near: Near, sizes: Sizes) {
    let i = ABSOLUTE_POS;
    if i >= sizes.planes * sizes.places * sizes.width {
        terminate!();
    }
    let (row, column) = (i / sizes.width, i % sizes.width);
    let (plane, place) = (row / sizes.places, row % sizes.places);
    let around = around(&near, place);
    let mut sum = 0.0f32;
    let mut count = 0usize.runtime();
    let mut k = 0usize.runtime();
    while k < around.count {
        let other = place_in(&near, &around, k);
        if is_near(&near, place, other) {
            let memory = (plane * sizes.places + other) * sizes.neurons;
            let mut neuron = 0usize.runtime();
            while neuron < sizes.neurons {
                let activity = query[row * sizes.neurons + neuron];
                if activity != 0.0f32 {
                    sum += activity * rho[(memory + neuron) * sizes.width + column];
                }
                neuron += 1;
            }
            count += 1;
        }
        k += 1;
    }
    read[i] = sum * share(&near, count);
}

/// An entry of a memory after the write.
#[cube]
fn after(query: &[f32], before: f32, write: &Write, sizes: &Sizes, i: usize) -> f32 {
    let (row, column) = (i / sizes.width, i % sizes.width);
    let memory = row / sizes.neurons;
    let (plane, place) = (memory / sizes.places, memory % sizes.places);
    let by = written(write, sizes, plane) * query[row];
    kept(write, sizes, plane) * before + by * value(write, sizes, plane, place, column)
}

/// Memories after the write: a unit for each entry of `[B, H, P, N, D]`.
#[cube(launch)]
pub(super) fn write_places(
    query: &[f32],
    rho: &[f32],
    memory: &mut [f32],
    write: Write,
    sizes: Sizes,
    count: usize,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    memory[i] = after(query, rho[i], &write, &sizes, i);
}

/// The same in place.
#[cube(launch)]
pub(super) fn write_in_place(query: &[f32], memory: &mut [f32], write: Write, sizes: Sizes, count: usize) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    memory[i] = after(query, memory[i], &write, &sizes, i);
}

/// The gradient of what places read, times the factor of each read.
#[cube(launch)]
pub(super) fn share_reads(d: &[f32], e: &mut [f32], near: Near, sizes: Sizes) {
    let i = ABSOLUTE_POS;
    if i >= sizes.planes * sizes.places * sizes.width {
        terminate!();
    }
    let place = i / sizes.width % sizes.places;
    e[i] = d[i] * share(&near, count_near(&near, place));
}

/// The gradient of the queries: a team of units for each entry of `[B, H, P, N]`.
#[cube(launch)]
pub(super) fn back_to_queries(
    e: &[f32],
    rho: &[f32],
    given: &[f32],
    query: &mut [f32],
    write: Write,
    near: Near,
    sizes: Sizes,
    team: usize,
    #[comptime] reads: bool,
    #[comptime] writes: bool,
) {
    let mut room = room();
    let (unit, teams) = (UNIT_POS as usize, comptime!(UNITS as usize) / team);
    let (i, member) = (CUBE_POS * teams + unit / team, unit % team);
    let is_there = i < sizes.planes * sizes.places * sizes.neurons;
    let mut sum = 0.0f32;
    if is_there {
        let (row, neuron) = (i / sizes.neurons, i % sizes.neurons);
        let (plane, place) = (row / sizes.places, row % sizes.places);
        if comptime!(reads) {
            let around = around(&near, place);
            let mut k = 0usize.runtime();
            while k < around.count {
                let other = place_in(&near, &around, k);
                if is_near(&near, place, other) {
                    let memory = (plane * sizes.places + other) * sizes.neurons + neuron;
                    let mut column = member;
                    while column < sizes.width {
                        sum += rho[memory * sizes.width + column] * e[row * sizes.width + column];
                        column += team;
                    }
                }
                k += 1;
            }
        }
        if comptime!(writes) {
            let mut along = 0.0f32;
            let mut column = member;
            while column < sizes.width {
                along += given[i * sizes.width + column] * value(&write, &sizes, plane, place, column);
                column += team;
            }
            sum += written(&write, &sizes, plane) * along;
        }
    }
    sum = sum_of_team(sum, team, &mut room);
    if is_there && member == 0 {
        query[i] = sum;
    }
}

/// The gradient of the values, summed over the planes that share them: a unit for each entry of `[B, 1 or H, P, D]`.
#[cube(launch)]
pub(super) fn back_to_values(
    query: &[f32],
    given: &[f32],
    values: &mut [f32],
    write: Write,
    sizes: Sizes,
    count: usize,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let (row, column) = (i / sizes.width, i % sizes.width);
    let place = row % sizes.places;
    let mut plane = row / sizes.places * write.share;
    let last = plane + write.share;
    let mut sum = 0.0f32;
    while plane < last {
        let first = (plane * sizes.places + place) * sizes.neurons;
        let mut along = 0.0f32;
        let mut neuron = 0usize.runtime();
        while neuron < sizes.neurons {
            let activity = query[first + neuron];
            if activity != 0.0f32 {
                along += activity * given[(first + neuron) * sizes.width + column];
            }
            neuron += 1;
        }
        sum += written(&write, &sizes, plane) * along;
        plane += 1;
    }
    values[i] = sum;
}

/// The gradient of the memories before the step, in place of that after it, or new: a unit for each entry of
/// `[B, H, P, N, D]`.
#[cube(launch)]
pub(super) fn back_to_memories(
    query: &[f32],
    e: &[f32],
    memory: &mut [f32],
    write: Write,
    near: Near,
    sizes: Sizes,
    count: usize,
    #[comptime] reads: bool,
    #[comptime] is_given: bool,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let (row, column) = (i / sizes.width, i % sizes.width);
    let (neuron, of_place) = (row % sizes.neurons, row / sizes.neurons);
    let (plane, place) = (of_place / sizes.places, of_place % sizes.places);
    let mut sum = 0.0f32;
    if comptime!(reads) {
        let around = around(&near, place);
        let mut k = 0usize.runtime();
        while k < around.count {
            let other = place_in(&near, &around, k);
            if is_near(&near, place, other) {
                let reader = plane * sizes.places + other;
                let activity = query[reader * sizes.neurons + neuron];
                if activity != 0.0f32 {
                    sum += activity * e[reader * sizes.width + column];
                }
            }
            k += 1;
        }
    }
    if comptime!(is_given) {
        sum += kept(&write, &sizes, plane) * memory[i];
    }
    memory[i] = sum;
}

/// The gradient of the decay factor from each place of each plane: a cube for each. What is written counts where it decays.
#[cube(launch)]
pub(super) fn back_to_factors(
    query: &[f32],
    rho: &[f32],
    given: &[f32],
    terms: &mut [f32],
    write: Write,
    sizes: Sizes,
    #[comptime] written_too: bool,
) {
    let row = CUBE_POS;
    if row >= sizes.planes * sizes.places {
        terminate!();
    }
    let mut room = room();
    let (plane, place) = (row / sizes.places, row % sizes.places);
    let size = sizes.neurons * sizes.width;
    let mut sum = 0.0f32;
    let mut entry = UNIT_POS as usize;
    while entry < size {
        let mut faded = rho[row * size + entry];
        if comptime!(written_too) {
            let activity = query[row * sizes.neurons + entry / sizes.width];
            faded += activity * value(&write, &sizes, plane, place, entry % sizes.width);
        }
        sum += given[row * size + entry] * faded;
        entry += comptime!(UNITS as usize);
    }
    sum = sum_of_units(sum, &mut room);
    if UNIT_POS == 0 {
        terms[row] = sum;
    }
}

/// The gradient of the slopes, `-lambda` times that of lambda: a cube for each head.
#[cube(launch)]
pub(super) fn sum_slopes(terms: &[f32], slopes: &mut [f32], write: Write, sizes: Sizes) {
    let head = CUBE_POS;
    if head >= sizes.heads {
        terminate!();
    }
    let mut room = room();
    let count = sizes.planes / sizes.heads * sizes.places;
    let mut sum = 0.0f32;
    let mut k = UNIT_POS as usize;
    while k < count {
        let plane = k / sizes.places * sizes.heads + head;
        sum += terms[plane * sizes.places + k % sizes.places];
        k += comptime!(UNITS as usize);
    }
    sum = sum_of_units(sum, &mut room);
    if UNIT_POS == 0 {
        slopes[head] = -kept(&write, &sizes, head) * sum;
    }
}
