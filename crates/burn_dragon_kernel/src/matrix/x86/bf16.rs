//! Products of bf16 factors, in blocks of 32 x 32.

use super::super::block::Block;
use super::super::factor::{Factor, Matrix, Packed};
use super::super::layout::{DEPTH, PANEL, STEP, Side};
use super::pack;
use crate::buffer::{Buffer, Line};
use std::cell::RefCell;

pub(crate) use pack::STEP_LINES;

/// Columns for which the right factor's panels are kept at a time: 512 KiB.
const WIDTH: usize = 1024;

/// Implementation of the product of a block.
pub(crate) trait Blocks {
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
pub(crate) fn pack(
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
    Products::<B>::new().multiply(into, stride, left, right, add);
}

/// Products of one thread, whose preparation is shared by many of them.
///
/// While the value lives, the thread computes no products by other means: they would end its preparation.
pub(crate) struct Products<B>(B);

impl<B: Blocks> Products<B> {
    /// Prepares this thread.
    ///
    /// # Panics
    /// If the machine does not have the instructions.
    pub(crate) fn new() -> Self {
        Self(B::new())
    }

    /// Block of `left right` with these first row and column, `into = ..` or `into += ..`.
    ///
    /// What lies beyond the factors is 0.
    #[inline(always)]
    pub(crate) fn block(
        &self,
        [left, right]: [Packed<'_>; 2],
        [row, column]: [usize; 2],
        into: &mut Block,
        add: bool,
    ) {
        let into = into.0.as_flattened_mut();
        self.part([left, right], [row, column], into, PANEL, add);
    }

    /// A whole block, into rows that are `stride` apart.
    #[inline(always)]
    fn part(
        &self,
        [left, right]: [Packed<'_>; 2],
        [row, column]: [usize; 2],
        into: &mut [f32],
        stride: usize,
        add: bool,
    ) {
        let inner = left.layout.size()[1];
        assert_eq!(inner, right.layout.size()[1], "inner sizes of a product");
        for k in (0..inner).step_by(DEPTH) {
            let lines = DEPTH.min(inner - k).div_ceil(STEP) * STEP_LINES;
            let left = &left.panel(STEP_LINES, Side::Left, row, k)[..lines];
            let right = &right.panel(STEP_LINES, Side::Right, column, k)[..lines];
            self.0.block(left, right, into, stride, add || k > 0);
        }
    }

    /// The blocks on and below the diagonal of `left right`, `[R, R]`, `into = ..` or `into += ..`.
    pub(crate) fn lower(&self, into: &mut [f32], [left, right]: [Packed<'_>; 2], add: bool) {
        let rows = left.layout.size()[0];
        assert!(rows * rows <= into.len());
        for row in (0..rows).step_by(PANEL) {
            for column in (0..=row).step_by(PANEL) {
                let place = &mut into[row * rows + column..];
                let size = [PANEL.min(rows - row), PANEL.min(rows - column)];
                if size == [PANEL; 2] {
                    self.part([left, right], [row, column], place, rows, add);
                } else {
                    let mut block = Block::default();
                    self.block([left, right], [row, column], &mut block, false);
                    corner_into(&block, place, rows, size, add);
                }
            }
        }
    }

    /// `into = left right`, or `into += left right`; rows of `into` are `stride` apart.
    pub(crate) fn multiply<'a>(
        &self,
        into: &mut [f32],
        stride: usize,
        left: impl Into<Factor<'a>>,
        right: impl Into<Factor<'a>>,
        add: bool,
    ) {
        let (left, right) = (left.into(), right.into());
        let ([rows, inner], [right_rows, columns]) = (left.size(), right.size());
        assert!(inner == right_rows && (rows - 1) * stride + columns <= into.len());
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
                            corner(&self.0, left, right, into, stride, size, add || k > 0);
                        }
                    }
                }
            }
        });
    }
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
    let mut block = Block::default();
    blocks.block(left, right, block.0.as_flattened_mut(), PANEL, false);
    corner_into(&block, into, stride, [rows, columns], add);
}

/// Copies or adds the first rows and columns of a block.
fn corner_into(block: &Block, into: &mut [f32], stride: usize, [rows, columns]: [usize; 2], add: bool) {
    for (row, block) in block.0.iter().enumerate().take(rows) {
        let into = &mut into[row * stride..][..columns];
        if add {
            into.iter_mut().zip(block).for_each(|(into, more)| *into += more);
        } else {
            into.copy_from_slice(&block[..columns]);
        }
    }
}
