//! Reductions over the units of a cube, through shared memory: no assumption about the width of a plane.

use super::array::UNITS;
use cubecl::prelude::*;

/// Shared memory for a reduction.
#[cube]
pub(crate) fn room() -> Shared<[f32]> {
    Shared::new_slice(comptime!(UNITS as usize))
}

/// The sum of one number of each unit, in a fixed order; all units get it.
#[cube]
pub(crate) fn sum_of_units(value: f32, room: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    room[unit] = value;
    sync_cube();
    let mut span = comptime!(UNITS as usize / 2).runtime();
    while span > 0 {
        if unit < span {
            room[unit] += room[unit + span];
        }
        sync_cube();
        span /= 2;
    }
    let sum = room[0];
    sync_cube();
    sum
}

/// The sum of one number of each unit of a team of so many neighbours, a power of two, in a fixed order; all of the team
/// get it.
#[cube]
pub(crate) fn sum_of_team(value: f32, team: usize, room: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    room[unit] = value;
    sync_cube();
    let mut span = team / 2;
    while span > 0 {
        if unit % team < span {
            room[unit] += room[unit + span];
        }
        sync_cube();
        span /= 2;
    }
    let sum = room[unit - unit % team];
    sync_cube();
    sum
}

/// The largest of one number of each unit; all units get it.
#[cube]
pub(crate) fn largest_of_units(value: f32, room: &mut Shared<[f32]>) -> f32 {
    let unit = UNIT_POS as usize;
    room[unit] = value;
    sync_cube();
    let mut span = comptime!(UNITS as usize / 2).runtime();
    while span > 0 {
        if unit < span {
            let (one, other) = (room[unit], room[unit + span]);
            if other > one {
                room[unit] = other;
            }
        }
        sync_cube();
        span /= 2;
    }
    let largest = room[0];
    sync_cube();
    largest
}

/// The sum of a row of `width` entries from `start`; all units get it.
#[cube]
pub(crate) fn sum_of_row<F: Float>(row: &[F], start: usize, width: usize, room: &mut Shared<[f32]>) -> f32 {
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        sum += f32::cast_from(row[start + i]);
        i += comptime!(UNITS as usize);
    }
    sum_of_units(sum, room)
}

/// The sum of the squares of what is left of a row's entries without `mean`; all units get it.
#[cube]
pub(crate) fn squares_of_row<F: Float>(
    row: &[F],
    start: usize,
    width: usize,
    mean: f32,
    room: &mut Shared<[f32]>,
) -> f32 {
    let mut squares = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        let centred = f32::cast_from(row[start + i]) - mean;
        squares += centred * centred;
        i += comptime!(UNITS as usize);
    }
    sum_of_units(squares, room)
}

/// The product of two rows, from places of their own; all units get it.
#[cube]
pub(crate) fn dot_of_rows<F: Float, G: Float>(
    one: &[F],
    other: &[G],
    start: usize,
    other_start: usize,
    width: usize,
    room: &mut Shared<[f32]>,
) -> f32 {
    let mut sum = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < width {
        sum += f32::cast_from(one[start + i]) * f32::cast_from(other[other_start + i]);
        i += comptime!(UNITS as usize);
    }
    sum_of_units(sum, room)
}

/// The largest entry of a row that has one; all units get it. What is not a number is passed over, but for the first.
#[cube]
pub(crate) fn largest_of_row<F: Float>(
    row: &[F],
    start: usize,
    width: usize,
    room: &mut Shared<[f32]>,
) -> f32 {
    let mut top = f32::cast_from(row[start]);
    let mut i = UNIT_POS as usize;
    while i < width {
        let entry = f32::cast_from(row[start + i]);
        if entry > top {
            top = entry;
        }
        i += comptime!(UNITS as usize);
    }
    largest_of_units(top, room)
}
