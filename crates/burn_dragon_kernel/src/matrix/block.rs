//! Blocks of 32 x 32: parts of a product that other work takes over while they are in the first-level cache, and parts
//! of factors that are packed one after another.

use super::factor::{Factor, Packed};
use super::layout::{Layout, PANEL, Side};
use super::native::bf16::STEP_LINES;
use super::packing::Packing;
use crate::buffer::Line;

/// 32 rows of 32 numbers.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub(crate) struct Block(pub(crate) [[f32; PANEL]; PANEL]);

impl Default for Block {
    fn default() -> Self {
        Self([[0.0; PANEL]; PANEL])
    }
}

impl<'a> From<Packed<'a>> for Factor<'a> {
    fn from(packed: Packed<'a>) -> Self {
        Self::Packed(packed)
    }
}

/// Factors in bf16 that are packed block by block. The caller writes the lines of all blocks, those at the edges with zeros
/// beyond the factor.
impl Packing {
    /// Begins a factor with this many outer rows and inner entries; its numbers are undefined until they are written.
    pub(crate) fn begin(&mut self, side: Side, outer: usize, inner: usize) {
        let layout = Layout::new(STEP_LINES, side, outer, inner);
        self.lines(layout);
    }

    /// The lines of a block.
    #[inline]
    pub(crate) fn step(&self, outer: usize, inner: usize) -> &[Line; STEP_LINES] {
        let lines = &self.as_lines()[self.layout().step(outer, inner)..];
        lines
            .first_chunk()
            .unwrap_or_else(|| unreachable!("a step has 32 lines"))
    }

    /// The lines of a block, to be written.
    #[inline]
    pub(crate) fn step_mut(&mut self, outer: usize, inner: usize) -> &mut [Line; STEP_LINES] {
        let layout = self.layout();
        let lines = &mut self.lines(layout)[layout.step(outer, inner)..];
        lines
            .first_chunk_mut()
            .unwrap_or_else(|| unreachable!("a step has 32 lines"))
    }

    /// The factor, all of whose blocks have been written or packed.
    pub(crate) fn packed(&self) -> Packed<'_> {
        Packed::whole(self.layout(), self.as_lines())
    }
}
