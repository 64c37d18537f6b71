//! Layout of a packed factor in memory.
//!
//! The inner axis of a factor is the one over which is summed; the outer axis is the other.

#[cfg(target_arch = "x86_64")]
use std::ops::Range;

/// Number of inner entries of a step; a packed factor may be cut at its multiples along the inner axis.
pub(crate) const STEP: usize = 32;

/// Number of outer rows of a panel: rows of a left factor, columns of a right one.
pub(crate) const PANEL: usize = 32;

/// Number of inner entries of a block: a panel then takes 32 KiB in f32, two thirds of a first-level cache, and half of
/// that in bf16, where panels of both factors have to be there.
pub(crate) const DEPTH: usize = 256;

/// Side of a factor in a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// The first: its columns are summed over.
    Left,
    /// The second: its rows are summed over.
    Right,
}

/// Layout of a packed factor in memory: blocks of inner entries, in a block panels of 32 outer rows, in a panel steps
/// of 32 inner entries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    step_lines: usize,
    side: Side,
    outer: usize,
    inner: usize,
}

/// Part of a factor that is packed together.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    allow(dead_code, reason = "there is no unit to lay anything out for")
)]
pub(crate) struct Panel {
    /// Its first outer row.
    pub(crate) outer: usize,
    /// Its first inner entry.
    pub(crate) inner: usize,
    /// Its inner entries.
    pub(crate) depth: usize,
    /// Its first line.
    pub(crate) line: usize,
}

impl Layout {
    /// Layout of a factor whose steps take `step_lines` lines.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "there is no unit to lay anything out for")
    )]
    pub(crate) fn new(step_lines: usize, side: Side, outer: usize, inner: usize) -> Self {
        Self {
            step_lines,
            side,
            outer,
            inner,
        }
    }

    /// Side of the factor.
    pub(crate) fn side(&self) -> Side {
        self.side
    }

    /// Outer rows and inner entries.
    pub(crate) fn size(&self) -> [usize; 2] {
        [self.outer, self.inner]
    }

    /// Lines of a step of a panel.
    pub(crate) fn step_lines(&self) -> usize {
        self.step_lines
    }

    /// Lines of the whole factor.
    pub(crate) fn lines(&self) -> usize {
        self.outer.div_ceil(PANEL) * self.inner.div_ceil(STEP) * self.step_lines
    }

    /// All panels, block after block.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        allow(dead_code, reason = "there is no unit to lay anything out for")
    )]
    pub(crate) fn panels(&self) -> impl Iterator<Item = Panel> + use<> {
        let layout = *self;
        (0..self.inner).step_by(DEPTH).flat_map(move |inner| {
            let depth = DEPTH.min(layout.inner - inner);
            let outer = (0..layout.outer).step_by(PANEL);
            outer.map(move |outer| Panel {
                outer,
                inner,
                depth,
                line: layout.panel(outer, inner),
            })
        })
    }

    /// First line of the step with this outer row and this inner entry.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn step(&self, outer: usize, inner: usize) -> usize {
        self.panel(outer, inner) + inner % DEPTH / STEP * self.step_lines
    }

    /// Layout of the part with these inner entries, which start at a block and end at one, or with the last entry.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn part(&self, inner: &Range<usize>) -> Self {
        assert!(
            inner.start.is_multiple_of(DEPTH)
                && (inner.end.is_multiple_of(DEPTH) || inner.end == self.inner)
                && inner.end <= self.inner,
            "inner entries {inner:?} of {} are not whole blocks",
            self.inner
        );
        Self {
            inner: inner.len(),
            ..*self
        }
    }

    /// First line of the panel with this outer row, in the block with this inner entry.
    #[inline(always)]
    pub(crate) fn panel(&self, outer: usize, inner: usize) -> usize {
        let (block, panels) = (inner / DEPTH * DEPTH, self.outer.div_ceil(PANEL));
        let steps = DEPTH.min(self.inner - block).div_ceil(STEP);
        (block / STEP * panels + outer / PANEL * steps) * self.step_lines
    }
}
