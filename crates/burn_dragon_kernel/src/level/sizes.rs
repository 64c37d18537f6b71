//! Sizes of a level, and the tiles and blocks that its work is cut into.

use crate::backend::level::Sizes;
use std::ops::Range;

/// Entries of a tile: 256 KiB of f32, a fraction of a core's second-level cache.
const TILE_ENTRIES: usize = 1 << 16;

/// Rows of a block of scores; blocks above the diagonal are never computed.
const BLOCK: usize = 64;

impl Sizes {
    /// Neurons of a full tile: whole strips of 64, so that pairs stay together.
    fn tile_width(&self) -> usize {
        let fitting = (TILE_ENTRIES / self.tokens.max(1)).clamp(64, 512) & !63;
        fitting.min(self.neurons)
    }

    /// The tiles' neurons.
    pub(super) fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, neurons) = (self.tile_width(), self.neurons);
        (0..neurons.div_ceil(width)).map(move |tile| tile * width..((tile + 1) * width).min(neurons))
    }

    /// The score blocks' rows.
    pub(super) fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let tokens = self.tokens;
        (0..tokens.div_ceil(BLOCK)).map(move |block| block * BLOCK..((block + 1) * BLOCK).min(tokens))
    }

    /// Where some tokens lie in `[T, D]`.
    pub(super) fn rows_of(&self, tokens: &Range<usize>) -> Range<usize> {
        tokens.start * self.width..tokens.end * self.width
    }
}
