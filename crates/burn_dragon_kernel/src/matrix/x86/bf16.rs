//! Products of bf16 factors, in blocks of 32 x 32.

use super::super::factor::{Factor, Matrix};
use super::super::layout::{DEPTH, PANEL, STEP, Side};
use super::pack;
use crate::buffer::{Buffer, Line};
use std::cell::RefCell;

pub(super) use pack::STEP_LINES;

/// Columns for which the right factor's panels are kept at a time: 512 KiB.
const WIDTH: usize = 1024;

/// Implementation of the product of a block.
pub(super) trait Blocks {
    /// Prepares this thread.
    ///
    /// # Panics
    /// If the machine does not have the instructions.
    fn new() -> Self;

    /// `into = left right`, or `into += left right`: 32 x 32, rows of `into` are `stride` apart, and both factors have
    /// as many steps.
    fn block(&self, left: &[Line], right: &[Line], into: &mut [f32], stride: usize, add: bool);
}

/// Packs a panel: at most 32 outer rows from `outer` on, `depth` entries from `inner` on.
///
/// # Panics
/// If the processor cannot.
pub(super) fn pack(
    side: Side,
    by_outer: Matrix<'_>,
    outer: usize,
    inner: usize,
    depth: usize,
    into: &mut [Line],
) {
    assert!(pack::available());
    // SAFETY: the processor has what packing needs.
    unsafe { pack::panel(side, by_outer, outer, inner, depth, into) };
}

thread_local! {
    /// Room for a panel of a left factor and for the panels of a right one.
    static ROOM: RefCell<[Buffer; 2]> = RefCell::default();
}

/// A factor's panels, packed as they are needed where it is plain.
struct Panels<'a> {
    side: Side,
    factor: Factor<'a>,
    room: &'a mut [Line],
}

impl<'a> Panels<'a> {
    fn new(side: Side, factor: Factor<'a>, outer: usize, depth: usize, room: &'a mut Buffer) -> Self {
        let lines = match factor {
            Factor::Plain(_) => outer.div_ceil(PANEL) * depth.div_ceil(STEP) * STEP_LINES,
            Factor::Packed(_) => 0,
        };
        let room = room.lines(lines);
        Self { side, factor, room }
    }

    /// The panel at `outer` of the block at `inner`; number `place` of the room, where it stays until it is `fresh`
    /// again.
    fn panel(&mut self, outer: usize, inner: usize, depth: usize, place: usize, fresh: bool) -> &[Line] {
        let lines = depth.div_ceil(STEP) * STEP_LINES;
        match self.factor {
            Factor::Packed(packed) => &packed.panel(STEP_LINES, self.side, outer, inner)[..lines],
            Factor::Plain(matrix) => {
                let room = &mut self.room[place * lines..][..lines];
                if fresh {
                    pack(self.side, self.side.by_outer(matrix), outer, inner, depth, room);
                }
                room
            }
        }
    }
}

/// `into = left right`, or `into += left right`.
pub(super) fn multiply<B: Blocks>(
    into: &mut [f32],
    stride: usize,
    left: Factor<'_>,
    right: Factor<'_>,
    add: bool,
) {
    let ([rows, inner], [_, columns]) = (left.size(), right.size());
    assert!((rows - 1) * stride + columns <= into.len());
    let blocks = B::new();
    ROOM.with_borrow_mut(|[left_room, right_room]| {
        let depth = DEPTH.min(inner);
        let mut left = Panels::new(Side::Left, left, PANEL, depth, left_room);
        let mut right = Panels::new(Side::Right, right, WIDTH.min(columns), depth, right_room);
        for start in (0..columns).step_by(WIDTH) {
            let width = WIDTH.min(columns - start);
            for k in (0..inner).step_by(DEPTH) {
                let depth = DEPTH.min(inner - k);
                for i in (0..rows).step_by(PANEL) {
                    let left = left.panel(i, k, depth, 0, true);
                    for j in (0..width).step_by(PANEL) {
                        let right = right.panel(start + j, k, depth, j / PANEL, i == 0);
                        let into = &mut into[i * stride + start + j..];
                        let size = [PANEL.min(rows - i), PANEL.min(width - j)];
                        corner(&blocks, left, right, into, stride, size, add || k > 0);
                    }
                }
            }
        }
    });
}

/// The first rows and columns of a block.
fn corner(
    blocks: &impl Blocks,
    left: &[Line],
    right: &[Line],
    into: &mut [f32],
    stride: usize,
    [rows, columns]: [usize; 2],
    add: bool,
) {
    if rows == PANEL && columns == PANEL {
        return blocks.block(left, right, into, stride, add);
    }
    let mut block = [0.0; PANEL * PANEL];
    blocks.block(left, right, &mut block, PANEL, false);
    for (row, block) in block.chunks_exact(PANEL).enumerate().take(rows) {
        let into = &mut into[row * stride..][..columns];
        if add {
            into.iter_mut().zip(block).for_each(|(into, more)| *into += more);
        } else {
            into.copy_from_slice(&block[..columns]);
        }
    }
}
