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
