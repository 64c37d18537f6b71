//! Where the parts of a packed factor lie.

use super::super::factor::{Matrix, Packed, STEP, Side};
use super::{Unit, bf16, wide};
use crate::buffer::Line;

/// Outer rows of a panel: rows of a left factor, columns of a right one.
pub(super) const PANEL: usize = 32;

/// Inner entries of a block: a panel then takes 32 KiB in f32, two thirds of a first-level cache, and half of that in
/// bf16, where panels of both factors have to be there.
pub(super) const DEPTH: usize = 256;

/// A packed factor in memory: blocks of inner entries, in a block panels of 32 outer rows, in a panel steps of 32
/// inner entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    unit: Unit,
    side: Side,
    outer: usize,
    inner: usize,
}

impl Layout {
    pub(super) fn new(unit: Unit, side: Side, outer: usize, inner: usize) -> Self {
        Self {
            unit,
            side,
            outer,
            inner,
        }
    }

    /// Which factor it is of.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Outer rows and inner entries.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.outer, self.inner]
    }

    /// Lines of the whole factor.
    pub(crate) fn lines(&self) -> usize {
        self.outer.div_ceil(PANEL) * self.inner.div_ceil(STEP) * self.step_lines()
    }

    /// Lays the factor out; `by_outer` has what is summed over in its columns.
    pub(crate) fn pack(&self, by_outer: Matrix<'_>, into: &mut [Line]) {
        assert_eq!([by_outer.rows, by_outer.columns], self.size());
        for inner in (0..self.inner).step_by(DEPTH) {
            let depth = DEPTH.min(self.inner - inner);
            for outer in (0..self.outer).step_by(PANEL) {
                let into = &mut into[self.panel(outer, inner)..];
                match self.unit {
                    Unit::Wide => wide::pack(by_outer, outer, inner, depth, into),
                    Unit::Amx | Unit::Dot => bf16::pack(self.side, by_outer, outer, inner, depth, into),
                }
            }
        }
    }

    /// Where the panel with this outer row starts, in the block with this inner entry.
    fn panel(&self, outer: usize, inner: usize) -> usize {
        let (block, panels) = (inner / DEPTH * DEPTH, self.outer.div_ceil(PANEL));
        let steps = DEPTH.min(self.inner - block).div_ceil(STEP);
        (block / STEP * panels + outer / PANEL * steps) * self.step_lines()
    }

    /// Lines of a step of a panel.
    fn step_lines(&self) -> usize {
        match self.unit {
            Unit::Wide => wide::STEP_LINES,
            Unit::Amx | Unit::Dot => bf16::STEP_LINES,
        }
    }
}

impl<'a> Packed<'a> {
    /// From where the panel with this outer row starts, in the block with this inner entry.
    ///
    /// # Panics
    /// If the factor was packed for another kind of unit, or for the other side.
    pub(super) fn panel(self, step_lines: usize, side: Side, outer: usize, inner: usize) -> &'a [Line] {
        let layout = &self.layout;
        assert!(
            layout.step_lines() == step_lines && layout.side == side,
            "a factor packed for another product: {layout:?}"
        );
        &self.lines[layout.panel(outer, inner)..]
    }
}
