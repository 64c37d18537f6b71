//! Blocks of 32 x 32: parts of a product that other work takes over while they are in the first-level cache, and parts
//! of factors that are packed one after another.

use super::factor::{Factor, Matrix, Packed};
use super::layout::{Layout, PANEL, Side};
use super::native::bf16::{STEP_LINES, pack};
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

impl Block {
    /// The block as a matrix.
    fn matrix(&self) -> Matrix<'_> {
        Matrix::new(self.0.as_flattened(), PANEL, PANEL, PANEL)
    }
}

impl<'a> From<Packed<'a>> for Factor<'a> {
    fn from(packed: Packed<'a>) -> Self {
        Self::Packed(packed)
    }
}

/// Factors in bf16 that are packed block by block. The caller puts all blocks, those at the edges with zeros beyond
/// the factor.
impl Packing {
    /// Begins a factor with this many outer rows and inner entries; its numbers are undefined until they are put.
    pub(crate) fn begin(&mut self, side: Side, outer: usize, inner: usize) {
        let layout = Layout::new(STEP_LINES, side, outer, inner);
        self.lines(layout);
    }

    /// Puts a block whose rows are outer rows.
    #[inline]
    pub(crate) fn put(&mut self, outer: usize, inner: usize, block: &Block) {
        self.put_matrix(outer, inner, block.matrix());
    }

    /// Puts a block whose rows are inner entries.
    #[inline]
    pub(crate) fn put_transposed(&mut self, outer: usize, inner: usize, block: &Block) {
        self.put_matrix(outer, inner, block.matrix().transposed());
    }

    fn put_matrix(&mut self, outer: usize, inner: usize, by_outer: Matrix<'_>) {
        let side = self.layout().side();
        pack(side, by_outer, 0, 0, PANEL, self.step_mut(outer, inner));
    }

    fn step_mut(&mut self, outer: usize, inner: usize) -> &mut [Line] {
        let layout = self.layout();
        &mut self.lines(layout)[layout.step(outer, inner)..][..STEP_LINES]
    }

    /// A block that was put, row by row in bf16, if its rows are outer rows of a left factor.
    #[inline]
    pub(crate) fn rows(&self, outer: usize, inner: usize) -> &[Line; PANEL] {
        let layout = self.layout();
        let lines = &self.as_lines()[layout.step(outer, inner)..];
        lines
            .first_chunk()
            .unwrap_or_else(|| unreachable!("a step has 32 lines"))
    }

    /// The factor, all of whose blocks have been put or packed.
    pub(crate) fn packed(&self) -> Packed<'_> {
        Packed::whole(self.layout(), self.as_lines())
    }
}
