//! Kernels of the read of one write: products of rows at both ends of the edges, and sums over the edges of a place.

use super::edges::{
    Ends, Links, Weights, edge_of, first_of, other_of, reader_of, target_of, ungated, weight,
};
use super::memories::{Sizes, value_row};
use crate::gpu::array::UNITS;
use crate::gpu::reduce::{room, sum_of_team};
use cubecl::prelude::*;

/// The product of a row of the reader and one of the target, of `length` entries: a team of units for each entry of
/// `[B, H, E]`.
#[cube(launch)]
pub(super) fn multiply_ends(
    of_readers: &[f32],
    of_targets: &[f32],
    products: &mut [f32],
    ends: Ends,
    sizes: Sizes,
    heads: usize,
    length: usize,
    team: usize,
    #[comptime] shared: bool,
) {
    let mut room = room();
    let (unit, teams) = (UNIT_POS as usize, comptime!(UNITS as usize) / team);
    let (i, member) = (CUBE_POS * teams + unit / team, unit % team);
    let is_there = i < sizes.groups * ends.edges;
    let mut sum = 0.0f32;
    if is_there {
        let (group, edge) = (i / ends.edges, i % ends.edges);
        let reader = (group * sizes.readers + reader_of(&ends, edge)) * length;
        let target = value_row(group, heads, sizes.targets, target_of(&ends, edge), shared) * length;
        let mut k = member;
        while k < length {
            sum += of_readers[reader + k] * of_targets[target + k];
            k += team;
        }
    }
    sum = sum_of_team(sum, team, &mut room);
    if is_there && member == 0 {
        products[i] = sum;
    }
}

/// How rows are shared by heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Heads {
    /// Each head has rows of its own.
    Apart,
    /// All heads take the same rows.
    TakeOne,
    /// The sums of all heads are added.
    GiveOne,
}

/// `sum over the edges of a place of w p x_other`, p a number of each edge, `[B, H, E]`: a unit for each entry of the sums,
/// rows of `length`.
#[cube(launch)]
pub(super) fn sum_edges(
    by: &[f32],
    rows: &[f32],
    sums: &mut [f32],
    links: Links,
    weights: Weights,
    places: usize,
    others: usize,
    edges: usize,
    length: usize,
    count: usize,
    #[comptime] share: Heads,
) {
    let i = ABSOLUTE_POS;
    if i >= count {
        terminate!();
    }
    let (row, column) = (i / length, i % length);
    let place = row % places;
    let mut group = row / places;
    let mut last = group + 1;
    if comptime!(share == Heads::GiveOne) {
        group *= weights.heads;
        last = group + weights.heads;
    }
    let mut sum = 0.0f32;
    while group < last {
        let mut position = first_of(&links, place);
        let end = first_of(&links, place + 1);
        while position < end {
            let (other, edge) = (other_of(&links, position), edge_of(&links, position));
            let shared = comptime!(share == Heads::TakeOne);
            let from = value_row(group, weights.heads, others, other, shared) * length;
            sum += weight(&weights, group, edge) * by[group * edges + edge] * rows[from + column];
            position += 1;
        }
        group += 1;
    }
    sums[i] = sum;
}

/// The gradient of the gates, from two numbers of each edge, `[B, H, E]`, summed over the heads that share a gate: a unit
/// for each entry of `[1 or B, E]`.
#[cube(launch)]
pub(super) fn gate_products(
    one: &[f32],
    other: &[f32],
    gates: &mut [f32],
    weights: Weights,
    groups: usize,
    rows: usize,
    edges: usize,
) {
    let i = ABSOLUTE_POS;
    if i >= rows * edges {
        terminate!();
    }
    let edge = i % edges;
    let each = groups / rows;
    let mut group = i / edges * each;
    let last = group + each;
    let mut sum = 0.0f32;
    while group < last {
        let at = group * edges + edge;
        sum += ungated(&weights, group, edge) * one[at] * other[at];
        group += 1;
    }
    gates[i] = sum;
}
