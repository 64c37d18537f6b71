//! Tile of neurons: their rows of the memory, which fade when they are touched.
//!
//! A row is what it was after its neuron was last active. The memory before token t is `faded` times the row.

use super::{EPS, Head};
use crate::buffer::Buffer;
use crate::simd::LANES;

/// Neurons of a tile: their rows stay in the first-level cache.
pub(super) const TILE: usize = 32;

/// Numbers of smaller size count as zero: they would be computed a hundred times slower.
const TINY: f32 = 1e-30;

/// Columns that stay in registers, where the width has so many.
pub(super) const WIDE: usize = 4 * LANES;

/// Runs a body for each block of columns, with their number as a constant, and with the blocks of a row and the block's
/// number.
macro_rules! for_blocks {
    ($padded:expr, |$columns:ident, $place:ident| $body:expr) => {
        if $padded.is_multiple_of(WIDE) {
            const $columns: usize = WIDE;
            for block in 0..$padded / WIDE {
                let $place = [$padded / WIDE, block];
                $body;
            }
        } else {
            const $columns: usize = LANES;
            for block in 0..$padded / LANES {
                let $place = [$padded / LANES, block];
                $body;
            }
        }
    };
}
pub(super) use for_blocks;

/// A number for each neuron of a tile.
pub(super) type OfTile = [f32; TILE];

#[inline(always)]
pub(super) fn flushed(x: f32) -> f32 {
    if x.abs() < TINY { 0.0 } else { x }
}

/// A tile of neurons.
#[derive(Debug, Default)]
pub(super) struct Tile {
    /// `[TILE, padded]`
    pub(super) rows: Buffer,
    pub(super) z: OfTile,
    pub(super) faded: OfTile,
    pub(super) decay: OfTile,
}

/// What a token does to the neurons of a tile.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Factors of rows in the read.
    pub(super) read: OfTile,
    /// What fades of rows before the read.
    pub(super) faded: OfTile,
    /// What fades of rows before the write.
    pub(super) keep: OfTile,
}

impl Tile {
    /// The neurons from `first` on, with their memory before the window.
    pub(super) fn load(&mut self, head: &Head<'_>, first: usize) {
        let (size, padded, width) = (head.size(first), head.sizes.padded, head.sizes.width);
        self.decay = head.decay(first);
        self.clear(padded);
        if head.starts_empty {
            return;
        }
        let memory = &head.memory[first * (width + 1)..][..size * (width + 1)];
        let rows = self.rows.chunks_exact_mut(padded).zip(&mut self.z);
        for ((row, z), from) in rows.zip(memory.chunks_exact(width + 1)) {
            row[..width].copy_from_slice(&from[..width]);
            *z = from[width];
        }
    }

    /// Empties the memory.
    pub(super) fn clear(&mut self, padded: usize) {
        self.rows.sized(TILE * padded).fill(0.0);
        (self.z, self.faded) = ([0.0; TILE], [1.0; TILE]);
    }

    /// Goes past a token: z and `faded` are then those before the next one.
    #[inline(always)]
    #[expect(
        clippy::needless_range_loop,
        reason = "the arrays are read in step, so that they are vectors"
    )]
    pub(super) fn step(&mut self, q: &OfTile, scale: f32, step: &mut Step) {
        step.faded = self.faded;
        for n in 0..TILE {
            step.read[n] = mean(q[n], scale, self.z[n]) * self.faded[n];
            step.keep[n] = self.decay[n] * self.faded[n];
            self.z[n] = flushed(self.decay[n] * self.z[n] + q[n]);
        }
        fade(&mut self.faded, q, &self.decay);
    }
}

/// Weight of a neuron in the read, over its z.
#[inline(always)]
pub(super) fn mean(q: f32, scale: f32, z: f32) -> f32 {
    q * scale / (z + EPS as f32)
}

/// Goes past a token: 1 for active neurons, others fade.
#[inline(always)]
pub(super) fn fade(faded: &mut OfTile, q: &OfTile, decay: &OfTile) {
    for n in 0..TILE {
        let fading = flushed(faded[n] * decay[n]);
        faded[n] = if q[n] > 0.0 { 1.0 } else { fading };
    }
}

/// Numbers of the active neurons, in order, and how many there are.
#[inline(always)]
pub(super) fn active(q: &OfTile, found: &mut [usize; TILE]) -> usize {
    let mut count = 0;
    for (n, q) in q.iter().enumerate() {
        found[count] = n;
        count += usize::from(*q > 0.0);
    }
    count
}

impl Head<'_> {
    /// Number of neurons of the tile from `first` on.
    pub(super) fn size(&self, first: usize) -> usize {
        TILE.min(self.sizes.neurons - first)
    }

    /// Queries of a token, none below 0.
    #[inline(always)]
    pub(super) fn queries(&self, token: usize, first: usize) -> OfTile {
        let size = self.size(first);
        let from = &self.q[token * self.sizes.neurons + first..][..size];
        let mut q = [0.0; TILE];
        for (q, from) in q.iter_mut().zip(from) {
            *q = from.max(0.0);
        }
        q
    }

    /// Factors of decay.
    fn decay(&self, first: usize) -> OfTile {
        let mut decay = [0.0; TILE];
        for (decay, log) in decay.iter_mut().zip(&self.log_decay[first..]) {
            *decay = log.exp();
        }
        decay
    }
}
