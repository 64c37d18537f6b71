//! The neighbours of a place in a kernel: found by counting, without a table.

use crate::local_grid::{Border, NeighbourShape, Neighbours};
use cubecl::prelude::*;

/// A grid, and which places of it are neighbours: those in a box whose number of steps away is in a range.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(super) struct Near {
    height: usize,
    width: usize,
    /// Rows and columns to each side.
    down: usize,
    right: usize,
    /// Steps to the nearest and to the farthest neighbour, along rows and columns.
    least: usize,
    most: usize,
    /// 1 where a read is divided by the number of neighbours.
    mean: usize,
}

/// The neighbours of a step for a launch; without some, a grid without places.
pub(super) fn launched(neighbours: Option<&Neighbours>) -> NearLaunch {
    let Some(neighbours) = neighbours else {
        return NearLaunch::new(0, 0, 0, 0, 0, 0, 0);
    };
    let (grid, neighbourhood) = (neighbours.grid(), neighbours.neighbourhood());
    let (down, right) = neighbourhood.reach(grid);
    let all = grid.height + grid.width;
    let most = match neighbourhood.shape {
        NeighbourShape::Moore => all,
        NeighbourShape::VonNeumann => neighbourhood.radius.min(all),
    };
    NearLaunch::new(
        grid.height,
        grid.width,
        down.unsigned_abs(),
        right.unsigned_abs(),
        usize::from(!neighbourhood.itself),
        most,
        usize::from(neighbourhood.border == Border::Mean),
    )
}

/// The box around a place, as far as it is in the grid.
#[derive(CubeType, Clone, Copy)]
pub(super) struct Around {
    top: usize,
    left: usize,
    columns: usize,
    /// Number of places.
    pub(super) count: usize,
}

#[cube]
pub(super) fn around(near: &Near, place: usize) -> Around {
    let (y, x) = (place / near.width, place % near.width);
    let (top, left) = (start(y, near.down), start(x, near.right));
    let (bottom, end) = (
        stop(y + near.down + 1, near.height),
        stop(x + near.right + 1, near.width),
    );
    let columns = end - left;
    Around {
        top,
        left,
        columns,
        count: (bottom - top) * columns,
    }
}

#[cube]
fn start(at: usize, reach: usize) -> usize {
    let mut start = 0usize.runtime();
    if at > reach {
        start = at - reach;
    }
    start
}

#[cube]
fn stop(end: usize, size: usize) -> usize {
    let mut stop = end;
    if end > size {
        stop = size;
    }
    stop
}

/// Place `k` of a box.
#[cube]
pub(super) fn place_in(near: &Near, around: &Around, k: usize) -> usize {
    (around.top + k / around.columns) * near.width + around.left + k % around.columns
}

/// Whether a place of the box is a neighbour.
#[cube]
pub(super) fn is_near(near: &Near, place: usize, other: usize) -> bool {
    let steps = apart(place / near.width, other / near.width) + apart(place % near.width, other % near.width);
    steps >= near.least && steps <= near.most
}

#[cube]
fn apart(one: usize, other: usize) -> usize {
    let mut apart = one - other;
    if other > one {
        apart = other - one;
    }
    apart
}

/// Factor of the read of a place with so many neighbours.
#[cube]
pub(super) fn share(near: &Near, count: usize) -> f32 {
    let mut share = 1.0f32;
    if near.mean == 1 && count > 1 {
        share = 1.0f32 / count as f32;
    }
    share
}

/// Number of neighbours.
#[cube]
pub(super) fn count_near(near: &Near, place: usize) -> usize {
    let around = around(near, place);
    let mut count = 0usize.runtime();
    let mut k = 0usize.runtime();
    while k < around.count {
        if is_near(near, place, place_in(near, &around, k)) {
            count += 1;
        }
        k += 1;
    }
    count
}
